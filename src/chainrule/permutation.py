"""How much a table model relies on each column: its loss when the column's cells change places."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import scores
from chainrule.column_values import Numbers
from chainrule.table_model import TableModel
from chainrule.tabular_importances import rises
from chainrule.targets import Classes, Quantity

MOST_ROWS = 2000
REPEATS = 5


@dataclass(frozen=True)
class Importance:
    """The importance of a column.

    Attributes
    ----------
    column : str
    mean : float
        Mean increase of the loss: the log loss of classes, the root mean squared error of numbers.
    deviation : float
        Standard deviation over the repeats.
    """

    column: str
    mean: float
    deviation: float


def importances(model: TableModel, X: Numbers, y: Any, *, seed: int = 0) -> list[Importance]:
    """The permutation importance of each column that is learnt from, largest first.

    Source: Breiman 2001, Machine Learning 45; Fisher, Rudin & Dominici 2019, JMLR 20.

    Parameters
    ----------
    model : TableModel
        Fitted.
    X : ndarray of shape (rows, features)
        Encoded rows that were not trained on; of more than 2000, so many are drawn.
    y : ndarray of shape (rows,)
        Their encoded targets.
    seed : int
    """
    rng = np.random.default_rng(seed)
    if len(X) > MOST_ROWS:
        some = rng.permutation(len(X))[:MOST_ROWS]
        X, y = X[some], y[some]
    columns = model.encoder_.kept
    ends = np.cumsum([0, *(len(column.features) for column in columns)])
    blocks = [range(start, end) for start, end in pairwise(ends)]
    values = rises(lambda encoded: loss(model, encoded, y), X, loss(model, X, y), blocks, REPEATS, rng)
    found = [
        Importance(column.name, float(rise.mean()), float(rise.std()))
        for column, rise in zip(columns, values, strict=True)
    ]
    return sorted(found, key=lambda importance: -importance.mean)


def loss(model: TableModel, X: Numbers, y: Any) -> float:
    """Log loss, or root mean squared error in the target's unit, of encoded rows."""
    net, target = model.estimator_, model.target_
    if isinstance(target, Classes):
        return scores.classification(y, net.predict_proba(X))["log loss"]
    assert isinstance(target, Quantity)
    return scores.regression(y, net.predict(X), target.scale)["root mean squared error"]
