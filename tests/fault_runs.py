"""Training that goes wrong, and bad tables, in Python and at the command line."""

from __future__ import annotations

import contextlib
import datetime
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from click.testing import CliRunner
from faults import N, X, c, cell, clf, column, pandas, refused, reg, right, same, tab, table, warned, y

from chainrule import DivergenceError, TableModel
from chainrule.cli import main

# ---------------------------------------------------------------- training that goes wrong


def diverges(model: Any, rows: Any, target: Any) -> bool:
    """It stops within an epoch, says so, and keeps finite weights of the beginning or of an epoch's end."""
    seen = []
    model.set_params(callbacks=[lambda epoch: seen.append(epoch.theta.copy())])
    try:
        model.fit(rows, target)
    except DivergenceError as error:
        told = f"in epoch {len(seen) + 1}" in str(error) and "Lower the learning rate" in str(error)
        finite = bool(np.isfinite(model.theta_).all())
        known = all(np.isfinite(theta).all() for theta in seen)
        kept = not seen or any(same(model.theta_, theta) for theta in seen)
        return told and finite and known and kept and model.stop_reason_ == "diverged"
    return False


DIVERGING: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "SGD": ({"solver": "sgd", "learning_rate_init": 10.0}, X, y),
    "SGD with early stopping": ({"solver": "sgd", "learning_rate_init": 10.0, "early_stopping": True}, X, y),
    "SGD in small batches": ({"solver": "sgd", "learning_rate_init": 10.0, "batch_size": 7}, X, y),
    "y around 1e200": ({}, X, y * 1e200),
    "y around 1e200, L-BFGS": ({"solver": "lbfgs"}, X, y * 1e200),
    "a feature times 1e9": ({"solver": "sgd"}, X * [1e9, 1, 1, 1], y),
    "a feature times 1e300": ({}, X * [1e300, 1, 1, 1], y),
    "a learning rate of 1e8": ({"solver": "sgd", "learning_rate_init": 1e8}, X, y),
    "weights overflow in the last step of an epoch": (
        {"solver": "rmsprop", "learning_rate_init": 1e308, "loss": "huber"},
        X,
        y,
    ),
    "weights overflow in the last step of all": (
        {"solver": "sgd", "learning_rate_init": 1e308, "max_iter": 1},
        X,
        y,
    ),
}
for label, (options, rows, target) in DIVERGING.items():
    right(
        f"diverges: {label}", lambda o=options, r=rows, t=target: diverges(reg(**{"max_iter": 40, **o}), r, t)
    )
refused(
    "divergence is explained",
    lambda: reg(solver="sgd", max_iter=40).fit(X * [1e9, 1, 1, 1], y),
    "in epoch",
    "X[:, 0]",
    "StandardScaler",
    "last finite weights were kept",
)
warned("Adam with a learning rate of 1e8", lambda: reg(learning_rate_init=1e8).fit(X, y), "diverged", "Lower")
warned(
    "classes with a learning rate of 1e8", lambda: clf(learning_rate_init=1e8).fit(X, c), "diverged", "Lower"
)
warned("Adam and a feature times 1e9", lambda: reg().fit(X * [1e9, 1, 1, 1], y), "X[:, 0]", "StandardScaler")
warned(
    "all ReLUs dead",
    lambda: reg(init_weights=([np.ones((4, 5)), np.ones((5, 1))], [np.full(5, -1e3), np.ones(1)])).fit(X, y),
    "units",
    "hidden layer",
    "learning rate",
)
right("all features constant", lambda: constant())
warned("an interrupted fit", lambda: interrupted(), "interrupted", "finite weights were kept")
right("an interrupted fit keeps finite weights", lambda: keeps_finite())


def constant() -> bool:
    """Every prediction is the share of the class, for there is nothing else to learn."""
    model = clf(solver="lbfgs", max_iter=300, alpha=0).fit(np.ones((N, 4)), c)
    return bool(np.allclose(model.predict_proba(np.ones((1, 4)))[0, 1], c.mean(), atol=1e-3))


def interrupted(**options: Any) -> Any:
    def interrupt(epoch: Any) -> None:
        if epoch.number == 3:
            raise KeyboardInterrupt

    return reg(callbacks=[interrupt], **options).fit(X, y)


def keeps_finite() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = interrupted()
    return (
        model.n_iter_ == 3 and model.stop_reason_ == "interrupted" and bool(np.isfinite(model.theta_).all())
    )


# ---------------------------------------------------------------- tables

TABLES: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "inf in a column": (cell("a", 3, np.inf), "price", ("'a'", "row 4", "infinite", "Correct")),
    "inf in the target": (cell("price", 3, np.inf), "price", ("'price'", "row 4", "infinite", "Correct")),
    "one class": (column("kind", ["no"] * N), "kind", ("'kind'", "single class", "nothing to learn")),
    "one number": (column("price", np.full(N, 1.5)), "price", ("'price'", "1.5", "nothing to learn")),
    "all features constant": (
        pl.DataFrame({"a": np.ones(N), "kind": table["kind"]}),
        "kind",
        ("'a'", "same"),
    ),
    "no rows": (table[:0], "kind", ("no row", "'kind'", "Two are needed")),
    "one row": (table[:1], "kind", ("only one row", "'kind'", "Two are needed")),
    "no such target": (table, "prise", ("'prise'", "'price'")),
    "a date as target": (
        column("kind", [datetime.date(2020, 1, 1)] * N),
        "kind",
        ("'kind'", "date", "Convert"),
    ),
    "bytes as target": (pandas(kind=[b"n", b"y"] * 30), "kind", ("'kind'", "row 1", "bytes")),
    "mixed labels": (pandas(kind=[1, "y"] * 30), "kind", ("'kind'", "row 2", "unlike the values before")),
    "lists in a column": (column("a", [[1, 2]] * N), "kind", ("'a'", "List", "Convert or drop")),
    "complex numbers": (pandas(a=X[:, 0] + 0j), "kind", ("'a'", "Convert or drop")),
    "an array": (X, "kind", ("data frame", "ndarray", "names")),
    "two columns of one name": (pd.DataFrame(X, columns=list("aabc")), "b", ("same name", "Rename")),
}
for label, (data, target, words) in TABLES.items():
    refused(f"table: {label}", lambda data=data, target=target: tab().fit(data, target), *words)


def fitted(target: str = "kind") -> TableModel:
    return tab().fit(table, target, drop=["price" if target == "kind" else "kind"])


refused(
    "table: a column is missing",
    lambda: fitted().predict(table.drop("a")),
    "no column 'a'",
    "Its columns are",
)
refused(
    "table: text among numbers",
    lambda: fitted().predict(column("a", ["x"] * N)),
    "'a'",
    "row 1",
    "not a number",
)
refused("table: inf to predict", lambda: fitted().predict(cell("a", 3, np.inf)), "'a'", "row 4", "infinite")
refused("table: no rows to predict", lambda: fitted().predict(table[:0]), "no rows")
refused("table: an array to predict", lambda: fitted().predict(X), "data frame", "ndarray")
refused(
    "table: probabilities of a number",
    lambda: fitted("price").predict_proba(table),
    "'price'",
    "no probabilities",
)
refused("table: an unknown option", lambda: tab(layers=3).fit(table, "kind"), "layers", "no such option")
refused("table: a penalty in words", lambda: tab(alpha="a").fit(table, "kind"), "'alpha'", "range", "'a'")
refused("table: a share of NaN", lambda: tab(test_size=np.nan), "test_size", "[0, 1)", "nan")
refused("table: a share in words", lambda: tab(validation_size="a"), "validation_size", "[0, 1)", "'a'")
refused("table: a seed in words", lambda: tab(random_state="a"), "random_state", "whole number", "'a'")
refused("table: a text to drop", lambda: tab().fit(table, "kind", drop="a"), "drop", "['a']")
refused(
    "table: poisson", lambda: tab(loss="poisson").fit(table, "price"), "'poisson'", "'price'", "MLPRegressor"
)
warned(
    "table: a learning rate of 1e8",
    lambda: tab(learning_rate_init=1e8).fit(table, "price"),
    "diverged",
    "Lower",
)
right("table: an unseen category is said", lambda: unseen())
right(
    "table: columns in another order",
    lambda: same(
        fitted("price").predict(table), fitted("price").predict(table.select(reversed(table.columns)))
    ),
)
right(
    "table: a further column is said",
    lambda: "'z'" in fitted().notes(table.with_columns(z=pl.lit(1)), ["price"])[0],
)
right(
    "table: y around 1e200",
    lambda: bool(np.isfinite(tab().fit(column("price", y * 1e200), "price").predict(table)).all()),
)
right(
    "table: NaN is a missing value",
    lambda: "a=<missing>" in tab(test_size=0.0).fit(cell("a", 3, np.nan), "kind").encoder_.feature_names,
)
right(
    "table: a class with one row",
    lambda: (
        tab().fit(column("kind", ["z", *table["kind"][1:]]), "kind").classes_.tolist() == ["no", "yes", "z"]
    ),
)


def unseen() -> bool:
    data = cell("colour", 2, "green")
    model = fitted()
    return len(model.predict(data)) == N and "'green'" in model.notes(data, ["price"])[0]


# ---------------------------------------------------------------- the command line


class CommandError(Exception):
    """What a command that failed wrote."""


def command(*arguments: str, **files: bytes) -> str:
    """Run chainrule in a folder of its own with these files; `NAME.csv` is the file `NAME`."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, raw in files.items():
            Path(f"{name}.csv").write_bytes(raw)
        done = CliRunner().invoke(main, [*arguments], catch_exceptions=False)
        left = sorted(path.name for path in Path().iterdir() if path.suffix != ".csv")
    if done.exit_code:
        assert not left, f"a command that failed left {left}"
        raise CommandError(done.output)
    return done.output


def csv_of(data: pl.DataFrame) -> bytes:
    return data.write_csv().encode()


TRAIN = ("train", "data.csv", "--target", "kind", "--epochs", "3", "--quiet")
COMMANDS: dict[str, tuple[tuple[str, ...], bytes, tuple[str, ...]]] = {
    "inf in a file": (TRAIN, csv_of(cell("a", 3, np.inf)), ("line 5", "column 'a'", "Correct it")),
    "1e400 in a file": (TRAIN, b"a,kind\n1,x\n1e400,y\n2,x\n3,y\n", ("line 3", "'1e400'", "Correct it")),
    "a text among numbers": (TRAIN, csv_of(table).replace(b"0.1257", b"a.1257"), ("line 2", "Correct it")),
    "a ragged row": (TRAIN, csv_of(table) + b"1,2,3\n", ("line 62", "3 values", "5 names", "Is a")),
    "an empty file": (TRAIN, b"", ("data.csv is empty",)),
    "no rows": (TRAIN, b"a,kind\n", ("a header, but no rows",)),
    "no such target": ((*TRAIN[:3], "knd", *TRAIN[4:]), csv_of(table), ("'knd'", "'kind'")),
    "one class": (TRAIN, csv_of(column("kind", ["no"] * N)), ("'kind'", "single class")),
    "a penalty of NaN": ((*TRAIN, "--alpha", "nan"), csv_of(table), ("alpha", "range", "nan")),
    "an infinite rate": ((*TRAIN, "--learning-rate", "inf"), csv_of(table), ("learning_rate", "range")),
    "a share of NaN": ((*TRAIN, "--test-size", "nan"), csv_of(table), ("test_size", "[0, 1)", "nan")),
    "no epochs": ((*TRAIN, "--epochs", "0"), csv_of(table), ("--epochs", "x>=1")),
    "units beyond memory": ((*TRAIN, "--hidden", "9" * 15), csv_of(table), ("memory", "smaller layers")),
    "no such folder": ((*TRAIN, "-o", "none/model"), csv_of(table), ("no folder none",)),
    "not a model": (("predict", "data.csv", "data.csv"), csv_of(table), ("data.csv", "not a model file")),
    "no such file": (("predict", "none.model", "data.csv"), csv_of(table), ("none.model", "No such file")),
}  # fmt: skip
for label, (arguments, raw, words) in COMMANDS.items():
    refused(f"command: {label}", lambda arguments=arguments, raw=raw: command(*arguments, data=raw), *words)
right(
    "command: a learning rate of 1e8 is said",
    lambda: "diverged" in command(*TRAIN, "--learning-rate", "1e8", data=csv_of(table)),
)
