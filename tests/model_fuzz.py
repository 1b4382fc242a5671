"""Contents of real models with changes at random, as a file with a right digest may have them."""

from __future__ import annotations

import copy
import json
import random
import warnings
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from mutants import JUNK, change

from chainrule import MLPClassifier, MLPRegressor, TableModel, TabularClassifier, TabularRegressor
from chainrule.errors import ChainruleError
from chainrule.models import KINDS

Contents = tuple[str, dict[str, Any], dict[str, Any]]
ARRAY_JUNK = (
    np.zeros(0),
    np.zeros((2, 2)),
    np.full(3, np.nan),
    np.arange(3),
    np.ones(5, np.float32),
    np.array([True]),
    np.zeros((1,) * 8),
)


@cache
def originals() -> tuple[tuple[Contents, Any], ...]:
    """Contents of a fitted model of each kind, and rows that it predicts."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 3))
    frame = pl.DataFrame({"a": X[:, 0], "b": ["x", "y"] * 12, "c": X[:, 1]})
    small: dict[str, Any] = {"hidden_layer_sizes": [3], "epochs": 2, "random_state": 0}
    rows = frame.select("a", "b").with_columns(d=pl.date(2020, 1, 1) + pl.duration(days=pl.int_range(24)))
    rows = pl.concat([rows, rows, rows.with_columns(a=pl.lit(None))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [
            (MLPClassifier((3,), max_iter=2, random_state=0).fit(X, X[:, 0] > 0), X),
            (MLPClassifier((3,), max_iter=2, random_state=0).fit(X, np.arange(24) % 3), X),
            (MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(X, X[:, 1]), X),
            (TableModel(hidden_layer_sizes=(3,), max_iter=2).fit(frame, "c"), frame),
            (TableModel(hidden_layer_sizes=(3,), max_iter=2).fit(frame, "b"), frame),
            (TabularClassifier(**small, n_members=2).fit(rows, np.arange(72) % 3), rows),
            (TabularRegressor(**small).fit(rows, np.arange(72.0)), rows),
        ]
    found = [((type(model).__name__, *model.to_contents()), data) for model, data in models]
    # As a file hands them over: tuples are lists there.
    return tuple(
        ((kind, json.loads(json.dumps(metadata)), arrays), data) for (kind, metadata, arrays), data in found
    )


def altered(contents: Contents, draw: random.Random) -> Contents:
    """The contents with one to three changes."""
    kind, metadata, arrays = copy.deepcopy(contents)
    for _ in range(draw.choice((1, 1, 2, 3))):
        action = draw.random()
        if action < 0.75:
            change(metadata, draw)
        elif action < 0.85 and arrays:
            del arrays[draw.choice(sorted(arrays))]
        elif action < 0.95 and arrays:
            arrays[draw.choice(sorted(arrays))] = draw.choice(ARRAY_JUNK)
        else:
            metadata[draw.choice(sorted(metadata) or ["x"])] = copy.deepcopy(draw.choice(JUNK))
    return kind, metadata, arrays


def outcome(contents: Contents, data: Any) -> str:
    """ "refused", "read", or the name of an error that is not chainrule's own."""
    kind, metadata, arrays = contents
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = KINDS[kind].from_contents(metadata, arrays)
            model.predict(data)
            if hasattr(model, "predict_interval"):
                model.predict_interval(data, 0.5)
        except ChainruleError:
            return "refused"
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            return f"{type(error).__name__}: {error}"[:200]
    return "read"
