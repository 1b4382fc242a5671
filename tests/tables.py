"""Small tables with every kind of column, for the tests of estimators for tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl

QUICK: dict[str, Any] = {"n_members": 1, "hidden_layer_sizes": [8], "epochs": 4, "random_state": 0}


def mixed(n: int = 240, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A table, a class and a number for each row."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(3, 2, n),
            "income": np.where(rng.random(n) < 0.1, np.nan, rng.exponential(1000, n)),
            "colour": rng.choice(["red", "green", "blue"], n),
            "town": [f"town {k}" for k in rng.integers(0, 30, n)],
            "member": rng.random(n) < 0.5,
            "born": pd.Timestamp("1990-01-01") + pd.to_timedelta(rng.integers(0, 9000, n), unit="D"),
            "same": 1.0,
        }
    )
    score = frame["size"] - 3 + 2 * (frame["colour"] == "red") - frame["member"] + rng.normal(size=n) / 2
    classes = np.array(["low", "middle", "high"])[np.digitize(score, [-1, 1])]
    return frame, classes, score.to_numpy()


def as_polars(frame: pd.DataFrame) -> pl.DataFrame:
    """The same table in the other library (which needs no further package for it)."""
    columns = {}
    for name in frame.columns:
        values = frame[name]
        if values.dtype.kind == "M":
            columns[name] = pl.Series(values.to_numpy().astype("datetime64[us]"))
        else:
            columns[name] = pl.Series([None if v is None or v != v else v for v in values.tolist()])
    return pl.DataFrame(columns)
