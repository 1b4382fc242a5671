"""Tables in files: each file gives the right table, or an error with its place and a remedy."""

import csv
import datetime
import io
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.errors import DataError, OptionError
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
}


def read(folder: Path, raw: bytes, name: str = "data.csv", **options: Any) -> dict[str, list[Any]]:
    path = folder / name
    path.write_bytes(raw)
    return read_table(path, **options).to_dict(as_series=False)


def refusal(folder: Path, raw: bytes, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, raw, **options)
    message = str(caught.value)
    assert message.startswith("data.csv") and message.endswith(".")
    assert len(message) < 400 and "\n" not in message
    return message


def column(cells: list[str]) -> bytes:
    return ("a,b\n" + "".join(f'"{cell}",0\n' for cell in cells)).encode()


@pytest.mark.parametrize(("raw", "table"), STRUCTURE.values(), ids=STRUCTURE)
def test_reads_the_cells_where_they_stand(tmp_path, raw, table):
    assert read(tmp_path, raw) == table


@pytest.mark.parametrize(("cells", "values"), CELLS.values(), ids=CELLS)
def test_reads_what_the_cells_of_a_column_are(tmp_path, cells, values):
    found = read(tmp_path, column(cells))["a"]
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize(("raw", "words"), STRUCTURE_REFUSED.values(), ids=STRUCTURE_REFUSED)
def test_refuses_what_is_no_table(tmp_path, raw, words):
    message = refusal(tmp_path, raw)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(("cells", "words"), CELLS_REFUSED.values(), ids=CELLS_REFUSED)
def test_refuses_cells_that_leave_doubt(tmp_path, cells, words):
    message = refusal(tmp_path, column(cells))
    assert all(word in message for word in ("column 'a'", *words)), message
    assert read(tmp_path, column(cells), text=["a"])["a"] == cells  # the remedy that the message names


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,5", "2"], [1.5, 2.0]),
        ([",5", "-1,25e3", "NA"], [0.5, -1250.0, None]),
        (["x,y", "1,5a", "z"], ["x,y", "1,5a", "z"]),
    ],
)
def test_decimal_comma(tmp_path, cells, values):
    raw = ("a;b\n" + "".join(f"{cell};0\n" for cell in cells)).encode()
    assert read(tmp_path, raw, decimal=",")["a"] == values


@pytest.mark.parametrize("cell", ["1.234", "1.234,5", "1.5"])
def test_a_point_beside_decimal_commas_is_refused(tmp_path, cell):
    """It could group thousands."""
    raw = f"a;b\n1,5;0\n{cell};0\n".encode()
    message = refusal(tmp_path, raw, decimal=",")
    assert "line 3, column 'a'" in message and "1,5" in message


def test_columns_can_be_read_as_text(tmp_path):
    raw = b"a,b,c\n1,true,2024-01-31\n2,false,\n"
    table = read(tmp_path, raw, text=["a", "b", "c", "not there"])
    assert table == {"a": ["1", "2"], "b": ["true", "false"], "c": ["2024-01-31", None]}


def test_separator_can_be_given(tmp_path):
    assert read(tmp_path, b"a|b\n1|2\n", separator="|") == {"a": [1], "b": [2]}
    assert read(tmp_path, b"a;b,c\n1;x,3\n", separator=";") == {"a": [1], "b,c": ["x,3"]}


def test_tsv_is_separated_by_tabs(tmp_path):
    assert read(tmp_path, b"a,b\tc\n1,2\t3\n", "data.tsv", text=["a,b"]) == {
        "a,b": ["1,2"],
        "c": [3],
    }


@pytest.mark.parametrize("options", [{"separator": ";;"}, {"separator": '"'}, {"decimal": "x"}])
def test_options_are_checked(tmp_path, options):
    with pytest.raises(OptionError, match="must be"):
        read(tmp_path, b"a,b\n1,2\n", **options)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match=r"There is no file .*absent\.csv"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path)


def test_parquet(tmp_path):
    frame = pl.DataFrame({"a": [1, None], "b": ["007", "x"], "c": [0.1, math.inf]})
    frame.write_parquet(tmp_path / "data.bin")
    assert read_table(tmp_path / "data.bin").equals(frame)
    frame.clear().write_parquet(tmp_path / "data.bin")
    with pytest.raises(DataError, match="no rows"):
        read_table(tmp_path / "data.bin")


# Python calls a few control characters blanks that Unicode does not.
ODD = "\0\x1c\x1d\x1e\x1f"
texts = st.text(st.characters(exclude_characters=ODD, exclude_categories=["Cs"]), max_size=6)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(texts, min_size=width, max_size=width), min_size=1, max_size=6)
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]))
def test_agrees_with_another_reader(tmp_path, rows, separator, end):
    """What the standard library writes, quoted, is read the same, whatever the cells hold."""
    names = [f"column {i}" for i in range(len(rows[0]))]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([names, *rows])
    read_back = read(tmp_path, text.getvalue().encode(), text=names)
    assert [*read_back] == names
    wanted = [[cell if cell.strip() else None for cell in row] for row in rows]
    assert [list(row) for row in zip(*read_back.values(), strict=True)] == wanted


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40) | st.text('ab1,;"\n\r\t .', max_size=25).map(str.encode))
def test_any_bytes_are_a_table_or_a_data_error(tmp_path, raw):
    try:
        table = read(tmp_path, raw)
    except DataError:
        return
    assert len({len(values) for values in table.values()}) == 1


# ------------------------------------------------------------------ writing

FORMULAS = ["=1+1", "+x", "-x+y", "@a", "\tb", "\rc", "\nd", "=", "-", "＝1", "－x", "+1-2"]
HARMLESS = ["x", "a=1", " =1", "-1", "+5", "-1.5e3", "007", "'", "2024-01-31", "é"]


def written(frame: pl.DataFrame) -> list[list[str]]:
    stream = io.BytesIO()
    write_table(frame, stream)
    return list(csv.reader(io.StringIO(stream.getvalue().decode(), newline="")))


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
def test_formula_cells_are_neutralised(kind):
    cells = pl.Series("a", FORMULAS + HARMLESS, dtype=kind)
    rows = written(pl.DataFrame([cells]))[1:]
    assert [row[0] for row in rows] == [f"'{cell}" for cell in FORMULAS] + HARMLESS


def test_formulas_in_names_are_neutralised():
    assert written(pl.DataFrame({"=a": [1], "-1": [2], "b": [3]}))[0] == ["'=a", "-1", "b"]


def test_numbers_are_written_unchanged(tmp_path):
    numbers = [-1.0, 0.1, 1e300, -1e-7, 5e-324, 2.0**53 + 2, 1 / 3, None]
    frame = pl.DataFrame({"x": numbers, "i": [-1, 2**63 - 1, -(2**63), 0, 1, 2, 3, None]})
    write_table(frame, tmp_path / "out.csv")
    assert read_table(tmp_path / "out.csv").equals(frame)


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        write_table(pl.DataFrame({"a": [1]}), tmp_path / "no folder" / "out.csv")
