"""The regressor for tables."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin

from chainrule import conformal, tabular_input
from chainrule.column_kinds import moments
from chainrule.column_values import Frame, Numbers
from chainrule.errors import OptionError
from chainrule.estimator_file import save
from chainrule.parameters import Array
from chainrule.tabular_base import BaseTabular, Judging, fit_context
from chainrule.tabular_file import from_contents, to_contents
from chainrule.tabular_options import documented
from chainrule.tabular_recipe import Task

CLIP = """    clip : bool, default=True
        Whether predictions are kept within the range of the training rows' target.
"""


@documented("'rmse' (the default), 'mae', 'r2'", CLIP)
class TabularRegressor(RegressorMixin, BaseTabular):
    """Numbers from tables: numbers, categories, truth values, dates and missing values as they are.

    Columns are encoded and the target is scaled inside (see `docs/tabular.md`), and rows are set apart to
    choose the best epoch and the width of prediction intervals by.

    Parameters
    ----------
    {common}

    Attributes
    ----------
    centre_, scale_ : float
        Mean and standard deviation of the target on the training rows.
    range_ : tuple of float
        The least and the largest of them.
    encoder_ : chainrule.tabular_encoder.TableEncoder
        What was done to each column.
    members_ : list of chainrule.tabular_member.Member
        The networks: weights of the best epoch, and the history of training.
    network_ : chainrule.Network
        What each of them is.
    intervals_ : list of chainrule.conformal.Group
        The scores of the validation rows, from which prediction intervals are made.
    report_ : dict
        What was done, as JSON can hold it: columns, metric, each member's epochs and figures, what a time
        limit cut.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import TabularRegressor
    >>> X = np.linspace(-3, 3, 200)[:, None]
    >>> model = TabularRegressor(epochs=20, random_state=0).fit(X, np.sin(X).ravel())
    >>> model.predict_interval(X, coverage=0.9).shape
    (200, 2)
    """

    task: ClassVar[str] = "regression"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseTabular._parameter_constraints,
        "clip": ["boolean"],
    }

    def __init__(
        self,
        *,
        n_members=5,
        metric=None,
        validation_fraction=0.2,
        cat_features=None,
        time_limit=None,
        hidden_layer_sizes=None,
        learning_rate=None,
        dropout=None,
        batch_size=None,
        epochs=None,
        clip=True,
        n_jobs=None,
        random_state=None,
        engine="compiled",
    ):
        self.n_members = n_members
        self.metric = metric
        self.validation_fraction = validation_fraction
        self.cat_features = cat_features
        self.time_limit = time_limit
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.batch_size = batch_size
        self.epochs = epochs
        self.clip = clip
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.engine = engine

    @fit_context
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None) -> Any:
        """Learn the columns and train.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A data frame of pandas, polars or another library that narwhals knows, or an array; with NaN or
            None for missing values.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative.
        eval_set : (X, y), default=None
            Rows of your own to choose the best epoch by, in place of a part of the training rows.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If the data cannot be used; the message says where.
        OptionError
            If an option has a value that it may not have.
        DivergenceError
            If the loss was not finite in the first epoch.
        """
        return self._fit(X, y, sample_weight, eval_set)

    def predict(self, X: Any) -> Numbers:
        """The predicted number of each row: the mean over the networks.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._mean_outcome(self._values(self._matrix(X)))

    def predict_interval(self, X: Any, coverage: Any = 0.9) -> Numbers:
        """An interval for each row that holds its target with the given probability.

        Split conformal prediction, or CV+ with several networks, of residuals that are divided by the size
        that is expected of them; the module `chainrule.conformal` has the equations and what is guaranteed.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
        coverage : float, default=0.9
            In (0, 1).

        Returns
        -------
        ndarray of shape (n_samples, 2)
            The lower and the upper end.

        Raises
        ------
        OptionError
            If the coverage is none, or higher than the number of validation rows allows.
        """
        if not isinstance(coverage, Real) or not 0 < float(coverage) < 1:
            raise OptionError(f"coverage must be a number in (0, 1), not {coverage!r}.")
        X = self._matrix(X)
        if not self.intervals_:
            raise OptionError(
                "There were no validation rows, by which the width of intervals goes: fit with more rows, a "
                "validation_fraction above 0, or an eval_set."
            )
        predicted = self._values(X)[:, :, 0].astype(np.float64)
        ends = conformal.intervals(self.intervals_, self._plain(X), predicted, float(coverage))
        return ends * self.scale_ + self.centre_

    # -------------------------------------------------------------- targets

    def _task(self) -> Task:
        return Task("regression", 1)

    def _learn_target(self, y: Any, frame: Frame) -> Any:
        return self._known_target(y, frame, "y")

    def _known_target(self, y: Any, frame: Frame, name: str) -> Any:
        return tabular_input.target(self, y, frame, numeric=True, name=name)

    def _learn_scale(self, y: Any) -> None:
        centre, scale = moments(y)
        self.centre_, self.scale_ = centre, scale or 1.0
        self.range_ = float(y.min()), float(y.max())

    def _network_targets(self, y: Any) -> Array:
        return self._scaled(y).astype(np.float32)[:, None]

    def _scaled(self, y: Any) -> Numbers:
        return np.asarray((y / 2 - self.centre_ / 2) / (self.scale_ / 2))  # halves: no difference overflows

    # -------------------------------------------------------------- outcomes

    def _outcome(self, values: Array) -> Numbers:
        predicted = values[:, 0].astype(np.float64) * self.scale_ + self.centre_
        return np.clip(predicted, *self.range_) if self.clip else predicted

    def _mean_outcome(self, values: Array) -> Numbers:
        return self._outcome(values.astype(np.float64).mean(axis=0))

    def _plain(self, X: Any) -> Numbers:
        """The inputs without codes, for a code is no quantity."""
        layout = self.encoder_.layout
        return np.asarray(X[:, : layout.numbers + layout.one_hot], dtype=np.float64)

    def _calibrate(self, judging: Judging, rows: list[Any], evaluated: bool, seed: int) -> None:
        self.intervals_ = []
        if not len(rows[0]):
            return
        parts, seen = [], np.zeros(len(judging.given.y), dtype=bool)
        values = [np.asarray(member.values, dtype=np.float64)[:, 0] for member in self.members_]
        if evaluated:  # none of the networks has seen these rows, so their mean is judged
            rows, values = rows[:1], [np.mean(values, axis=0)]
        for number, (own, predicted) in enumerate(zip(rows, values, strict=True)):
            if seen[own].any():  # a further round of the cross-validation
                break
            seen[own] = True
            members = tuple(range(len(self.members_))) if evaluated else (number,)
            errors = self._scaled(judging.given.y[own]) - predicted
            parts.append(conformal.Part(members, self._plain(judging.X[own]), predicted, errors))
        self.intervals_ = conformal.calibrated(parts, seed)

    save = save
    to_contents = to_contents
    from_contents = classmethod(from_contents)
