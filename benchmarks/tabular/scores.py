"""How predictions are judged."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import log_loss, r2_score, roc_auc_score

BINS = 15
LEAST_PROBABILITY = 1e-7


def of_probabilities(y: np.ndarray, P: np.ndarray) -> dict[str, float]:
    """Accuracy, log-loss, area under the curve and calibration error.

    Parameters
    ----------
    y : ndarray of shape (rows,)
        Classes as whole numbers.
    P : ndarray of shape (rows, classes)
        Probabilities, which are clipped from below and scaled to sum 1.
    """
    P = np.clip(np.asarray(P), LEAST_PROBABILITY, 1)
    P /= P.sum(axis=1, keepdims=True)
    found = {
        "acc": float((P.argmax(axis=1) == y).mean()),
        "logloss": float(log_loss(y, P, labels=np.arange(P.shape[1]))),
        "ece": calibration_error(y, P),
    }
    if P.shape[1] == 2:
        found["auc"] = float(roc_auc_score(y, P[:, 1]))
    return found


def calibration_error(y: np.ndarray, P: np.ndarray) -> float:
    """Expected calibration error of the predicted class: 15 bins of equally many rows.

    Source: Guo et al. 2017, ICML; bins of equal mass: Nixon et al. 2019, CVPR workshops.
    """
    top = P.max(axis=1)
    order = np.argsort(top, kind="stable")
    right = (P.argmax(axis=1) == y)[order]
    bins = [bin_ for bin_ in np.array_split(np.arange(len(y)), BINS) if len(bin_)]
    return float(sum(abs(right[b].mean() - top[order][b].mean()) * len(b) for b in bins) / len(y))


def of_numbers(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """R^2 and the root of the mean squared error."""
    predicted = np.asarray(predicted, dtype=float).ravel()
    return {
        "r2": float(r2_score(y, predicted)),
        "rmse": float(np.sqrt(np.mean((y - predicted) ** 2))),
    }


def of_intervals(y: np.ndarray, intervals: np.ndarray) -> dict[str, float]:
    """Share of the targets inside, and the mean width in deviations of the target.

    Parameters
    ----------
    intervals : ndarray of shape (rows, 2)
        Lower and upper ends.
    """
    lower, upper = np.asarray(intervals, dtype=float).T
    return {
        "coverage": float(((lower <= y) & (y <= upper)).mean()),
        "width": float((upper - lower).mean() / y.std()),
    }


def primary_error(record: dict[str, Any]) -> float:
    """What models are compared by: log-loss, or the root of 1 - R^2."""
    return record["logloss"] if record["cls"] else float(np.sqrt(max(1 - record["r2"], 0.0)))
