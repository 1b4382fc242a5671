"""Epochs of scikit-learn's `MLPClassifier.fit` and `MLPRegressor.fit`, without what precedes the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor

from steps.cells import LEARNING_RATE, Cell
from steps.clock import Clock
from steps.libraries import UnsupportedError

ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}
ESTIMATORS = {"classification": MLPClassifier, "regression": MLPRegressor}
FOREVER = 10**9


class _EnoughError(Exception):
    """Ends a fit: scikit-learn has no callback that could."""


def versions() -> dict[str, str]:
    return {"scikit-learn": sklearn.__version__}


def timed(estimator: type, clock: Clock) -> type:
    """The estimator, ticking at the only place that it passes once an epoch."""

    class Timed(estimator):  # type: ignore[misc, valid-type]
        def _update_no_improvement_count(self, *given: Any) -> None:
            super()._update_no_improvement_count(*given)
            if clock.tick(self.loss_):
                raise _EnoughError

    return Timed


def prepare(cell: Cell) -> Callable[[Clock], None]:
    if cell.activation not in ACTIVATIONS:
        raise UnsupportedError(f"no {cell.activation}")
    if cell.dropout:
        raise UnsupportedError("no dropout")
    X, y = cell.data()
    options = {
        "hidden_layer_sizes": cell.widths[1:-1],
        "activation": ACTIVATIONS[cell.activation],
        "solver": cell.optimiser,
        "momentum": 0.0,
        "alpha": 0.0,
        "batch_size": cell.rows_in_batch,
        "learning_rate_init": LEARNING_RATE,
        "max_iter": FOREVER,
        "n_iter_no_change": FOREVER,
        "random_state": 0,
    }

    def train(clock: Clock) -> None:
        try:
            timed(ESTIMATORS[cell.task], clock)(**options).fit(X, y)
        except _EnoughError:
            return

    return train
