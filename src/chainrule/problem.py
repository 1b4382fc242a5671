"""What both runs are handed: the objective, a batch of data, and a stretch of training steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.equations import PENALTIES
from chainrule.equations.optimisers import Optimiser
from chainrule.errors import OptionError
from chainrule.parameters import Array, Layout
from chainrule.spec import Network, Training


class Some:
    """Some rows of an array, in some order, of which no copy is made.

    Parameters
    ----------
    whole : ndarray of shape (all, columns)
    rows : ndarray of int64, shape (n,)
    """

    def __init__(self, whole: Array, rows: Any) -> None:
        self.whole, self.rows = whole, np.ascontiguousarray(rows, np.int64)
        self.shape, self.dtype = (len(rows), whole.shape[1]), whole.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        """A copy of some of them."""
        some: Array = self.whole[self.rows[rows]]
        return some

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.whole[self.rows].astype(dtype or self.dtype, copy=False)


@dataclass(frozen=True)
class Batch:
    """Rows of data.

    Attributes
    ----------
    X : ndarray, Some or scipy CSR matrix of shape (n, inputs)
        Of the network's dtype; an array is C-contiguous.
    Y : ndarray of shape (n, outputs)
        Targets as the loss wants them, of the network's dtype.
    weights : ndarray of shape (n,) or None
        Sample weights, not negative; None means 1 for each.
    """

    X: Any
    Y: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def take(self, rows: Any) -> Batch:
        """The batch of the given rows, in that order."""
        weights = None if self.weights is None else self.weights[rows]
        return Batch(self.X[rows], self.Y[rows], weights)

    def part(self, rows: Any) -> Batch:
        """The same as `take`, but without a copy of the rows of an array."""
        if not isinstance(self.X, np.ndarray):
            return self.take(rows)
        weights = None if self.weights is None else self.weights[rows]
        return Batch(Some(self.X, rows), self.Y[rows], weights)

    def loaded(self) -> Batch:
        """The same rows, in memory and next to each other."""
        return Batch(np.asarray(self.X), self.Y, self.weights) if isinstance(self.X, Some) else self

    def sums(self) -> Any:
        """The weighted sum of each column of Y, of shape (outputs,)."""
        weighted = self.Y if self.weights is None else self.Y * self.weights[:, None]
        return weighted.sum(axis=0, dtype=np.float64)


@dataclass(frozen=True)
class Objective:
    """What is minimised: a network's loss and its penalties.

    Attributes
    ----------
    network : Network
    strengths : mapping of str to float
        Strength of each penalty of the table; those not named are 0.
    per_batch : bool
        Whether penalties are divided by the batch's sum of weights (scikit-learn's convention).
    """

    network: Network
    strengths: Mapping[str, float] = field(default_factory=dict)
    per_batch: bool = False

    def __post_init__(self) -> None:
        for name in self.strengths:
            if name not in PENALTIES:
                raise OptionError(PENALTIES._unknown(name))

    @cached_property
    def layout(self) -> Layout:
        """Where each parameter lies."""
        return Layout(self.network)

    def scale(self, batch: Batch) -> float:
        """Factor on the penalties for a batch."""
        if not self.per_batch:
            return 1.0
        total = len(batch) if batch.weights is None else float(batch.weights.sum(dtype=np.float64))
        return 1.0 / total if total > 0 else 0.0

    def penalised(self) -> list[tuple[int, int]]:
        """Stretches (start, stop) of the flat vector that penalties apply to."""
        return [(b.start, b.stop) for b in self.layout.blocks if b.is_weight]


@dataclass
class Stretch:
    """A stretch of training steps in one epoch; arrays are changed in place.

    Attributes
    ----------
    batch : Batch
        All rows of the training data.
    order : ndarray of int64
        The rows in the order of this epoch.
    first, last : int
        Numbers of the first batch and of the one after the last.
    batch_size : int
    rates : ndarray of float64, shape (3, last - first)
        Of each step the learning rate, a factor on the weight decay and one on the rates of dropout.
    theta, slots : ndarray
        Parameters, of shape (P,), and the optimiser's memory, of shape (slots, P).
    losses : ndarray of float64, shape (last - first,)
        Receives the loss of each batch.
    t : int
        Steps done before.
    seed : int
        Seed of dropout.
    """

    batch: Batch
    order: Any
    first: int
    last: int
    batch_size: int
    rates: Any
    theta: Array
    slots: Array
    losses: Any
    t: int
    seed: int

    def batches(self) -> Iterator[Any]:
        """The rows of each batch."""
        for number in range(self.first, self.last):
            yield self.order[number * self.batch_size : (number + 1) * self.batch_size]


@dataclass(frozen=True)
class Pace:
    """How fast each parameter moves beside the others.

    Attributes
    ----------
    rates, decays : mapping of str to float
        Factors on the learning rate and on the weight decay of parameters of that name.
    clip : float
        Most length of the gradient; 0 for no limit.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    decays: Mapping[str, float] = field(default_factory=dict)
    clip: float = 0.0

    @classmethod
    def of(cls, training: Training) -> Pace:
        """What a training asks for."""
        return cls(training.rate_factors, training.decay_factors, training.clip)


def paces(layout: Layout, row: Optimiser, pace: Pace) -> list[tuple[int, int, float, float]]:
    """Stretches (start, stop, rate, decay) of the flat vector, with their factors.

    Neighbours with the same factors are one stretch; what is never learnt is in none.
    """
    found: list[tuple[int, int, float, float]] = []
    for block in layout.blocks:
        if block.frozen:
            continue
        rate = pace.rates.get(block.name, 1.0)
        decay = pace.decays.get(block.name, float(block.is_weight)) if decay_place(row) >= 0 else 0.0
        start = block.start
        if found and found[-1][1:] == (start, rate, decay):
            start = found.pop()[0]
        found.append((start, block.stop, rate, decay))
    return found


def decay_place(row: Optimiser) -> int:
    """Which of an optimiser's parameters is its weight decay; -1 if it has none, or one of 0."""
    names = list(row.parameters)
    return names.index("weight_decay") if row.parameters.get("weight_decay") else -1


def decayed(row: Optimiser, factor: float) -> list[float]:
    """An optimiser's parameters, with a factor on its own weight decay, if any."""
    return [v * factor if name == "weight_decay" else v for name, v in row.parameters.items()]
