"""Checkpoints: training that stops at any moment, and goes on later with the same bits.

A checkpoint is a file as models have them (`chainrule.store`), written while training rests. It holds the
`State`, the `Position`, what tells this training from any other, and what the caller has to add.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from chainrule import store
from chainrule.errors import FileError, TrainingWarning
from chainrule.parameters import Array
from chainrule.second_order import Iterate
from chainrule.snapshot import rebuild
from chainrule.spec import Training
from chainrule.state import Outcome, Position, State

KIND = "Checkpoint"
Contents = tuple[dict[str, Any], dict[str, Array]]


@dataclass(frozen=True)
class Numbers:
    """The plain numbers of a `State`, a `Position` and an `Iterate`."""

    t: int
    samples: int
    epochs: int
    plateau: float
    best_value: float
    stale: int
    done: int
    step: int


@dataclass(frozen=True)
class Method:
    """The plain numbers of an `Iterate`."""

    value: float
    evaluations: int
    damping: float


@dataclass(frozen=True)
class Checkpoint:
    """A training that can go on.

    Attributes
    ----------
    run : dict
        What tells it from another training: see `difference`.
    state : State
    position : Position
    outcome : Outcome or None
        How it ended; None while it can go on.
    own : tuple of dict and dict
        What the caller has added: metadata and arrays.
    """

    run: dict[str, Any]
    state: State
    position: Position
    outcome: Outcome | None = None
    own: Contents = field(default_factory=lambda: ({}, {}))

    def write(self, path: str) -> None:
        """Save it: all of it, or, if that fails, nothing, and then the old file stays.

        Raises
        ------
        OSError
            If the operating system refuses.
        """
        state, position = self.state, self.position
        own, arrays = self.own
        found = {**vars(state), **vars(position)}
        metadata = {
            "run": self.run,
            "numbers": {name: found[name] for name in Numbers.__annotations__},
            "history": list(state.history),
            "outcome": None if self.outcome is None else asdict(self.outcome),
            "own": own,
        }
        kept = {
            "theta": state.theta,
            "slots": state.slots,
            "safe": position.safe,
            "losses": position.losses,
            "best": state.best_theta,
            "order": position.order,
            **{f"history {i}": np.array(values) for i, values in enumerate(state.history.values())},
            **{f"own {name}": array for name, array in arrays.items()},
        }
        if position.iterate is not None:
            metadata["method"], memory = _method(position.iterate)
            kept.update(memory)
        store.write(path, KIND, metadata, {name: a for name, a in kept.items() if a is not None})


def read(path: str) -> Checkpoint | None:
    """The checkpoint at a path; None if there is no file.

    Raises
    ------
    FileError
        If the file is damaged, or is no checkpoint.
    OSError
        If the operating system refuses.
    """
    try:
        contents = store.read(path)
    except FileNotFoundError:
        return None
    if contents.kind != KIND:
        raise FileError(
            f"{path} is not a checkpoint, but holds a model ({contents.kind}): name another file."
        )
    try:
        return _restore(contents.metadata, contents.arrays)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FileError(f"{path} is a checkpoint that does not fit together: {error}.") from error


def _restore(metadata: Mapping[str, Any], arrays: Mapping[str, Array]) -> Checkpoint:
    numbers = asdict(rebuild(Numbers, metadata["numbers"]))
    done, step = numbers.pop("done"), numbers.pop("step")
    history = {name: arrays[f"history {i}"].tolist() for i, name in enumerate(metadata["history"])}
    state = State(arrays["theta"], arrays["slots"], history=history, best_theta=arrays.get("best"), **numbers)
    iterate = _iterate(metadata["method"], arrays) if "method" in metadata else None
    position = Position(arrays["safe"], done, step, arrays["losses"], arrays.get("order"), iterate)
    _check(state, position)
    outcome = metadata["outcome"]
    own = {n.removeprefix("own "): a for n, a in arrays.items() if n.startswith("own ")}
    return Checkpoint(
        run=dict(metadata["run"]),
        state=state,
        position=position,
        outcome=None if outcome is None else rebuild(Outcome, outcome),
        own=(dict(metadata["own"]), own),
    )


def _check(state: State, position: Position) -> None:
    """Refuse arrays that do not fit to each other."""
    form = state.theta.dtype, state.theta.shape
    same = [position.safe, *([] if state.best_theta is None else [state.best_theta])]
    if any((a.dtype, a.shape) != form for a in (*same, *state.slots)):
        raise ValueError("its parameters differ in shape or type")
    if position.losses.dtype != np.float64 or position.losses.shape != (position.step,):
        raise ValueError("its losses are not those of its steps")
    if min(state.t, state.samples, state.epochs, position.done, position.step) < 0:
        raise ValueError("a count is negative")
    order = position.order
    # The compiled run trusts the numbers of rows.
    if order is not None and not (
        order.dtype == np.int64 and np.array_equal(np.sort(order), np.arange(len(order)))
    ):
        raise ValueError("its order of rows is none")
    if position.iterate is not None and position.iterate.theta.shape != state.theta.shape:
        raise ValueError("its method has other parameters")
    if position.step and order is None:
        raise ValueError("it stands within an epoch that has no order")


# ---------------------------------------------------------------- full-batch methods


def _method(iterate: Iterate) -> Contents:
    """A full-batch method as metadata and arrays."""
    metadata = {name: float(getattr(iterate, name)) for name in ("value", "damping")}
    s, y, rho = zip(*iterate.pairs, strict=True) if iterate.pairs else ((), (), ())
    size = iterate.theta.size
    return {**metadata, "evaluations": iterate.evaluations}, {
        "method theta": iterate.theta,
        "method gradient": iterate.gradient,
        "method s": np.reshape(s, (-1, size)),
        "method y": np.reshape(y, (-1, size)),
        "method rho": np.array(rho, np.float64),
    }


def _iterate(metadata: Mapping[str, Any], arrays: Mapping[str, Array]) -> Iterate:
    numbers = rebuild(Method, metadata)
    theta, gradient, s, y, rho = (arrays[f"method {name}"] for name in ("theta", "gradient", "s", "y", "rho"))
    if not gradient.shape == theta.shape == s.shape[1:] == y.shape[1:]:
        raise ValueError("its curvature is of other parameters")
    pairs = tuple((a.copy(), b.copy(), float(c)) for a, b, c in zip(s, y, rho, strict=True))
    return Iterate(theta, numbers.value, gradient, numbers.evaluations, "", pairs, numbers.damping)


# ---------------------------------------------------------------- which training it is of


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What tells one training from another, in words; "" if nothing does.

    Each is a dict of facts. A fact that is a dict itself is that of an array: its shape and its digest.
    """
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            if old.get("shape") == new.get("shape"):
                return f"{name} held other values there"
            return (
                f"{name} had the shape {_spell(old.get('shape'))} there and has {_spell(new['shape'])} here"
            )
        if isinstance(old, dict) or isinstance(new, dict):
            there, here = (" no" if fact is None else "" for fact in (old, new))
            return f"there was{there or ' a'} {name} there, and there is{here or ' one'} here"
        return f"{name} was {_spell(old)} there and is {_spell(new)} here"
    return ""


def _spell(value: Any) -> str:
    return repr(tuple(value) if isinstance(value, list) else value)


# ---------------------------------------------------------------- while training runs


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
        self.path = os.fsdecode(path)
        self.every = every
        self.run = run
        self.saved = read(self.path)
        if self.saved is not None and (what := difference(self.saved.run, run)):
            raise FileError(
                f"{self.path} is the checkpoint of another fit: {what}. Repeat that fit as it was to go on, "
                "name another file, or delete this one to start anew."
            )

    def begin(self, state: State, training: Training, rows: int, own: Callable[[], Contents]) -> Position:
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
        if not same or self.position.step >= steps or (order is not None and len(order) != rows):
            raise FileError(f"{self.path} does not fit to this network and these rows.")
        state.theta[:] = new.theta
        vars(state).update({name: value for name, value in vars(new).items() if name != "theta"})
        return self.position

    def __enter__(self) -> Keeper:
        self._asked, self._last = False, time.perf_counter() if self.saved else -np.inf
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
            if self._last == -np.inf:
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
