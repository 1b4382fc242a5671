"""From the bytes of a CSV or TSV file to cells of text, strictly.

polars splits the cells. Before that, the layout of the file is checked, because polars alone fills
short rows with nothing and takes quotes inside of a cell as they come.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from chainrule.cells import NUMBER
from chainrule.csv_layout import Offsets, Table, Text, find_separator, line_of
from chainrule.errors import DataError

NOT_TEXT = {
    b"PK\x03\x04": "is an Excel workbook or a zip archive: save the sheet as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook: save the sheet as CSV",
    b"\x1f\x8b": "is compressed: unpack it first, with gzip -d",
    b"\x28\xb5\x2f\xfd": "is compressed: unpack it first, with zstd -d",
    b"%PDF-": "is a PDF document: export the table as CSV",
    b"<!DOCTYPE": "is a web page: export the table as CSV",
    b"<html": "is a web page: export the table as CSV",
}


@dataclass(frozen=True)
class Delimited:
    """The cells of a file, as text, and where each stands.

    Attributes
    ----------
    name : str
        The file's name, for messages.
    cells : polars.DataFrame
        All columns are text; an empty cell is the empty string.
    data : bytes
        The file, in UTF-8.
    starts : ndarray of int64
        Where each row begins in `data`; the header is left out.
    before : int
        Lines of the file before `data`.
    """

    name: str
    cells: pl.DataFrame
    data: bytes
    starts: Offsets
    before: int = 0

    def line(self, row: int) -> int:
        """The line of the file that a row begins in."""
        return self.before + line_of(self.data, self.starts[row])

    def error(self, row: int, column: str, problem: str) -> DataError:
        """The error about one cell."""
        return DataError(f"{self.name}, line {self.line(row)}, column {column!r}: {problem}")


def split(raw: bytes, name: str, separator: str | None = None) -> Delimited:
    """Split the bytes of a file into cells.

    Blanks around a name in the header do not count, and neither do empty lines, if there are two
    columns or more.

    Parameters
    ----------
    raw : bytes
        What the file holds.
    name : str
        Its name, for messages.
    separator : str or None
        The character between cells; None finds it.

    Raises
    ------
    DataError
        If the bytes are not a table with a header: the message names the line, the column where
        there is one, and a remedy.
    """
    text = Text(name, as_utf8(raw, name))
    delimited = delimit(text, separator or find_separator(text))
    if not delimited.cells.height:
        raise no_rows(name)
    return delimited


def no_rows(name: str) -> DataError:
    """The error about a file without rows."""
    return DataError(f"{name} has a header, but no rows below it.")


def delimit(text: Text, separator: str) -> Delimited:
    """Text, with its header, into cells: none, if there are no rows."""
    table = text.divided_by(separator)
    names = _header(table)
    starts = table.rows[1:]
    if len(starts):
        cells = split_cells(table.body, separator)
    else:
        cells = pl.DataFrame(schema={str(place): pl.String for place in range(len(names))})
    if cells.shape != (len(starts), len(names)):  # a guard: both readings must see the same table
        raise DataError(f"{text.name} cannot be read as a table of {len(names)} columns.")
    cells.columns = names
    delimited = Delimited(text.name, cells, text.data, starts, text.before)
    _refuse_repeated_header(delimited)
    return delimited


def split_cells(data: bytes, separator: str, places: Sequence[int] | None = None) -> pl.DataFrame:
    """Split text without a header into the cells of all columns, or of those at some places.

    An empty cell is the empty string.
    """
    chosen = None if places is None else sorted(places)
    frame = pl.read_csv(
        io.BytesIO(data), has_header=False, separator=separator, infer_schema=False, columns=chosen
    )
    if places is not None and chosen is not None:
        frame = frame.select(frame.columns[chosen.index(place)] for place in places)
    return frame.fill_null("")


# ------------------------------------------------------------------ encodings


def as_utf8(raw: bytes, name: str) -> bytes:
    """The text in UTF-8, without a byte order mark; where it had only returns, with line feeds."""
    for magic, what in NOT_TEXT.items():
        if raw.startswith(magic):
            raise DataError(f"{name} {what}.")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            raw = raw.decode("utf-16").encode()
        except UnicodeError:
            raise DataError(f"{name} is damaged UTF-16 text: save it as UTF-8.") from None
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if not raw.strip():
        raise DataError(f"{name} is empty.")
    return raw if b"\n" in raw else raw.replace(b"\r", b"\n")


# ------------------------------------------------------------------ the header


def _header(table: Table) -> list[str]:
    """The names of the columns."""
    names = [name.strip() for name in split_cells(table.text.data[table.text.head], table.separator).row(0)]
    place = table.place(table.text.head.start, column=False)
    if "" in names:
        raise DataError(
            f"{place}, column {names.index('') + 1}: the column has no name. Give it one, or "
            "remove the column."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice and not _all_numbers(names):
        where = " and ".join(str(i + 1) for i, name in enumerate(names) if name == twice[0])
        raise DataError(f"{place}, columns {where}: both are called {twice[0]!r}. Rename one of them.")
    if _all_numbers(names):
        raise DataError(
            f"{place}: the first line holds {', '.join(names[:3])}, but the names of the columns "
            "belong there. Add a header."
        )
    return names


def _all_numbers(names: Sequence[str]) -> bool:
    return all(_is_number(name) for name in names)


def _is_number(name: str) -> bool:
    return re.match(NUMBER, name) is not None


def _refuse_repeated_header(table: Delimited) -> None:
    """Refuse a first line that looks like a row, and a later line that looks like the header."""
    names, cells = table.cells.columns, table.cells
    if len(names) < 2:
        return
    same = cells.select(pl.all_horizontal(pl.col(n).str.strip_chars() == n for n in names)).to_series()
    if same.any():
        row = same.arg_true()[0]
        raise table.error(row, names[0], "this line is the header once more. Remove it.")
    if any(_is_number(name) for name in names):
        known = [
            name for name in names if not _is_number(name) and (cells[name].str.strip_chars() == name).any()
        ]
        if known:
            raise DataError(
                f"{table.name}: the header names a column {known[0]!r}, which is also a value in "
                "that column. If the header is missing, add a line with the names of the columns; "
                "else rename that one."
            )
