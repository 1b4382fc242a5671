"""Columns of any data frame to arrays: numbers, texts or moments, with one form for a missing
value.

A value that does not fit is an error with its column and row; rows count from 1, without the
header.
"""

from __future__ import annotations

import datetime
import numbers
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from chainrule import cells
from chainrule.cells import shortened
from chainrule.errors import DataError

Numbers = npt.NDArray[np.float64]
Texts = list[str | None]
Moments = npt.NDArray[np.datetime64]
Frame = nw.DataFrame[Any]
Series = nw.Series[Any]


def as_frame(data: Any) -> Frame:
    """A data frame of any library that narwhals knows.

    Raises
    ------
    DataError
        If it is none, or if its columns cannot be told apart by name.
    """
    try:
        frame: Frame = nw.from_native(data, eager_only=True)
        names = frame.columns
    except TypeError:
        kind = type(data).__name__
        raise DataError(
            f"A data frame (pandas, polars, ...) is needed, not {kind}: the columns go by their names."
        ) from None
    except nw.exceptions.DuplicateError:
        raise DataError("Two columns of the data frame have the same name. Rename one.") from None
    for name in names:
        if not isinstance(name, str):
            raise DataError(f"The column {name!r} has a name that is not text. Rename it.")
    return frame


class MisfitError(DataError):
    """The error about one value.

    Parameters
    ----------
    name : str
        The column.
    row : int
        Counted from 0 here, and from 1 in the message.
    problem : str
    """

    def __init__(self, name: str, row: int, problem: str) -> None:
        super().__init__(f"Column {name!r}, row {row + 1}: {problem}.")
        self.name, self.row, self.problem = name, row, problem

    def further_down(self, rows: int) -> MisfitError:
        """The same error, where so many rows of the table stand before those that were looked at."""
        return MisfitError(self.name, self.row + rows, self.problem)

    def __reduce__(self) -> tuple[Any, ...]:
        return MisfitError, (self.name, self.row, self.problem)


def misfit(name: str, row: int, problem: str) -> MisfitError:
    """The error about one value; `row` counts from 0."""
    return MisfitError(name, row, problem)


# ------------------------------------------------------------------ kinds


def kind_of(series: Series) -> str:
    """What a column is: "number", "boolean", "category" or "date"."""
    dtype = series.dtype
    if dtype.is_numeric():
        return "number"
    if dtype == nw.Boolean:
        return "boolean"
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        return "category"
    if dtype in (nw.Date, nw.Datetime):
        return "date"
    if dtype == nw.Object:
        return _kind_of_objects(series)
    if _is_odd_number(series) or series.is_null().all():
        return "number"
    raise DataError(
        f"Column {series.name!r} has the type {dtype}, which is neither numbers, text, true/false "
        "nor dates. Convert or drop it."
    )


def _is_odd_number(series: Series) -> bool:
    """Whether NumPy sees numbers where narwhals does not, such as in the other byte order."""
    return series.dtype == nw.Unknown and series.to_numpy().dtype.kind in "iuf"


PYTHON_KINDS: dict[str, tuple[type, ...]] = {
    "boolean": (bool, np.bool_),
    "number": (numbers.Real, Decimal),
    "category": (str,),
    "date": (datetime.date,),
}


def _kind_of_objects(series: Series) -> str:
    found: str | None = None
    for row, value in enumerate(_present(series)):
        if value is None:
            continue
        kind = next((kind for kind, types in PYTHON_KINDS.items() if isinstance(value, types)), None)
        if kind is None or (found is not None and kind != found):
            raise misfit(
                series.name,
                row,
                f"{shortened(value)} is of the type {type(value).__name__}, "
                + ("which cannot be used" if kind is None else "unlike the values before it"),
            )
        found = kind
    return found or "number"


def _present(series: Series) -> list[Any]:
    """The values, with None for each that is missing."""
    missing = series.is_null().to_list()
    return [None if gone else value for value, gone in zip(series.to_list(), missing, strict=True)]


# ------------------------------------------------------------------ values


def as_numbers(series: Series) -> Numbers:
    """Numbers, with NaN for a missing one. True and false are 1 and 0."""
    dtype = series.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        values = np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    elif _is_odd_number(series):
        values = series.to_numpy().astype(np.float64)
    else:
        values = np.array(_each(series, _number, "a number"), dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise misfit(series.name, int(infinite[0]), "the value is infinite. Correct it or leave it empty")
    return values


def as_truth(series: Series) -> Numbers:
    """1 for true, 0 for false, NaN for a missing value."""
    values = np.array(_each(series, truth_of, "true or false"), dtype=np.float64)
    wrong = np.flatnonzero(~np.isnan(values) & (values != 0) & (values != 1))
    if len(wrong):
        row = int(wrong[0])
        raise misfit(series.name, row, f"{values[row]:g} is neither true nor false")
    return values


def as_texts(series: Series) -> Texts:
    """Texts, with None for a missing or blank one. A whole number is written without a point."""
    values = _present(series)
    if series.dtype == nw.String:
        return [value if value is not None and value.strip() else None for value in values]
    return [None if value is None else text_of(value) for value in values]


def as_moments(series: Series) -> Moments:
    """Dates and times to the microsecond, UTC where there is a time zone; NaT for a missing one."""
    dtype = series.dtype
    if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if dtype in (nw.Date, nw.Datetime):
        return np.asarray(series.cast(nw.Datetime("us")).to_numpy()).astype("datetime64[us]")
    return np.array(_each(series, _moment, "a date", np.datetime64("NaT")), dtype="datetime64[us]")


def _each(series: Series, convert: Callable[[Any], Any], what: str, missing: Any = np.nan) -> Sequence[Any]:
    """Convert each value; the words for a missing value count, too."""
    converted = []
    for row, value in enumerate(_present(series)):
        if value is None or (isinstance(value, str) and value.strip().lower() in cells.MISSING):
            converted.append(missing)
            continue
        try:
            converted.append(convert(value))
        except (ValueError, TypeError, OverflowError):
            raise misfit(series.name, row, f"{shortened(value)} is not {what}") from None
    return converted


def _number(value: Any) -> float:
    if isinstance(value, str) and not re.match(cells.NUMBER, value.strip()):
        raise ValueError
    if isinstance(value, datetime.date):
        raise TypeError
    return float(value)


def truth_of(value: Any) -> float:
    """1 for true and 0 for false, as values or as words; another number as it is."""
    if isinstance(value, str):
        value = cells.TRUTH.get(value.strip().lower(), value)
    return _number(value)


def _moment(value: Any) -> np.datetime64:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    if isinstance(value, str):
        value = value.strip().removesuffix("Z")
        if not re.match(cells.MOMENT, value):
            raise ValueError
    elif not isinstance(value, datetime.date):
        raise TypeError
    return np.datetime64(value, "us")


def text_of(value: Any) -> str | None:
    """A value of a category as text; None for a blank one. A whole number is written without a point."""
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
