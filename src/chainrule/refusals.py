"""scikit-learn's checks of the data, with messages that also say where, and what to do about it.

scikit-learn's own phrases are kept at the start of each message, for programs (and its own tests of
estimators) look for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from chainrule.errors import DataError, DataTypeError

CHUNK = 1 << 16  # rows that are looked at at once
NO_TARGET = "no_validation"  # scikit-learn's word for: there is no y to check


@dataclass(frozen=True)
class Given:
    """What was handed over, and what it is called.

    Attributes
    ----------
    X, y : array-like
    name, target : str
        What the user calls them.
    dtype : dtype
        That X must fit into.
    model : estimator
    """

    X: Any
    y: Any
    name: str
    target: str
    dtype: Any
    model: Any

    def cell(self, row: int, column: int) -> str:
        """A cell of X, as Python counts, and the name of its column if it has one."""
        names = getattr(self.X, "columns", None)
        named = f" (column {names[column]!r})" if names is not None else ""
        return f"{self.name}[{row}, {column}]{named}"


def validated(
    model: Any, X: Any, y: Any = NO_TARGET, *, names: tuple[str, str] = ("X", "y"), **options: Any
) -> Any:
    """scikit-learn's `validate_data`; what it refuses is refused with the place and a remedy.

    Parameters
    ----------
    model : estimator
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like, optional
    names : pair of str
        What the user calls X and y.
    **options
        Of `validate_data`.

    Raises
    ------
    DataError
        If the data cannot be used.
    """
    refuse_disguised(X, names[0])
    dtype = options.get("dtype", np.float64)
    given = Given(X, y, *names, dtype[0] if isinstance(dtype, tuple) else dtype, model)
    try:
        return validate_data(model, X, y, **options)
    except nw.exceptions.DuplicateError:
        raise DataError(f"Two columns of {names[0]} have the same name. Rename one.") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise explained(error, given) from None


def explained(error: Exception, given: Given) -> Exception:
    """The error that says more than scikit-learn's or NumPy's; the same one, if there is no more to say."""
    for pattern, explain in EXPLANATIONS:
        found = re.search(pattern, str(error), re.DOTALL)
        sentence = explain(given, found) if found else None
        if sentence is not None:
            return (DataTypeError if isinstance(error, TypeError) else DataError)(sentence)
    return error


def refuse_disguised(X: Any, name: str) -> None:
    """Refuse what scikit-learn would take for numbers though it is none, and what no code may trust."""
    if type(X).__name__ == "LazyFrame":
        raise DataTypeError(f"{name} is a LazyFrame, which holds no values yet: give {name}.collect().")
    if sparse.issparse(X) and _is_broken(X):
        raise DataError(
            f"{name} is a damaged sparse matrix: its indices lead out of it. Make it anew from its entries."
        )
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        where = ", ".join(str(int(i)) for i in np.argwhere(np.ma.getmaskarray(X))[0])
        raise DataError(
            f"{name}[{where}] is masked: there is no value. Fill it in ({name}.filled(value)), or leave out "
            "the row."
        )
    columns = getattr(X, "columns", None)
    kinds = [getattr(X, "dtype", None)] if columns is None else list(X.dtypes)
    dates = [place for place, kind in enumerate(kinds) if _is_date(kind)]
    if dates:
        which = "" if columns is None else f"Column {columns[dates[0]]!r} of "
        raise DataError(
            f"{which}{name} holds dates or durations ({kinds[dates[0]]}), which are no numbers: take their "
            "year, month, day or seconds, or use TableModel, which takes dates as they are."
        )


def _is_broken(X: Any) -> bool:
    """Whether indices lead out of a sparse matrix, so that other memory would be read or even written."""
    if X.format == "coo":
        return any(_leads_out(places, side) for places, side in zip((X.row, X.col), X.shape, strict=True))
    if X.format not in ("csr", "csc"):
        return False
    starts, by_row = X.indptr, X.format == "csr"
    count = starts[-1] if starts.size == X.shape[not by_row] + 1 else -1
    if starts[0] or not 0 <= count <= min(X.indices.size, X.data.size) or (np.diff(starts) < 0).any():
        return True
    return _leads_out(X.indices[:count], X.shape[by_row])


def _leads_out(places: Any, side: int) -> bool:
    return bool(places.size) and not 0 <= places.min() <= places.max() < side


def _is_date(kind: Any) -> bool:
    """A type of NumPy's or pandas's has the letter m or M; polars's a name."""
    name = str(kind).partition("(")[0]
    return getattr(kind, "kind", "") in tuple("mM") or name in ("Date", "Datetime", "Duration", "Time")


# ---------------------------------------------------------------- finding the place


def first_where(test: Callable[[Any], Any], data: Any) -> tuple[tuple[int, ...], Any, int] | None:
    """Where a test is first true of an array or a sparse matrix: place, value, and how often it is."""
    if sparse.issparse(data):
        data = data.tocoo()
        hits = np.flatnonzero(test(data.data))
        order = np.lexsort((data.col[hits], data.row[hits]))
        if not len(hits):
            return None
        hit = hits[order[0]]
        return (int(data.row[hit]), int(data.col[hit])), data.data[hit], len(hits)
    if not np.ndim(data):
        return ((), np.asarray(data)[()], 1) if test(data) else None
    found: tuple[int, ...] | None = None
    count = 0
    for first in range(0, len(data), CHUNK):  # so that what the test says of large data needs no room
        places = np.argwhere(test(data[first : first + CHUNK]))
        count += len(places)
        if found is None and len(places):
            found = (first + int(places[0][0]), *(int(i) for i in places[0][1:]))
    return None if found is None else (found, data[found], count)


def _not_finite(kind: str, data: Any) -> tuple[tuple[int, ...], Any, int] | None:
    return first_where(np.isnan if kind == "NaN" else np.isinf, data)


def _bracketed(place: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, place))}]" if place else ""


def _how_many(count: int) -> str:
    return "" if count == 1 else f", the first of {count} such values,"


# ---------------------------------------------------------------- explanations


def _bad_rows(given: Given, found: re.Match[str]) -> str | None:
    with np.errstate(over="ignore"):
        X = check_array(
            given.X, accept_sparse=True, dtype=given.dtype, ensure_all_finite=False, ensure_min_samples=0
        )
    bad = _not_finite(found["kind"], X)
    if bad is None:
        return None
    (row, column), value, count = bad
    start = f"Input {given.name} contains {found['what']}: {given.cell(row, column)}{_how_many(count)} is"
    if found["kind"] == "NaN":
        return (
            f"{start} missing or not a number. Leave out such rows, fill the values in (SimpleImputer), or "
            "use TableModel, which learns from missing values."
        )
    return f"{start} {value}. Correct it, leave out the row, or scale the column (StandardScaler)."


def _bad_targets(given: Given, found: re.Match[str]) -> str | None:
    if not isinstance(given.y, str):
        bad = _not_finite(found["kind"], np.asarray(given.y, dtype=np.float64))
        if bad is not None:
            place, value, count = bad
            return (
                f"Input {given.target} contains {found['what']}: "
                f"{given.target}{_bracketed(place)}{_how_many(count)} is {value}. Leave out such rows or "
                "correct them."
            )
    return None


def _bad_text(given: Given, found: re.Match[str]) -> str | None:
    """A text, or another object, where a number belongs."""
    for data, name in ((given.X, given.name), (given.y, given.target)):
        if data is None or (isinstance(data, str) and data == NO_TARGET) or sparse.issparse(data):
            continue
        bad = first_where(_is_no_number, np.asarray(data, dtype=object))
        if bad is not None:
            place, value, _ = bad
            where = given.cell(*place) if name == given.name and len(place) == 2 else name + _bracketed(place)
            return (
                f"{found[0]}: {where} is {_shown(value)}, where a number belongs. Correct it, "
                "encode texts as numbers (OneHotEncoder), or use TableModel, which takes texts as they are."
            )
    return None


@np.vectorize(otypes=[bool])
def _is_no_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return value is not None
    except OverflowError:
        return True
    return False


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)[:40]


def _huge(given: Given, found: re.Match[str]) -> str | None:
    sentence = _bad_text(given, found)
    if sentence is None:
        return None
    return f"{sentence.partition(', where a number')[0]}, beyond the largest float, about 1.8e308: scale it."


def _structured(given: Given, found: re.Match[str]) -> str:
    return (
        f"{given.name} or {given.target} is a structured array ({found['kind']}): give its fields as columns "
        "(numpy.lib.recfunctions.structured_to_unstructured), or make a data frame of it."
    )


def _no_sequence(given: Given, found: re.Match[str]) -> str:
    return (
        f"{given.target} is a {type(given.y).__name__}, no sequence of values: give a list or an array, such "
        f"as list({given.target})."
    )


def _complex(given: Given, found: re.Match[str]) -> str:
    name = given.name if np.iscomplexobj(given.X) else given.target
    return (
        f"Complex data not supported: {name} holds complex numbers. Give their real and imaginary parts, or "
        "their absolute values, as columns of their own."
    )


def _one_dimension(given: Given, found: re.Match[str]) -> str:
    name = given.name
    return (
        f"{found[0]}: {name} has the shape {np.shape(given.X)}. Reshape your data: {name}.reshape(1, -1) if "
        f"it is one row, {name}.reshape(-1, 1) if it is one column."
    )


def _ragged(given: Given, found: re.Match[str]) -> str | None:
    """Rows of different lengths."""
    try:
        lengths = [len(row) for row in given.X]
    except TypeError:
        return None
    other = next((row for row, length in enumerate(lengths) if length != lengths[0]), None)
    if other is None:
        return None
    return (
        f"{given.name} has rows of different lengths: row 0 has {lengths[0]} values, but row {other} has "
        f"{lengths[other]}. Give each row a value for each column."
    )


def _columns(given: Given, found: re.Match[str]) -> str:
    """scikit-learn's list of what is new or missing, and what there should be."""
    return (
        f"{found[0].rstrip()}\nThe model was fitted with the columns "
        f"{', '.join(map(repr, given.model.feature_names_in_[:20]))}"
        f"{', ...' if len(given.model.feature_names_in_) > 20 else ''}: give these, in this order "
        "(X[model.feature_names_in_] does so)."
    )


def _add(remedy: str) -> Callable[[Given, re.Match[str]], str]:
    return lambda given, found: f"{found[0].rstrip('. ')}. {remedy}"


NOT_FINITE = r"(?P<what>(?P<kind>NaN|infinity)( or a value too large for dtype\('float\d+'\))?)"
EXPLANATIONS: tuple[tuple[str, Callable[[Given, re.Match[str]], str | None]], ...] = (
    (f"Input X contains {NOT_FINITE}", _bad_rows),
    (f"Input (?:y |)contains {NOT_FINITE}", _bad_targets),
    (r"could not convert string to float", _bad_text),
    (r"int too large to convert to float", _huge),
    (r"Cannot cast array data from dtype\((?P<kind>\[.*\])\) to", _structured),
    (r"Input should have at least 1 dimension", _no_sequence),
    (r"argument must be a string or a real number", _bad_text),
    (r"inhomogeneous shape", _ragged),
    (r"Complex data not supported", _complex),
    (r"Expected 2D array, got (1D|scalar) array instead", _one_dimension),
    (r"The feature names should match .*", _columns),
    (r"X has \d+ features?, but .*", _add("Give the columns that the model was fitted with.")),
    (r"Found array with 0 sample.*", _add("Give at least one row.")),
    (r"Found array with 0 feature.*", _add("Give at least one column.")),
    (r"Found array with dim \d.*", _add("Reshape it to rows and columns: array.reshape(len(array), -1).")),
    (r"Found input variables with inconsistent .*", _add("Give one target for each row.")),
)
