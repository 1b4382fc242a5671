"""Bad data and options of the estimators for tables."""

from __future__ import annotations

import datetime
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from faults import N, X, c, cell, column, pandas, put, refused, right, same, table, y
from scipy import sparse

from chainrule import TabularClassifier, TabularRegressor, explain, load

QUICK: dict[str, Any] = {"n_members": 1, "hidden_layer_sizes": [5], "epochs": 3, "random_state": 0}
rows = table.drop("price", "kind")


def tabc(**options: Any) -> TabularClassifier:
    return TabularClassifier(**{**QUICK, **options})


def tabr(**options: Any) -> TabularRegressor:
    return TabularRegressor(**{**QUICK, **options})


# ---------------------------------------------------------------- data

DATA: dict[str, tuple[Any, tuple[str, ...]]] = {
    "inf in an array": (put(X, (3, 2), np.inf), ("infinity", "X[3, 2]", "Correct it")),
    "inf in a frame": (cell("a", 3, np.inf), ("'a'", "row 4", "infinite", "Correct")),
    "a sparse matrix": (sparse.csr_matrix(X), ("sparse", "X.toarray()")),
    "lists in a column": (column("a", [[1, 2]] * N), ("'a'", "List", "Convert or drop")),
    "bytes in a column": (pandas(a=[b"n", b"y"] * 30), ("'a'", "row 1", "bytes")),
    "mixed types in a column": (pandas(a=[1, "y"] * 30), ("'a'", "row 2", "unlike the values before")),
    "mixed types in an array": (
        np.array([[1, "a"], ["b", "c"]] * 30, dtype=object),
        ("Column 0", "mixes numbers and texts", "X[1, 0] is 'b'", "one type"),
    ),
    "a dict in an array": (np.array([[1, {}]] * 60, dtype=object), ("X[0, 1] is {}", "string", "Convert")),
    "complex numbers": (X + 0j, ("Complex", "real and imaginary")),
    "masked values": (np.ma.masked_less(X, -2), ("masked", "filled")),
    "dates in an array": (np.full((N, 1), "2020-01-01", "datetime64[D]"), ("dates", "TableModel")),
    "two columns of one name": (pd.DataFrame(X, columns=list("aabc")), ("same name", "Rename")),
    "nothing that varies": (pd.DataFrame({"a": np.ones(N), "b": ["x"] * N}), ("'a'", "same", "'b'")),
    "one dimension": (X[:, 0], ("(60,)", "reshape(-1, 1)")),
    "no rows": (rows[:0], ("0 sample(s)", "empty")),
    "no columns": (rows.select(), ("0 sample(s)", "empty")),
    "one row": (rows[:1], ("1 sample", "two or more")),
    "another number of rows": (rows[:30], ("[30, 60]", "one target for each row")),
}
for label, (data, words) in DATA.items():
    target = c[:1] if label == "one row" else c[:0] if label in ("no rows", "no columns") else c
    refused(f"tabular: {label}", lambda data=data, target=target: tabc().fit(data, target), *words)

refused("tabular: no target", lambda: tabc().fit(rows, None), "requires y to be passed")
refused("tabular: one class", lambda: tabc().fit(rows, ["x"] * N), "single class, 'x'", "two classes")
refused("tabular: fractions as classes", lambda: tabc().fit(rows, y), "continuous", "y[0]", "MLPRegressor")
refused("tabular: a class is missing", lambda: tabc().fit(rows, put(c, 3, None)), "y[3] is None", "Leave out")
refused(
    "tabular: a target is missing", lambda: tabr().fit(rows, put(y, 3, np.nan)), "y[3] is nan", "Leave out"
)
refused("tabular: texts as numbers", lambda: tabr().fit(rows, ["a"] * N), "y[0] is 'a'", "number belongs")
refused("tabular: two targets", lambda: tabr().fit(rows, np.c_[y, y]), "2 columns", "one model for each")
refused(
    "tabular: dates as a target", lambda: tabr().fit(rows, pd.Series([datetime.date(2020, 1, 1)] * N)), "y[0]"
)
refused(
    "tabular: a negative weight",
    lambda: tabr().fit(rows, y, put(np.ones(N), 5, -1.0)),
    "row 5",
    "not be negative",
)


def fitted() -> TabularRegressor:
    return tabr(learning_rate=0.01).fit(rows, y)


refused(
    "tabular: text among numbers",
    lambda: fitted().predict(column("a", ["x"] * N)[rows.columns]),
    "'a'",
    "row 1",
)
refused("tabular: a column is missing", lambda: fitted().predict(rows.drop("b")), "b", "these, in this order")
refused(
    "tabular: other columns", lambda: fitted().predict(rows.rename({"b": "z"})), "z", "'b'", "in this order"
)
refused("tabular: too few columns", lambda: tabr().fit(X, y).predict(X[:, :2]), "2 features", "expecting 4")
refused("tabular: not fitted", lambda: tabr().predict(rows), "not fitted yet")
refused("tabular: not fitted, to be saved", lambda: tabr().save("x"), "not fitted yet", "call fit")
refused("tabular: not fitted, importances", lambda: tabr().importances(rows, y), "not fitted yet")
right("tabular: an unseen category", lambda: bool(np.isfinite(fitted().predict(unseen())).all()))
right(
    "tabular: values far away",
    lambda: bool(np.isfinite(fitted().predict(cell("a", 3, 1e300)[rows.columns])).all()),
)
right("tabular: y around 1e200", lambda: bool(np.isfinite(tabr().fit(rows, y * 1e200).predict(rows)).all()))
right("tabular: a constant target", lambda: bool((tabr().fit(rows, np.ones(N)).predict(rows) == 1).all()))
right(
    "tabular: a class with one row", lambda: tabc().fit(rows, ["z", *["a", "b"] * 29, "a"]).classes_.size == 3
)
right(
    "tabular: an empty column",
    lambda: tabr().fit(rows.with_columns(a=pl.lit(None)), y).encoder_.layout.total == 2,
)


def unseen() -> pl.DataFrame:
    return rows.with_columns(colour=pl.lit("green"))


# ---------------------------------------------------------------- options

WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no member": ({"n_members": 0}, ("'n_members'", "range", "0")),
    "a metric of the other task": ({"metric": "rmse"}, ("metric", "'log_loss'", "classification", "'rmse'")),
    "a misspelt metric": ({"metric": "acuracy"}, ("'acuracy'", "Did you mean 'accuracy'")),
    "a fraction of all rows": ({"validation_fraction": 1.0}, ("'validation_fraction'", "range", "1.0")),
    "no such column": ({"cat_features": ["d"]}, ("cat_features", "'d'", "It has: 'a'")),
    "a position that is not there": ({"cat_features": [9]}, ("cat_features", "9", "from 0 to 2")),
    "a text for columns": ({"cat_features": "colour"}, ("cat_features", "['colour']", "not a text")),
    "no time": ({"time_limit": 0}, ("'time_limit'", "range", "0")),
    "endless time": ({"time_limit": np.inf}, ("'time_limit'", "range", "inf")),
    "a learning rate of NaN": ({"learning_rate": np.nan}, ("'learning_rate'", "range", "nan")),
    "a fraction of a unit": ({"hidden_layer_sizes": [6.5]}, ("hidden_layer_sizes", "whole numbers", "6.5")),
    "no epochs": ({"epochs": 0}, ("'epochs'", "range", "0")),
    "dropout of all": ({"dropout": 1.0}, ("'dropout'", "range", "1.0")),
    "no jobs": ({"n_jobs": 0}, ("'n_jobs'", "range", "0")),
    "a seed in words": ({"random_state": "x"}, ("'random_state'", "range", "'x'")),
}
for label, (options, words) in WRONG.items():
    refused(f"tabular: {label}", lambda options=options: tabc(**options).fit(rows, c), *words)

EVALUATED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "no pair": ((rows,), ("eval_set must be (X, y)",)),
    "other columns": ((rows.drop("a"), c), ("a", "in this order")),
    "another length": ((rows, c[:30]), ("[60, 30]", "one target for each row")),
    "other classes": ((rows, c + 5), ("eval_set's y[0] is 6", "none of the classes", "Leave such rows out")),
    "inf": ((cell("a", 3, np.inf)[rows.columns], c), ("'a'", "row 4", "infinite")),
}
for label, (given, words) in EVALUATED.items():
    refused(f"tabular: eval_set: {label}", lambda given=given: tabc().fit(rows, c, eval_set=given), *words)

COVERAGES = {"all": 1.0, "none": 0, "in words": "90 %", "NaN": np.nan}
for label, coverage in COVERAGES.items():
    refused(
        f"tabular: coverage of {label}",
        lambda coverage=coverage: fitted().predict_interval(rows, coverage),
        "coverage",
        "(0, 1)",
    )
refused(
    "tabular: a coverage that needs more rows",
    lambda: fitted().predict_interval(rows, 0.99),
    "99 validation rows",
    "has 12",
    "lower it",
)
refused(
    "tabular: intervals without validation rows",
    lambda: tabr(validation_fraction=0).fit(rows, y).predict_interval(rows),
    "no validation rows",
    "eval_set",
)
refused("tabular: no repeats", lambda: fitted().importances(rows, y, repeats=0), "repeats", "at least 1")
refused(
    "tabular: importances of other rows", lambda: fitted().importances(rows, y[:9]), "[60, 9]", "each row"
)
refused(
    "tabular: a member that is not there",
    lambda: explain(fitted(), rows, member=3),
    "member",
    "between 0 and 0",
)


def reloaded() -> bool:
    model = fitted()
    with TemporaryDirectory() as folder:
        model.save(f"{folder}/m.model")
        return same(load(f"{folder}/m.model").predict(rows), model.predict(rows))


right("tabular: a file", reloaded)
