"""A network for a table: from a data frame and a column's name to predictions and honest scores."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import InvalidParameterError

from chainrule import store, table_report, targets
from chainrule.check import GradientReport, check_gradients
from chainrule.column_values import Numbers, as_frame
from chainrule.columns import ColumnEncoder, require
from chainrule.diagnose import Diagnosis
from chainrule.equations import LOSSES, OPTIMISERS
from chainrule.errors import DataError, FileError, OptionError
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.splits import Parts, set_apart
from chainrule.targets import Classes, Quantity, Target

ESTIMATORS: dict[str, Any] = {"classification": MLPClassifier, "regression": MLPRegressor}
DEFAULTS: dict[str, Any] = {
    "hidden_layer_sizes": (64, 32),
    "n_iter_no_change": 20,
    "metric": "loss",  # stopping by the loss keeps probabilities honest
}
LEAST_VALIDATION = 10  # with fewer rows to stop by, training goes by the training loss


class TableModel:
    """A feed-forward network that learns one column of a table from the others.

    It encodes the columns (see `ColumnEncoder`), sets rows apart to stop training by and to judge
    by, trains an `MLPClassifier` or `MLPRegressor`, and scores it beside a baseline that always
    predicts the same.

    Parameters
    ----------
    test_size : float
        Share of the rows that is held out for the scores, in [0, 1); 0 for none.
    validation_size : float
        Share of the other rows by which training is stopped early, in [0, 1); 0 for none.
    random_state : int
        Seed of the rows' parts and of training.
    **options
        Options of the estimator, such as ``hidden_layer_sizes=(64, 32)``, ``activation="tanh"`` or
        ``checkpoint="run.checkpoint"``.

    Attributes
    ----------
    encoder_ : ColumnEncoder
    estimator_ : MLPClassifier or MLPRegressor
        It takes the encoded columns. Its classes are numbers, and its target has mean 0 and
        deviation 1.
    target_ : Classes or Quantity
    parts_ : Parts
        Which rows were trained on, stopped by and held out; not known of a model from a file.
    classes_ : ndarray
        The classes, in the order of the columns of `predict_proba`.
    report_ : dict
        What was done, as JSON can hold it: rows, columns, network, training and scores.

    Examples
    --------
    >>> model = TableModel(random_state=0).fit(frame, "income")  # doctest: +SKIP
    >>> model.predict(new_frame)  # doctest: +SKIP
    """

    estimators: ClassVar[dict[str, Any]] = ESTIMATORS

    def __init__(
        self,
        *,
        test_size: float = 0.2,
        validation_size: float = 0.1,
        random_state: int = 0,
        **options: Any,
    ) -> None:
        for name, share in {"test_size": test_size, "validation_size": validation_size}.items():
            _check_share(name, share)
        _check_whole("random_state", random_state, 0)
        self.test_size = test_size
        self.validation_size = validation_size
        self.random_state = random_state
        self.options = options

    def fit(
        self,
        data: Any,
        target: str,
        *,
        task: str | None = None,
        drop: Collection[str] = (),
        callbacks: Sequence[Callable[[Any], Any]] = (),
    ) -> TableModel:
        """Train.

        Parameters
        ----------
        data : data frame
            Of pandas, polars or another library that narwhals knows. Rows without a target are left
            out.
        target : str
            The column to predict.
        task : {"classification", "regression"}, optional
            By default it follows from the target: texts, true/false and few different whole numbers
            are classes.
        drop : collection of str
            Columns not to learn from, such as identifiers.
        callbacks : sequence of callable
            Each is called after every epoch with an object that has `number`, `epochs`, `loss`,
            `validation`, `learning_rate` and `seconds`; True from any of them ends training.

        Raises
        ------
        DataError
            If the data cannot be used; the message names the column and the row.
        OptionError
            If an option has a value that it may not have.
        """
        began = time.perf_counter()
        frame = as_frame(data)
        check_names(drop)
        require(frame, [target, *drop])
        if target in drop:
            raise OptionError(f"{target!r} is the target and cannot be dropped.")
        self.target_: Target = targets.learn(frame[target], task)
        y = self.target_.encode(frame[target])
        rows = np.flatnonzero(targets.present(y))
        self.parts_ = parts = self._divide(rows, y)
        self.encoder_ = ColumnEncoder().fit(frame, rows=parts.known, drop=[target, *drop])
        X = self.encoder_.transform(frame)
        self._train(X, y, parts, callbacks)
        self.report_: dict[str, Any] = {
            **self._described(len(frame), drop),
            "seconds": time.perf_counter() - began,
            **self._judged(X, y),
        }
        return self

    def _described(self, rows: int, drop: Collection[str], parts: Any = None) -> dict[str, Any]:
        """The part of the report that is known before training; `parts` are `parts_`, or three sizes."""
        parts = parts or self.parts_.sizes
        return {
            "rows": table_report.rows(rows, *parts),
            "target": self.target_.name,
            "task": self.target_.task,
            "classes": list(getattr(self.target_, "labels", ())),
            "dropped": list(drop),
            "columns": self.encoder_.describe(),
        }

    def _judged(self, X: Numbers, y: Any) -> dict[str, Any]:
        """The part of the report that depends on what the network has learnt."""
        return self._results(table_report.scores(self.estimator_, self.target_, X, y, self.parts_))

    def _results(self, scores: dict[str, Any] | None) -> dict[str, Any]:
        return {
            **table_report.training(self.estimator_),
            "scores": scores,
            "diagnosis": self.diagnose().to_dict(),
        }

    def predict(self, data: Any) -> npt.NDArray[Any]:
        """The predicted class or number of each row."""
        X = self._encoded(data)
        return self.target_.decode(self.estimator_.predict(X))

    def predict_proba(self, data: Any) -> Numbers:
        """The probability of each class, in the order of `classes_`.

        Returns
        -------
        ndarray of shape (rows, classes)
        """
        X = self._encoded(data)
        if not isinstance(self.target_, Classes):
            raise OptionError(f"{self.target_.name!r} is a number: there are no probabilities.")
        return np.asarray(self.estimator_.predict_proba(X))

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The classes."""
        target = getattr(self, "target_", None)
        if not isinstance(target, Classes):
            raise AttributeError("Only a fitted classification has classes.")
        return np.array(target.labels)

    def notes(self, data: Any, expected: Collection[str] = ()) -> list[str]:
        """What is worth knowing about a table before its predictions are used.

        Parameters
        ----------
        data : data frame
        expected : collection of str
            Further columns that are no surprise.
        """
        known = (self.target_.name, *self.report_["dropped"], *expected)
        return self.encoder_.notes(data, expected=known)

    def check_gradients(self, data: Any, rows: int = 32) -> GradientReport:
        """Check the gradient of this model against an independent one, on the first rows of a
        table.

        Parameters
        ----------
        data : data frame
            With the target.
        rows : int
            How many rows with a target to take.
        """
        _check_whole("rows", rows, 1)
        self._check_fitted()
        frame = as_frame(data)
        require(frame, [self.target_.name])
        y = self.target_.encode(frame[self.target_.name])
        chosen = np.flatnonzero(targets.present(y))[:rows]
        if not len(chosen):
            raise DataError(f"No row has a value in the target {self.target_.name!r}.")
        X = self.encoder_.transform(frame)
        return check_gradients(self.estimator_, X[chosen], y[chosen], rows=len(chosen))

    def diagnose(self, data: Any = None) -> Diagnosis:
        """What this model's training suffers from, in plain words.

        Parameters
        ----------
        data : data frame, optional
            Rows on which the layers are looked at; with the target and not trained on, they also show
            overfitting. Without them the diagnosis goes by what was noted while training.

        Returns
        -------
        Diagnosis
        """
        X = y = None
        if data is not None:
            X, frame = self._encoded(data), as_frame(data)
            if self.target_.name in frame.columns:
                y = self.target_.encode(frame[self.target_.name])
                known = targets.present(y)
                X, y = (X[known], y[known]) if known.any() else (X, None)
        labels = [str(label) for label in getattr(self.target_, "labels", ())]
        return self.estimator_._diagnose(X, y, self.encoder_.feature_names, labels)  # type: ignore[no-any-return]

    # -------------------------------------------------------------- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the model to a file, which `chainrule.load` reads."""
        store.write(path, "TableModel", *self.to_contents())

    def to_contents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a model file holds: metadata and arrays."""
        self._check_fitted()
        metadata, arrays = self.estimator_.to_contents()
        return {
            "estimator": metadata,
            "encoder": self.encoder_.to_dict(),
            "target": targets.to_dict(self.target_),
            "report": self.report_,
        }, arrays

    @classmethod
    def from_contents(cls, metadata: Mapping[str, Any], arrays: Mapping[str, Any]) -> TableModel:
        """The inverse of `to_contents`."""
        model = cls()
        try:
            model.target_ = targets.from_dict(metadata["target"])
            model.encoder_ = ColumnEncoder.from_dict(metadata["encoder"])
            model.report_ = metadata["report"]
            estimator = ESTIMATORS[model.target_.task]
            model.estimator_ = estimator.from_contents(metadata["estimator"], arrays)
            model._check_consistency()
        except FileError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise FileError(f"The file holds no table model ({error}).") from None
        return model

    def _check_consistency(self) -> None:
        """Refuse parts that do not fit together, or that `notes` would stumble on."""
        same = len(self.encoder_.feature_names) == len(self.estimator_.coefs_[0])
        if isinstance(self.target_, Classes):
            same &= np.array_equal(self.estimator_.classes_, np.arange(len(self.target_.labels)))
        if not same or not isinstance(self.report_["dropped"], list):
            raise ValueError("its parts do not fit together")

    # -------------------------------------------------------------- steps of fit

    def _divide(self, rows: npt.NDArray[np.int64], y: Any) -> Parts:
        groups = y[rows] if isinstance(self.target_, Classes) else None
        return set_apart(rows, groups, self.test_size, self._share_to_stop_by(len(rows)), self.random_state)

    def _share_to_stop_by(self, rows: int) -> float:
        """The share of the rows not held out by which training is stopped."""
        share = self.validation_size
        solver = OPTIMISERS.find(self.options.get("solver", "adam"))
        few = round(rows * (1 - self.test_size) * share) < LEAST_VALIDATION
        return 0.0 if solver.full_batch or few else share

    def _train(self, X: Numbers, y: Any, parts: Parts, callbacks: Sequence[Callable[[Any], Any]]) -> None:
        self.estimator_ = self._make_estimator(len(parts.training), callbacks)
        validation = (X[parts.validation], y[parts.validation]) if len(parts.validation) else None
        with trained():
            self.estimator_.fit(X[parts.training], y[parts.training], validation_data=validation)

    def _make_estimator(self, rows: int, callbacks: Sequence[Callable[[Any], Any]]) -> Any:
        """The estimator for so many rows to train on."""
        batch_size = min(256, max(32, rows // 32))
        options = {
            **DEFAULTS,
            "batch_size": min(batch_size, rows),
            "random_state": self.random_state,
            **self.options,
        }
        own = options.get("callbacks", ())
        options["callbacks"] = [*(own if isinstance(own, (list, tuple)) else [own]), *callbacks]
        self._check_loss(options.get("loss"))
        try:
            return self.estimators[self.target_.task](**options)
        except TypeError as error:
            raise OptionError(f"The network has no such option: {error}.") from None

    def _check_loss(self, loss: Any) -> None:
        """The target is scaled to mean 0, so half of it is negative."""
        if isinstance(self.target_, Quantity) and loss and LOSSES.find(loss).targets == "nonnegative":
            raise OptionError(
                f"The loss {loss!r} needs a target of at least 0, but a TableModel scales the target "
                f"{self.target_.name!r} to mean 0: use another loss, or MLPRegressor."
            )

    def _check_fitted(self) -> None:
        if not hasattr(self, "report_"):
            raise OptionError("This TableModel is not fitted yet: call fit first.")

    def _encoded(self, data: Any) -> Numbers:
        self._check_fitted()
        frame = as_frame(data)
        if not len(frame):
            raise DataError("The table has no rows to predict.")
        return self.encoder_.transform(frame)


@contextmanager
def trained() -> Iterator[None]:
    """Where an estimator is fitted: without what the report tells, and with errors of this package."""
    with warnings.catch_warnings():  # the report tells whether all epochs were used
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            yield
        except InvalidParameterError as error:
            raise OptionError(str(error)) from None


def _check_share(name: str, share: Any) -> None:
    if not isinstance(share, Real) or not 0 <= float(share) < 1:
        raise OptionError(f"{name} must be a share in [0, 1), not {share!r}.")


def _check_whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, Integral) or int(value) < least:
        raise OptionError(f"{name} must be a whole number of at least {least}, not {value!r}.")


def check_names(drop: Any) -> None:
    """A text is a collection of letters, each of which could be a column."""
    if isinstance(drop, str):
        raise OptionError(f"drop must be a list of columns, such as [{drop!r}], not a text.")
