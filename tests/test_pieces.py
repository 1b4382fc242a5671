"""Tables read in pieces are the tables, and the refusals, of files read as a whole."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from csv_corpus import FILES

from chainrule import pieces
from chainrule.column_learners import learn
from chainrule.column_values import as_frame
from chainrule.columns import ColumnEncoder
from chainrule.errors import ChainruleError, DataError
from chainrule.frames import read_table
from chainrule.pieces import open_table

SIZES = [40, 300, 1 << 20]


def whole(path, **options):
    """The table, or what is said against it."""
    try:
        return read_table(path, **options)
    except ChainruleError as error:
        return str(error)


def in_pieces(path, size, **options):
    """The same of the table in pieces."""
    try:
        table = open_table(path, piece=size, **options)
        frames = list(table.frames())
    except ChainruleError as error:
        return str(error)
    assert sum(frame.height for frame in frames) == table.rows
    return pl.concat(frames)


def same(one, other):
    if isinstance(one, str) or isinstance(other, str):
        return type(one) is type(other) and one == other
    return one.equals(other) and one.schema == other.schema


@pytest.mark.parametrize("size", SIZES)
def test_every_file_of_the_corpus_is_read_alike(size, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "LONGEST", 1 << 20)
    differ = []
    for name, file in FILES.items():
        if "UTF-16" in name or "UTF-32" in name:
            continue
        path = tmp_path / "table.csv"
        path.write_bytes(file.raw)
        one, other = whole(path), in_pieces(path, size)
        if not same(one, other):
            differ.append((name, one, other))
    assert differ == []


def test_utf_16_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("a,b\n1,2\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"table.csv is UTF-16 text.*save it as UTF-8"):
        open_table(path)


def test_errors_name_line_and_column_of_the_file(tmp_path):
    path, lines = tmp_path / "table.csv", [f"{k},x" for k in range(100)]
    for number, (line, said) in {
        70: ("7 0,x", "line 72, column 'a': '7 0'"),
        90: ("1,x,y", "line 92"),
    }.items():
        wrong = [*lines[:number], line, *lines[number + 1 :]]
        path.write_text("\n".join(["a,b", *wrong]))
        with pytest.raises(DataError, match=said):
            open_table(path, piece=64)


def test_a_row_without_an_end_is_refused_before_memory_is_full(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('a,b\n1,"x\n' + "2,y\n" * 5000)
    with pytest.raises(DataError, match=r"line 2: the row that begins here does not end"):
        open_table(path, piece=100)


def test_options_are_obeyed(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("a\tb\n1,5\t1\n2,5\t2\n")
    for options in ({"decimal": ","}, {"text": ["a"]}, {"separator": "\t", "decimal": ","}):
        assert same(whole(path, **options), in_pieces(path, 8, **options))
    assert in_pieces(path, 8, separator="ab") == whole(path, separator="ab")


def test_a_file_that_changes_meanwhile_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    table = open_table(path)
    path.write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(DataError, match="was changed"):
        next(table.frames())


@pytest.mark.parametrize("name", ["there.csv", "is.parquet"])
def test_a_file_that_is_not_there(tmp_path, name):
    with pytest.raises(DataError, match="There is no file"):
        open_table(tmp_path / name)


def frame(rows: int) -> pl.DataFrame:
    """Columns of each kind, some values missing."""
    rng = np.random.default_rng(3)
    gone = rng.random(rows) < 0.1
    numbers = rng.standard_normal(rows) * 1e3 + 5
    days = np.datetime64("2020-01-01") + rng.integers(0, 900, rows)
    words = np.array(["red", "green", "blue", "rare"])[np.minimum(rng.geometric(0.5, rows) - 1, 3)]
    return pl.DataFrame(
        {
            "whole": rng.integers(0, 50, rows),
            "gaps": pl.Series(np.where(gone, np.nan, numbers)).fill_nan(None),
            "huge": numbers * 1e304,
            "truth": rng.random(rows) < 0.3,
            "word": pl.Series(words.tolist()),
            "unique": pl.Series([f"id {k}" for k in range(rows)]),
            "day": pl.Series(days).cast(pl.Date),
            "same": pl.Series([1.5] * rows),
            "nothing": pl.Series([None] * rows, dtype=pl.Float64),
        }
    )


def pieces_of(table: pl.DataFrame, size: int):
    for first in range(0, table.height, size):
        yield first, as_frame(table[first : first + size])


def flat(column):
    """All facts about a column, numbers apart from the rest."""
    facts = ColumnEncoder([column]).to_dict()["columns"][0]
    nested = facts.pop("numbers", ())
    parts = [facts, *nested]
    rounded = [v for part in parts for v in part.values() if isinstance(v, float)]
    return rounded, [{k: v for k, v in part.items() if not isinstance(v, float)} for part in parts]


@pytest.mark.parametrize("size", [7, 100, 1000])
def test_columns_learnt_in_pieces_are_those_learnt_at_once(size):
    table = frame(1000)
    known = np.random.default_rng(4).random(1000) < 0.8
    one = ColumnEncoder().fit(table, rows=known, drop=["whole"])
    other = learn(pieces_of(table, size), known, len(table.columns), ["whole"], 0)
    for column, again in zip(one.columns, other.columns, strict=True):
        numbers, rest = flat(column)
        assert flat(again)[1] == rest
        np.testing.assert_allclose(flat(again)[0], numbers, rtol=1e-12)


def test_an_odd_value_is_named_by_its_row_in_the_table():
    table = pl.DataFrame({"a": [1.0] * 50 + [np.inf] + [2.0] * 9})
    with pytest.raises(DataError, match="Column 'a', row 51: the value is infinite"):
        learn(pieces_of(table, 8), np.ones(60, bool), 1, [], 0)


def test_frequent_texts_are_found_among_more_than_can_be_counted(monkeypatch):
    monkeypatch.setattr("chainrule.column_learners.TEXTS", 60)
    rng = np.random.default_rng(6)
    texts = np.where(rng.random(4000) < 0.5, "often", [f"once {k}" for k in range(4000)])
    texts[:300] = "early"
    encoder = learn(pieces_of(pl.DataFrame({"a": texts}), 500), np.ones(4000, bool), 1, [], 0)
    assert {"often", "early"} <= set(encoder.columns[0].levels)
    assert not any(level.startswith("once") for level in encoder.columns[0].levels)
    assert encoder.columns[0].rare > 100


def test_the_median_of_many_rows_is_that_of_a_sample(monkeypatch):
    monkeypatch.setattr("chainrule.column_learners.SAMPLE", 2000)
    values = np.random.default_rng(7).standard_normal(50_000)
    values[::10] = np.nan
    column = learn(pieces_of(pl.DataFrame({"a": values}), 3000), np.ones(50_000, bool), 1, [], 0).columns[0]
    below = np.mean(values[~np.isnan(values)] < column.fill)
    assert 0.45 < below < 0.55 and column.missing
    np.testing.assert_allclose(
        column.centre, np.where(np.isnan(values), column.fill, values).mean(), atol=1e-12
    )


@pytest.mark.parametrize("size", [2000, 100_000, 1 << 20])
def test_parquet_is_read_alike(size, tmp_path):
    path, table = tmp_path / "table.parquet", frame(700)
    table.write_parquet(path, row_group_size=100)
    assert same(whole(path), in_pieces(path, size))
    opened = open_table(path, piece=size)
    assert pl.concat(opened.frames(["word", "whole"])).columns == ["word", "whole"]


def test_a_damaged_parquet_file_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    frame(100).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="is a damaged Parquet file"):
        open_table(path)
