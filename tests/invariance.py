"""The same data, handed over in other pieces or in another form, must give the same bits."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import polars as pl
from click.testing import CliRunner
from scipy import sparse
from threadpoolctl import threadpool_limits

from chainrule import MLPClassifier, MLPRegressor, TableModel, compiled, team
from chainrule.cli import main

SIZES = (1, 2, 3, 7, 64, 100, 1000, 4096)  # by row, and in seven sizes


def fitted(name: str, X: Any) -> Callable[[Any], Any]:
    """The prediction of a model of a kind."""
    options: dict[str, Any] = {"random_state": 0, "max_iter": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "classes":
            y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
            return MLPClassifier((64, 32), **options).fit(X, y).predict_proba  # type: ignore[no-any-return]
        y = X[:, 0] - X[:, 1] ** 2
        return MLPRegressor(hidden_layer_sizes=(64, 32), activation="tanh", **options).fit(X, y).predict  # type: ignore[no-any-return]


def batch_differences(name: str, rows: int, sizes: tuple[int, ...] = SIZES) -> dict[int, int]:
    """How many predicted values differ in their bits, by the number of rows predicted at once."""
    X = np.random.default_rng(0).normal(size=(rows, 20)).astype("f4" if name == "float32" else "f8")
    predict = fitted(name, X)
    whole = predict(X)
    return {
        size: int((np.concatenate([predict(X[i : i + size]) for i in range(0, rows, size)]) != whole).sum())
        for size in sizes
    }


def command_differences() -> int:
    """How many numbers that `chainrule predict` writes differ from those in Python."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=400), "b": ["x", "y", "z", "x"] * 100})
    frame = frame.with_columns(c=pl.col("a") * 3 - 1)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, data = Path(folder) / "a.model", Path(folder) / "data.csv"
        trained = TableModel(hidden_layer_sizes=(8,), max_iter=5).fit(frame, "c")
        trained.save(model)
        frame.write_csv(data)
        out = Path(folder) / "out.csv"
        done = CliRunner().invoke(main, ["predict", str(model), str(data), "-o", str(out)])
        if done.exit_code:
            return len(frame)
        written = np.array([float(line) for line in out.read_text().split()[1:]])
    return int((written != trained.predict(frame)).sum())


# ---------------------------------------------------------------- threads


FITS: dict[str, dict[str, Any]] = {
    "784 inputs, 128 units": {"rows": 1000, "inputs": 784, "hidden_layer_sizes": (128,), "max_iter": 3},
    "the same in float32": {
        "rows": 1000, "inputs": 784, "hidden_layer_sizes": (128,), "max_iter": 3, "dtype": "float32",
    },
    "stopped by the training loss": {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 60},
    "stopped by validation": {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 20},
    "L-BFGS": {"solver": "lbfgs", "max_iter": 15, "hidden_layer_sizes": (200, 100)},
    "SGD with a rate that adapts": {
        "solver": "sgd", "learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 1,
    },
    "AdamW, dropout, GELU, one cycle": {
        "solver": "adamw", "dropout": 0.3, "activation": "gelu", "learning_rate": "one_cycle",
    },
    "weights of classes": {"class_weight": "balanced", "activation": "tanh"},
    "a batch that is not shared out evenly": {"batch_size": 77, "hidden_layer_sizes": (33, 17)},
    "many layers of one unit and of many": {"hidden_layer_sizes": (50, 1, 70, 3), "dtype": "float32"},
}  # fmt: skip


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads take part, whatever the size of a step and the machine."""
    with ExitStack() as stack:
        for place, name, value in (
            (compiled, "MEMBER", 1),
            (compiled, "CALL", 1),
            (team, "processors", lambda: count),
            (team.QUIET, "threads", lambda: count),
            (team.CREW, "pool", None),
        ):
            stack.enter_context(mock.patch.object(place, name, value))
        stack.enter_context(threadpool_limits(count, user_api="blas"))
        yield


def fit_with_threads(name: str, count: int) -> str:
    """A hash of a fit's parameters and losses."""
    options = {"rows": 300, "inputs": 20, "hidden_layer_sizes": (64, 32), "max_iter": 6, **FITS[name]}
    rows, inputs, dtype = options.pop("rows"), options.pop("inputs"), options.pop("dtype", "float64")
    rng = np.random.default_rng(5)
    X = rng.normal(size=(rows, inputs)).astype(dtype)
    y = (X[:, 0] + 0.5 * rng.normal(size=rows) > 0).astype(int) + (X[:, 1] > 0.5)
    with warnings.catch_warnings(), threads(count):
        warnings.simplefilter("ignore")
        model = MLPClassifier(random_state=0, **options).fit(X, y)
    return hashlib.sha256(model.theta_.tobytes() + np.array(model.history_["loss"]).tobytes()).hexdigest()


def equal_hashes(counts: Sequence[int] = (1, 2, 3, 4)) -> dict[str, int]:
    """Of each fit, with how many of these numbers of threads its hash is the one of the first."""
    found = {name: [fit_with_threads(name, count) for count in counts] for name in FITS}
    return {name: hashes.count(hashes[0]) for name, hashes in found.items()}


# ---------------------------------------------------------------- layouts


def memory_mapped(X: Any) -> Any:
    with tempfile.NamedTemporaryFile() as file:
        mapped = np.memmap(file.name, X.dtype, "w+", shape=X.shape)
    mapped[...] = X
    return mapped


def read_only(X: Any) -> Any:
    copy = X.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "Fortran order": np.asfortranarray,
    "every second row of a larger array": lambda X: np.repeat(X, 2, axis=0)[::2],
    "some columns of a larger array": lambda X: np.repeat(X, 3, axis=1)[:, ::3],
    "reversed": lambda X: np.ascontiguousarray(X[::-1])[::-1],
    "read-only": read_only,
    "memory-mapped": memory_mapped,
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "lists": lambda X: X.tolist(),
    "pandas": lambda X: pd.DataFrame(X),
    "polars": lambda X: pl.DataFrame(X),
    "objects": lambda X: X.astype(object),
    "long double": lambda X: X.astype(np.longdouble),
    "CSR": sparse.csr_matrix,
    "CSC": sparse.csc_matrix,
}


def layouts_with_other_bits() -> tuple[list[str], int]:
    """Layouts that change a bit of the fitted parameters or of the prediction, and how many were tried."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 6)).astype("f4").astype("f8")  # so that no text or type loses a digit
    X[rng.random(X.shape) < 0.3] = 0
    y = X[:, 0] - X[:, 1] ** 2
    other = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = fit(X, y)
        for name, lay in LAYOUTS.items():
            model = fit(lay(X), y)
            same = model.theta_.tobytes() == plain.theta_.tobytes()
            if not same:
                other.append(f"fit: {name}")
            elif plain.predict(lay(X)).tobytes() != plain.predict(X).tobytes():
                other.append(f"predict: {name}")
    return other, len(LAYOUTS)


def fit(X: Any, y: Any) -> MLPRegressor:
    return MLPRegressor(hidden_layer_sizes=(9,), max_iter=5, random_state=0).fit(X, y)
