"""Tables in files: CSV, TSV and Parquet in, CSV out. Never a silent misreading.

What the cells of a column are follows from all of them together: whole numbers, numbers,
true/false, dates, or else text. A column whose cells leave doubt is refused, with the place and a
remedy.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import polars as pl

from chainrule import cells
from chainrule.cell_kinds import Cells, Census
from chainrule.delimited import Delimited, split
from chainrule.errors import DataError, OptionError

PARQUET = b"PAR1"


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
    check_reading(separator, decimal)
    path = Path(path)
    with reading(path):
        raw = path.read_bytes()
    if raw.startswith(PARQUET):
        return _read_parquet(raw, path.name)
    table = split(raw, path.name, separator or by_name(path))
    names = table.cells.columns
    return pl.DataFrame([_column(table, name, decimal, as_text=name in text) for name in names])


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Where a file that cannot be read becomes an error of the data."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None


def by_name(path: Path) -> str | None:
    """The separator that the name of a file tells, if any."""
    return "\t" if path.suffix.lower() in (".tsv", ".tab") else None


def check_reading(separator: str | None, decimal: str) -> None:
    """Refuse what is no separator or no decimal mark."""
    if separator is not None and (len(separator) != 1 or separator in '"\r\n' or separator > "~"):
        raise OptionError(f"The separator must be one character, such as ';', not {separator!r}.")
    if decimal not in (".", ","):
        raise OptionError(f"The decimal mark must be '.' or ',', not {decimal!r}.")


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


def _column(table: Delimited, name: str, decimal: str, *, as_text: bool) -> pl.Series:
    """A column with the type that its cells have."""
    part, census = Cells(table.cells[name], decimal), Census(name, decimal, as_text=as_text)
    census.add(table, part)
    return part.typed(census.kind())
