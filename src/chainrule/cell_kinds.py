"""What the cells of a column are, found out from all of them together, a piece of the column at a time.

A `Census` counts the cells of each sort, and remembers where the first of each was; when all pieces have
been counted it says what the column is, or refuses it with the place and a remedy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from chainrule import cells
from chainrule.cells import shortened
from chainrule.delimited import Delimited
from chainrule.errors import DataError

FEW = 5  # so many different cells that are no numbers, in a column of numbers, look like mistakes
REMEDY = "Correct it, leave it empty if it is missing, or read the column as text"
TEXT, WHOLE, FLOAT, TRUTH, DATE, MOMENT = "text", "whole", "float", "truth", "date", "moment"


class Cells:
    """Some cells of one column, as text."""

    def __init__(self, raw: pl.Series, decimal: str) -> None:
        self.raw, self.decimal = raw, decimal
        self.stripped = raw.str.strip_chars()

    @cached_property
    def cells(self) -> pl.Series:
        """Without blanks around them, and with a decimal point."""
        if self.decimal != ",":
            return self.stripped
        swapped = self.stripped.str.replace(",", ".", literal=True)
        return swapped.zip_with(self.stripped.str.contains(cells.DECIMAL_COMMA), self.stripped)

    @cached_property
    def numbers(self) -> pl.Series:
        """Which are numbers; with a decimal comma, points may group thousands."""
        numbers = self.matching(cells.NUMBER)
        if self.decimal == ",":
            numbers &= ~self.stripped.str.contains(".", literal=True)
        return numbers

    @cached_property
    def lower(self) -> pl.Series:
        """In small letters."""
        return self.cells.str.to_lowercase()

    @cached_property
    def missing(self) -> pl.Series:
        """Which are missing, if the column is not text."""
        return self.lower.is_in(cells.MISSING)

    def matching(self, pattern: str) -> pl.Series:
        """Which match."""
        return self.cells.str.contains(pattern)

    # -------------------------------------------------------------- as what they are

    def typed(self, kind: str) -> pl.Series:
        """The values of cells of a kind; what is missing is null."""
        return getattr(self, f"_as_{kind}")().alias(self.raw.name)  # type: ignore[no-any-return]

    def _as_text(self) -> pl.Series:
        return self._where(self.stripped != "", self.raw)

    def _as_whole(self) -> pl.Series:
        return self.cells.cast(pl.Int64, strict=False)  # the words for a missing value are no numbers

    def _as_float(self) -> pl.Series:
        return self.cells.cast(pl.Float64, strict=False).fill_nan(None)

    def _as_truth(self) -> pl.Series:
        return self.present(self.lower) == "true"

    def _as_date(self) -> pl.Series:
        return self._plain.str.to_date("%Y-%m-%d", strict=False)

    def _as_moment(self) -> pl.Series:
        return pl.select(
            pl.coalesce(
                pl.lit(self._plain).str.to_datetime(form, time_unit="us", strict=False)
                for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
            ).fill_null(pl.lit(self._plain).str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")))
        ).to_series()

    @property
    def _plain(self) -> pl.Series:
        return self.cells.str.replace("T", " ").str.strip_suffix("Z")

    def present(self, values: pl.Series) -> pl.Series:
        """The values, null where they are missing."""
        return self._where(~self.missing, values)

    def _where(self, kept: pl.Series, values: pl.Series) -> pl.Series:
        return values.zip_with(kept, pl.Series([None], dtype=pl.String))


@dataclass
class Tally:
    """Cells of one sort.

    Attributes
    ----------
    count : int
    first : tuple or None
        Line and text of the first of them.
    different : set of str
        Some of their texts: all, if there are at most `FEW`.
    """

    count: int = 0
    first: tuple[int, str] | None = None
    different: set[str] = field(default_factory=set)

    def add(self, which: pl.Series, part: Cells, table: Delimited) -> None:
        """Count some cells of a piece."""
        count = int(which.sum())
        if not count:
            return
        self.count += count
        if self.first is None:
            row = which.arg_true()[0]
            self.first = table.line(row), part.raw[row]
        if len(self.different) <= FEW:
            self.different.update(part.cells.filter(which).unique(maintain_order=True).head(FEW + 1))


SORTS = (
    "no number", "not whole", "padded", "too long", "inexact", "infinite", "no truth", "no moment", "no date",
    "no such date", "not grouped", "odd", "not marked", "marked",
)  # fmt: skip


class Census:
    """The cells of a column, counted.

    Parameters
    ----------
    name : str
        Of the column.
    decimal : {".", ","}
    as_text : bool
        Whether the column is text, whatever its cells hold.
    """

    def __init__(self, name: str, decimal: str, *, as_text: bool) -> None:
        self.name, self.decimal, self.as_text = name, decimal, as_text
        self.present = 0
        self.tallies = {sort: Tally() for sort in SORTS}
        self.file = ""

    def add(self, table: Delimited, part: Cells) -> None:
        """Count the cells of a piece of the file."""
        self.file = table.name
        if self.as_text or self._is_surely_text():
            return
        present = ~part.missing
        self.present += int(present.sum())
        numbers = part.numbers | part.matching(cells.INFINITE)
        self._count(table, part, {"no number": present & ~numbers})
        if bool((numbers | part.missing).all()):
            self._count_numbers(table, part, present)
        else:
            self._count_others(table, part, present, numbers)

    def _is_surely_text(self) -> bool:
        """Whether no further cell can change that the column is text: too many of each sort differ."""
        many = all(len(self.tallies[sort].different) > FEW for sort in ("no number", "no moment"))
        mixed = all(self.tallies[sort].count for sort in ("no truth", "not grouped", "not marked"))
        return many and mixed

    def _count(self, table: Delimited, part: Cells, sorts: dict[str, pl.Series]) -> None:
        for sort, which in sorts.items():
            self.tallies[sort].add(which, part, table)

    def _count_numbers(self, table: Delimited, part: Cells, present: pl.Series) -> None:
        """A piece in which all that is not missing is a number, and so nothing else."""
        whole = part.matching(cells.WHOLE)
        values = part.present(part.cells)
        floats = values.cast(pl.Float64, strict=False)
        exact = values.cast(pl.Int64, strict=False)
        self._count(
            table,
            part,
            {
                "not whole": present & ~whole,
                "padded": part.matching(cells.PADDED),
                "too long": present & whole & exact.is_null(),
                "inexact": _inexact(part, whole),
                "infinite": floats.is_infinite().fill_null(False),
                "no truth": present,
                "no moment": present,
                "no date": present,
                "odd": present & ~part.numbers,
            },
        )

    def _count_others(self, table: Delimited, part: Cells, present: pl.Series, numbers: pl.Series) -> None:
        moments = part.matching(cells.MOMENT)
        marked = part.matching(cells.MARKED) & ~numbers
        grouped = numbers | part.matching(cells.DECIMAL_COMMA) | part.matching(cells.GROUPED)
        sorts = {
            "no truth": present & ~part.lower.is_in(list(cells.TRUTH)),
            "no moment": present & ~moments,
            "no date": present & ~part.matching(cells.DATE),
            "not grouped": present & ~grouped,
            "odd": present & ~part.numbers,
            "not marked": present & ~(numbers | marked),
            "marked": present & marked,
        }
        if not self.tallies["no moment"].count and bool((moments | part.missing).all()):
            sorts["no such date"] = present & part.typed(MOMENT).is_null()
        self._count(table, part, sorts)

    # -------------------------------------------------------------- what they are

    def kind(self) -> str:
        """What the column is.

        Raises
        ------
        DataError
            If that is in doubt.
        """
        if self.as_text or not self.present:
            return TEXT
        if self._none("no number"):
            return self._number()
        if self._none("no truth"):
            return TRUTH
        if self._none("no moment"):
            self._refuse("no such date", "is not a date that exists")
            return DATE if self._none("no date") else MOMENT
        self._refuse_grouped()
        self._refuse_marked()
        self._refuse_mixture("no number", "a number")
        self._refuse_mixture("no moment", "a date like 2024-01-31")
        return TEXT

    def _number(self) -> str:
        """Whole numbers, numbers, or codes that only look like numbers."""
        if not self._none("padded"):
            return TEXT
        if self._none("not whole"):
            return WHOLE if self._none("too long") else TEXT
        self._refuse("inexact", "has more digits than a number beside fractions can keep")
        self._refuse("infinite", "is not a finite number")
        return FLOAT

    def _refuse_grouped(self) -> None:
        """Refuse numbers with a decimal comma or with separated thousands: 1,5 or 1,234."""
        if self._none("not grouped"):
            mark = "1.5 (or say that the decimal mark is a comma)" if self.decimal == "." else "1,5"
            self._refuse(
                "odd", "can be read in two ways", f"Write 1234 and {mark}, or read the column as text"
            )

    def _refuse_marked(self) -> None:
        """Refuse numbers with a unit, a typographic sign or blanks in them: 5 %, €5, −5."""
        if self._none("not marked"):
            self._refuse(
                "marked",
                "is a number with a mark that numbers here do not have",
                "Write -1234.5, without units and blanks, or read the column as text",
            )

    def _refuse_mixture(self, sort: str, what: str) -> None:
        """Refuse a few cells that differ from most others."""
        odd = self.tallies[sort]
        if 2 * odd.count < self.present and len(odd.different) <= FEW:
            fit = self.present - odd.count
            self._refuse(sort, f"is not {what}, but {fit} of {self.present} cells are")

    def _none(self, sort: str) -> bool:
        return not self.tallies[sort].count

    def _refuse(self, sort: str, problem: str, remedy: str = REMEDY) -> None:
        """Refuse the column, if there is a cell of the sort."""
        first = self.tallies[sort].first
        if first is not None:
            line, cell = first
            raise DataError(
                f"{self.file}, line {line}, column {self.name!r}: {shortened(cell)} {problem}. {remedy}."
            )


def _inexact(part: Cells, whole: pl.Series) -> pl.Series:
    """Which cells are whole numbers that no float is equal to, such as long identifiers."""
    long = whole & (part.cells.str.len_chars() > len(str(cells.EXACT)) - 1)
    places = long.arg_true().to_list()
    lost = [row for row in places if int(part.cells[row]) != int(float(part.cells[row]))]
    return pl.Series([False]).new_from_index(0, len(part.cells)).scatter(lost, True)
