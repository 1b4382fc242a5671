"""Columns to numbers: what becomes of each kind, and what is refused."""

import datetime
import json
import math

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from chainrule.columns import ColumnEncoder
from chainrule.errors import DataError

NOON = datetime.datetime(2024, 1, 31, 12)
MIXED = {
    "n": [1.0, 2.0, None, 4.0],
    "b": [True, None, False, True],
    "c": ["r", "r", "b", None],
    "t": [NOON, None, datetime.datetime(2025, 3, 4), datetime.datetime(2025, 3, 5)],
    "same": [1, 1, 1, 1],
    "unique": ["u", "v", "w", "x"],
}


def encoder(values, **options) -> ColumnEncoder:
    return ColumnEncoder().fit(pl.DataFrame({"x": values}, strict=False), **options)


def encode(values, others=None):
    fitted = encoder(values)
    frame = pl.DataFrame({"x": values if others is None else others}, strict=False)
    return dict(zip(fitted.feature_names, fitted.transform(frame).T.tolist(), strict=True))


def done(values) -> str:
    return encoder(values).describe()[0]["done"]


# ------------------------------------------------------------------ numbers


def test_numbers_are_standardised():
    X = ColumnEncoder().fit_transform(pl.DataFrame({"a": [1, 2, 3, 4], "b": [0.5, -7.0, 3.0, 1e6]}))
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(X.std(axis=0), 1, rtol=1e-15)


def test_missing_numbers_become_the_median_and_are_marked():
    encoded = encode([1.0, 2.0, 9.0, None])
    values = np.array([1.0, 2.0, 9.0, 2.0])
    np.testing.assert_allclose(encoded["x"], (values - values.mean()) / values.std())
    assert encoded["x=<missing>"] == [0, 0, 0, 1]
    assert "missing values set to 2 and marked" in done([1.0, 2.0, 9.0, None])


def test_a_number_that_only_misses():
    assert encode([1, None, 1]) == {"x=<missing>": [0, 1, 0]}
    assert done([1, None, 1]).startswith("only whether it is missing")


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1.0, 1e200, 1.7e308])
@pytest.mark.parametrize("shift", [0.0, 1e-3])
def test_numbers_of_any_size(scale, shift):
    x = np.array(encode([scale * value for value in (-1.0, shift, 1.0)])["x"])
    np.testing.assert_allclose(x.mean(), 0, atol=1e-3)  # subnormal numbers have few digits
    np.testing.assert_allclose(x.std(), 1, rtol=1e-2)


def test_true_and_false_are_1_and_0():
    assert encode([True, False, None]) == {"x": [1, 0, 0], "x=<missing>": [0, 0, 1]}
    assert encode([True, False], ["TRUE", "na", "false"]) == {"x": [1, 0, 0]}
    assert encode([True, False], [1, 0]) == {"x": [1, 0]}


# ------------------------------------------------------------------ categories


def test_categories_get_a_column_for_each_level():
    encoded = encode(["r", "g", "g", "r", None])
    assert encoded == {
        "x=g": [0, 1, 1, 0, 0],
        "x=r": [1, 0, 0, 1, 0],
        "x=<missing>": [0, 0, 0, 0, 1],
    }
    assert done(["r", "g", "g", "r", None]) == "2 levels (g, r), missing marked"


def test_new_and_rare_levels_are_all_zero():
    assert encode(["r", "r", "once"], ["r", "once", "new", None]) == {"x=r": [1, 0, 0, 0]}
    assert done(["r", "r", "once"]) == "1 level (r), 1 rare left out"


def test_many_levels_are_capped():
    values = [f"{i:02}" for i in range(60)] * 2 + [f"{i:02}" for i in range(10, 60)]
    fitted = encoder(values)
    assert fitted.feature_names == [f"x={i:02}" for i in range(10, 60)]
    assert "50 levels (10, 11, 12, 13, …), 10 rare left out" in fitted.describe()[0]["done"]


def test_rare_levels_depend_on_the_number_of_rows():
    values = ["a"] * 3000 + ["b"] * 4 + ["c"] * 3
    assert encoder(values).feature_names == ["x=a", "x=b"]


def test_texts_that_only_miss():
    assert encode(["once", None, None]) == {"x=<missing>": [0, 1, 1]}


def test_whole_numbers_match_the_texts_of_a_category():
    assert encode(["1", "2", "1", "2"], [2.0, None, 1.0]) == {"x=1": [0, 0, 1], "x=2": [1, 0, 0]}
    assert encode(["1", "2.5", "1", "2.5"], [2.5]) == {"x=1": [0], "x=2.5": [1]}


# ------------------------------------------------------------------ dates


def test_dates_become_their_parts():
    days = [
        datetime.date(2024, 1, 31),
        datetime.date(2025, 3, 2),
        None,
        datetime.date(2024, 12, 30),
    ]
    fitted = encoder(days)
    assert fitted.feature_names == ["x year", "x month", "x day", "x weekday", "x=<missing>"]
    assert fitted.describe()[0]["done"] == "year, month, day, weekday, missing marked"
    (column,) = fitted.kept
    values = {number.name: number for number in column.numbers}
    X = dict(zip(fitted.feature_names, fitted.transform(pl.DataFrame({"x": days})).T, strict=True))

    def original(part: str) -> list[float]:
        number = values[f"x {part}"]
        return (X[f"x {part}"] * number.scale + number.centre).round(9).tolist()

    assert original("year") == [2024, 2025, 2024, 2024]
    assert original("month") == [1, 3, 3, 12]
    assert original("day") == [31, 2, 30, 30]
    assert original("weekday") == [3, 7, 3, 1]
    assert X["x=<missing>"].tolist() == [0, 0, 1, 0]


def test_times_have_an_hour_and_one_time_zone():
    zoned = pl.Series("x", [NOON, NOON + datetime.timedelta(hours=3, minutes=30)]).dt.replace_time_zone(
        "Asia/Tokyo"
    )
    fitted = ColumnEncoder().fit(pl.DataFrame([zoned]))
    assert fitted.feature_names == ["x hour"]
    (number,) = fitted.kept[0].numbers
    assert (number.centre, number.scale) == (4.75, 1.75)  # 3:00 and 6:30 UTC
    later = pl.DataFrame({"x": ["2024-01-31 03:00", "2024-01-31T06:30:00Z"]})
    np.testing.assert_allclose(fitted.transform(later), [[-1], [1]])


@pytest.mark.parametrize("kind", [datetime.date, datetime.datetime])
def test_dates_as_python_objects(kind):
    days = [kind(2024, 1, 1), None, kind(2024, 1, 5), kind(2024, 1, 6)]
    frame = pd.DataFrame({"x": pd.Series(days, dtype=object)})
    assert ColumnEncoder().fit(frame).feature_names == ["x day", "x weekday", "x=<missing>"]


# ------------------------------------------------------------------ dropping


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([7, 7, 7], "every value is the same"),
        ([None, None, None], "every value is missing"),
        (pl.Series([None] * 3, dtype=pl.String), "every value is missing"),
        (pl.Series([None] * 3, dtype=pl.Date), "every value is missing"),
        ([math.nan] * 3, "every value is missing"),
        ([True, True, True], "every value is the same"),
        (["x", "x", "x"], "every value is the same"),
        (["x", "y", "z"], "none of its 3 texts is in 2 rows or more"),
        ([NOON, NOON, NOON], "every value is the same"),
    ],
)
def test_columns_that_say_nothing_are_dropped(values, reason):
    frame = pl.DataFrame({"keep": [1, 2, 3], "x": values})
    fitted = ColumnEncoder().fit(frame)
    assert fitted.feature_names == ["keep"]
    assert fitted.describe()[1]["done"] == f"dropped: {reason}"
    fitted.transform(frame.drop("x"))  # it is not asked for again


def test_all_columns_dropped():
    with pytest.raises(DataError, match=r"no column to learn from.*'x'.*the same"):
        encoder([1, 1])


def test_columns_can_be_left_alone():
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [3, 4]})
    assert ColumnEncoder().fit(frame, drop=["a", "b"]).feature_names == ["c"]
    with pytest.raises(DataError, match="no column 'z'"):
        ColumnEncoder().fit(frame, drop=["z"])


# ------------------------------------------------------------------ frames


@pytest.mark.parametrize("library", [pl, pd])
def test_any_frame_gives_the_same(library):
    wanted = ColumnEncoder().fit(pl.DataFrame(MIXED))
    frame = library.DataFrame(MIXED)
    fitted = ColumnEncoder().fit(frame)
    assert fitted.to_dict() == wanted.to_dict()
    assert (fitted.transform(frame) == wanted.transform(pl.DataFrame(MIXED))).all()


@pytest.mark.parametrize(
    "column",
    [
        pd.array([1, None, 3, 4], dtype="Int64"),
        pd.array([1, None, 3, 4], dtype="Float32"),
        pd.Series([1, None, 3, 4], dtype=object),
        np.array([1, np.nan, 3, 4], dtype=">f4"),
        np.array([1, np.nan, 3, 4], dtype=np.float16),
    ],
)
def test_numbers_of_any_type(column):
    X = ColumnEncoder().fit_transform(pd.DataFrame({"x": column}))
    wanted = ColumnEncoder().fit_transform(pl.DataFrame({"x": [1, None, 3, 4]}))
    np.testing.assert_array_equal(X, wanted)


@pytest.mark.parametrize(
    "column",
    [
        pd.Categorical(["a", "b", "a", "b", None]),
        pd.Series(["a", "b", "a", "b", None], dtype=object),
        pd.Series(["a", "b", "a", "b", None], dtype="string"),
    ],
)
def test_texts_of_any_type(column):
    X = ColumnEncoder().fit_transform(pd.DataFrame({"x": column}))
    assert X.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_columns_go_by_name():
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "x", "y"], "c": [0.5, 1.5, 9.0]})
    fitted = ColumnEncoder().fit(frame)
    other = frame.select("c", pl.lit(1).alias("more"), "b", "a")
    assert (fitted.transform(other) == fitted.transform(frame)).all()
    assert fitted.notes(other) == ["Ignored, for the model does not know them: 'more'."]
    assert fitted.notes(other, expected=["more"]) == []


def test_notes_tell_what_is_new():
    fitted = ColumnEncoder().fit(
        pl.DataFrame({"n": [1, 2], "c": ["x", "x"], "d": [NOON, NOON], "k": [True, False]}).vstack(
            pl.DataFrame({"n": [3, 4], "c": ["y", "y"], "d": [NOON.replace(day=1)] * 2, "k": [True] * 2})
        )
    )
    new = pl.DataFrame({"n": [None], "c": ["z"], "d": [None], "k": ["NA"]})
    assert fitted.notes(new) == [
        "Column 'n' has 1 missing values, though none was missing in training.",
        "Column 'c' has texts that were not there in training: 'z'.",
        "Column 'd' has 1 missing values, though none was missing in training.",
        "Column 'k' has 1 missing values, though none was missing in training.",
    ]


def test_learns_from_some_rows_only():
    frame = pl.DataFrame({"a": [1.0, 3.0, 1e9], "b": [1, None, None], "c": ["x", "x", "y"]})
    fitted = ColumnEncoder().fit(frame, rows=np.array([0, 1]))
    assert fitted.feature_names == ["a", "b=<missing>"]
    assert fitted.transform(frame)[:2].tolist() == [[-1, 0], [1, 1]]


def test_survives_json():
    frame = pl.DataFrame(MIXED)
    fitted = ColumnEncoder().fit(frame)
    again = ColumnEncoder.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again.columns == fitted.columns
    assert (again.transform(frame) == fitted.transform(frame)).all()
    assert again.text_columns == ["c"]


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("values", "others", "words"),
    [
        ([1, 2, 3], ["1", "x", "3"], "Column 'x', row 2: 'x' is not a number"),
        ([1, 2, 3], ["1", "1e999", "3"], "row 2: the value is infinite"),
        ([1, 2, 3], ["1,5"], "'1,5' is not a number"),
        ([1, 2, 3], [NOON], "row 1: .* is not a number"),
        ([1.0, 2.0], [1.0, math.inf], "row 2: the value is infinite"),
        ([1.0, -math.inf], None, "row 2: the value is infinite"),
        ([1e-300, 2e-300], [0.0, 1e300], r"row 2: 1e\+300 is too far"),
        ([True, False], [1, 2], "row 2: 2 is neither true nor false"),
        ([True, False], ["yes"], "row 1: 'yes' is not true or false"),
        ([NOON, NOON.replace(hour=1)], ["soon"], "row 1: 'soon' is not a date"),
        ([NOON, NOON.replace(hour=1)], ["2024-02-30"], "row 1: '2024-02-30' is not a date"),
        ([NOON, NOON.replace(hour=1)], [5], "row 1: 5 is not a date"),
        ([[1], [2]], None, "Column 'x' has the type List"),
        ([], None, "no rows"),
    ],
)
def test_values_that_do_not_fit(values, others, words):
    with pytest.raises(DataError, match=words):
        encode(values, others)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, "a", 2], "row 2: 'a' is of the type str, unlike the values before it"),
        (["a", None, 3], "row 3: 3 is of the type int, unlike"),
        ([True, 2], "row 2: 2 is of the type int, unlike"),
        ([b"a", b"b"], "row 1: b'a' is of the type bytes, which cannot be used"),
        ([1 + 2j, 2], "row 1: .* is of the type complex"),
    ],
)
def test_objects_that_do_not_fit(values, words):
    with pytest.raises(DataError, match=f"Column 'x', {words}"):
        ColumnEncoder().fit(pd.DataFrame({"x": pd.Series(values, dtype=object)}))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.zeros((2, 2)), "data frame .* needed, not ndarray"),
        ([[1, 2]], "needed, not list"),
        (pl.DataFrame({"a": [1]}).lazy(), "needed, not LazyFrame"),
        (pd.DataFrame([[1, 2], [3, 4]]), "column 0 has a name that is not text"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "the same name"),
        (pd.DataFrame({"x": [1 + 2j, 2]}), "type"),
    ],
)
def test_frames_that_do_not_fit(frame, words):
    with pytest.raises(DataError, match=words):
        ColumnEncoder().fit(frame)


def test_a_missing_column_is_named():
    fitted = ColumnEncoder().fit(pl.DataFrame({"a": [1, 2], "b": [2, 1]}))
    with pytest.raises(DataError, match=r"no column 'b'\. Its columns are: 'a', 'c'"):
        fitted.transform(pl.DataFrame({"a": [1], "c": [2]}))
    wide = nw.from_dict({f"c{i}": [1] for i in range(20)}, backend="polars")
    with pytest.raises(DataError, match="and 8 more"):
        fitted.transform(wide)
