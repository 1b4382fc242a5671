"""The metrics by which training for a table stops and by which columns are judged, with weights of rows."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.column_values import Numbers
from chainrule.errors import OptionError

TASKS = ("classification", "regression")


@dataclass(frozen=True)
class Metric:
    """A figure of merit of predictions.

    Attributes
    ----------
    name : str
    task : {"classification", "regression"}
    measure : callable
        ``measure(y, predicted, weights) -> float``. For classes y has their numbers, and what is predicted is
        the probability of each, of shape (rows, classes); for numbers both are of shape (rows,). The weights
        of rows sum to 1.
    higher_is_better : bool
    """

    name: str
    task: str
    measure: Callable[[Any, Numbers, Numbers], float]
    higher_is_better: bool

    def __call__(self, y: Any, predicted: Numbers, weights: Any = None) -> float:
        """The figure for some rows; NaN where it is not defined, or a prediction is not finite."""
        if not np.isfinite(predicted).all():
            return float("nan")
        w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
        return float(self.measure(y, np.asarray(predicted, dtype=np.float64), w / w.sum()))

    def loss(self, value: float) -> float:
        """The figure as something to make small."""
        return -value if self.higher_is_better else value


def log_loss(y: Any, P: Numbers, w: Numbers) -> float:
    """Mean negative logarithm of the probability of the true class."""
    own = np.maximum(P[np.arange(len(y)), y], np.finfo(np.float64).smallest_subnormal)
    return float(-(w @ np.log(own)))


def accuracy(y: Any, P: Numbers, w: Numbers) -> float:
    """Share of the rows whose most probable class is the true one."""
    return float(w @ (P.argmax(axis=1) == y))


def auc(y: Any, P: Numbers, w: Numbers) -> float:
    """Area under the ROC curve; of several classes the mean of each against the others.

    A class that no row has, or that all rows have, does not count.
    """
    classes = [1] if P.shape[1] == 2 else range(P.shape[1])
    found = [area(y == k, P[:, k], w) for k in classes if 0 < np.count_nonzero(y == k) < len(y)]
    return float(np.mean(found)) if found else float("nan")


def area(positive: Any, values: Numbers, w: Numbers) -> float:
    """How often, by weight, a positive row has the higher value than a negative one; ties count half."""
    different, place = np.unique(values, return_inverse=True)
    above = np.bincount(place, np.where(positive, w, 0.0), len(different))
    below = np.bincount(place, np.where(positive, 0.0, w), len(different))
    wins = above @ (np.cumsum(below) - below / 2)
    total = above.sum() * below.sum()
    return float(wins / total) if total > 0 else float("nan")


def rmse(y: Numbers, predicted: Numbers, w: Numbers) -> float:
    """Root of the mean squared error."""
    error = np.abs(predicted - y)
    largest = error.max() or 1.0  # so that no square overflows
    return float(np.sqrt(w @ np.square(error / largest)) * largest)


def mae(y: Numbers, predicted: Numbers, w: Numbers) -> float:
    """Mean absolute error."""
    return float(w @ np.abs(predicted - y))


def r2(y: Numbers, predicted: Numbers, w: Numbers) -> float:
    """1 minus the squared error in units of the variance of y."""
    mean = w @ y
    spread = rmse(y, np.full(len(y), mean), w)
    return 1.0 - (rmse(y, predicted, w) / spread) ** 2 if spread > 0 else float("nan")


METRICS: dict[str, Metric] = {
    row.__name__: Metric(row.__name__, task, row, higher)
    for row, task, higher in (
        (log_loss, "classification", False),
        (accuracy, "classification", True),
        (auc, "classification", True),
        (rmse, "regression", False),
        (mae, "regression", False),
        (r2, "regression", True),
    )
}
DEFAULT = {"classification": "log_loss", "regression": "rmse"}


def find(metric: Any, task: str, labels: Any = None) -> Metric:
    """The metric that a user means.

    Parameters
    ----------
    metric : None, str or callable
        None for the default, a name of the table, or ``metric(y_true, y_predicted)``, of which more is
        better.
    task : {"classification", "regression"}
    labels : ndarray, optional
        The classes, which a function of the user's takes in place of their numbers.

    Raises
    ------
    OptionError
        If there is no such metric for the task.
    """
    if callable(metric):
        name = str(getattr(metric, "__name__", type(metric).__name__))
        return Metric(name, task, _called(metric, labels), higher_is_better=True)
    name = DEFAULT[task] if metric is None else metric
    known = [row.name for row in METRICS.values() if row.task == task]
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise OptionError(
            f"metric must be one of {', '.join(map(repr, known))} for a {task}, or a function "
            f"metric(y_true, y_predicted) of which more is better, not {metric!r}.{hint}"
        )
    return METRICS[name]


def _called(metric: Callable[[Any, Any], Any], labels: Any) -> Callable[[Any, Numbers, Numbers], float]:
    def measure(y: Any, predicted: Numbers, w: Numbers) -> float:
        if labels is None:
            return float(metric(y, predicted))
        return float(metric(labels[y], labels[predicted.argmax(axis=1)]))

    return measure
