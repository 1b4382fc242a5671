"""The classifier for tables."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from chainrule import tabular_input, temperature
from chainrule.column_values import Frame, Numbers
from chainrule.errors import DataError
from chainrule.estimator_data import check_labels
from chainrule.estimator_file import save
from chainrule.parameters import Array
from chainrule.tabular_base import BaseTabular, Judging, fit_context
from chainrule.tabular_file import from_contents, to_contents
from chainrule.tabular_options import documented
from chainrule.tabular_recipe import Task

CALIBRATE = """    calibrate : bool, default=True
        Whether a temperature is learnt on the validation rows, by which probabilities become more honest.
"""


@documented("'log_loss' (the default), 'accuracy', 'auc'", CALIBRATE)
class TabularClassifier(ClassifierMixin, BaseTabular):
    """Classes from tables: numbers, categories, truth values, dates and missing values as they are.

    Columns are encoded inside (see `docs/tabular.md`), rows are set apart to choose the best epoch by, and
    probabilities are calibrated on them.

    Parameters
    ----------
    {common}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    encoder_ : chainrule.tabular_encoder.TableEncoder
        What was done to each column.
    members_ : list of chainrule.tabular_member.Member
        The networks: weights of the best epoch, and the history of training.
    network_ : chainrule.Network
        What each of them is.
    temperature_ : float
        What the logits are divided by.
    report_ : dict
        What was done, as JSON can hold it: columns, metric, each member's epochs and figures, what a time
        limit cut.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> import polars as pl
    >>> from chainrule import TabularClassifier
    >>> frame = pl.DataFrame({"size": [1.0, 2.0, None, 8.0, 9.0, 7.5] * 9, "colour": ["red", "blue"] * 27})
    >>> model = TabularClassifier(epochs=20, random_state=0).fit(frame, ["small"] * 3 * 9 + ["big"] * 3 * 9)
    >>> model.predict_proba(frame).shape
    (54, 2)
    """

    task: ClassVar[str] = "classification"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseTabular._parameter_constraints,
        "calibrate": ["boolean"],
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
        calibrate=True,
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
        self.calibrate = calibrate
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
            The classes: texts, whole numbers or truth values.
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

    def predict(self, X: Any) -> Any:
        """The most probable class of each row.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        P = self.predict_proba(X)
        return self.classes_[P.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Numbers:
        """The probability of each class: the mean over the networks, at the calibrated temperature.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In [0, 1]; columns are ordered as `classes_`.
        """
        return self._mean_outcome(self._values(self._matrix(X)))

    # -------------------------------------------------------------- targets

    def _task(self) -> Task:
        count = len(self.classes_)
        return Task("binary" if count == 2 else "multiclass", count)

    def _learn_target(self, y: Any, frame: Frame) -> Any:
        y = self._labels(y, frame, "y")
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"y has a single class, {self.classes_.tolist()[0]!r}: there is nothing to learn. Give rows "
                "of two classes or more."
            )
        return codes.astype(np.int64)

    def _known_target(self, y: Any, frame: Frame, name: str) -> Any:
        y = self._labels(y, frame, name)
        known = np.isin(y, self.classes_)
        if not known.all():
            row = int(np.argmin(known))
            raise DataError(
                f"{name}[{row}] is {y[row : row + 1].tolist()[0]!r}, none of the classes that were trained: "
                f"{', '.join(map(repr, self.classes_.tolist()[:12]))}. Leave such rows out."
            )
        return np.searchsorted(self.classes_, y).astype(np.int64)

    def _labels(self, y: Any, frame: Frame, name: str) -> Any:
        check_labels(y, name)
        y = tabular_input.target(self, y, frame, numeric=False, name=name)
        check_classification_targets(y)
        return y

    def _learn_scale(self, y: Any) -> None:
        """Classes have no scale."""

    def _network_targets(self, y: Any) -> Array:
        if self.network_.outputs == 1:
            return np.asarray(y[:, None], dtype=np.float32)
        return np.asarray(np.eye(len(self.classes_), dtype=np.float32)[y])

    # -------------------------------------------------------------- outcomes

    def _outcome(self, values: Array) -> Numbers:
        return temperature.probabilities(values)

    def _mean_outcome(self, values: Array) -> Numbers:
        return np.asarray(temperature.probabilities(values, self.temperature_).mean(axis=0))

    def _calibrate(self, judging: Judging, rows: list[Any], evaluated: bool, seed: int) -> None:
        self.temperature_ = 1.0
        judged = np.concatenate(rows)
        if not self.calibrate or not len(judged):
            return
        weights = judging.given.weights_of(judged)
        lines = temperature.Judged(
            temperature.logits(np.concatenate([member.values for member in self.members_])),
            judging.given.y[judged],
            judged,
            np.ones(len(judged)) if weights is None else weights.astype(np.float64),
        )
        self.temperature_ = temperature.fitted(lines, len(self.members_))

    save = save
    to_contents = to_contents
    from_contents = classmethod(from_contents)
