"""When checkpoints are written, and where training begins if there is one already."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any

from chainrule.checkpoint import Checkpoint, Contents, difference, read
from chainrule.errors import FileError, TrainingWarning
from chainrule.spec import Training
from chainrule.state import Outcome, Position, State
from chainrule.store import disk, leftovers


class Keeper(AbstractContextManager["Keeper"]):
    """Saves checkpoints while training rests, and lets it rest before Ctrl-C ends it.

    Within a ``with``, the first Ctrl-C ends training at its next rest, after a checkpoint; a second one at
    once. It leaves Ctrl-C alone where a program has a handler of its own, and outside of the main thread.

    Parameters
    ----------
    path : path-like
        Where to.
    every : float
        Seconds from one checkpoint to the next, at least 0; with 0 there is one at each rest.
    run : dict
        What tells this training from any other: see `difference`.

    Attributes
    ----------
    saved : Checkpoint or None
        The checkpoint that was there at the beginning.

    Raises
    ------
    FileError
        If the file at the path is damaged, is no checkpoint, or is that of another training.
    OSError
        If the operating system refuses to read it.
    """

    def __init__(self, path: str | os.PathLike[str], every: float, run: dict[str, Any]) -> None:
        self.path = disk.path_of(path)
        leftovers.remove(os.path.realpath(self.path))  # a fit that has ended saves no more
        self.every = every
        self.run = run
        self.saved = read(self.path)
        if self.saved is not None and (what := difference(self.saved.run, run)):
            raise FileError(
                f"{self.path} is the checkpoint of another fit: {what}. Repeat that fit as it was to go on, "
                "name another file, or delete this one to start anew."
            )

    def begin(
        self,
        state: State,
        training: Training,
        rows: int,
        own: Callable[[], Contents],
        shuffled: int | None = None,
    ) -> Position:
        """Where to begin: at the checkpoint, to which the state is brought, or at the beginning.

        Parameters
        ----------
        state : State
            The state before training; changed in place.
        training : Training
        rows : int
            Rows to train on.
        own : callable
            Gives what else a checkpoint is to hold: metadata and arrays.
        shuffled : int, optional
            What an epoch's order counts, if not the rows.

        Raises
        ------
        FileError
            If the checkpoint does not fit to the state.
        """
        self.state, self.own = state, own
        if self.saved is None:
            self.position = Position(state.theta.copy())
            return self.position
        new, self.position = self.saved.state, self.saved.position
        order = self.position.order
        same = all(
            (array.dtype, array.shape) == (other.dtype, other.shape)
            for array, other in ((new.theta, state.theta), (new.slots, state.slots))
        )
        steps = math.ceil(rows / min(training.batch_size, rows))
        if (
            not same
            or self.position.step >= steps
            or (order is not None and len(order) != (rows if shuffled is None else shuffled))
        ):
            raise FileError(f"{self.path} does not fit to this network and these rows.")
        state.theta[:] = new.theta
        vars(state).update({name: value for name, value in vars(new).items() if name != "theta"})
        return self.position

    def __enter__(self) -> Keeper:
        self._asked, self._last = False, time.perf_counter() if self.saved else -math.inf
        mine = threading.current_thread() is threading.main_thread()
        self._held = mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._held:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._held:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def rest(self, position: Position) -> None:
        """Save, if it is time to or if Ctrl-C was pressed; the latter then ends training.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C was pressed.
        OSError
            If the first checkpoint cannot be written. If a later one cannot, that is a warning.
        """
        if self._asked or time.perf_counter() - self._last >= self.every:
            if self._last == -math.inf:
                self._write(None)
            else:
                self._try(None)
            self._last = time.perf_counter()
        if self._asked:
            raise KeyboardInterrupt

    def finish(self, outcome: Outcome) -> None:
        """Save how training ended; an interrupted one can go on, so its last checkpoint stays."""
        if outcome.reason != "interrupted":
            self._try(outcome)

    def _write(self, outcome: Outcome | None) -> None:
        Checkpoint(self.run, self.state, self.position, outcome, self.own()).write(self.path)

    def _try(self, outcome: Outcome | None) -> None:
        try:
            self._write(outcome)
        except OSError as error:
            warnings.warn(
                f"The checkpoint {self.path} could not be written ({error.strerror}). Training goes on; "
                "the last one that was written is still there.",
                TrainingWarning,
                stacklevel=2,
            )
