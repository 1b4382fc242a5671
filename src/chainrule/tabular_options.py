"""The parameters of the estimators for tables, and what they may be."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from chainrule.errors import OptionError

RECIPE = ("hidden_layer_sizes", "learning_rate", "batch_size", "epochs", "dropout")  # None: the recipe's own

COMMON = """    n_members : int, default=5
        Networks that are trained, each with rows and a seed of its own; their predictions are averaged.
    metric : None, str or callable, default=None
        What the best epoch is chosen by: {metrics}, or a function
        ``metric(y_true, y_predicted)`` of which more is better.
    validation_fraction : float, default=0.2
        Share of the rows that is set apart to choose the best epoch by, in [0, 1). Several networks take
        turns, as in a cross-validation. Without a table for evaluation and with fewer than 5 such rows, all
        rows are trained on and all epochs are done.
    cat_features : list of str or int, default=None
        Names or positions of columns that are categories though they hold numbers.
    time_limit : float or None, default=None
        Seconds that `fit` may take. Networks and epochs are planned by the speed that is measured, so that
        each learning-rate schedule comes to its end; `report_` says what was left out.
    hidden_layer_sizes : list of int or None, default=None
        Units of each hidden layer. None leaves this, like the following four, to the recipe.
    learning_rate, dropout : float or None, default=None
        Initial learning rate, and share of hidden values dropped while training.
    batch_size, epochs : int or None, default=None
        Rows in a mini-batch, and most epochs.
{own}    n_jobs : int or None, default=None
        Networks that are trained at the same time, each on one core; None or -1 for as many as there
        are cores. It does not change any bit of the result.
    random_state : int, RandomState instance or None, default=None
        Source of the first weights, the rows set apart, the shuffles and dropout.
    engine : {{'compiled', 'interpreted'}}, default='compiled'
        Which run of the same equations is used.
"""


class OptionsMixin:
    """The part of an estimator for tables that reads its parameters."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "metric": [None, str, callable],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "cat_features": [None, "array-like", str],
        "time_limit": [None, Interval(Real, 0, None, closed="neither")],
        "hidden_layer_sizes": [None, "array-like"],
        "learning_rate": [None, Interval(Real, 0, None, closed="neither")],
        "dropout": [None, Interval(Real, 0, 1, closed="left")],
        "batch_size": [None, Interval(Integral, 1, None, closed="left")],
        "epochs": [None, Interval(Integral, 1, None, closed="left")],
        "n_jobs": [None, Interval(Integral, 1, None, closed="left"), Options(Integral, {-1})],
        "random_state": ["random_state"],
        "engine": [StrOptions({"compiled", "interpreted"})],
    }

    def _recipe_options(self) -> dict[str, Any]:
        """What the user has set of the recipe."""
        given = {name: getattr(self, name) for name in RECIPE}
        options = {name: value for name, value in given.items() if value is not None}
        if "hidden_layer_sizes" in options:
            options["hidden_layer_sizes"] = _sizes(options["hidden_layer_sizes"])
        return options


def _sizes(given: Any) -> tuple[int, ...]:
    sizes = np.asarray(given, dtype=object).ravel().tolist()
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral) or int(size) < 1:
            raise OptionError(
                f"hidden_layer_sizes must be whole numbers of at least 1, such as [256, 256], not {given!r}."
            )
    return tuple(int(size) for size in sizes)


def documented(metrics: str, own: str = "") -> Callable[[type], type]:
    """Put the shared parameters into a class's docstring, in the place of ``{common}``."""

    def decorate(cls: type) -> type:
        text = COMMON.format(metrics=metrics, own=own)
        cls.__doc__ = (cls.__doc__ or "").replace("{common}", text.strip())
        return cls

    return decorate
