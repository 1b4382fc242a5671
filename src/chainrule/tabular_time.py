"""A fit within a given time: how many networks, and how many epochs each, so that every schedule ends."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from chainrule import train
from chainrule.problem import Batch, Objective
from chainrule.spec import Training

RESERVE = 0.1  # of the time that is left: for what follows training, and for epochs slower than the first
LEAST_SHARE = 0.25  # networks are left out before each has less than this share of its epochs
PROBE = 0.02  # of the time limit, spent on measuring the speed
MOST_PROBE = 0.5  # seconds


class Clock:
    """The time that a fit takes, and may take.

    Parameters
    ----------
    limit : float or None
        Seconds from now on; None for no limit.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = math.inf if limit is None else float(limit)
        self.began = time.perf_counter()

    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.began

    def left(self) -> float:
        """Seconds that are left; infinite without a limit."""
        return self.limit - self.spent()


def seconds_of_epoch(
    objective: Objective, training: Training, batch: Batch, state: train.State, run: Any, clock: Clock
) -> float:
    """How long an epoch takes, from some of its steps; the state is used up.

    The first step is not counted: it may wait for the compiler.
    """
    pieces = train.stretches(objective, training, batch, state, run=run, epochs=10**9)
    goal, spent, first = min(MOST_PROBE, PROBE * clock.limit), 0.0, 0
    try:
        next(pieces)
        pieces.send(1)
        first, began = state.t, time.perf_counter()
        while spent < goal:
            pieces.send(8)
            spent = time.perf_counter() - began
        pieces.close()
    except StopIteration:  # it diverged, which the fit itself will tell
        pass
    steps = math.ceil(len(batch) / min(training.batch_size, len(batch)))
    return steps * spent / max(state.t - first, 1)


class Budget:
    """Epochs for one network after the other, within the time that is left.

    Parameters
    ----------
    clock : Clock
    members, epochs, jobs : int
        Networks, epochs of each, and how many of them are trained at once.
    seconds : float
        Of an epoch.
    """

    def __init__(self, clock: Clock, members: int, epochs: int, jobs: int, seconds: float) -> None:
        self.clock, self.epochs, self.jobs, self.seconds = clock, epochs, jobs, seconds
        self.waiting = members
        self.lock = threading.Lock()
        if math.isfinite(clock.limit):
            self.waiting, self.epochs = self._plan(members)

    def _affordable(self, members: int) -> int:
        """Epochs that each of so many networks can have."""
        rounds = math.ceil(members / self.jobs)
        return int(self.clock.left() * (1 - RESERVE) / max(rounds * self.seconds, 1e-9))

    def _plan(self, members: int) -> tuple[int, int]:
        """The most networks of which each has a fair share of its epochs."""
        for count in range(members, 0, -1):
            affordable = self._affordable(count)
            if affordable >= LEAST_SHARE * self.epochs:
                return count, min(affordable, self.epochs)
        return min(members, self.jobs), max(1, self._affordable(1))

    def begin(self, *, needed: bool) -> int:
        """Epochs for the network that begins now; 0, if there is no time for it and it is not needed."""
        with self.lock:
            if not math.isfinite(self.clock.limit):
                return self.epochs
            affordable = self._affordable(max(self.waiting, 1)) if self.waiting > 0 else 0
            self.waiting -= 1
            return max(min(self.epochs, affordable), int(needed))

    def measured(self, seconds: float) -> None:
        """Take the time of an epoch that has been done into account."""
        with self.lock:
            self.seconds = max(self.seconds, seconds)
