"""The models, each a row of a table; any other pair of estimators by its importable names.

Models other than chainrule's are made as the stored results were made: by their defaults, on two threads.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

THREADS = 2
TARGET = "__target__"


@dataclass(frozen=True)
class Order:
    """What is asked of a model.

    Attributes
    ----------
    classification : bool
    categories : list of str
        The names of the columns of categories.
    seed : int
    options : dict
        Options of the estimator, beside its defaults.
    """

    classification: bool
    categories: list[str] = field(default_factory=list)
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def of(self, module: str, classifier: str, regressor: str, **defaults: Any) -> Any:
        """An estimator of a module that is imported only now."""
        kind = getattr(importlib.import_module(module), classifier if self.classification else regressor)
        return kind(**{**defaults, **self.options})


MODELS: dict[str, Callable[[Order], Any]] = {}


def _model(make: Callable[[Order], Any]) -> Callable[[Order], Any]:
    MODELS[make.__name__] = make
    return make


def make(name: str, order: Order) -> Any:
    """The estimator of a name of the table, or of "module:Classifier,Regressor"."""
    if name in MODELS:
        return MODELS[name](order)
    module, found, pair = name.partition(":")
    if not found or pair.count(",") != 1:
        known = ", ".join(MODELS)
        raise LookupError(f"No model {name!r}: give one of {known}, or module:Classifier,Regressor.")
    return order.of(module, *pair.split(","), random_state=order.seed)


def option(text: str) -> tuple[str, Any]:
    """The name and the value, in JSON where it can be read as such, of "name=value"."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


# ---------------------------------------------------------------- chainrule


@_model
def tabular(order: Order) -> Any:
    """TabularClassifier and TabularRegressor."""
    return order.of("chainrule", "TabularClassifier", "TabularRegressor", random_state=order.seed)


@_model
def table(order: Order) -> Any:
    """TableModel, all rows given to it for training and stopping."""
    return _Table(order)


@_model
def mlp(order: Order) -> Any:
    """MLPClassifier and MLPRegressor on standardised and one-hot columns."""
    return _encoded(order.of("chainrule", "MLPClassifier", "MLPRegressor", random_state=order.seed))


class _Table:
    """A TableModel in the dress of an estimator."""

    def __init__(self, order: Order) -> None:
        self.order = order

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> _Table:
        from chainrule import TableModel

        task = "classification" if self.order.classification else "regression"
        self.model = TableModel(test_size=0, random_state=self.order.seed, **self.order.options)
        self.model.fit(X.assign(**{TARGET: y}), TARGET, task=task)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.model.predict(X)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        order = np.argsort([int(label) for label in self.model.classes_])
        return self.model.predict_proba(X)[:, order]


# ---------------------------------------------------------------- scikit-learn


def _encoded(estimator: Any) -> Any:
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include=np.number)),
        (one_hot, make_column_selector(dtype_include="category")),
    )
    return make_pipeline(columns, estimator)


def _scikit_learn_mlp(order: Order, **options: Any) -> Any:
    names = ("sklearn.neural_network", "MLPClassifier", "MLPRegressor")
    return _encoded(order.of(*names, random_state=order.seed, **options))


@_model
def skmlp(order: Order) -> Any:
    """scikit-learn's network."""
    return _scikit_learn_mlp(order)


@_model
def skmlp_es(order: Order) -> Any:
    """scikit-learn's network, three layers of 256 units, stopped early."""
    return _scikit_learn_mlp(order, early_stopping=True, hidden_layer_sizes=(256, 256, 256))


@_model
def histgb(order: Order) -> Any:
    """scikit-learn's gradient boosting on histograms."""
    return order.of(
        "sklearn.ensemble",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
        random_state=order.seed,
        categorical_features=order.categories or None,
    )


# ---------------------------------------------------------------- others


@_model
def lgbm(order: Order) -> Any:
    """LightGBM."""
    return order.of(
        "lightgbm", "LGBMClassifier", "LGBMRegressor", random_state=order.seed, verbose=-1, n_jobs=THREADS
    )


@_model
def cat(order: Order) -> Any:
    """CatBoost."""
    return order.of(
        "catboost",
        "CatBoostClassifier",
        "CatBoostRegressor",
        random_seed=order.seed,
        verbose=0,
        thread_count=THREADS,
        cat_features=order.categories,
        allow_writing_files=False,
    )


def _pytabkit(order: Order, name: str, **options: Any) -> Any:
    settings = {"device": "cpu", "n_threads": THREADS, "random_state": order.seed, **options}
    return order.of("pytabkit", f"{name}_Classifier", f"{name}_Regressor", **settings)


@_model
def realmlp(order: Order) -> Any:
    """RealMLP-TD; a classifier is stopped by its cross-entropy, and its labels are not smoothed."""
    honest = {"use_ls": False, "val_metric_name": "cross_entropy"} if order.classification else {}
    return _pytabkit(order, "RealMLP_TD", **honest)


@_model
def realmlp_s(order: Order) -> Any:
    """RealMLP-TD-S, the smaller recipe."""
    return _pytabkit(order, "RealMLP_TD_S")
