"""The columns of a table as one matrix of inputs, and the record of how."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chainrule.column_kinds import Dropped
from chainrule.column_values import Frame, Series, kind_of
from chainrule.columns import require
from chainrule.errors import DataError
from chainrule.robust_scaling import Scaling
from chainrule.tabular_columns import Categorical, Inputs, Matrix, Numeric, Rows

Kept = Numeric | Categorical
Column = Kept | Dropped


@dataclass(frozen=True)
class Columns:
    """What the columns of the matrix are: first numbers, then one-hot columns, then codes for embeddings.

    Attributes
    ----------
    numbers, one_hot : int
        How many of each.
    cardinalities : tuple of int
        For each column of codes how many there are. The first code of a column is that of a missing, rare or
        unknown value; its codes begin where those of the column before end, as rows of one table.
    names : tuple of str
        Of all columns, in their order.
    """

    numbers: int
    one_hot: int
    cardinalities: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def total(self) -> int:
        """The number of columns."""
        return len(self.names)


@dataclass(frozen=True)
class Encoding:
    """How categories become inputs.

    Attributes
    ----------
    widest : int
        A category of at most so many levels gets one-hot columns; a larger one becomes a code.
    most : int
        Most levels of a category, the most frequent ones; others count as unknown.
    scaled : bool
        Whether one-hot columns and marks of missing values are scaled and clipped as numbers are.
    """

    widest: int = 8
    most: int = 10_000
    scaled: bool = True


class TableEncoder:
    """Turns a table into a matrix of float32: numbers, one-hot columns, codes.

    Attributes
    ----------
    columns : tuple
        What was learnt of each column of the table; see `describe`.
    """

    def __init__(self, columns: Iterable[Column] = ()) -> None:
        self.columns: tuple[Column, ...] = tuple(columns)
        self._arrange()

    def _arrange(self) -> None:
        """Find the place of each column's inputs."""
        self.kept: tuple[Kept, ...] = tuple(c for c in self.columns if not isinstance(c, Dropped))
        numbers = [name for column in self.kept for name in column.number_names]
        one_hot = [name for column in self.kept for name in column.one_hot_names]
        coded = [column for column in self.kept if column.cardinality]
        self.layout = Columns(
            len(numbers),
            len(one_hot),
            tuple(column.cardinality for column in coded),
            (*numbers, *one_hot, *(column.name for column in coded)),
        )
        before = np.cumsum([0, *self.layout.cardinalities])[:-1].tolist()
        self._first_codes = dict(zip((column.name for column in coded), before, strict=True))
        self._slices: dict[str, tuple[slice, slice, slice]] = {}
        at = [0, len(numbers), len(numbers) + len(one_hot)]
        for column in self.kept:
            sizes = len(column.number_names), len(column.one_hot_names), int(column.cardinality > 0)
            self._slices[column.name] = tuple(slice(a, a + n) for a, n in zip(at, sizes, strict=True))  # type: ignore[assignment]
            at = [a + n for a, n in zip(at, sizes, strict=True)]

    def fit_transform(
        self,
        frame: Frame,
        rows: Rows | None = None,
        *,
        categories: Collection[str] = (),
        encoding: Encoding | None = None,
    ) -> Matrix:
        """Learn the columns and return the matrix of all rows.

        Parameters
        ----------
        frame : narwhals.DataFrame
        rows : ndarray of int64, optional
            The rows to learn from; all, if not given.
        categories : collection of str
            Columns that are categories, whatever their cells are.
        encoding : Encoding, optional

        Raises
        ------
        DataError
            If a value cannot be used, or if nothing is left to learn from.
        """
        chosen = np.arange(len(frame)) if rows is None else rows
        encoding = encoding or Encoding()
        learnt = [_learn(frame[name], chosen, name in categories, encoding) for name in frame.columns]
        self.columns = tuple(column for column, _ in learnt)
        self._arrange()
        if not self.kept:
            reasons = "; ".join(f"{c.name!r}: {c.done}" for c in self.columns[:20])
            raise DataError(f"The table has no column to learn from ({reasons}).")
        X = np.empty((len(frame), self.layout.total), dtype=np.float32)
        for column, raw in learnt:
            if not isinstance(column, Dropped):
                self._write(column, raw, X)
        return X

    def transform(self, frame: Frame) -> Matrix:
        """The matrix of a table; its columns may stand in any order, and further ones are ignored.

        Raises
        ------
        DataError
            If a column is missing, or if a value does not fit.
        """
        require(frame, [column.name for column in self.kept])
        X = np.empty((len(frame), self.layout.total), dtype=np.float32)
        for column in self.kept:
            self._write(column, column.read(frame[column.name]), X)
        return X

    def _write(self, column: Kept, raw: Any, X: Matrix) -> None:
        """Put a column's inputs in their places; codes go on where those of the column before end."""
        inputs = Inputs(*(X[:, part] for part in self._slices[column.name]))
        column.write(raw, inputs)
        inputs.codes[...] += self._first_codes.get(column.name, 0)

    def places(self, name: str) -> list[int]:
        """Which columns of the matrix a column of the table becomes."""
        return [i for part in self._slices.get(name, ()) for i in range(part.start, part.stop)]

    def describe(self) -> list[dict[str, Any]]:
        """What was done to each column: its name, kind, number of inputs and what they are."""
        return [
            {
                "column": column.name,
                "kind": column.was if isinstance(column, Dropped) else column.kind,
                "features": len(self.places(column.name)),
                "done": column.done,
            }
            for column in self.columns
        ]

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {"columns": [{"is": _NAMES[type(column)], **asdict(column)} for column in self.columns]}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> TableEncoder:
        """The inverse of `to_dict`.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the facts make no sense.
        """
        encoder = cls(_from_dict(column) for column in facts["columns"])
        names = [column.name for column in encoder.columns]
        if len(set(names)) < len(names) or not encoder.kept:
            raise ValueError("its columns make no sense")
        return encoder


def _learn(series: Series, rows: Rows, category: bool, encoding: Encoding) -> tuple[Column, Any]:
    kind = "category" if category else kind_of(series)
    if kind in ("number", "date"):
        return Numeric.learn(series, kind, rows, scale_flag=encoding.scaled)
    return Categorical.learn(
        series, kind, rows, widest=encoding.widest, most=encoding.most, scaled=encoding.scaled
    )


_KINDS: dict[str, type[Column]] = {"numeric": Numeric, "categorical": Categorical, "dropped": Dropped}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def _from_dict(facts: dict[str, Any]) -> Column:
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in facts.items() if key != "is"
    }
    for key in ("scalings", "one_hot"):
        if key in values:
            values[key] = tuple(Scaling(**scaling) for scaling in values[key])
    if values.get("flag") is not None:
        values["flag"] = Scaling(**values["flag"])
    return _KINDS[facts["is"]](**values)
