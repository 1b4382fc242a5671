"""A gradient boosting model beside a table model: trained on the same rows, scored on the same rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

from chainrule import scores, targets
from chainrule.column_values import Numbers, as_frame
from chainrule.splits import Rows
from chainrule.table_model import TableModel
from chainrule.targets import Classes, Quantity

MOST_CLASSES = 10  # each costs a hundred trees
MOST_ROWS = 50_000  # to train on: it is there to compare with, and should not take long

Maker = Callable[[bool, int], Any]


def _lightgbm(classes: bool, seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if classes else LGBMRegressor)(random_state=seed, verbose=-1)


def _hist_gradient_boosting(classes: bool, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return (HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor)(random_state=seed)


# By the module; the first one that is installed is taken: its name, its package's, and what makes it.
REFERENCES: dict[str, tuple[str, str, Maker]] = {
    "lightgbm": ("LightGBM", "lightgbm", _lightgbm),
    "sklearn": ("HistGradientBoosting", "scikit-learn", _hist_gradient_boosting),
}


def quick(model: TableModel) -> bool:
    """Whether a reference for this model takes seconds: with many classes it can take minutes."""
    return len(getattr(model.target_, "labels", ())) <= MOST_CLASSES


def compare(model: TableModel, data: Any) -> None:
    """Put a reference's scores on the rows held out beside the model's, into ``model.report_``.

    The reference is LightGBM if it is installed, and scikit-learn's HistGradientBoosting else, with their
    defaults, on the model's encoded columns. It learns from the rows that the model was trained on and
    stopped by, from 50,000 of them if there are more. Nothing is done without rows held out, and where
    all rows but one are of the same class.

    Parameters
    ----------
    model : TableModel
        Fitted by `fit`, on `data`.
    data : data frame
    """
    held, known = model.parts_.held_out, model.parts_.known
    if not len(held):
        return
    began = time.perf_counter()
    frame = as_frame(data)
    X, y = model.encoder_.transform(frame), model.target_.encode(frame[model.target_.name])
    known = _learnt_from(known, y, isinstance(model.target_, Classes), model.random_state)
    if len(np.unique(y[known])) < 2:
        return
    name, distribution, make = next(row for package, row in REFERENCES.items() if find_spec(package))
    reference = make(isinstance(model.target_, Classes), model.random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it says of names of columns is not for the user
        reference.fit(X[known], y[known])
        found = _scores(reference, model.target_, X[held], y[held])
    for score, value in found.items():
        model.report_["scores"][score]["reference"] = value
    model.report_["reference"] = {
        "name": name,
        "package": f"{distribution} {version(distribution)}",
        "rows": len(known),
        "seconds": time.perf_counter() - began,
    }


def _learnt_from(known: Rows, y: Any, classes: bool, seed: int) -> Rows:
    """At most so many rows, without the classes that have a single one: they cannot be divided for
    early stopping.
    """
    if len(known) > MOST_ROWS:
        known = np.sort(np.random.default_rng(seed).permutation(known)[:MOST_ROWS])
    return known[np.bincount(y[known])[y[known]] > 1] if classes else known


def _scores(reference: Any, target: targets.Target, X: Numbers, y: Any) -> dict[str, float]:
    if isinstance(target, Quantity):
        return scores.regression(y, np.asarray(reference.predict(X)), target.scale)
    P = np.zeros((len(X), len(target.labels)))
    P[:, reference.classes_] = reference.predict_proba(X)  # it need not know every class
    return scores.classification(y, P)
