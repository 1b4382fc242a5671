"""scikit-learn's parameters, checked and turned into the descriptions that training takes."""

from __future__ import annotations

import difflib
import math
import os
import sys
import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from chainrule.equations import LOSSES, OPTIMISERS, SCHEDULES
from chainrule.errors import OptionError
from chainrule.estimator_metrics import label_of
from chainrule.parameters import Layout
from chainrule.problem import Objective
from chainrule.spec import Layer, Network, Training


class OptionsMixin:
    """The part of an estimator that reads its parameters."""

    if TYPE_CHECKING:  # parameters and attributes are those of the estimators

        def __getattr__(self, name: str) -> Any: ...

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [str, list, tuple],
        "solver": [str],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [str],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "loss": [str],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "l1": [Interval(Real, 0, None, closed="left")],
        "penalty_scaling": [StrOptions({"batch", "none"})],
        "metric": [None, str, callable],
        "track": [list, tuple],
        "callbacks": [list, tuple, HasMethods(["__call__"])],
        "init": [str, list, tuple],
        "init_weights": [None, list, tuple],
        "engine": [StrOptions({"compiled", "interpreted"})],
        "checkpoint": [None, str, os.PathLike],
        "checkpoint_every": [Interval(Real, 0, None, closed="left")],
    }

    def _hidden(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        for size in sizes:
            if isinstance(size, bool) or not isinstance(size, Integral):
                raise OptionError(f"hidden_layer_sizes must be whole numbers, got {size!r}.")
            if size <= 0:
                raise OptionError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [int(size) for size in sizes]

    def _for_each(self, name: str, value: Any, count: int) -> list[Any]:
        """One value for each hidden layer."""
        values = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(values) != count:
            raise OptionError(
                f"{name} lists {len(values)} values, but there are {count} hidden layers: give one for each."
            )
        return values

    def _make_network(self, n_features: int, n_outputs: int, dtype: str) -> Network:
        sizes = self._hidden()
        names = self._for_each("activation", self.activation, len(sizes))
        drops = self._for_each("dropout", self.dropout, len(sizes))
        for drop in drops:
            if not isinstance(drop, Real):
                raise OptionError(f"dropout must be a number in [0.0, 1.0), not {drop!r}.")
        layers = [Layer(n, a, float(d)) for n, a, d in zip(sizes, names, drops, strict=True)]
        return Network(n_features, [*layers, Layer(n_outputs)], self._loss_name(), dtype)  # type: ignore[arg-type]

    def _optimiser(self) -> str:
        """The solver as the optimiser table spells it."""
        if self.solver == "sgd":
            name = "nesterov" if self.nesterovs_momentum else "momentum"
            return f"{name}(momentum={float(self.momentum)!r})"
        if self.solver in ("adam", "adamw"):
            values = f"beta_1={self.beta_1!r}, beta_2={self.beta_2!r}, epsilon={self.epsilon!r}"
            return f"{self.solver}({values})"
        return str(self.solver)

    def _schedule(self) -> str:
        stochastic = self.solver == "adam"
        if stochastic and self.learning_rate in ("invscaling", "adaptive"):
            return "constant"  # scikit-learn's Adam knows no schedule
        if self.learning_rate == "invscaling":
            return f"inverse_scaling(power={self.power_t!r})"
        return str(self.learning_rate)

    def _training(self, rows: int) -> Training:
        size = min(200, rows)
        if self.batch_size != "auto":
            if self.batch_size > rows:
                warnings.warn(
                    "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                    stacklevel=4,
                )
            size = int(np.clip(self.batch_size, 1, rows))
        patience = self.n_iter_no_change
        return Training(
            optimiser=self._optimiser(),
            learning_rate=float(self.learning_rate_init),
            schedule=self._schedule(),
            batch_size=size,
            epochs=int(self.max_iter),
            shuffle=bool(self.shuffle),
            seed=self._dropout_seed,
            tol=float(self.tol),
            patience=None if math.isinf(patience) else int(patience),
            max_evaluations=int(self.max_fun),
        )

    def _objective(self) -> Objective:
        strengths = {"l2": float(self.alpha), "l1": float(self.l1)}
        return Objective(self.network_, strengths, per_batch=self.penalty_scaling == "batch")

    def _check_options(self) -> None:
        """Names that scikit-learn's validation does not know are looked up in the tables."""
        SCHEDULES.find(self._schedule())
        OPTIMISERS.find(self._optimiser())
        LOSSES.find(self._loss_name())
        for callback in self._callbacks():
            if not callable(callback):
                raise OptionError(f"callbacks must be functions, but one is {callback!r}.")
        for option, metric in [("metric", self.metric), *(("track", each) for each in self.track)]:
            _check_metric(option, metric)
        self._check_names()

    def _check_names(self) -> None:
        """Two figures of one name would be one list in the history, with two entries an epoch."""
        labels = [label_of(metric) for metric in self.track]
        labels += [] if isinstance(self.metric, str) else ["score"]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise OptionError(
                f"track has two metrics of the name {twice!r} ('score' is that of a metric without a name): "
                "leave one out, or give the functions other names."
            )

    def _check_size(self, network: Network) -> None:
        """Refuse a network that no memory holds before it is drawn."""
        size = Layout(network).size
        if size * np.dtype(network.dtype).itemsize > sys.maxsize:
            raise OptionError(self._too_large(size))

    def _too_large(self, size: int) -> str:
        return (
            f"hidden_layer_sizes={self.hidden_layer_sizes!r} make {size:.3g} parameters, for which there is "
            "not enough memory: use smaller layers."
        )


def _check_metric(option: str, metric: Any) -> None:
    if callable(metric) or metric in (None, "loss"):
        return
    known = get_scorer_names()
    if metric not in known:
        close = difflib.get_close_matches(str(metric), known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise OptionError(
            f"{option} must be 'loss', a function, or a name of sklearn.metrics.get_scorer_names(), not "
            f"{metric!r}.{hint}"
        )
