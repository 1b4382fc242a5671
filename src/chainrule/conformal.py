r"""Prediction intervals that cover with a given probability, whatever the network is: conformal prediction.

A row i that a network :math:`\hat f_k` was not trained on has the score
:math:`s_i = |y_i - \hat f_k(x_i)| / \hat u_k(x_i)`, where :math:`\hat u_k` says how large errors are expected
to be at x. With n scores, and with k(i) for the network that has not seen row i, the interval at x reaches

- up to the :math:`\lceil (1 - \alpha)(n + 1) \rceil`-th smallest of
  :math:`\hat f_{k(i)}(x) + s_i \hat u_{k(i)}(x)`,
- down to the same of :math:`-\hat f_{k(i)}(x) + s_i \hat u_{k(i)}(x)`, negated.

For one network this is split conformal prediction with normalised residuals: if rows are exchangeable, a new
one is covered with probability of at least 1 - α. For the networks of a cross-validation it is CV+: the
guarantee is 1 - 2α less a term that falls with n, and what is seen is about 1 - α.

:math:`\hat u` is a log-linear model of the variance: log |y - f(x)| is regressed on x, x², f(x) and f(x)² by
ridge regression, whose penalty has the least generalised cross-validation error. It is fitted on rows whose
scores are not taken with it.

Source: Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World; Papadopoulos, Gammerman & Vovk
2008 (normalised residuals); Barber, Candès, Ramdas & Tibshirani 2021, Ann. Statist. 49 (CV+); Harvey 1976,
Econometrica 44 (log-linear variance); Golub, Heath & Wahba 1979, Technometrics 21 (the penalty). Intervals
with the same aim from quantiles: Romano, Patterson & Candès 2019, NeurIPS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.column_values import Numbers
from chainrule.errors import OptionError

FEW = 50  # with fewer rows than this, errors are expected to be the same everywhere
WIDE = 200  # with more inputs, the errors' size is modelled from the prediction alone
LEAST = 1e-3  # of the median error; smaller ones are counted as this, for their logarithm has no end
PENALTIES = 10.0 ** np.arange(-4.0, 3.0)
HALVINGS = 80


@dataclass(frozen=True)
class Spread:
    """The size of error that is expected at a row: exp of a polynomial.

    Attributes
    ----------
    weights : ndarray of shape (terms,)
        Of the standardised terms; none, where the size is the same everywhere.
    means, deviations : ndarray of shape (terms,)
    constant : float
    low, high : float
        What the exponent is limited to: the ends of what was seen while learning.
    """

    weights: Numbers
    means: Numbers
    deviations: Numbers
    constant: float
    low: float
    high: float

    @classmethod
    def learn(cls, X: Numbers, predicted: Numbers, errors: Numbers) -> Spread:
        """From inputs of shape (n, inputs), predictions, and what is left of the target, of shape (n,)."""
        size = np.abs(errors)
        floor = LEAST * float(np.median(size)) or 1.0
        target = np.log(np.maximum(size, floor))
        constant = float(target.mean())
        empty = np.empty(0)
        flat = cls(empty, empty, empty, constant, constant, constant)
        if len(target) < FEW or target.min() == target.max():
            return flat
        terms = _terms(X if X.shape[1] <= min(WIDE, len(target) // 10) else X[:, :0], predicted)
        means, deviations = terms.mean(axis=0), terms.std(axis=0)
        deviations[deviations < 1e-9 * (1 + np.abs(means))] = np.inf  # a term that never varies says nothing
        scaled = (terms - means) / deviations
        weights = _ridge(scaled, target - constant)
        if weights is None:
            return flat
        exponents = constant + scaled @ weights
        low, high = float(exponents.min()), float(exponents.max())
        return cls(weights, means, deviations, constant, low, high)

    def __call__(self, X: Numbers, predicted: Numbers) -> Numbers:
        """The size of error at each row, positive."""
        if not len(self.weights):
            return np.full(len(predicted), math.exp(self.constant))
        terms = _terms(X if len(self.weights) > 2 else X[:, :0], predicted)
        exponents = self.constant + ((terms - self.means) / self.deviations) @ self.weights
        sizes: Numbers = np.exp(np.clip(exponents, self.low, self.high))
        return sizes


def _terms(X: Numbers, predicted: Numbers) -> Numbers:
    columns = np.column_stack([X, predicted]).astype(np.float64)
    return np.hstack([columns, np.square(columns)])


def _ridge(F: Numbers, target: Numbers) -> Numbers | None:
    """Ridge weights; None, if the mean alone has less error in generalised cross-validation."""
    n = len(target)
    values, vectors = np.linalg.eigh(F.T @ F / n)
    values = np.maximum(values, 0.0)
    projected = vectors.T @ (F.T @ target) / n
    total = float(target @ target) / n
    best, found = total / (1 - 1 / n) ** 2, None
    for penalty in PENALTIES:
        shrunk = projected / (values + penalty)
        error = total - 2 * float(shrunk @ projected) + float(np.square(shrunk) @ values)
        free = n - 1 - float((values / (values + penalty)).sum())
        score = error / (free / n) ** 2 if free > 0 else math.inf
        if score < best:
            best, found = score, vectors @ shrunk
    return found


@dataclass(frozen=True)
class Part:
    """Rows that the same networks have not seen.

    Attributes
    ----------
    members : tuple of int
        The networks, whose mean predicts.
    X : ndarray of shape (n, inputs)
    predicted, errors : ndarray of shape (n,)
        The networks' mean, and the target less this.
    """

    members: tuple[int, ...]
    X: Numbers
    predicted: Numbers
    errors: Numbers

    def take(self, rows: Any) -> Part:
        """Some of the rows."""
        return Part(self.members, self.X[rows], self.predicted[rows], self.errors[rows])


@dataclass(frozen=True)
class Group:
    """Scores of rows that the same networks have not seen.

    Attributes
    ----------
    members : tuple of int
    spread : Spread
    scores : ndarray of shape (n,)
        In ascending order.
    """

    members: tuple[int, ...]
    spread: Spread
    scores: Numbers


def calibrated(parts: Sequence[Part], seed: int) -> list[Group]:
    """The scores of each part, each by a model of the errors' size that was fitted on the others.

    A single part is divided into two at random.

    Parameters
    ----------
    parts : sequence of Part
        Of different rows.
    seed : int
    """
    if len(parts) == 1 and len(parts[0].errors) > 1:
        order = np.random.default_rng(seed).permutation(len(parts[0].errors))
        middle = len(order) // 2
        parts = [parts[0].take(order[:middle]), parts[0].take(order[middle:])]
    groups = []
    for part in parts:
        others = [other for other in parts if other is not part] or [part]
        spread = Spread.learn(
            np.concatenate([other.X for other in others]),
            np.concatenate([other.predicted for other in others]),
            np.concatenate([other.errors for other in others]),
        )
        scores = np.sort(np.abs(part.errors) / spread(part.X, part.predicted))
        groups.append(Group(part.members, spread, scores))
    return groups


def intervals(groups: Sequence[Group], X: Numbers, predictions: Numbers, coverage: float) -> Numbers:
    """The lower and the upper end for each row.

    Parameters
    ----------
    groups : sequence of Group
    X : ndarray of shape (n, inputs)
    predictions : ndarray of shape (members, n)
    coverage : float
        In (0, 1).

    Returns
    -------
    ndarray of shape (n, 2)

    Raises
    ------
    OptionError
        If there are too few scores for so high a coverage.
    """
    count = sum(len(group.scores) for group in groups)
    rank = math.ceil(coverage * (count + 1) - 1e-9)
    if rank > count:
        raise OptionError(
            f"coverage={coverage:g} needs at least {math.ceil(coverage / (1 - coverage) - 1e-9)} validation "
            f"rows, but this model has {count}: lower it, or train on more rows."
        )
    centres = np.array([predictions[list(group.members)].mean(axis=0) for group in groups])
    sizes = np.array([g.spread(X, centre) for g, centre in zip(groups, centres, strict=True)])
    scores = [group.scores for group in groups]
    upper = _smallest(centres, sizes, scores, rank)
    lower = -_smallest(-centres, sizes, scores, rank)
    return np.column_stack([lower, upper])


def _smallest(centres: Numbers, sizes: Numbers, scores: Sequence[Numbers], rank: int) -> Numbers:
    """For each row the rank-th smallest of all centre + size * score, by halving an interval around it."""
    filled = [g for g, own in enumerate(scores) if len(own)]
    low = np.min([centres[g] + sizes[g] * scores[g][0] for g in filled], axis=0)
    high = np.max([centres[g] + sizes[g] * scores[g][-1] for g in filled], axis=0)
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2
        counts = sum(
            np.searchsorted(scores[g], (middle - centres[g]) / sizes[g], side="right") for g in filled
        )
        enough = counts >= rank
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    found: Numbers = high
    return found
