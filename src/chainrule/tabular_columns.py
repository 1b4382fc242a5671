"""A column of a table as inputs of a network: scaled numbers, some columns of a category, or its code.

Each kind learns from the training rows, reads cells, and writes its inputs into the columns of one matrix.
All are plain data that JSON can hold.

Source: Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491, appendix A (robust scaling, smooth
clipping, one-hot columns of small categories).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from chainrule.column_dates import PARTS
from chainrule.column_kinds import MISSING, Dropped, sensible
from chainrule.column_values import (
    Numbers,
    Series,
    as_moments,
    as_numbers,
    misfit,
    text_of,
    truth_of,
)
from chainrule.robust_scaling import PLAIN, Scaling

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]

FEWEST = 2  # a level of a category is in so many training rows, or more
WORDS = {0.0: "false", 1.0: "true"}


class Inputs(NamedTuple):
    """Where a column writes: its columns of the matrix, in each of the three blocks."""

    numbers: Matrix
    one_hot: Matrix
    codes: Matrix


@dataclass(frozen=True)
class Numeric:
    """Numbers, or the parts of dates, each scaled; a missing value is the median and is marked.

    Attributes
    ----------
    name : str
    kind : {"number", "date"}
    parts : tuple of str
        Of a date the parts that vary; of numbers one empty text, or nothing, if all are the same.
    scalings : tuple of Scaling
        One for each part.
    flag : Scaling or None
        How the mark of a missing value is scaled, which is 1, and -1 where there is a value; None, if none
        was missing while learning.
    """

    name: str
    kind: str
    parts: tuple[str, ...]
    scalings: tuple[Scaling, ...]
    flag: Scaling | None

    def __post_init__(self) -> None:
        sensible(
            isinstance(self.name, str),
            set(self.parts) <= (set(PARTS) if self.kind == "date" else {""}),
            self.kind in ("number", "date"),
            len(self.parts) == len(self.scalings),
            bool(self.parts) or self.flag is not None,
        )

    @classmethod
    def learn(
        cls, series: Series, kind: str, rows: Rows, *, scale_flag: bool
    ) -> tuple[Numeric | Dropped, Any]:
        """The column by its training rows, and what it reads of all rows."""
        parts = tuple(PARTS) if kind == "date" else ("",)
        raw = _values(series, kind, parts)
        known = raw[rows]
        gone = np.isnan(known[:, 0])
        if gone.all():
            return Dropped(series.name, kind, "every value is missing"), raw
        found = [Scaling.learn(column[~gone]) for column in known.T]
        kept = [place for place, scaling in enumerate(found) if scaling is not None]
        flag = None
        if gone.any():
            counts = len(gone) - int(gone.sum()), int(gone.sum())
            flag = Scaling.of_counts((-1.0, 1.0), counts) if scale_flag else PLAIN
        if not kept and flag is None:
            return Dropped(series.name, kind, "every value is the same"), raw
        scalings = tuple(scaling for scaling in found if scaling is not None)
        column = cls(series.name, kind, tuple(parts[place] for place in kept), scalings, flag)
        return column, raw[:, kept] if kept else raw[:, :1]

    def read(self, series: Series) -> Numbers:
        """The numbers of the cells, NaN for a missing one, of shape (rows, parts or 1)."""
        return _values(series, self.kind, self.parts or (next(iter(PARTS)) if self.kind == "date" else "",))

    def write(self, raw: Numbers, out: Inputs) -> None:
        """Put the inputs of these numbers in their places."""
        for place, scaling in enumerate(self.scalings):
            scaled = scaling(raw[:, place])
            out.numbers[:, place] = np.where(np.isnan(scaled), 0.0, scaled)
        if self.flag is not None:
            out.one_hot[:, 0] = self.flag(np.where(np.isnan(raw[:, 0]), 1.0, -1.0))

    @property
    def number_names(self) -> tuple[str, ...]:
        """Names of its columns among the numbers."""
        return tuple(f"{self.name} {part}" if part else self.name for part in self.parts)

    @property
    def one_hot_names(self) -> tuple[str, ...]:
        """Names of its columns among the one-hot ones."""
        return (f"{self.name}={MISSING}",) * (self.flag is not None)

    @property
    def cardinality(self) -> int:
        """It has no code."""
        return 0

    @property
    def done(self) -> str:
        """What is done to the column, in words."""
        marked = ", missing values set to the median and marked" if self.flag else ""
        if not self.parts:
            return "only whether it is missing"
        if self.kind == "date":
            return f"{', '.join(self.parts)}; each scaled by its quartiles{marked}"
        scaling = self.scalings[0]
        sign = "−" if scaling.centre >= 0 else "+"
        return f"(x {sign} {abs(scaling.centre):.4g}) / {scaling.spread:.4g}, smoothly clipped{marked}"


def _values(series: Series, kind: str, parts: Sequence[str]) -> Numbers:
    if kind == "number":
        return as_numbers(series)[:, None]
    moments = as_moments(series)
    gone = np.isnat(moments)
    return np.column_stack([np.where(gone, np.nan, PARTS[part](moments)) for part in parts])


# ---------------------------------------------------------------- categories


class Cells(NamedTuple):
    """The cells of a column: the different values, and which of them each row has; -1 where it has none."""

    values: list[Any]
    places: npt.NDArray[np.int64]


def cells_of(series: Series) -> Cells:
    """The cells of a column of any library, without a loop over rows where there is a quick way."""
    native = series.to_native()
    if series.implementation.is_pandas_like():
        places, values = native.factorize()
        return Cells(values.tolist(), np.asarray(places, dtype=np.int64))
    if series.implementation.is_polars() and native.dtype != pl.Object:
        if native.dtype in (pl.Categorical, pl.Enum):
            native = native.cast(pl.String)
        different = native.drop_nulls().unique(maintain_order=True)
        numbers = pl.Series(np.arange(len(different)))
        if not len(different):
            return Cells([], np.full(len(native), -1))
        places = native.replace_strict(different, numbers, default=-1, return_dtype=pl.Int64)
        return Cells(different.to_list(), places.to_numpy())
    found: dict[Any, int] = {}
    places = [-1 if v is None else found.setdefault(v, len(found)) for v in series.to_list()]
    return Cells(list(found), np.array(places, dtype=np.int64))


def _spelled(series: Series, kind: str, cells: Cells) -> list[str | None]:
    """The text of each different value; None for one that means a missing one."""
    texts: list[str | None] = []
    for place, value in enumerate(cells.values):
        if value is None or value != value:
            texts.append(None)
        elif kind == "category":
            texts.append(text_of(value))
        else:
            texts.append(_word(series, value, cells, place))
    return texts


def _word(series: Series, value: Any, cells: Cells, place: int) -> str:
    try:
        return WORDS[truth_of(value)]
    except (KeyError, ValueError, TypeError):
        row = int(np.argmax(cells.places == place))
        raise misfit(series.name, row, f"{value!r} is neither true nor false") from None


@dataclass(frozen=True)
class Categorical:
    """A category: columns of its own if it has few levels, or else a whole number for an embedding.

    Of two levels, a single column has 1 for the first and -1 for the second. A missing value, a rare level
    and one that was never seen are 0 in every column; as a code they are 0, and the levels count from 1.

    Attributes
    ----------
    name : str
    kind : {"category", "boolean"}
    levels : tuple of str
    one_hot : tuple of Scaling
        How each column is scaled; none of a category that is a code.
    rare : int
        How many levels of the training rows were left out.
    """

    name: str
    kind: str
    levels: tuple[str, ...]
    one_hot: tuple[Scaling, ...]
    rare: int = 0

    def __post_init__(self) -> None:
        count = len(self.levels)
        sensible(
            all(isinstance(text, str) for text in (self.name, *self.levels)),
            self.kind in ("category", "boolean"),
            count > 0,
            len(self.one_hot) in (0, 1 if count <= 2 else count),
            self.rare >= 0,
        )

    @classmethod
    def learn(
        cls, series: Series, kind: str, rows: Rows, *, widest: int, most: int, scaled: bool
    ) -> tuple[Categorical | Dropped, Any]:
        """The column by its training rows, and the code of each row.

        Parameters
        ----------
        series : narwhals.Series
        kind : {"category", "boolean"}
        rows : ndarray of int64
        widest : int
            Most levels that get columns of their own.
        most : int
            Most levels.
        scaled : bool
            Whether those columns are scaled.
        """
        cells = cells_of(series)
        texts = _spelled(series, kind, cells)
        seen = np.bincount(cells.places[rows] + 1, minlength=len(texts) + 1)[1:]
        counts: dict[str, int] = {}
        for text, count in zip(texts, seen.tolist(), strict=True):
            if text is not None and count:
                counts[text] = counts.get(text, 0) + count
        common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
        levels = tuple(sorted(level for level, count in common if count >= FEWEST))
        rest = len(rows) - sum(counts[level] for level in levels)
        if not levels or (len(levels) == 1 and not rest):
            return Dropped(series.name, kind, _reason(counts, len(rows))), None
        numbers = [rest, *(counts[level] for level in levels)]
        one_hot = _scalings(numbers, scaled) if len(levels) <= widest else ()
        column = cls(series.name, kind, levels, one_hot, len(counts) - len(levels))
        return column, column.codes(texts, cells)

    def codes(self, texts: Sequence[str | None], cells: Cells) -> Codes:
        """The code of each row."""
        place = {level: code for code, level in enumerate(self.levels, 1)}
        table = np.array(
            [0, *(place.get(text, 0) if text is not None else 0 for text in texts)], dtype=np.int32
        )
        codes: Codes = table[cells.places + 1]
        return codes

    def read(self, series: Series) -> Codes:
        """The code of each cell."""
        cells = cells_of(series)
        return self.codes(_spelled(series, self.kind, cells), cells)

    @cached_property
    def table(self) -> Matrix:
        """What stands in the one-hot columns for each code, of shape (1 + levels, columns)."""
        raw = indicators(len(self.levels))
        return np.column_stack([s(column) for s, column in zip(self.one_hot, raw.T, strict=True)]).astype(
            np.float32
        )

    def write(self, raw: Codes, out: Inputs) -> None:
        """Put the inputs of these codes in their places."""
        if self.one_hot:
            out.one_hot[:] = self.table[raw]
        else:
            out.codes[:, 0] = raw

    @property
    def number_names(self) -> tuple[str, ...]:
        """It has no numbers."""
        return ()

    @property
    def one_hot_names(self) -> tuple[str, ...]:
        """Names of its columns among the one-hot ones."""
        return tuple(f"{self.name}={level}" for level in self.levels[: len(self.one_hot)])

    @property
    def cardinality(self) -> int:
        """The number of codes, with that of a missing value; 0, if it has columns in place of a code."""
        return 0 if self.one_hot else 1 + len(self.levels)

    @property
    def done(self) -> str:
        """What is done to the column, in words."""
        count = "1 level" if len(self.levels) == 1 else f"{len(self.levels)} levels"
        shown = ", ".join(self.levels[:4]) + (", …" if len(self.levels) > 4 else "")
        rare = f", {self.rare} rare ones left out" if self.rare else ""
        columns = "1 column" if len(self.one_hot) == 1 else f"{len(self.one_hot)} columns"
        return f"{count} ({shown}){rare}, {columns if self.one_hot else 'a code'}"


def indicators(levels: int) -> Numbers:
    """The one-hot columns of each code before they are scaled: row 0 is that of a missing value."""
    if levels == 2:
        return np.array([[0.0], [1.0], [-1.0]])
    return np.vstack([np.zeros(levels), np.eye(levels)])


def _scalings(counts: Sequence[int], scaled: bool) -> tuple[Scaling, ...]:
    """How the one-hot columns are scaled, from how often each code is there."""
    raw = indicators(len(counts) - 1)
    if not scaled:
        return (PLAIN,) * len(raw[0])
    found = []
    for column in raw.T:
        order = np.argsort(column, kind="stable")
        found.append(Scaling.of_counts(column[order].tolist(), np.array(counts)[order].tolist()) or PLAIN)
    return tuple(found)


def _reason(counts: dict[str, int], rows: int) -> str:
    if not counts:
        return "every value is missing"
    if len(counts) == 1 and sum(counts.values()) == rows:
        return "every value is the same"
    return f"none of its {len(counts)} texts is in {FEWEST} rows or more"
