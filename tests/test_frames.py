"""Tables in files: each file gives the right table, or an error with its place and a remedy."""

import csv
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


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        write_table(pl.DataFrame({"a": [1]}), tmp_path / "no folder" / "out.csv")
