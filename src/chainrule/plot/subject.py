"""A fitted model as the plots see it: its network, and what columns, classes and target are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule import targets
from chainrule.column_values import as_frame
from chainrule.columns import require
from chainrule.errors import DataError, OptionError
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.table_model import TableModel
from chainrule.targets import Quantity


@dataclass(frozen=True)
class Subject:
    """A fitted model and its names.

    Attributes
    ----------
    estimator : MLPClassifier or MLPRegressor
    columns : list of str
        Names of the network's inputs.
    labels : list of str
        Names of the classes; empty for numbers.
    target : str
        What is predicted.
    table : TableModel or None
        The model around the estimator, if there is one.
    """

    estimator: Any
    columns: list[str]
    labels: list[str]
    target: str
    table: TableModel | None

    def rows(self, X: Any, y: Any) -> tuple[Any, npt.NDArray[Any]]:
        """Inputs of the network, and the true target: numbers of classes, or numbers.

        Raises
        ------
        DataError
            If a target is missing or unknown.
        """
        if self.table is not None:
            return _table_rows(self.table, X, y)
        if y is None:
            raise DataError("The true values y are needed beside X.")
        y = np.asarray(y)
        if len(y) != np.shape(X)[0]:
            raise DataError(f"X has {np.shape(X)[0]} rows, but y has {len(y)} values.")
        return (X, self._codes(y)) if self.labels else (X, y)

    def _codes(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        place = {label: number for number, label in enumerate(self.estimator.classes_.tolist())}
        unknown = [label for label in y.tolist() if label not in place]
        if unknown:
            raise DataError(f"y has the class {unknown[0]!r}, which the model does not know.")
        return np.array([place[label] for label in y.tolist()], dtype=np.int64)

    def predicted_codes(self, X: Any) -> npt.NDArray[np.int64]:
        """The number of the predicted class of each row."""
        return self._codes(self.estimator.predict(X))

    def decoded(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Numbers in the target's own unit."""
        target = getattr(self.table, "target_", None)
        return target.decode(values) if isinstance(target, Quantity) else values


def fitted(model: Any, function: str) -> Subject:
    """The subject of a plot.

    Raises
    ------
    OptionError
        If it is no fitted model of chainrule.
    """
    if not isinstance(model, (MLPClassifier, MLPRegressor, TableModel)):
        raise OptionError(
            f"plot.{function} draws a fitted MLPClassifier, MLPRegressor or TableModel, not "
            f"{type(model).__name__}."
        )
    table = model if isinstance(model, TableModel) else None
    estimator: Any = getattr(table, "estimator_", None) if table is not None else model
    if not hasattr(estimator, "coefs_"):
        raise OptionError(f"plot.{function} needs a fitted model: call fit first.")
    if table is not None:
        labels = [str(label) for label in getattr(table.target_, "labels", ())]
        return Subject(estimator, table.encoder_.feature_names, labels, table.target_.name, table)
    inputs = estimator.network_.inputs
    columns = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    columns = columns or [f"x{number}" for number in range(1, inputs + 1)]
    labels = [str(label) for label in getattr(estimator, "classes_", ())]
    return Subject(estimator, columns, labels, "y", None)


def classifier(model: Any, function: str) -> Subject:
    """The subject of a plot of classes.

    Raises
    ------
    OptionError
        If the model predicts numbers, or several labels to a row.
    """
    found = fitted(model, function)
    if not found.labels:
        raise OptionError(f"plot.{function} draws classes, but this model predicts numbers.")
    if found.estimator.network_.loss_row.task == "binary" and found.estimator.n_outputs_ > 1:
        raise OptionError(
            f"plot.{function} draws one class to a row, but this model predicts several labels."
        )
    return found


def regressor(model: Any, function: str) -> Subject:
    """The subject of a plot of numbers.

    Raises
    ------
    OptionError
        If the model predicts classes.
    """
    found = fitted(model, function)
    if found.labels:
        raise OptionError(f"plot.{function} draws numbers, but this model predicts classes.")
    return found


def _table_rows(table: TableModel, data: Any, y: Any) -> tuple[Any, npt.NDArray[Any]]:
    if y is not None:
        raise OptionError("A TableModel finds the target in the table: hand over the data frame alone.")
    frame = as_frame(data)
    require(frame, [table.target_.name])
    truth = table.target_.encode(frame[table.target_.name])
    known = targets.present(truth)
    if not known.any():
        raise DataError(f"No row has a value in the target {table.target_.name!r}.")
    return table.encoder_.transform(frame)[known], truth[known]
