"""What every model gets: the columns' preparation and the splits, as the stored results were made with.

A data set is cut to at most 20,000 rows and split 75 : 25 with seed 0. The two parts are prepared once and
lie in two files. Choices may only be made on the development split, which divides the training part again:
`seal` ends the reading of test parts for the rest of the process, and a sealed process prepares nothing
itself, so that it never holds a test row. (A missing number is replaced by the mean over all rows, those of
the test part included: the stored results were made so.)
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder

from benchmarks.tabular import ROOT
from benchmarks.tabular.archives import folder
from benchmarks.tabular.datasets import DATA_SETS

MOST_ROWS = 20_000
TEST_SHARE = 0.25
LEAST_OF_A_CLASS = 10  # rows; smaller classes are left out
MISSING = "__na__"
PARTS = ("training", "test")
_sealed = False


class SealedError(Exception):
    """A test part was asked for while choices are being made."""


@dataclass(frozen=True)
class Split:
    """What a model is fitted to and what it is judged by.

    Attributes
    ----------
    name : str
        The data set.
    classification : bool
    X, X_test : data frame
        Columns of type float32 or category; the categories are those of the training rows.
    y, y_test : ndarray
        Classes as the numbers 0, 1, ...; or targets.
    """

    name: str
    classification: bool
    X: pd.DataFrame
    y: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray

    @property
    def categories(self) -> list[str]:
        """The names of the columns of categories."""
        return [name for name in self.X if _is_category(self.X[name])]


def seal() -> None:
    """From now on this process cannot read a test part."""
    global _sealed  # noqa: PLW0603 - a fact about the process
    _sealed = True


def final(name: str, rows: int = MOST_ROWS) -> Split:
    """The split that results are reported on.

    Parameters
    ----------
    name : str
    rows : int
        At most so many rows of the data set are taken; 0 for all.
    """
    return Split(name, _classification(name), *_part(name, "training", rows), *_part(name, "test", rows))


def development(name: str, seed: int = 1, rows: int = MOST_ROWS) -> Split:
    """The split that choices may be made on: the training part alone, divided again.

    Parameters
    ----------
    name : str
    seed : int
        Of the division.
    rows : int
        As for `final`.
    """
    X, y = _part(name, "training", rows)
    stratify = y if _classification(name) else None
    X, X_test, y, y_test = train_test_split(X, y, test_size=TEST_SHARE, random_state=seed, stratify=stratify)
    return Split(name, _classification(name), *_like_training(X, X_test, y, y_test))


def prepare(name: str, rows: int = MOST_ROWS) -> None:
    """Write both parts of a data set, unless they are there."""
    if _sealed:
        raise SealedError(f"{name} holds test rows, and this process only makes choices.")
    if all(_path(name, part, rows).exists() for part in PARTS):
        return
    X, y = DATA_SETS[name].load()
    X = _columns(X)
    if _classification(name):
        X, y = _classes(X, y)
    stratify = y if _classification(name) else None
    if rows and len(X) > rows:
        X, _, y, _ = train_test_split(X, y, train_size=rows, random_state=0, stratify=stratify)
        stratify = y if _classification(name) else None
    X, X_test, y, y_test = train_test_split(X, y, test_size=TEST_SHARE, random_state=0, stratify=stratify)
    X, y, X_test, y_test = _like_training(X, X_test, y.to_numpy(), y_test.to_numpy())
    _write(_path(name, "training", rows), X, y)
    _write(_path(name, "test", rows), X_test, y_test)


def _classification(name: str) -> bool:
    return DATA_SETS[name].task != "regression"


def _is_category(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype)


def _columns(X: pd.DataFrame) -> pd.DataFrame:
    """A missing category is a category; a missing number is the mean, and told of in a new column."""
    X = X.copy()
    for name in list(X.columns):
        if _is_category(X[name]):
            known = X[name].cat.add_categories([MISSING]).fillna(MISSING)
            X[name] = known.astype(str).astype("category")
            continue
        if X[name].isna().any():
            X[f"{name}__na"] = X[name].isna().astype(str).astype("category")
            X[name] = X[name].fillna(X[name].mean())
        X[name] = X[name].astype("float32")
    return X


def _classes(X: pd.DataFrame, y: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Number the classes in the order of their names, without those that are too rare to split."""
    text = y.astype(str)
    kept = text.isin(text.value_counts()[lambda counts: counts >= LEAST_OF_A_CLASS].index)
    numbers = LabelEncoder().fit_transform(text[kept])
    return X[kept], pd.Series(numbers, index=X.index[kept])


def _like_training(
    X: pd.DataFrame, X_test: pd.DataFrame, y: np.ndarray, y_test: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame, np.ndarray]:
    """Keep the training rows' categories only: another one becomes the most frequent of them."""
    X, X_test = X.reset_index(drop=True), X_test.reset_index(drop=True)
    for name in X:
        if not _is_category(X[name]):
            continue
        X[name] = X[name].cat.remove_unused_categories()
        known = X[name].cat.categories
        replaced = X_test[name].where(X_test[name].isin(known), X[name].mode()[0])
        X_test[name] = replaced.cat.set_categories(known)
    return X, y, X_test, y_test


def _path(name: str, part: str, rows: int) -> Path:
    return folder() / "prepared" / part / f"{name}-{rows or 'all'}.npz"


def _part(name: str, part: str, rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Read one part; what is not prepared yet is prepared by a process of its own if this one is sealed."""
    if _sealed and part == "test":
        raise SealedError(f"The test rows of {name} are not for choices.")
    path = _path(name, part, rows)
    if not path.exists() and _sealed:
        command = [sys.executable, "-m", "benchmarks.tabular", "fetch", "--data", name, "--rows", str(rows)]
        subprocess.run(command, check=True, cwd=ROOT)
    elif not path.exists():
        prepare(name, rows)
    return _read(path)


def _write(path: Path, X: pd.DataFrame, y: np.ndarray) -> None:
    """Numbers as one array, categories as codes and the names of their levels."""
    categories = [name for name in X if _is_category(X[name])]
    measured = [name for name in X if name not in categories]
    held: dict[str, Any] = {
        "columns": np.array([str(name) for name in X]),
        "numbers": X[measured].to_numpy("float32"),
        "codes": np.array([X[name].cat.codes for name in categories], dtype=np.int32),
        "categorical": np.array([name in categories for name in X]),
        "y": y,
    }
    for i, name in enumerate(categories):
        held[f"levels_{i}"] = X[name].cat.categories.to_numpy().astype(str)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{os.getpid()}-{path.name}")  # two processes may write at once
    np.savez_compressed(draft, **held)
    draft.replace(path)


def _read(path: Path) -> tuple[pd.DataFrame, np.ndarray]:
    with np.load(path) as held:
        numbers, codes = iter(held["numbers"].T), enumerate(held["codes"])
        columns: dict[str, Any] = {}
        for name, categorical in zip(held["columns"].tolist(), held["categorical"], strict=True):
            if categorical:
                i, code = next(codes)
                columns[name] = pd.Categorical.from_codes(code, categories=held[f"levels_{i}"].tolist())
            else:
                columns[name] = next(numbers)
        return pd.DataFrame(columns), held["y"]
