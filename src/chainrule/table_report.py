"""What a table model tells of itself, as JSON can hold it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.column_values import Numbers
from chainrule.scores import beside, classification, regression
from chainrule.splits import Parts
from chainrule.targets import Classes, Target


def rows(total: int, training: int, validation: int, held_out: int) -> dict[str, int]:
    """How many rows there are, and what they are for."""
    return {
        "in the table": total,
        "without a target": total - training - validation - held_out,
        "to train on": training,
        "to stop by": validation,
        "held out": held_out,
    }


def training(net: Any) -> dict[str, dict[str, Any]]:
    """The network of a fitted estimator, and how it was trained."""
    return {
        "network": {
            "widths": [net.coefs_[0].shape[0], *(W.shape[1] for W in net.coefs_)],
            "activation": net.activation,
            "parameters": sum(array.size for array in (*net.coefs_, *net.intercepts_)),
        },
        "training": {
            "solver": net.solver,
            "batch_size": net.batch_size,
            "epochs": net.n_iter_,
            "most_epochs": net.max_iter,
            "stopped": net.stop_reason_,
        },
    }


def scores(net: Any, target: Target, X: Numbers, y: Any, parts: Parts) -> dict[str, Any] | None:
    """Scores on the rows held out, beside those of always predicting the same; None without rows.

    For classes that is their shares in the other rows, so the most frequent one; for numbers it is
    the mean.
    """
    held, known = parts.held_out, parts.known
    if not len(held):
        return None
    if isinstance(target, Classes):
        shares = np.bincount(y[known], minlength=len(target.labels)) / len(known)
        always = np.tile(shares, (len(held), 1))
        model = classification(y[held], net.predict_proba(X[held]))
        return beside(model, classification(y[held], always))
    mean = np.full(len(held), y[known].mean())
    model = regression(y[held], net.predict(X[held]), target.scale)
    return beside(model, regression(y[held], mean, target.scale))
