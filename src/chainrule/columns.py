"""A table's columns to the numbers that a network takes, and the record of how."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from chainrule.column_dates import Date
from chainrule.column_kinds import Category, Dropped, Number
from chainrule.column_values import (
    Frame,
    Numbers,
    Series,
    as_frame,
    as_moments,
    as_numbers,
    as_texts,
    as_truth,
    kind_of,
    misfit,
)
from chainrule.errors import DataError

Kept = Number | Category | Date
Column = Kept | Dropped
KINDS: dict[str, Callable[..., Column]] = {
    "number": Number,
    "category": Category,
    "date": Date,
    "dropped": Dropped,
}


class ColumnEncoder:
    """Turns the columns of a data frame into an array of numbers.

    - Numbers are scaled to mean 0 and standard deviation 1; true/false becomes 1 and 0. A missing
      value becomes the median, and a further column tells where values are missing.
    - A category gets a column of 0 and 1 for each of its levels: at most 50, each in two rows or
      more and in at least 0.1 % of them. Other texts, new ones among them, are 0 everywhere.
      Missing values are a level.
    - A date becomes its year, month, day, weekday and hour, as numbers.
    - A column is dropped if all its values are the same, missing, or texts too rare to learn from.

    Attributes
    ----------
    columns : tuple
        What was learnt of each column; see `describe`.
    """

    def __init__(self, columns: Iterable[Column] = ()) -> None:
        self.columns: tuple[Column, ...] = tuple(columns)

    @property
    def kept(self) -> tuple[Kept, ...]:
        """The columns that were not dropped."""
        return tuple(column for column in self.columns if not isinstance(column, Dropped))

    @property
    def feature_names(self) -> list[str]:
        """Names of the array's columns: "age", "colour=red", "colour=<missing>", "born year"."""
        return [name for column in self.columns for name in column.features]

    @property
    def text_columns(self) -> list[str]:
        """The columns whose cells are text, whatever they look like."""
        return [column.name for column in self.columns if column.kind == "category"]

    def fit(self, data: Any, *, rows: Any = None, drop: Collection[str] = ()) -> ColumnEncoder:
        """Learn the columns.

        Parameters
        ----------
        data : data frame
            Of pandas, polars or another library that narwhals knows.
        rows : array of int or bool, optional
            The rows to learn from; all, if not given.
        drop : collection of str
            Columns to leave alone.

        Raises
        ------
        DataError
            If a value cannot be used, or if nothing is left to learn from. The message names column
            and row.
        """
        frame = as_frame(data)
        everything = np.arange(len(frame))
        chosen = everything if rows is None else everything[rows]
        if not len(chosen):
            raise DataError("The table has no rows to learn from.")
        require(frame, drop)
        series = (frame[name] for name in frame.columns if name not in drop)
        self.columns = tuple(_learn(s, kind_of(s), chosen) for s in series)
        refuse_nothing(self)
        return self

    def transform(self, data: Any) -> Numbers:
        """The numbers of a table; its columns may stand in any order, and further ones are ignored.

        Returns
        -------
        ndarray of shape (rows, features)

        Raises
        ------
        DataError
            If a column is missing, or if a value does not fit.
        """
        frame = as_frame(data)
        require(frame, [column.name for column in self.kept])
        return np.hstack([_encode(frame, column) for column in self.kept])

    def fit_transform(self, data: Any, *, drop: Collection[str] = ()) -> Numbers:
        """Learn the columns and return their numbers."""
        return self.fit(data, drop=drop).transform(data)

    def notes(self, data: Any, expected: Collection[str] = ()) -> list[str]:
        """What is worth knowing about a table before its predictions are used.

        Parameters
        ----------
        data : data frame
        expected : collection of str
            Further columns that are no surprise, such as the target.
        """
        frame = as_frame(data)
        known = {column.name for column in self.columns} | set(expected)
        extra = [name for name in frame.columns if name not in known]
        notes = [f"Ignored, for the model does not know them: {listed(extra)}."] if extra else []
        for column in self.kept:
            notes += column.surprises(column.values(frame[column.name]))  # type: ignore[arg-type]
        return notes

    def describe(self) -> list[dict[str, Any]]:
        """What was done to each column: its name, kind, number of features and what they are."""
        return [
            {
                "column": column.name,
                "kind": column.was if isinstance(column, Dropped) else column.kind,
                "features": len(column.features),
                "done": column.done,
            }
            for column in self.columns
        ]

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {"columns": [_to_dict(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> ColumnEncoder:
        """The inverse of `to_dict`."""
        return cls(_from_dict(column) for column in facts["columns"])


def refuse_nothing(encoder: ColumnEncoder) -> None:
    """Refuse columns of which all were dropped."""
    if not encoder.kept:
        reasons = "; ".join(f"{column.name!r}: {column.done}" for column in encoder.columns)
        raise DataError(f"The table has no column to learn from{f' ({reasons})' if reasons else ''}.")


def require(frame: Frame, names: Iterable[str]) -> None:
    """Refuse a frame that lacks a column."""
    lacking = [name for name in names if name not in frame.columns]
    if lacking:
        raise DataError(
            f"The table has no column {listed(lacking)}. Its columns are: {listed(frame.columns)}."
        )


def listed(names: Iterable[str], most: int = 12) -> str:
    """The names as a message shows them."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _encode(frame: Frame, column: Kept) -> Numbers:
    values = column.values(frame[column.name])
    with np.errstate(over="ignore"):
        encoded = column.encode(values)  # type: ignore[arg-type]
    wrong = np.flatnonzero(~np.isfinite(encoded).all(axis=1))
    if len(wrong):
        row = int(wrong[0])
        raise misfit(column.name, row, f"{values[row]:g} is too far from all values in training")
    return encoded


def _learn(series: Series, kind: str, rows: Any) -> Column:
    """Learn a column from some of its rows; all of its rows must be readable."""
    if kind == "category":
        texts = as_texts(series)
        return Category.learn(series.name, [texts[row] for row in rows])
    if kind == "date":
        return Date.learn(series.name, as_moments(series)[rows])
    truth = kind == "boolean"
    return Number.learn(series.name, (as_truth if truth else as_numbers)(series)[rows], truth=truth)


def _to_dict(column: Column) -> dict[str, Any]:
    kind = "number" if isinstance(column, Number) else column.kind
    return {"kind": kind, **asdict(column)}


def _from_dict(facts: dict[str, Any]) -> Column:
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in facts.items() if key != "kind"}
    if facts["kind"] == "date":
        values["numbers"] = tuple(Number(**number) for number in facts["numbers"])
    return KINDS[facts["kind"]](**values)
