"""Data and options as they should not be: what is done with each, and what must come of it.

Each case ends in one of three ways: an error, or a warning, whose words tell the cause, the place and the
remedy; or a result that is checked to be right. `flaw` says in what a case does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from sklearn.exceptions import ConvergenceWarning

from chainrule import MLPClassifier, MLPRegressor, TableModel

N = 60
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 4))
y = X @ [1.0, 2.0, 3.0, 4.0]
c = (X[:, 0] > 0).astype(int)
frame = pd.DataFrame(X, columns=list("abcd"))
table = pl.DataFrame(
    {"a": X[:, 0], "b": X[:, 1], "colour": np.array(["red", "blue"])[rng.integers(0, 2, N)], "price": y}
).with_columns(kind=pl.Series(np.array(["no", "yes"])[c]))


@dataclass(frozen=True)
class Case:
    """Something to do, and what must come of it.

    Attributes
    ----------
    act : callable
        Does it.
    ending : {"error", "warning", "result"}
        A result is right if `act` returns True.
    words : tuple of str
        What the error or the warning must say.
    """

    act: Callable[[], Any]
    ending: str
    words: tuple[str, ...] = ()


CASES: dict[str, Case] = {}


def add(name: str, case: Case) -> None:
    assert name not in CASES, name
    CASES[name] = case


def refused(name: str, act: Callable[[], Any], *words: str) -> None:
    add(name, Case(act, "error", words))


def warned(name: str, act: Callable[[], Any], *words: str) -> None:
    add(name, Case(act, "warning", words))


def right(name: str, act: Callable[[], Any]) -> None:
    add(name, Case(act, "result"))


def flaw(case: Case) -> str:
    """In what a case does not end as it must; an empty text if it does."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = case.act()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is judged
            if case.ending != "error":
                return f"it raised {type(error).__name__}: {error}"
            return lacking(case.words, str(error))
    if case.ending == "error":
        return "nothing was raised"
    said = [str(w.message) for w in caught]
    if case.ending == "warning":
        return lacking(case.words, " / ".join(said))
    loud = [str(w.message) for w in caught if not issubclass(w.category, ConvergenceWarning)]
    if loud:
        return f"it warned: {loud[0]}"
    return "" if result is True else f"the result is not right: {result!r:.100}"


def lacking(words: tuple[str, ...], text: str) -> str:
    missing = [word for word in words if word not in text]
    return f"{missing} not said in: {text}" if missing else ""


# ---------------------------------------------------------------- what is done

OPTIONS: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_iter": 8, "random_state": 0}


def clf(**options: Any) -> MLPClassifier:
    return MLPClassifier(**{**OPTIONS, **options})


def reg(**options: Any) -> MLPRegressor:
    return MLPRegressor(**{**OPTIONS, **options})


def tab(**options: Any) -> TableModel:
    return TableModel(**{**OPTIONS, **options})


def put(values: Any, place: Any, value: Any) -> Any:
    """A copy with one value changed."""
    copy = np.array(values, dtype=object if isinstance(value, str) or value is None else float)
    copy[place] = value
    return copy


def cell(column: str, row: int, value: Any) -> pl.DataFrame:
    """The table with one cell changed."""
    values = table[column].to_list()
    values[row] = value
    return table.with_columns(pl.Series(column, values))


def column(name: str, values: Any) -> pl.DataFrame:
    return table.with_columns(pl.Series(name, values))


def pandas(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({**table.to_dict(as_series=False), **columns})


def same(a: Any, b: Any) -> bool:
    """The same numbers to the bit."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
