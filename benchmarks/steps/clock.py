"""Epochs timed one by one, for so many seconds."""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import median

LEAST_EPOCHS = 3


class Clock:
    """Takes the time at each epoch's end; the first epoch warms up and is not counted."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ends: list[float] = []
        self.losses: list[float] = []

    def tick(self, loss: float) -> bool:
        """Note an epoch's end and its mean loss; True when there are enough epochs."""
        self.losses.append(float(loss))  # first: JAX returns before it has computed it
        self.ends.append(time.perf_counter())
        return len(self.ends) > LEAST_EPOCHS and self.ends[-1] - self.ends[0] >= self.seconds

    def epochs(self) -> tuple[float, float]:
        """Median and least seconds of an epoch."""
        lengths = [end - start for start, end in pairwise(self.ends)]
        return median(lengths), min(lengths)
