"""Permutation importances: how much worse predictions get when the cells of a column are shuffled.

Source: Breiman 2001, Machine Learning 45, section 10.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.column_values import Numbers
from chainrule.html_table import table
from chainrule.tabular_columns import Matrix
from chainrule.tabular_metrics import Metric

TITLES = ("column", "importance", "standard deviation")


@dataclass(frozen=True)
class Importances:
    """How much each column matters; the most important one comes first.

    Attributes
    ----------
    columns : tuple of str
    values : ndarray of shape (columns, repeats)
        What the metric loses when the column is shuffled, each time; above 0 the column helps.
    metric : str
    baseline : float
        The metric of the rows as they are.
    """

    columns: tuple[str, ...]
    values: Numbers
    metric: str
    baseline: float

    @property
    def mean(self) -> Numbers:
        """The importance of each column: the mean over the repeats."""
        return np.asarray(self.values.mean(axis=1))

    @property
    def deviation(self) -> Numbers:
        """The standard deviation over the repeats."""
        return np.asarray(self.values.std(axis=1))

    def to_dict(self) -> dict[str, float]:
        """The importance of each column by its name."""
        return dict(zip(self.columns, self.mean.tolist(), strict=True))

    def _rows(self) -> list[tuple[str, ...]]:
        numbers = zip(self.columns, self.mean, self.deviation, strict=True)
        return [(name, f"{mean:.4g}", f"{deviation:.2g}") for name, mean, deviation in numbers]

    def __str__(self) -> str:
        rows = [TITLES, *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, self._said()])

    def _said(self) -> str:
        return f"loss of {self.metric}, which is {self.baseline:.4g} on the rows as they are"

    def _repr_html_(self) -> str:
        return table(self._said(), TITLES, self._rows(), numbers=(1, 2))


def permuted(
    figure: Callable[[Matrix], float],
    X: Matrix,
    blocks: Mapping[str, Sequence[int]],
    metric: Metric,
    repeats: int,
    random: np.random.RandomState,
) -> Importances:
    """Shuffle the columns one after the other.

    Parameters
    ----------
    figure : callable
        The metric of the predictions for a matrix.
    X : ndarray of shape (n, inputs)
    blocks : mapping of str to sequence of int
        The columns of the matrix that belong to a column of the table; none of one that is not used.
    metric : Metric
    repeats : int
    random : RandomState
    """
    baseline = figure(X)
    values = rises(
        lambda matrix: metric.loss(figure(matrix)), X, metric.loss(baseline), blocks.values(), repeats, random
    )
    order = np.argsort(-values.mean(axis=1), kind="stable")
    names = tuple(blocks)
    return Importances(tuple(names[i] for i in order), values[order], metric.name, baseline)


def rises(
    loss: Callable[[Any], float],
    X: Any,
    before: float,
    blocks: Collection[Sequence[int]],
    repeats: int,
    random: np.random.RandomState | np.random.Generator,
) -> Numbers:
    """How much the loss rises when the rows of some columns are shuffled together, one block after the other.

    Parameters
    ----------
    loss : callable
        Of the predictions for a matrix.
    X : ndarray of shape (n, inputs)
    before : float
        The loss of X as it is.
    blocks : collection of sequence of int
        Columns of the matrix; an empty block is not shuffled, and nothing rises.
    repeats : int
    random : RandomState or Generator

    Returns
    -------
    ndarray of shape (blocks, repeats)
    """
    values = np.zeros((len(blocks), repeats))
    shuffled = X.copy()
    for number, places in enumerate(blocks):
        for repeat in range(repeats if places else 0):
            order = random.permutation(len(X))
            shuffled[:, places] = X[order[:, None], list(places)]
            values[number, repeat] = loss(shuffled) - before
        shuffled[:, places] = X[:, places]
    return values
