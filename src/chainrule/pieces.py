"""Tables in files that are read a piece at a time: CSV, TSV and Parquet of any size.

A CSV file is read once to check its layout and to find out what each column is, as `chainrule.frames` does
for a file as a whole, with the same refusals; then as often as its pieces are asked for.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import polars as pl

from chainrule.cell_kinds import Cells, Census
from chainrule.csv_layout import Table, Text, find_separator
from chainrule.delimited import as_utf8, delimit, no_rows, split_cells
from chainrule.errors import DataError
from chainrule.frames import PARQUET, by_name, check_reading, reading

LONGEST = 8  # a row may be so many pieces long
CELL = 64  # bytes of memory that a cell of a Parquet file is reckoned with


class Pieces(Protocol):
    """A table that is read in pieces.

    Attributes
    ----------
    name : str
        The file's, for messages.
    columns : list of str
    rows : int
    """

    name: str
    columns: list[str]
    rows: int

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows, in their order, with these columns or all."""


def open_table(
    path: str | Path,
    *,
    text: Collection[str] = (),
    separator: str | None = None,
    decimal: str = ".",
    piece: int = 1 << 24,
) -> Pieces:
    """A table in a file, to be read in pieces.

    Parameters
    ----------
    path, text, separator, decimal
        As for `chainrule.frames.read_table`.
    piece : int
        Bytes of the file that are read at once; of a Parquet file, the memory that a piece may take.

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
        with path.open("rb") as file:
            magic = file.read(len(PARQUET))
        if magic == PARQUET:
            return ParquetPieces(path, piece)
        return DelimitedPieces(path, text, separator or by_name(path), decimal, piece)


# ------------------------------------------------------------------ CSV and TSV


@dataclass(frozen=True)
class Block:
    """Whole lines of a file.

    Attributes
    ----------
    data : bytes
    begin : int
        Where they begin in the file.
    before : int
        Lines before them.
    """

    data: bytes
    begin: int
    before: int


@dataclass(frozen=True)
class Known:
    """A piece that has been looked at: where it is, and whether it has no line but rows of one line."""

    begin: int
    size: int
    plain: bool


class DelimitedPieces:
    """A CSV or TSV file; see `open_table`."""

    def __init__(
        self, path: Path, text: Collection[str], separator: str | None, decimal: str, piece: int
    ) -> None:
        self.path, self.name, self.decimal, self.piece = path, path.name, decimal, piece
        self.rows = 0
        self.columns: list[str] = []
        self._state = _state(path)
        self._known: list[Known] = []
        self._head, self._returns = b"", False
        censuses: dict[str, Census] = {}
        with path.open("rb") as file:
            for block in self._blocks(file):
                whole = self._with_head(block)
                if separator is None:
                    separator = find_separator(whole)
                table = delimit(whole, separator)
                if not self._head:
                    self._head = whole.data[whole.head]
                    self.columns = table.cells.columns
                    censuses = {n: Census(n, decimal, as_text=n in text) for n in self.columns}
                for name, census in censuses.items():
                    census.add(table, Cells(table.cells[name], decimal))
                self._note(block, table.cells.height)
        self.separator = separator or ","
        if not self.rows:
            raise no_rows(self.name)
        self._kinds = {name: census.kind() for name, census in censuses.items()}

    def _note(self, block: Block, rows: int) -> None:
        lines = block.data.count(b"\n") + (not block.data.endswith(b"\n"))
        first = not self._known  # the header is among its lines
        self._known.append(Known(block.begin, len(block.data), not first and rows == lines))
        self.rows += rows

    def _with_head(self, block: Block) -> Text:
        """A block with the header in front, which the first one has of itself."""
        if not self._head:
            return Text(self.name, block.data, block.before)
        before = block.before - self._head.count(b"\n") - 1
        return Text(self.name, self._head + b"\n" + block.data, before)

    def _blocks(self, file: IO[bytes]) -> Iterator[Block]:
        """The whole lines of the file, about `piece` bytes at once."""
        rest, begin, before = b"", 0, 0
        while True:
            more = file.read(self.piece)
            data = rest + (more.replace(b"\r", b"\n") if self._returns else more)
            if not begin and not rest:
                data, begin = self._first(data)
            end = self._last_end(data) if more else len(data)
            if not end and more and len(data) > LONGEST * self.piece:
                raise DataError(
                    f"{self.name}, line {before + 1}: the row that begins here does not end within "
                    f"{len(data) >> 20} MB. Close the double quote, if one is open, or allow more memory."
                )
            if end:
                yield Block(data[:end], begin, before)
                before += data.count(b"\n", 0, end)
                begin += end
            rest = data[end:]
            if not more:
                return

    def _first(self, data: bytes) -> tuple[bytes, int]:
        """The text of the first bytes, and where it begins."""
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise DataError(f"{self.name} is UTF-16 text, which cannot be read in pieces: save it as UTF-8.")
        self._returns = b"\n" not in data and b"\r" in data
        text = as_utf8(data, self.name)
        return text, len(data) - len(text)

    def _last_end(self, data: bytes) -> int:
        """Behind the last line that ends outside of quotes; 0 if there is none."""
        if b'"' not in data:
            return data.rfind(b"\n") + 1
        ends = Text(self.name, data).ends
        inside = ends[ends < len(data)]
        return int(inside[-1]) + 1 if len(inside) else 0

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows, in their order, with these columns or all."""
        columns = self.columns if columns is None else columns
        places = [self.columns.index(name) for name in columns]
        if _state(self.path) != self._state:
            raise DataError(f"{self.name} was changed while it was read.")
        with self.path.open("rb") as file:
            for known in self._known:
                body = self._body(file, known)
                if not body:
                    continue
                cells = split_cells(body, self.separator, places)
                cells.columns = list(columns)
                yield pl.DataFrame(
                    [Cells(cells[name], self.decimal).typed(self._kinds[name]) for name in columns]
                )

    def _body(self, file: IO[bytes], known: Known) -> bytes:
        """The rows of a piece, without empty lines."""
        file.seek(known.begin)
        data = file.read(known.size)
        if self._returns:
            data = data.replace(b"\r", b"\n")
        if known.plain:
            return data
        first = known is self._known[0]
        text = Text(self.name, data) if first else self._with_head(Block(data, known.begin, 0))
        return Table(text, self.separator).body


# ------------------------------------------------------------------ Parquet


class ParquetPieces:
    """A Parquet file; see `open_table`."""

    def __init__(self, path: Path, piece: int) -> None:
        self.path, self.name = path, path.name
        self._state = _state(path)
        try:
            self._scan = pl.scan_parquet(path)
            self.columns = self._scan.collect_schema().names()
            self.rows = int(self._scan.select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._damaged(error) from None
        if not self.rows:
            raise DataError(f"{self.name} has no rows.")
        self._step = max(1, piece // (CELL * max(1, len(self.columns))))

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows, in their order, with these columns or all."""
        if _state(self.path) != self._state:
            raise DataError(f"{self.name} was changed while it was read.")
        chosen = self._scan if columns is None else self._scan.select(columns)
        for first in range(0, self.rows, self._step):
            try:
                yield chosen.slice(first, self._step).collect()
            except (pl.exceptions.PolarsError, OSError) as error:
                raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> DataError:
        return DataError(f"{self.name} is a damaged Parquet file: {str(error).splitlines()[0]}.")


def _state(path: Path) -> tuple[Any, ...]:
    """What changes when a file is written to."""
    facts = os.stat(path)
    return facts.st_size, facts.st_mtime_ns, facts.st_ino
