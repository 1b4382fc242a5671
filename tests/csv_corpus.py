"""Tables in files: the bytes of each, and the table that it is or what its refusal must say."""

from __future__ import annotations

import csv
import datetime
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from chainrule.errors import DataError
from chainrule.frames import read_table, write_table

Case = tuple[bytes, dict[str, list[Any]]]

LONG = "x" * 200_000

STRUCTURE: dict[str, Case] = {
    "plain": (b"a,b\n1,2\n3,4\n", {"a": [1, 3], "b": [2, 4]}),
    "no end of line": (b"a,b\n1,2", {"a": [1], "b": [2]}),
    "CRLF": (b"a,b\r\n1,x\r\n2,y\r\n", {"a": [1, 2], "b": ["x", "y"]}),
    "CRLF, no end of line": (b"a,b\r\n1,x\r\n2,y", {"a": [1, 2], "b": ["x", "y"]}),
    "mixed line ends": (b"a,b\r\n1,x\n2,y\r\n", {"a": [1, 2], "b": ["x", "y"]}),
    "CR": (b"a,b\r1,2\r3,4\r", {"a": [1, 3], "b": [2, 4]}),
    "semicolon": (b"a;b\n1;x\n2;y\n", {"a": [1, 2], "b": ["x", "y"]}),
    "tab": (b"a\tb\n1\tx\n2\ty\n", {"a": [1, 2], "b": ["x", "y"]}),
    "semicolon, comma in a name": (b"a;b,c\n1;2\n3;4\n", {"a": [1, 3], "b,c": [2, 4]}),
    "comma, semicolons in cells": (b"a,b\nx;y,1\nz,2\n", {"a": ["x;y", "z"], "b": [1, 2]}),
    "tab, commas in cells": (b"a\tb\nx,y\t1\nz\t2\n", {"a": ["x,y", "z"], "b": [1, 2]}),
    "quoted separator": (b'a,b\n"x,y",1\nz,2\n', {"a": ["x,y", "z"], "b": [1, 2]}),
    "quoted separator in header": (b'"a,b",c\n1,2\n', {"a,b": [1], "c": [2]}),
    "quoted line end": (b'a,b\n"x\ny",1\nz,2\n', {"a": ["x\ny", "z"], "b": [1, 2]}),
    "quoted CRLF": (b'a,b\r\n"x\r\ny",1\r\nz,2\r\n', {"a": ["x\r\ny", "z"], "b": [1, 2]}),
    "quoted empty lines": (b'a,b\n"\n\n",1\nz,2\n', {"a": [None, "z"], "b": [1, 2]}),
    "quoted line end in header": (b'"a\nb",c\n1,2\n', {"a\nb": [1], "c": [2]}),
    "doubled quote": (b'a,b\n"5"" pipe",1\nz,2\n', {"a": ['5" pipe', "z"], "b": [1, 2]}),
    "only doubled quotes": (b'a,b\n"""""",1\nz,2\n', {"a": ['""', "z"], "b": [1, 2]}),
    "quoted numbers": (b'a,b\n"1","2"\n"3","4"\n', {"a": [1, 3], "b": [2, 4]}),
    "empty quotes": (b'a,b\n"",x\n1,""\n', {"a": [None, 1], "b": ["x", None]}),
    "apostrophe": (b"a,b\nit's,1\nisn't,2\n", {"a": ["it's", "isn't"], "b": [1, 2]}),
    "empty lines": (b"\n\na,b\n\n1,2\r\n\r\n3,4\n\n\n", {"a": [1, 3], "b": [2, 4]}),
    "empty lines and quotes": (b'a,b\n\n"x\n",1\n\ny,2\n', {"a": ["x\n", "y"], "b": [1, 2]}),
    "empty row": (b"a,b\n1,2\n,\n3,4\n", {"a": [1, None, 3], "b": [2, None, 4]}),
    "one column": (b"a\n1\n2\n", {"a": [1, 2]}),
    "one column, empty cell": (b"a\n1\n\n2\n", {"a": [1, None, 2]}),
    "blanks in the header": (b" a , b\n1,2\n", {"a": [1], "b": [2]}),
    "BOM": (b"\xef\xbb\xbfa,b\n1,2\n", {"a": [1], "b": [2]}),
    "BOM and quotes": (b'\xef\xbb\xbf"a",b\n1,2\n', {"a": [1], "b": [2]}),
    "UTF-8": ("ä,b\né,1\n日本,2\n".encode(), {"ä": ["é", "日本"], "b": [1, 2]}),
    "UTF-16": ("ä\tb\né\t1\nz\t2\n".encode("utf-16"), {"ä": ["é", "z"], "b": [1, 2]}),
    "UTF-16, big-endian": (
        "\ufeffa,b\né,1\nz,2\n".encode("utf-16-be"),
        {"a": ["é", "z"], "b": [1, 2]},
    ),
    "a long cell": (b"a,b\n%b,1\ny,2\n" % LONG.encode(), {"a": [LONG, "y"], "b": [1, 2]}),
    "a long name": (b"%b,b\n1,2\n" % LONG.encode(), {LONG: [1], "b": [2]}),
    "years as names": (b"city,2019,2020\nBonn,1,2\n", {"city": ["Bonn"], "2019": [1], "2020": [2]}),
    "comment sign": (b"a,b\n#x,1\n#y,2\n", {"a": ["#x", "#y"], "b": [1, 2]}),
    "extra separators in quotes": (b'a,b\n",,,",1\nx,2\n', {"a": [",,,", "x"], "b": [1, 2]}),
}  # fmt: skip

# The cells of one column, and what they are.
CELLS: dict[str, tuple[list[str], list[Any]]] = {
    "whole numbers": (["1", "-2", "+3", "0"], [1, -2, 3, 0]),
    "numbers": (["1", "-2.5", ".5", "5.", "1e3", "1E-3"], [1.0, -2.5, 0.5, 5.0, 1000.0, 0.001]),
    "blanks around numbers": ([" 1", "2 "], [1, 2]),
    "exact decimals": (["0.1", "0.30000000000000004"], [0.1, 0.30000000000000004]),
    "smallest": (["5e-324", "2.2250738585072014e-308"], [5e-324, 2.2250738585072014e-308]),
    "largest": (["1.7976931348623157e308", "-1e308"], [1.7976931348623157e308, -1e308]),
    "too small": (["1e-400", "1.5"], [0.0, 1.5]),
    "missing": (
        ["1", "", "NA", "N/A", "#N/A", "nan", "NaN", "null", "NULL", "None", "?", " "],
        [1] + [None] * 11,
    ),
    "missing among numbers": (["1.5", "NA"], [1.5, None]),
    "words in text": (
        ["x", "NA", "None", "null", "nan", "?"],
        ["x", "NA", "None", "null", "nan", "?"],
    ),
    "empty text": (["x", "", "  "], ["x", None, None]),
    "blanks in text": ([" x", "x "], [" x", "x "]),
    "only empty": (["", ""], [None, None]),
    "only words for missing": (["NA", "NA", ""], ["NA", "NA", None]),
    "leading zeros": (["007", "8"], ["007", "8"]),
    "leading zeros and missing": (["007", "8", ""], ["007", "8", None]),
    "leading zeros, signed": (["-01", "2"], ["-01", "2"]),
    "zero is a number": (["0", "0.5", "-0"], [0.0, 0.5, -0.0]),
    "past 2^53": (["9007199254740993", "1"], [9007199254740993, 1]),
    "past 2^53 beside a blank": (["9007199254740993", ""], [9007199254740993, None]),
    "largest of 64 bits": (["9223372036854775807", "-9223372036854775808"], [2**63 - 1, -(2**63)]),
    "past 64 bits": (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
    "identifiers of 20 digits": (["12345678901234567890", ""], ["12345678901234567890", None]),
    "true and false": (["true", "False", "TRUE"], [True, False, True]),
    "true and missing": (["true", "NA", "", "false"], [True, None, None, False]),
    "true and text": (["true", "false", "maybe"], ["true", "false", "maybe"]),
    "dates": (
        ["2024-01-31", "1969-12-31"],
        [datetime.date(2024, 1, 31), datetime.date(1969, 12, 31)],
    ),
    "dates and missing": (["2024-01-31", "NA"], [datetime.date(2024, 1, 31), None]),
    "leap day": (["2024-02-29", ""], [datetime.date(2024, 2, 29), None]),
    "times": (
        ["2024-01-31 12:30", "2024-01-31T12:30:15.25Z", "2024-02-01"],
        [
            datetime.datetime(2024, 1, 31, 12, 30),
            datetime.datetime(2024, 1, 31, 12, 30, 15, 250_000),
            datetime.datetime(2024, 2, 1),
        ],
    ),
    "dates of other orders": (["31/12/2024", "01/02/2023"], ["31/12/2024", "01/02/2023"]),
    "times with a zone": (["2024-01-31 12:30+02:00", "x"], ["2024-01-31 12:30+02:00", "x"]),
    "hexadecimal": (["0x10", "0x11"], ["0x10", "0x11"]),
    "underscores": (["1_000", "2_000"], ["1_000", "2_000"]),
    "other digits": (["١", "①", "２"], ["١", "①", "２"]),
    "codes with letters": (["12a", "1", "3b"], ["12a", "1", "3b"]),
    "mostly numbers, many other texts": (
        [*map(str, range(100, 120)), *"abcdef"],
        [*map(str, range(100, 120)), *"abcdef"],
    ),
    "inf as text": (["inf", "sup"], ["inf", "sup"]),
    "formulas": (["=1+1", "@a"], ["=1+1", "@a"]),
    "comma in text": (["1,2 and 3", "4"], ["1,2 and 3", "4"]),
    "yes and no": (["yes", "no"], ["yes", "no"]),
    "1 and true": (["1", "true"], ["1", "true"]),
    "minus zero": (["-0", "1"], [0, 1]),
    "dates with points": (["31.12.2024", "01.02.2023"], ["31.12.2024", "01.02.2023"]),
    "dates without zeros": (["2024-1-5", "2024-01-06"], ["2024-1-5", "2024-01-06"]),
    "times of day": (["12:30", "13:45"], ["12:30", "13:45"]),
    "versions": (["1.2.3", "1.10.0"], ["1.2.3", "1.10.0"]),
    "ranges": (["5-6", "7-9"], ["5-6", "7-9"]),
    "a unit in words": (["5 kg", "6 kg"], ["5 kg", "6 kg"]),
    "whole but large, beside fractions": (["1e15", "9007199254740992", "0.5"], [1e15, 2.0**53, 0.5]),
    "blanks of no width": (["\u00a01", "2\u2003"], [1, 2]),
    "many digits": (["0.1", "123456789.123456789123456789"], [0.1, 123456789.12345679]),
}  # fmt: skip

# What is no table: the bytes, and what the message says.
STRUCTURE_REFUSED: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty": (b"", ("is empty",)),
    "only blanks": (b" \n\r\n", ("is empty",)),
    "only a BOM": (b"\xef\xbb\xbf", ("is empty",)),
    "header only": (b"a,b\n", ("a header, but no rows",)),
    "header and empty lines": (b"a,b\n\n\n", ("a header, but no rows",)),
    "extra value on every row": (b"a,b\n1,2,3\n4,5,6\n", ("line 2", "3 values", "2 names")),
    "trailing comma on every row": (b"a,b\n1,2,\n3,4,\n", ("line 2", "3 values", "2 names")),
    "trailing comma everywhere": (b"a,b,\n1,2,\n", ("line 1", "column 3", "no name")),
    "index without a name": (b",a\n0,1\n1,2\n", ("line 1", "column 1", "no name")),
    "one row too short": (b"a,b\n1,2\n3\n4,5\n", ("line 3", "1 value ", "2 names")),
    "one row too long": (b"a,b\n1,2\n3,4,5\n", ("line 3", "3 values")),
    "too long after quoted lines": (b'a,b\n"x\ny",2\n3,4,5\n', ("line 4", "3 values")),
    "too long after empty lines": (b"a,b\n\n1,2\n\n3,4,5\n", ("line 5", "3 values")),
    "blanks in a line": (b"a,b\n1,2\n  \n", ("line 3", "1 value ")),
    "other separator in rows": (b"a,b\n1;2\n", ("line 2", "1 value ")),
    "unclosed quote": (b'a,b\n"1,2\n3,4\n', ("line 2, column 1", "quote")),
    "unclosed quote, later one closed": (b'a,b\n"x,1\n"y",2\n', ("line 2, column 1", "quote")),
    "unclosed quote at the end": (b'a,b\n1,2\n3,"x', ("line 3, column 2", "quote")),
    "unclosed quote in header": (b'a,"b\n1,2\n', ("line 1, column 2", "quote")),
    "only a quote": (b'"', ("line 1", "quote")),
    "quote inside of a cell": (b'a,b\n1,5" pipe\n', ("line 2, column 2", "double it")),
    "quote after a blank": (b'a,b\n1, "x"\n', ("line 2, column 2", "quote")),
    "text after a quote": (b'a,b\n"x"y,1\n', ("line 2, column 1", "quote")),
    "blank after a quote": (b'a,b\n"x" ,1\n', ("line 2, column 1", "quote")),
    "duplicate names": (b"a,b,a\n1,2,3\n", ("line 1", "columns 1 and 3", "'a'")),
    "duplicate names but for blanks": (b"a, a\n1,2\n", ("line 1", "'a'")),
    "no header, numbers": (b"1,2\n3,4\n", ("line 1", "Add a header")),
    "no header, one column": (b"1.5\n2\n", ("line 1", "Add a header")),
    "no header, with a label": (b"5.1,x\n4.9,x\n5.0,y\n", ("'x'", "header is missing")),
    "header repeated": (b"a,b\n1,2\na,b\n3,4\n", ("line 3", "header once more")),
    "two separators": (b"a;b,c\n1;2,3\n", ("comma or the semicolon",)),
    "NUL": (b"a,b\n1,\0\n", ("line 2, column 2", "NUL")),
    "NUL in the header": (b"a\0,b\n1,2\n", ("line 1, column 1", "NUL")),
    "UTF-16 without a mark": ("a,b\n1,2\n".encode("utf-16-le"), ("NUL", "UTF-8")),
    "damaged UTF-16": ("a,b\n1,2\n".encode("utf-16")[:-1], ("UTF-16",)),
    "UTF-32": ("a,b\n1,2\n".encode("utf-32"), ("NUL",)),
    "Latin-1": (b"a,b\n1,x\n2,\xe9\n", ("line 3, column 2", "0xE9", "latin1")),
    "Latin-1 header": (b"a,\xe9\n1,x\n", ("line 1, column 2", "0xE9")),
    "cut UTF-8": ("a,b\n1,é".encode()[:-1], ("line 2, column 2", "not UTF-8")),
    "CR in a row": (b"a,b\n1\r5,2\n", ("line 2, column 1", "carriage return")),
    "Excel": (b"PK\x03\x04rest", ("Excel", "CSV")),
    "old Excel": (b"\xd0\xcf\x11\xe0rest", ("Excel", "CSV")),
    "gzip": (b"\x1f\x8brest", ("compressed", "gzip")),
    "zstd": (b"\x28\xb5\x2f\xfdrest", ("compressed", "zstd")),
    "damaged Parquet": (b"PAR1 and then nothing", ("damaged Parquet",)),
    "PDF": (b"%PDF-1.4\n1 0 obj", ("PDF", "export")),
    "web page": (b"<!DOCTYPE html><table><tr><td>1</td></tr></table>", ("web page", "export")),
    "JSON": (b'[{"a":1},{"a":2}]', ("line 1", "quote")),
    "lines of JSON": (b'{"a":1,"b":2}\n{"a":3,"b":4}\n', ("line 1", "quote")),
    "bars between cells": (b"a|b\n1|2\n", ("bar (|)", "name it as the separator")),
    "a table in Markdown": (b"| a | b |\n|---|---|\n| 1 | 2 |\n", ("bar (|)",)),
    "a comment above the header": (b"# by hand\na,b\n1,2\n", ("line 2", "2 values", "1 name")),
    "a separator named in the file": (b"sep=;\na;b\n1;2\n", ("line 1", "column 2", "no name")),
    "end of file of DOS": (b"a,b\n1,2\n\x1a", ("line 3", "1 value")),
    "backslash for a quote": (b'a,b\n"x\\"y",1\n', ("line 2", "quote")),
    "typographic quotes of Windows": (b"a,b\n\x93x\x94,2\n", ("line 2, column 1", "0x93")),
    "another encoding": ("名,b\n值,2\n".encode("gb18030"), ("line 1, column 1", "UTF-8")),
}

CELLS_REFUSED: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "past the range": (["1", "1e400"], ("line 3", "'1e400' is not a finite number")),
    "past the range below": (["1", "-1e400"], ("line 3", "not a finite number")),
    "infinite": (["inf", "1"], ("line 2", "'inf' is not a finite number")),
    "infinite, spelled out": (["1.5", "-Infinity"], ("line 3", "not a finite number")),
    "thousands": (["1,234", "2"], ("line 2", "'1,234'", "two ways")),
    "thousands and decimals": (["1,234.50", "1,000"], ("line 2", "'1,234.50'", "two ways")),
    "thousands by blanks": (["1 234", "5"], ("line 2", "'1 234'", "two ways")),
    "thousands by apostrophes": (["5", "1'234"], ("line 3", "two ways")),
    "decimal comma": (["1,5", "2,5"], ("line 2", "'1,5'", "decimal mark")),
    "decimal comma beside others": (["1.5", "2,5", "NA"], ("line 3", "'2,5'")),
    "one text among numbers": (["1", "2", "x"], ("line 4", "'x' is not a number", "2 of 3")),
    "a unit": (["1", "2", "3", "4 cm"], ("line 5", "'4 cm'", "3 of 4")),
    "a word for missing that is not known": (["1", "2", "unknown"], ("line 4", "'unknown'")),
    "a date that is none": (["2024-02-28", "2024-02-30"], ("line 3", "'2024-02-30'", "exists")),
    "a time that is none": (["2024-02-28 25:00", "2024-02-28"], ("line 2", "exists")),
    "one text among dates": (["2024-02-28", "2024-02-29", "soon"], ("line 4", "'soon'")),
    "a long text": (["1", "2", LONG], ("line 4", "…")),
    "percent": (["5%", "6 %"], ("line 2", "'5%'", "without units")),
    "currency": (["5", "$6.50"], ("line 3", "'$6.50'", "without units")),
    "euro behind": (["5 €", "6,50 €"], ("line 2", "'5 €'", "without units")),
    "minus of typography": (["5", "−5", "−6"], ("line 3", "'−5'", "Write -1234.5")),
    "negative in brackets": (["5", "(6)", "(7)"], ("line 3", "'(6)'", "Write -1234.5")),
    "thousands by narrow blanks": (["1\u202f234", "5"], ("line 2", "mark", "without units and blanks")),
    "an identifier beside fractions": (["0.5", "9007199254740993"], ("line 3", "more digits")),
    "two minus signs": (["--5", "6", "7"], ("line 2", "'--5'", "mark")),
    "an error of a spreadsheet": (["#DIV/0!", "1", "2"], ("line 2", "'#DIV/0!'")),
    "a dash for missing": (["-", "1", "2"], ("line 2", "'-' is not a number")),
}


@dataclass(frozen=True)
class File:
    """A file and what must come of it.

    Attributes
    ----------
    raw : bytes
    table : dict of str to list, or None
        What is read; None if the file is refused.
    words : tuple of str
        What the refusal says.
    text : tuple of str
        The cells of column "a" as they stand; they are what is read as text, as the refusal advises.
    """

    raw: bytes
    table: dict[str, list[Any]] | None = None
    words: tuple[str, ...] = ()
    text: tuple[str, ...] = field(default=(), repr=False)


def column(cells: list[str]) -> bytes:
    """A file with these cells in column "a"."""
    return ("a,b\n" + "".join(f'"{cell}",0\n' for cell in cells)).encode()


FILES: dict[str, File] = {
    **{f"layout: {name}": File(raw, table) for name, (raw, table) in STRUCTURE.items()},
    **{
        f"cells: {name}": File(column(cells), {"a": values, "b": [0] * len(cells)})
        for name, (cells, values) in CELLS.items()
    },
    **{f"no table: {name}": File(raw, None, words) for name, (raw, words) in STRUCTURE_REFUSED.items()},
    **{
        f"in doubt: {name}": File(column(cells), None, ("column 'a'", *words), tuple(cells))
        for name, (cells, words) in CELLS_REFUSED.items()
    },
}


def flaw(file: File, folder: Path) -> str:
    """In what the reading of a file is not as it must be; an empty text if it is."""
    path = folder / "data.csv"
    path.write_bytes(file.raw)
    try:
        found = read_table(path).to_dict(as_series=False)
    except DataError as error:
        return _refusal_flaw(file, path, str(error))
    if file.table is None:
        return f"it was read as {found!r:.200}"
    if found != file.table or [*map(kinds, found.values())] != [*map(kinds, file.table.values())]:
        return f"it was read as {found!r:.200}, and not as {file.table!r:.200}"
    return ""


def _refusal_flaw(file: File, path: Path, message: str) -> str:
    missing = [word for word in file.words if word not in message]
    if file.table is not None or missing:
        return f"the message lacks {missing}: {message}"
    if not (message.startswith("data.csv") and message.endswith(".") and len(message) < 400):
        return f"the message is no short sentence about the file: {message}"
    if file.text and tuple(read_table(path, text=["a"])["a"]) != file.text:
        return "read as text, as the message advises, the cells are others"
    return ""


def kinds(values: list[Any]) -> list[type]:
    return [type(value) for value in values]


# ---------------------------------------------------------------- what is written

FORMULAS = ["=1+1", "+x", "-x+y", "@a", "\tb", "\rc", "\nd", "=", "-", "＝1", "－x", "+1-2"]
HARMLESS = ["x", "a=1", " =1", "-1", "+5", "-1.5e3", "007", "'", "2024-01-31", "é"]
NUMBERS = [-1.0, 0.1, 1e300, -1e-7, 5e-324, 2.0**53 + 2, 1 / 3, -1.7976931348623157e308, None]
WHOLE = [-1, 2**63 - 1, -(2**63), 0, 1, 2, 3, 4, None]


def written(frame: pl.DataFrame) -> list[list[str]]:
    """The cells of a table after it was written, as the standard library reads them."""
    stream = io.BytesIO()
    write_table(frame, stream)
    return list(csv.reader(io.StringIO(stream.getvalue().decode(), newline="")))


def export_flaws(folder: Path) -> list[str]:
    """Cells that a spreadsheet would run, or that were changed without need; numbers that changed."""
    rows = written(pl.DataFrame({"a": FORMULAS + HARMLESS}))[1:]
    wanted = [f"'{cell}" for cell in FORMULAS] + HARMLESS
    flaws = [f"{cell[0]!r} for {want!r}" for cell, want in zip(rows, wanted, strict=True) if cell[0] != want]
    frame = pl.DataFrame({"x": NUMBERS, "i": WHOLE})
    write_table(frame, folder / "out.csv")
    if not read_table(folder / "out.csv").equals(frame):
        flaws.append("numbers changed on their way")
    return flaws
