"""Where the rows and cells of a CSV file begin; what is no table is refused.

NumPy looks at every quote, separator and line end of the file at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
QUOTE, LF, CR = b'"'[0], b"\n"[0], b"\r"[0]

Offsets = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Text:
    """Text in which the quotes have been paired, but whose separator is not known yet.

    Attributes
    ----------
    name : str
        Of the file.
    data : bytes
    before : int
        Lines of the file before `data`.
    """

    name: str
    data: bytes
    before: int = 0

    @cached_property
    def bytes(self) -> npt.NDArray[np.uint8]:
        return np.frombuffer(self.data, np.uint8)

    @cached_property
    def quoted(self) -> Mask:
        """Which bytes stand inside of quotes; a doubled quote goes out and in again."""
        inside: Mask = np.bitwise_xor.accumulate(self.bytes == QUOTE)
        return inside

    @cached_property
    def ends(self) -> Offsets:
        """Where the lines end, but for the line ends inside of quotes."""
        ends = np.flatnonzero((self.bytes == LF) & ~self.quoted)
        whole = len(ends) and ends[-1] == len(self.data) - 1
        return ends if whole else np.append(ends, len(self.data))

    @cached_property
    def starts(self) -> Offsets:
        return np.append(0, self.ends[:-1] + 1)

    @cached_property
    def empty(self) -> Mask:
        """Which lines are empty."""
        first = self.bytes[np.minimum(self.starts, len(self.data) - 1)]
        lengths = self.ends - self.starts
        empty: Mask = (lengths == 0) | ((lengths == 1) & (first == CR))
        return empty

    @property
    def head(self) -> slice:
        """The first line that is not empty."""
        first = int(np.argmin(self.empty))
        return slice(int(self.starts[first]), int(self.ends[first]))

    def divided_by(self, separator: str) -> Table:
        """Put a separator to it, and refuse what is no table then."""
        table = Table(self, separator)
        _check_quotes(table)
        _check_bytes(table)
        table.check_widths()
        return table


@dataclass(frozen=True)
class Table:
    """Text with its separator."""

    text: Text
    separator: str

    @cached_property
    def marks(self) -> Mask:
        """Which bytes separate cells."""
        marks: Mask = (self.text.bytes == ord(self.separator)) & ~self.text.quoted
        return marks

    @cached_property
    def kept(self) -> Mask:
        """Which lines are rows: the header and all after it that are not empty.

        In a table of one column an empty line is an empty cell.
        """
        if self.marks[self.text.head].any():
            return ~self.text.empty
        return np.arange(len(self.text.empty)) >= np.argmin(self.text.empty)

    @cached_property
    def rows(self) -> Offsets:
        """Where the rows begin."""
        return self.text.starts[self.kept]

    @cached_property
    def widths(self) -> Offsets:
        """How many cells each row has."""
        counts = np.add.reduceat(self.marks, self.text.starts, dtype=np.int64)
        return counts[self.kept] + 1

    @property
    def body(self) -> bytes:
        """What is below the header, without empty lines."""
        kept = self.kept.copy()
        kept[np.argmax(kept)] = False
        lengths = np.diff(np.append(self.text.starts, len(self.text.data)))
        return self.text.bytes[np.repeat(kept, lengths)].tobytes()

    @property
    def is_even(self) -> bool:
        return bool((self.widths == self.widths[0]).all())

    def check_widths(self) -> None:
        """Refuse a row with more or fewer cells than the header has."""
        if self.is_even:
            return
        row = int(np.argmax(self.widths != self.widths[0]))
        found, wanted = int(self.widths[row]), int(self.widths[0])
        place = self.place(int(self.rows[row]), column=False)
        mark = SEPARATORS.get(self.separator, "separator")
        many = "Is there a separator too many, or a column without a name?"
        raise DataError(
            f"{place}: {_count(found, 'value')} where the header has {_count(wanted, 'name')}. "
            f"{many if found > wanted else 'Is a value missing?'} "
            f"Text with a {mark} in it must stand in double quotes."
        )

    def place(self, offset: int, *, column: bool = True) -> str:
        """The file, line and column of a byte."""
        line = f"{self.text.name}, line {self.text.before + line_of(self.text.data, offset)}"
        if not column:
            return line
        start = self.text.starts[np.searchsorted(self.text.starts, offset, side="right") - 1]
        return f"{line}, column {int(self.marks[start:offset].sum()) + 1}"


def _check_quotes(table: Table) -> None:
    """Refuse a quote that does not enclose a whole cell."""
    text = table.text
    quotes = np.flatnonzero(text.bytes == QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    edge = np.zeros(256, bool)
    edge[[QUOTE, LF, CR, ord(table.separator)]] = True
    before = edge[text.bytes[opening - 1]] | (opening == 0)
    last = len(text.data) - 1
    after = edge[text.bytes[np.minimum(closing + 1, last)]] | (closing == last)
    wrong = [opening[~before][:1], opening[: len(closing)][~after][:1]]
    if len(opening) > len(closing):
        wrong.append(opening[-1:])
    found = np.concatenate(wrong)
    if len(found):
        raise DataError(
            f"{table.place(int(found.min()))}: the double quote here encloses no whole cell. "
            "Close it. If it is part of the text, enclose the cell in quotes and double it, "
            'as in "5"" pipe".'
        )


def _check_bytes(table: Table) -> None:
    """Refuse what is not text: NUL bytes, other encodings, stray carriage returns."""
    data = table.text.data
    if b"\0" in data:
        raise DataError(
            f"{table.place(data.index(0))}: a NUL byte. The file is damaged or is not UTF-8 text: "
            "save it again as CSV in UTF-8."
        )
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{table.place(error.start)}: the byte 0x{data[error.start]:02X} is not UTF-8. "
            "Save the file as UTF-8; if it is Latin-1, with iconv -f latin1 -t utf-8."
        ) from None
    if CR in data:
        lone = (table.text.bytes == CR) & ~table.text.quoted
        lone[:-1] &= table.text.bytes[1:] != LF
        if lone[:-1].any():
            place = table.place(int(np.argmax(lone)))
            raise DataError(f"{place}: a carriage return inside of a row. Put the cell in double quotes.")


def find_separator(text: Text) -> str:
    """The separator that the header has and all rows agree with."""
    head = text.bytes[text.head][~text.quoted[text.head]]
    counts = {separator: int((head == ord(separator)).sum()) for separator in SEPARATORS}
    found = [separator for separator, count in counts.items() if count]
    if not found and (head == ord("|")).any() and Table(text, "|").is_even:
        raise DataError(
            f"{text.name}: the bar (|) may separate the cells. If it does, name it as the separator."
        )
    if len(found) < 2:
        return found[0] if found else ","
    even = [separator for separator in found if Table(text, separator).is_even]
    if len(even) > 1:
        names = " or the ".join(SEPARATORS[separator] for separator in even)
        raise DataError(
            f"{text.name}: the {names} may separate the cells. Name the right one as the separator."
        )
    return even[0] if even else max(found, key=lambda separator: counts[separator])


def line_of(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
