"""What a user hands to an estimator for tables, as a data frame with named columns, a target and weights."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from scipy import sparse
from sklearn.utils.validation import _check_y, check_consistent_length, column_or_1d, validate_data

from chainrule.cells import shortened
from chainrule.column_values import Frame, as_frame
from chainrule.errors import DataError, DataTypeError, OptionError
from chainrule.refusals import Given, explained, refuse_disguised, validated

Names = str | int


def is_frame(X: Any) -> bool:
    """Whether X is a data frame of a library that narwhals knows."""
    return not isinstance(X, np.ndarray) and isinstance(nw.from_native(X, pass_through=True), nw.DataFrame)


def table(model: Any, X: Any, y: Any = "no_validation", *, reset: bool, name: str = "X") -> Frame:
    """The rows as a data frame, and on the model the number of columns and their names.

    Parameters
    ----------
    model : estimator
    X : data frame or array-like of shape (n_samples, n_features)
    y : optional
        To be refused, where it is None.
    reset : bool
        Whether the model learns its columns now; otherwise X must have the same.
    name : str
        What the user calls X.

    Raises
    ------
    DataError
        If the data cannot be used.
    """
    if sparse.issparse(X):
        raise DataTypeError(
            f"{name} is a sparse matrix, but {type(model).__name__} takes dense tables: give "
            f"{name}.toarray()."
        )
    try:
        if not is_frame(X):
            return _of_array(model, X, y, reset=reset, name=name)
    except nw.exceptions.DuplicateError:
        raise DataError(f"Two columns of {name} have the same name. Rename one.") from None
    try:
        validate_data(model, X, y, reset=reset, skip_check_array=True)
    except (ValueError, TypeError) as error:
        raise explained(error, Given(X, y, name, "y", np.float64, model)) from None
    frame = as_frame(_named_by(_names(model, X.shape[1]), X))
    for count, what in ((len(frame), "sample"), (len(frame.columns), "feature")):
        if not count:
            raise DataError(f"Found array with 0 {what}(s) (shape={frame.shape}): {name} is empty.")
    return frame


def _names(model: Any, count: int) -> list[str]:
    """The names of the columns that a model knows; of columns without names, by their places."""
    return [str(name) for name in getattr(model, "feature_names_in_", [f"x{i}" for i in range(count)])]


def _named_by(names: list[str], X: Any) -> Any:
    """The frame with these names, by place; scikit-learn has seen to it that no name is another column's."""
    if list(X.columns) == names:
        return X
    if hasattr(X, "set_axis"):  # of pandas, where a name may be a number
        return X.set_axis(names, axis=1)
    return as_frame(X).rename(dict(zip(X.columns, names, strict=True)))


def _of_array(model: Any, X: Any, y: Any, *, reset: bool, name: str) -> Frame:
    if y is None:
        validated(model, X, y, names=(name, "y"), reset=reset, dtype=None, ensure_all_finite="allow-nan")
    refuse_disguised(X, name)
    X = validated(model, X, names=(name, "y"), reset=reset, dtype=None, ensure_all_finite="allow-nan")
    names = _names(model, X.shape[1])
    if X.dtype.kind not in "biuf":
        series = [_objects(column.tolist(), place, name) for place, column in enumerate(X.T)]
        return nw.from_native(pl.DataFrame(dict(zip(names, series, strict=True))))
    kind = np.float64 if X.dtype.kind == "f" and X.dtype.name != "float32" else X.dtype
    columns = (np.ascontiguousarray(column, dtype=kind) for column in X.T)
    return nw.from_native(pl.DataFrame(dict(zip(names, columns, strict=True))))


def _objects(values: list[Any], column: int, name: str) -> pl.Series:
    """A column of an array of objects: numbers, truth values or texts, with None or NaN for a missing one."""
    kinds: dict[str, int] = {}
    for row, value in enumerate(values):
        if value is None or value != value:
            values[row] = None
            continue
        kind = next((kind for kind, types in _OBJECTS.items() if isinstance(value, types)), None)
        if kind is None:
            raise DataTypeError(
                f"{name}[{row}, {column}] is {shortened(value)}: argument must be a string, a real number or "
                "a truth value. Convert it, or leave it empty (None)."
            )
        kinds.setdefault(kind, row)
    if len(kinds) > 1:
        (a, first), (b, second) = list(kinds.items())[:2]
        raise DataTypeError(
            f"Column {column} of {name} mixes {a} and {b}: {name}[{first}, {column}] is "
            f"{shortened(values[first])}, but {name}[{second}, {column}] is {shortened(values[second])}. "
            "Make all its values of one type."
        )
    kind = next(iter(kinds), "numbers")
    return pl.Series("", values, dtype=_TYPES[kind], strict=False)


_OBJECTS: dict[str, tuple[type, ...]] = {
    "truth values": (bool, np.bool_),
    "numbers": (int, float, np.number),
    "texts": (str,),
}
_TYPES: dict[str, Any] = {"truth values": pl.Boolean, "numbers": pl.Float64, "texts": pl.String}


def categories(chosen: Any, frame: Frame) -> set[str]:
    """The names of the columns that the user wants as categories.

    Parameters
    ----------
    chosen : sequence of str or int, or None
        Names or positions of columns.
    frame : narwhals.DataFrame

    Raises
    ------
    OptionError
        If there is no such column.
    """
    if chosen is None:
        return set()
    if isinstance(chosen, str):
        raise OptionError(f"cat_features must be a list of columns, such as [{chosen!r}], not a text.")
    return {_named(column, frame.columns) for column in np.asarray(chosen, dtype=object).ravel().tolist()}


def _named(column: Any, names: Sequence[str]) -> str:
    if isinstance(column, str):
        if column not in names:
            shown = ", ".join(map(repr, names[:12])) + (", …" if len(names) > 12 else "")
            raise OptionError(
                f"cat_features has {column!r}, but the table has no such column. It has: {shown}."
            )
        return column
    if isinstance(column, bool) or not isinstance(column, Integral) or int(column) not in range(len(names)):
        raise OptionError(
            f"cat_features has {column!r}: give names of columns, or positions from 0 to {len(names) - 1}."
        )
    return names[int(column)]


def target(model: Any, y: Any, rows: Frame, *, numeric: bool, name: str = "y") -> Any:
    """The target as an array of one dimension, one value for each row.

    Raises
    ------
    DataError
        If it cannot be used.
    """
    refuse_disguised(y, name)
    given = Given(None, y, "X", name, np.float64, model)
    try:
        y = _check_y(y, multi_output=True, y_numeric=numeric, estimator=model)
        check_consistent_length(np.empty(len(rows)), y)
        if y.ndim == 2 and y.shape[1] > 1:
            raise DataError(
                f"{name} should be a 1d array, but it has {y.shape[1]} columns: fit one model for each."
            )
        return column_or_1d(y, dtype=np.float64 if numeric else None, warn=True)
    except DataError:
        raise
    except (ValueError, TypeError) as error:
        raise explained(error, given) from None
