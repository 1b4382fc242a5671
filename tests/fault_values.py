"""Values, types, layouts and shapes that are not as they should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from faults import N, X, c, clf, frame, put, refused, reg, right, same, warned, y
from scipy import sparse

# ---------------------------------------------------------------- values that are none

NOT_FINITE = {"NaN": np.nan, "inf": np.inf, "-inf": -np.inf}
PHRASE = {"NaN": "Input X contains NaN", "inf": "contains infinity", "-inf": "contains infinity"}
for label, value in NOT_FINITE.items():
    for make, target in ((clf, c), (reg, y)):
        kind = type(make()).__name__
        refused(
            f"{kind}: fit, {label} in X",
            lambda make=make, t=target, v=value: make().fit(put(X, (3, 2), v), t),
            PHRASE[label],
            "X[3, 2]",
            "eave out",
        )
        refused(
            f"{kind}: predict, {label} in X",
            lambda make=make, t=target, v=value: make().fit(X, t).predict(put(X, (7, 1), v)),
            PHRASE[label],
            "X[7, 1]",
            "eave out",
        )
        refused(
            f"{kind}: fit, {label} in y",
            lambda make=make, t=target, v=value: make().fit(X, put(t, 3, v)),
            "Input y contains",
            "y[3]",
            "Leave out",
        )
    refused(
        f"frame: fit, {label} in a column",
        lambda v=value: reg().fit(pd.DataFrame(put(X, (3, 2), v), columns=list("abcd")), y),
        "X[3, 2] (column 'c')",
        "eave out",
    )
    refused(
        f"sparse: fit, {label}",
        lambda v=value: reg().fit(sparse.csr_matrix(put(X, (3, 2), v)), y),
        "X[3, 2]",
        "eave out",
    )
refused(
    "pandas NA in X",
    lambda: reg().fit(frame.astype("Float64").mask(frame == frame.iloc[5, 1]), y),
    "X[5, 1] (column 'b')",
    "SimpleImputer",
)
refused("several NaN in X", lambda: reg().fit(np.where(X > 1, np.nan, X), y), "the first of", "SimpleImputer")
refused("None in X", lambda: clf().fit(put(X, (1, 1), None), c), "X[1, 1]", "SimpleImputer")
refused(
    "masked values in X",
    lambda: reg().fit(np.ma.masked_array(X, X > 2), y),
    "masked",
    "X[19, 3]",
    "Fill it in",
)
refused(
    "masked values in y", lambda: reg().fit(X, np.ma.masked_array(y, y > 9)), "masked", "y[", "Fill it in"
)
right("a mask without masked values", lambda: same(reg().fit(np.ma.masked_array(X), y).theta_, plain("reg")))
refused(
    "too large for float32 at prediction",
    lambda: reg().fit(X.astype("f4"), y).predict(put(X, (2, 0), 1e39)),
    "X[2, 0]",
    "float32",
    "scale the column",
)
refused(
    "y too large for float32", lambda: reg().fit(X.astype("f4"), put(y, 4, 1e39)), "row 4", "1e+39", "scale y"
)
refused(
    "a prediction that overflows",
    lambda: reg().fit(X, y * 1e3).predict(put(X, 2, 1.7e308)),
    "prediction of row 2",
    "X[2, 0]",
    "Scale",
)
refused(
    "a layer that overflows",
    lambda: reg(max_iter=30, learning_rate_init=1.0).fit(X, y).transform(put(X, 2, 1.7e308)),
    "row 2",
    "X[2, 0]",
    "Scale",
)
refused(
    "weights that a user set to NaN",
    lambda: spoilt(reg().fit(X, y)).predict(X),
    "prediction is not finite",
    "weights are not",
    "fit it again",
)


def spoilt(model: Any) -> Any:
    model.coefs_[0][0, 0] = np.nan
    return model


def plain(kind: str) -> Any:
    """The parameters after training on the plain data."""
    return (reg().fit(X, y) if kind == "reg" else clf().fit(X, c)).theta_


# ---------------------------------------------------------------- types and layouts

refused("text in X", lambda: clf().fit(put(X, (3, 2), "abc"), c), "X[3, 2]", "'abc'", "OneHotEncoder")
refused("a dict in X", lambda: clf().fit(put_object({"a": 1}), c), "X[3, 2]", "{'a': 1}", "number belongs")
refused("a text column", lambda: clf().fit(frame.assign(b="x"), c), "column 'b'", "'x'", "TableModel")
refused("text in y", lambda: reg().fit(X, put(y, 6, "dear")), "y[6]", "'dear'", "number belongs")
refused("only texts in y", lambda: reg().fit(X, np.full(N, "a")), "y[0]", "'a'", "number belongs")
refused("complex X", lambda: clf().fit(X + 0j, c), "Complex data", "X holds", "real and imaginary")
refused("complex y", lambda: reg().fit(X, y + 0j), "Complex data", "y holds", "real and imaginary")
refused(
    "dates in X", lambda: clf().fit(np.full((N, 4), "2020-01-01", "M8[D]"), c), "X holds dates", "TableModel"
)
refused(
    "a column of dates",
    lambda: clf().fit(frame.assign(b=pd.Timestamp("2020-01-01")), c),
    "Column 'b' of X",
    "dates",
    "TableModel",
)
refused(
    "durations in y", lambda: reg().fit(X, np.arange(N).astype("m8[s]")), "y holds dates or durations", "take"
)


def put_object(value: Any) -> Any:
    copy = X.astype(object)
    copy[3, 2] = value
    return copy


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "Fortran order": np.asfortranarray,
    "strided": lambda A: np.repeat(A, 2, axis=0)[::2],
    "strided columns": lambda A: np.repeat(A, 3, axis=1)[:, ::3],
    "reversed": lambda A: np.ascontiguousarray(A[::-1, ::-1])[::-1, ::-1],
    "read-only": lambda A: read_only(A),
    "big-endian": lambda A: A.astype(">f8"),
    "objects": lambda A: A.astype(object),
    "lists": lambda A: A.tolist(),
    "texts of numbers": lambda A: np.array([[repr(float(v)) for v in row] for row in A]),
    "CSR": sparse.csr_matrix,
    "CSC": sparse.csc_matrix,
    "COO": sparse.coo_matrix,
    "float128": lambda A: A.astype(np.longdouble),
    "data frame": lambda A: pd.DataFrame(A),
}


def read_only(A: Any) -> Any:
    copy = np.array(A)
    copy.flags.writeable = False
    return copy


for label, lay in LAYOUTS.items():
    if "C" not in label:  # sparse products sum in another order: see the relations
        right(f"fit: {label}", lambda lay=lay: same(reg().fit(lay(X), y).theta_, plain("reg")))
    right(f"predict: {label}", lambda lay=lay: close(reg().fit(X, y), lay(X)))
for label, kind in {"int8": "i1", "uint16": "u2", "bool": "?", "float16": "f2"}.items():
    right(
        f"fit: {label}",
        lambda kind=kind: same(
            reg().fit((X > 0).astype(kind), y).theta_, reg().fit((X > 0).astype("f8"), y).theta_
        ),
    )


def close(model: Any, rows: Any) -> bool:
    return bool(np.allclose(model.predict(rows), model.predict(X), rtol=1e-14, atol=1e-14))


# ---------------------------------------------------------------- shapes

for make, target in ((clf, c), (reg, y)):
    kind = type(make()).__name__
    refused(
        f"{kind}: no rows",
        lambda make=make, t=target: make().fit(X[:0], t[:0]),
        "0 sample(s)",
        "Give at least one row",
    )
    refused(
        f"{kind}: no rows to predict",
        lambda make=make, t=target: make().fit(X, t).predict(X[:0]),
        "0 sample(s)",
        "Give at least one row",
    )
    refused(
        f"{kind}: no columns", lambda make=make, t=target: make().fit(X[:, :0], t), "0 feature(s)", "column"
    )
    right(
        f"{kind}: one row",
        lambda make=make, t=target: bool(np.isfinite(make().fit(X[:1], t[:1]).predict(X)).all()),
    )
    refused(
        f"{kind}: one row, and stopping early",
        lambda make=make, t=target: make(early_stopping=True).fit(X[:1], t[:1]),
        "early_stopping=True",
        "validation_data",
    )
    refused(
        f"{kind}: too few columns to predict",
        lambda make=make, t=target: make().fit(X, t).predict(X[:, :3]),
        "3 features",
        "expecting 4",
        "Give the columns",
    )
    refused(
        f"{kind}: one row as a flat array",
        lambda make=make, t=target: make().fit(X, t).predict(X[0]),
        "1D array",
        "(4,)",
        "reshape(1, -1)",
    )
    refused(
        f"{kind}: y of another length",
        lambda make=make, t=target: make().fit(X, t[:50]),
        "[60, 50]",
        "one target for each row",
    )
    refused(f"{kind}: not fitted", lambda make=make: make().predict(X), "not fitted yet", "Call 'fit'")
refused("three dimensions", lambda: reg().fit(X[None], y), "dim 3", "reshape")
refused("rows of different lengths", lambda: reg().fit([[1, 2], [3]], [1, 2]), "row 1 has 1", "Give each row")
refused("no y", lambda: reg().fit(X, None), "requires y", "None")
refused("sparse y", lambda: reg().fit(X, sparse.csr_matrix(y[:, None])), "dense data is required", "toarray")
refused(
    "five rows, and stopping early",
    lambda: reg(early_stopping=True).fit(X[:5], y[:5]),
    "too small",
    "Increase",
)
warned("fewer rows than the batch", lambda: clf(batch_size=200).fit(X, c), "batch_size", "clipped")
right("more outputs", lambda: reg().fit(X, np.c_[y, y]).predict(X).shape == (N, 2))

# ---------------------------------------------------------------- columns

for label, others in {"reordered": list("dcba"), "missing": list("abc")}.items():
    refused(
        f"columns {label}",
        lambda others=others: reg().fit(frame, y).predict(frame[others]),
        "feature names should match",
        "'a', 'b', 'c', 'd'",
        "in this order",
    )
refused(
    "a column more",
    lambda: reg().fit(frame, y).predict(frame.assign(e=1)),
    "- e",
    "'a', 'b', 'c', 'd'",
    "give these",
)
warned(
    "an array after a data frame",
    lambda: reg().fit(frame, y).predict(X),
    "valid feature names",
    "fitted with",
)
refused(
    "two columns of one name",
    lambda: reg().fit(pd.DataFrame(X, columns=list("abad")), y),
    "same name",
    "X",
    "Rename",
)

# ---------------------------------------------------------------- what cannot be trusted


def damaged(kind: str, part: str, place: int, value: int) -> Any:
    """A sparse matrix with an index that leads out of it: read or written, it would be other memory."""
    matrix = getattr(sparse, f"{kind}_matrix")(X)
    getattr(matrix, part)[place] = value
    return matrix


DAMAGED = (
    ("csr", "indices", 3, 77),
    ("csr", "indices", 3, -5),
    ("csr", "indptr", 3, 10**6),
    ("csr", "indptr", 3, -4),
    ("csr", "indptr", 0, 1),
    ("csr", "indptr", -1, 10**6),
    ("csc", "indices", 0, 99),
    ("coo", "row", 0, 99),
    ("coo", "col", 0, -1),
)
for case in DAMAGED:
    refused(
        f"sparse: {case}",
        lambda case=case: reg().fit(X, y).predict(damaged(*case)),
        "X is a damaged sparse matrix",
        "Make it anew",
    )
refused("sparse: fit", lambda: reg().fit(damaged(*DAMAGED[0]), y), "X is a damaged sparse matrix", "Make it")
right(
    "sparse: an empty one",
    lambda: same(*(reg().fit(X, y).predict(rows) for rows in (sparse.csr_matrix((3, 4)), np.zeros((3, 4))))),
)
refused("a lazy frame", lambda: reg().fit(pl.DataFrame(X).lazy(), y), "X is a LazyFrame", "X.collect()")
refused(
    "a structured array",
    lambda: reg().fit(np.zeros(N, [("a", float), ("b", float)]), y),
    "structured array",
    "data frame",
)
refused("a text for all of X", lambda: reg().fit("abc", y), "X is 'abc'", "where a number belongs")
refused("y from a generator", lambda: reg().fit(X, iter(y)), "y is a", "no sequence", "list(y)")
for label, act in {
    "X": lambda: reg().fit([[10**400] * 4] * N, y),
    "y": lambda: reg().fit(X, [10**400] * N),
}.items():
    refused(f"whole numbers past every float in {label}", act, f"{label}[0", "is 1000", "scale it")
right(
    "nullable numbers of pandas",
    lambda: same(reg().fit(frame.astype("Float64"), y).theta_, reg().fit(frame, y).theta_),
)
