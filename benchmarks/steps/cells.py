"""What is measured: the cells of the grid, and the data of a cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, product
from typing import Any

import numpy as np

FULL = 0  # a batch of all rows
ROWS = 2048
MOST_STEPS = 256  # in an epoch, so that one of single rows ends soon
LEAST_STEPS = 4
LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Cell:
    """A network, its data's size and its training.

    Attributes
    ----------
    widths : tuple of int
        Number of inputs, of each hidden layer's units, of outputs.
    batch : int
        Rows in a batch; `FULL` for all.
    dropout : float
        Share of each hidden layer's values that is dropped.
    """

    widths: tuple[int, ...]
    batch: int
    activation: str = "relu"
    dtype: str = "float32"
    optimiser: str = "adam"
    task: str = "classification"
    dropout: float = 0.0

    @property
    def name(self) -> str:
        """A line of text that tells this cell from others."""
        parts = ["-".join(map(str, self.widths)), f"batch {self.batch or 'full'}", self.activation]
        parts += [self.optimiser, self.dtype]
        parts += ["regression"] if self.task == "regression" else []
        parts += [f"dropout {self.dropout:g}"] if self.dropout else []
        return ", ".join(parts)

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return min(max(ROWS // self.batch, LEAST_STEPS), MOST_STEPS) if self.batch else 1

    @property
    def rows(self) -> int:
        """Rows of data: a whole number of batches."""
        return self.steps * (self.batch or ROWS)

    @property
    def rows_in_batch(self) -> int:
        """Rows in a batch, as a number."""
        return self.batch or ROWS

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum((m + 1) * n for m, n in pairwise(self.widths))

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs, and labels (integers) or real targets of shape (rows, outputs)."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.rows, self.widths[0])).astype(self.dtype)
        if self.task == "classification":
            return X, rng.permutation(np.arange(self.rows) % self.widths[-1])
        return X, rng.standard_normal((self.rows, self.widths[-1])).astype(self.dtype)

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Glorot's initial weights (inputs, units) and zero biases of each layer."""
        rng = np.random.default_rng(1)
        spread, made = 2 if self.activation == "sigmoid" else 6, []  # as scikit-learn draws its own
        for m, n in pairwise(self.widths):
            limit = (spread / (m + n)) ** 0.5
            made.append((rng.uniform(-limit, limit, (m, n)).astype(self.dtype), np.zeros(n, self.dtype)))
        return made

    def as_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Cell:
        """The inverse of `as_dict`."""
        return cls(**{**facts, "widths": tuple(facts["widths"])})


def quick() -> Iterator[Cell]:
    """About ten cells, from what fits into the nearest cache to what is bound by matrix products."""
    small, middle, wide = (10, 16, 10), (30, 100, 10), (100, 256, 256, 10)
    yield Cell(small, 32)
    yield replace(Cell(small, 32), dtype="float64")
    for activation in ("relu", "tanh", "gelu"):
        yield Cell(middle, 200, activation)
    yield Cell(wide, 32)
    yield Cell(wide, 200)
    yield replace(Cell(wide, 200), dtype="float64")
    yield Cell((784, 1024, 1024, 10), 256)


def full() -> Iterator[Cell]:
    """Every combination: hours."""
    grid = product(
        ((10, 16, 10), (30, 100, 10), (100, 256, 256, 10), (784, 1024, 1024, 1024, 10)),
        (1, 32, 200, 256, FULL),
        ("relu", "tanh", "sigmoid", "gelu"),
        ("float32", "float64"),
        ("adam", "sgd"),
        ("classification", "regression"),
        (0.0, 0.2),
    )
    return (Cell(*values) for values in grid)
