"""Scores of predictions that come in pieces: those of `chainrule.scores`, to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.column_values import Numbers
from chainrule.scores import Codes, auc


class ClassScores:
    """Scores of probabilities.

    Parameters
    ----------
    classes : int
    """

    def __init__(self, classes: int) -> None:
        self.rows, self.hits = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
        self.surprise = 0.0
        self._second: list[Any] = []
        self._positive: list[Any] = []

    def add(self, y: Codes, P: Numbers) -> None:
        """Take in rows: the numbers of their classes, and probabilities of shape (rows, classes)."""
        self.rows += np.bincount(y, minlength=len(self.rows))
        self.hits += np.bincount(y[P.argmax(axis=1) == y], minlength=len(self.rows))
        own = np.maximum(P[np.arange(len(y)), y].astype(np.float64), np.finfo(np.float64).smallest_subnormal)
        self.surprise -= float(np.log(own).sum())
        if len(self.rows) == 2:
            self._second.append(P[:, 1].astype(np.float32))
            self._positive.append(y == 1)

    def result(self) -> dict[str, float]:
        """The scores of all rows."""
        total, there = int(self.rows.sum()), self.rows > 0
        scores = {
            "accuracy": float(self.hits.sum() / total),
            "balanced accuracy": float((self.hits[there] / self.rows[there]).mean()),
            "log loss": self.surprise / total,
        }
        if len(self.rows) == 2 and there.all():
            scores["ROC AUC"] = auc(np.concatenate(self._positive), np.concatenate(self._second))
        return scores


class NumberScores:
    """Scores of predicted numbers.

    Parameters
    ----------
    unit : float
        What 1 stands for, in the errors.
    """

    def __init__(self, unit: float) -> None:
        self.unit, self.rows = unit, 0
        self.squares = self.sizes = self.mean = self.spread = 0.0

    def add(self, y: Numbers, predicted: Numbers) -> None:
        """Take in rows."""
        error, total = predicted - y, self.rows + len(y)
        self.squares += float(np.square(error).sum())
        self.sizes += float(np.abs(error).sum())
        mean = float(y.mean())
        self.spread += float(np.square(y - mean).sum())
        self.spread += (mean - self.mean) ** 2 * self.rows * len(y) / total
        self.mean += (mean - self.mean) * len(y) / total
        self.rows = total

    def result(self) -> dict[str, float]:
        """The scores of all rows."""
        scores = {"R²": 1.0 - self.squares / self.spread} if self.spread else {}
        return {
            **scores,
            "root mean squared error": float(np.sqrt(self.squares / self.rows)) * self.unit,
            "mean absolute error": self.sizes / self.rows * self.unit,
        }
