"""Tables in files: CSV, TSV and Parquet in, CSV out. Never a silent misreading.

What the cells of a column are follows from all of them together: whole numbers, numbers,
true/false, dates, or else text. A column whose cells leave doubt is refused, with the place and a
remedy.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, Literal

import polars as pl

from chainrule import cells
from chainrule.cells import shortened
from chainrule.delimited import Delimited, split
from chainrule.errors import DataError, OptionError

PARQUET = b"PAR1"
FEW = 5  # so many different cells that are no numbers, in a column of numbers, look like mistakes

REMEDY = "Correct it, leave it empty if it is missing, or read the column as text"


def read_table(
    path: str | Path,
    *,
    text: Collection[str] = (),
    separator: str | None = None,
    decimal: Literal[".", ","] = ".",
) -> pl.DataFrame:
    """Read a table from a CSV, TSV or Parquet file.

    In a CSV or TSV file, the cells of a column decide what it is:

    - whole numbers and numbers, where every cell is one or is missing: empty, ``NA``, ``N/A``,
      ``NaN``, ``null``, ``None`` or ``?``, in any case. A column with a leading zero, such as 007,
      or with whole numbers of more than 64 bits, stays text;
    - true/false, in any case;
    - dates and times as ISO 8601 writes them: ``2024-01-31``, ``2024-01-31 12:30``;
    - else text, unchanged. Only an empty cell is missing there: NA stays "NA".

    Parameters
    ----------
    path : str or Path
        The file. A Parquet file is known by its content, and keeps the types that it has.
    text : collection of str
        Columns to read as text, whatever their cells hold. Names that the file lacks do not matter.
    separator : str, optional
        The character between the cells. If not given, it is found: comma, semicolon or tab.
    decimal : {".", ","}
        The decimal mark.

    Returns
    -------
    polars.DataFrame

    Raises
    ------
    DataError
        If the file cannot be read without doubt. The message names the file, line and column.
    OptionError
        If an option has a value that it may not have.
    """
    if separator is not None and (len(separator) != 1 or separator in '"\r\n' or separator > "~"):
        raise OptionError(f"The separator must be one character, such as ';', not {separator!r}.")
    if decimal not in (".", ","):
        raise OptionError(f"The decimal mark must be '.' or ',', not {decimal!r}.")
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    if raw.startswith(PARQUET):
        return _read_parquet(raw, path.name)
    if separator is None and path.suffix.lower() in (".tsv", ".tab"):
        separator = "\t"
    table = split(raw, path.name, separator)
    names = table.cells.columns
    return pl.DataFrame([_Column(table, name, decimal).typed(name in text) for name in names])


def write_table(frame: pl.DataFrame, destination: str | Path | BinaryIO) -> None:
    """Write a table as CSV, such that no cell of text runs as a formula in a spreadsheet.

    Text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line end gets an apostrophe in
    front, but not text that is a number. Numbers are written such that reading them gives the same
    number.

    Parameters
    ----------
    frame : polars.DataFrame
    destination : str, Path or binary stream

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    safe = frame.with_columns(
        _without_formulas(pl.col(name).cast(pl.String)).alias(name)
        for name, kind in frame.schema.items()
        if kind in (pl.String, pl.Categorical, pl.Enum)
    ).rename({name: _without_formula(name) for name in frame.columns})
    raw = safe.write_csv().encode()
    if not isinstance(destination, str | Path):
        destination.write(raw)
        return
    try:
        Path(destination).write_bytes(raw)
    except OSError as error:
        raise DataError(f"{destination} cannot be written: {error.strerror}.") from None


def _without_formulas(text: pl.Expr) -> pl.Expr:
    risky = text.str.contains(cells.FORMULA) & ~text.str.contains(cells.NUMBER)
    return pl.when(risky).then("'" + text).otherwise(text)


def _without_formula(name: str) -> str:
    risky = re.match(cells.FORMULA, name) and not re.match(cells.NUMBER, name)
    return f"'{name}" if risky else name


def _read_parquet(raw: bytes, name: str) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(io.BytesIO(raw))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{name} is a damaged Parquet file: {reason}.") from None
    if frame.is_empty():
        raise DataError(f"{name} has no rows.")
    return frame


class _Column:
    """One column of a file: finds out what it holds."""

    def __init__(self, table: Delimited, name: str, decimal: str) -> None:
        self.table = table
        self.name = name
        self.decimal = decimal
        self.raw = table.cells[name]
        self.cells = self.raw.str.strip_chars()
        if decimal == ",":
            points = self.cells.str.contains(".", literal=True)  # they may group thousands
            swapped = self.cells.str.replace(",", ".", literal=True)
            self.cells = swapped.zip_with(self._all(cells.DECIMAL_COMMA), self.cells)
            self.numbers = self._all(cells.NUMBER) & ~points
        else:
            self.numbers = self._all(cells.NUMBER)
        self.missing = self.cells.str.to_lowercase().is_in(cells.MISSING)
        self.present = len(self.cells) - int(self.missing.sum())

    def typed(self, as_text: bool) -> pl.Series:
        """The column with the type that its cells have."""
        if as_text or not self.present:
            return self.text()
        numbers = self.numbers | self._all(cells.INFINITE)
        if self._holds(numbers):
            return self.number()
        if self._holds(self.cells.str.to_lowercase().is_in(list(cells.TRUTH))):
            return self._without_missing(self.cells.str.to_lowercase()) == "true"
        if self._holds(self._all(cells.MOMENT)):
            return self.date()
        self.refuse_grouped(numbers | self._all(cells.DECIMAL_COMMA) | self._all(cells.GROUPED))
        self.refuse_marked(numbers)
        self.refuse_mixture(numbers, "a number")
        self.refuse_mixture(self._all(cells.MOMENT), "a date like 2024-01-31")
        return self.text()

    def text(self) -> pl.Series:
        """As it stands; empty cells are missing."""
        return self._where(self.cells != "", self.raw)

    def number(self) -> pl.Series:
        """Whole numbers, numbers, or codes that only look like numbers."""
        numbers = self._without_missing(self.cells)
        whole = self._holds(self._all(cells.WHOLE))
        if self._all(cells.PADDED).any():
            return self.text()
        if whole:
            exact = numbers.cast(pl.Int64, strict=False)
            return self.text() if self._lost(exact).any() else exact
        self.refuse(self.inexact(), "has more digits than a number beside fractions can keep")
        floats = numbers.cast(pl.Float64, strict=False)
        self.refuse(floats.is_infinite().fill_null(False), "is not a finite number")
        return floats

    def inexact(self) -> pl.Series:
        """Which cells are whole numbers that no float is equal to, such as long identifiers."""
        long = self._all(cells.WHOLE) & (self.cells.str.len_chars() > len(str(cells.EXACT)) - 1)
        places = long.arg_true().to_list()
        lost = [row for row in places if int(self.cells[row]) != int(float(self.cells[row]))]
        return pl.Series([False]).new_from_index(0, len(self.cells)).scatter(lost, True)

    def date(self) -> pl.Series:
        """Dates; with a time of day, if a cell has one."""
        plain = self.cells.str.replace("T", " ").str.strip_suffix("Z")
        if self._holds(self._all(cells.DATE)):
            dates = plain.str.to_date("%Y-%m-%d", strict=False)
        else:
            dates = pl.select(
                pl.coalesce(
                    pl.lit(plain).str.to_datetime(form, time_unit="us", strict=False)
                    for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
                ).fill_null(pl.lit(plain).str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")))
            ).to_series()
        self.refuse(self._lost(dates), "is not a date that exists")
        return dates.alias(self.name)

    # -------------------------------------------------------------- refusals

    def refuse_grouped(self, numeric: pl.Series) -> None:
        """Refuse numbers with a decimal comma or with separated thousands: 1,5 or 1,234."""
        if not self._holds(numeric):
            return
        odd = ~self.numbers & ~self.missing
        mark = "1.5 (or say that the decimal mark is a comma)" if self.decimal == "." else "1,5"
        self.refuse(odd, "can be read in two ways", f"Write 1234 and {mark}, or read the column as text")

    def refuse_marked(self, numbers: pl.Series) -> None:
        """Refuse numbers with a unit, a typographic sign or blanks in them: 5 %, €5, −5."""
        marked = self._all(cells.MARKED) & ~numbers
        if self._holds(numbers | marked):
            self.refuse(
                marked & ~self.missing,
                "is a number with a mark that numbers here do not have",
                "Write -1234.5, without units and blanks, or read the column as text",
            )

    def refuse_mixture(self, fitting: pl.Series, what: str) -> None:
        """Refuse a few cells that differ from most others."""
        odd = ~fitting & ~self.missing
        most = 2 * int(odd.sum()) < self.present
        if most and self.cells.filter(odd).n_unique() <= FEW:
            fit = self.present - int(odd.sum())
            self.refuse(odd, f"is not {what}, but {fit} of {self.present} cells are")

    def refuse(self, wrong: pl.Series, problem: str, remedy: str = REMEDY) -> None:
        """Refuse the column, if a cell is wrong."""
        if wrong.any():
            row = wrong.arg_true()[0]
            cell = shortened(self.raw[row])
            raise self.table.error(row, self.name, f"{cell} {problem}. {remedy}.")

    # -------------------------------------------------------------- small helpers

    def _all(self, pattern: str) -> pl.Series:
        return self.cells.str.contains(pattern)

    def _holds(self, fitting: pl.Series) -> bool:
        """Whether all cells fit that are not missing."""
        return bool((fitting | self.missing).all())

    def _lost(self, values: pl.Series) -> pl.Series:
        return values.is_null() & ~self.missing

    def _without_missing(self, values: pl.Series) -> pl.Series:
        return self._where(~self.missing, values)

    def _where(self, kept: pl.Series, values: pl.Series) -> pl.Series:
        return values.zip_with(kept, pl.Series([None], dtype=pl.String)).alias(self.name)
