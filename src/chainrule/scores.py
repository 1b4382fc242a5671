"""How good predictions are, beside those of a baseline that has learnt nothing from the columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.column_values import Numbers

Codes = npt.NDArray[np.int64]
CHUNK = 1 << 18
HIGHER_IS_BETTER = {"accuracy", "balanced accuracy", "ROC AUC", "R²"}


def classification(y: Codes, P: Numbers) -> dict[str, float]:
    """Scores of probabilities.

    Parameters
    ----------
    y : ndarray of shape (rows,)
        Numbers of the true classes.
    P : ndarray of shape (rows, classes)

    Returns
    -------
    dict of str to float
    """
    hits = P.argmax(axis=1) == y
    own = np.maximum(P[np.arange(len(y)), y], np.finfo(np.float64).smallest_subnormal)
    scores = {
        "accuracy": float(hits.mean()),
        "balanced accuracy": float(np.mean([hits[y == k].mean() for k in np.unique(y)])),
        "log loss": float(-np.log(own).mean()),
    }
    if P.shape[1] == 2 and 0 < y.sum() < len(y):
        scores["ROC AUC"] = auc(y == 1, P[:, 1])
    return scores


def regression(y: Numbers, predicted: Numbers, unit: float = 1.0) -> dict[str, float]:
    """Scores of predicted numbers.

    Parameters
    ----------
    y, predicted : ndarray of shape (rows,)
    unit : float
        What 1 stands for, in the errors.
    """
    error = predicted - y
    spread = float(np.square(y - y.mean()).sum())
    scores = {"R²": 1.0 - float(np.square(error).sum()) / spread} if spread else {}
    return {
        **scores,
        "root mean squared error": float(np.sqrt(np.square(error).mean())) * unit,
        "mean absolute error": float(np.abs(error).mean()) * unit,
    }


def beside(model: dict[str, float], baseline: dict[str, float]) -> dict[str, dict[str, Any]]:
    """The scores of the model and of the baseline, by name."""
    return {name: {"model": model[name], "baseline": baseline[name]} for name in model}


def auc(positive: npt.NDArray[np.bool_], values: npt.NDArray[Any]) -> float:
    """How often a positive row has the higher value than a negative one; ties count half."""
    order, ranks = np.sort(values), 0.0
    higher, n, total = values[positive], int(positive.sum()), len(values)
    for first in range(0, n, CHUNK):  # so that few rows' ranks are in memory at once
        some = higher[first : first + CHUNK]
        below = np.searchsorted(order, some, side="left")
        ranks += float(((below + np.searchsorted(order, some, side="right") + 1) / 2).sum())
    return (ranks - n * (n + 1) / 2) / (n * (total - n))
