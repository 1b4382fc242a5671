"""What an estimator watches while it trains: scores, losses, scikit-learn's scorers, functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from reprlib import repr as brief
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import get_scorer

from chainrule import train
from chainrule.errors import OptionError
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.spec import Training


class MetricsMixin:
    """The part of an estimator that measures the network in the midst of training."""

    if TYPE_CHECKING:  # parameters and attributes are those of the estimators

        def __getattr__(self, name: str) -> Any: ...

    def _monitors(self, held: Any, data: Batch) -> tuple[train.Monitor | None, list[train.Monitor]]:
        watched = []
        for name in self.track:
            label = label_of(name)
            if label != "loss":  # the history has that of the training rows in any case
                watched.append(self._watch(label, name, data.X, self._decode(data.Y), data.weights))
            if held is not None and not (name == self.metric and self._is_stochastic()):
                watched.append(self._watch(f"validation_{label}", name, *held))
        if held is None or not self._is_stochastic():
            return None, watched
        label = self.metric if isinstance(self.metric, str) else "score"
        return self._watch(f"validation_{label}", self.metric, *held), watched

    def _watch(self, label: str, metric: Any, X: Any, y: Any, weight: Any) -> train.Monitor:
        """A monitor of a metric: None for the default score, "loss", a scorer's name, or a function."""
        if metric == "loss":
            return self._watch_loss(label, X, y, weight)
        if isinstance(metric, str):
            scorer = get_scorer(metric)
            frozen = _Frozen(self)
            return train.Monitor(label, lambda predict: _scored(metric, scorer, frozen.at(predict), X, y))
        function = metric or self._default_metric()

        def measure(predict: Callable[[Any], Array]) -> float:
            found = self._from_output(predict(X))
            if np.issubdtype(found.dtype, np.floating) and not np.isfinite(found).all():
                return math.nan
            extra = {} if weight is None or metric is not None else {"sample_weight": weight}
            return _number(label, function(y, found, **extra))

        return train.Monitor(label, measure)

    def _watch_loss(self, label: str, X: Any, y: Any, weight: Any) -> train.Monitor:
        plain = Objective(self.network_)
        batch = Batch(X, self._encode(y).astype(self.network_.dtype), weight)
        run = train.make_run(plain, Training(), self.engine)
        return train.Monitor(label, lambda predict: float(run.loss(self.theta_, batch)), False)


def label_of(metric: Any) -> str:
    """What a metric is called in the history."""
    return metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)


def _number(name: str, value: Any) -> float:
    if np.ndim(value) == 0:
        with suppress(TypeError, ValueError):
            return float(value)
    raise OptionError(f"The metric of {name} must return a number, but it returned {brief(value)}.")


def _scored(name: str, scorer: Any, model: _Frozen, X: Any, y: Any) -> float:
    """What a scorer of scikit-learn says; some cannot judge some targets."""
    try:
        return float(scorer(model, X, y))
    except (ValueError, TypeError, AttributeError) as error:
        raise OptionError(
            f"The metric {name!r} cannot be computed here: {str(error).rstrip('.')}. Choose another one."
        ) from error


class _Frozen:
    """The estimator as a scorer sees it in the midst of training: validated data, present weights."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._estimator_type = getattr(model, "_estimator_type", None)

    def at(self, predict: Callable[[Any], Array]) -> _Frozen:
        self._predict = predict
        return self

    @property
    def classes_(self) -> Any:
        return self.model.classes_

    def __sklearn_tags__(self) -> Any:
        return self.model.__sklearn_tags__()

    def predict(self, X: Any) -> Any:
        return self.model._from_output(self._predict(X))

    def predict_proba(self, X: Any) -> Any:
        if not hasattr(self.model, "predict_proba"):
            raise AttributeError(f"{type(self.model).__name__} predicts no probabilities")
        return self.model._probabilities(self._predict(X))
