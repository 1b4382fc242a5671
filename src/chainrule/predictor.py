"""The short ways to predictions: for validated arrays, and for one row after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from chainrule.errors import DataError
from chainrule.parameters import Array
from chainrule.problem import Objective
from chainrule.spec import Network, Training
from chainrule.train import Engine, make_run

SMALL = 4096  # entries of an array that is looked at here and not by scikit-learn
LETTERS = {"float32": "f", "float64": "d"}


def is_plain(model: Any, X: Any) -> bool:
    """Whether X is a small array that scikit-learn's validation would hand back as it is."""
    facts = model.__dict__
    if type(X) is not np.ndarray or X.ndim != 2 or "theta_" not in facts or "feature_names_in_" in facts:
        return False
    plain = X.dtype.char == LETTERS[facts["network_"].dtype] and X.dtype.isnative
    fits = 0 < X.size <= SMALL and X.shape[1] == facts["n_features_in_"]
    return bool(plain and fits and X.flags.c_contiguous and np.isfinite(X).all())


class Predictor:
    """Predictions of single rows in a few microseconds; made by `predictor` of an estimator.

    Called with one row, of shape (n_features,), or with some, of shape (n, n_features), it returns what
    `predict_proba` of a classifier, or `predict` of a regressor, returns for them: an array of one dimension
    less for one row. Rows are checked for their length and for numbers that are not finite. It follows the
    parameters of the estimator until the next `fit`. Each thread needs one of its own.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (parameters,)
    finish : callable
        Makes of the network's outputs, of shape (n, outputs), what is returned.
    engine : {"compiled", "interpreted"}
    """

    def __init__(
        self, network: Network, theta: Array, finish: Callable[[Array], Array], engine: Engine
    ) -> None:
        self._run = make_run(Objective(network), Training(), engine)
        self._theta, self._finish = theta, finish
        self._dtype, self._inputs = np.dtype(network.dtype), network.inputs

    def __call__(self, x: Any) -> Array:
        X = np.asarray(x, dtype=self._dtype, order="C")
        single = X.ndim == 1
        if single:
            X = X[None]
        if X.ndim != 2 or X.shape[1] != self._inputs or not np.isfinite(X).all():
            self._refuse(X)
        out = self._finish(self._run.predict(self._theta, X))
        return out[0] if single else out

    def _refuse(self, X: Array) -> NoReturn:
        if X.ndim != 2 or X.shape[1] != self._inputs:
            raise DataError(f"A row must have {self._inputs} numbers, but the shape is {X.shape}.")
        row, column = np.argwhere(~np.isfinite(X))[0]
        raise DataError(
            f"Row {row} holds {X[row, column]} in column {column}: leave such rows out or fill them in."
        )
