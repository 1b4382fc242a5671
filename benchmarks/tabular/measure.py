"""One model on one split: fitted, judged and timed."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tabular import models, scores
from benchmarks.tabular.models import Order
from benchmarks.tabular.protocol import Split

COVERAGE = 0.9  # of the intervals that are asked for
WARM_ROWS = 400


def measure(name: str, split: Split, order: Order, *, warm: bool = False) -> dict[str, Any]:
    """Fit a model and judge it.

    Parameters
    ----------
    name : str
        A name that `models.make` knows.
    split : Split
    order : Order
    warm : bool
        Fit a first estimator on a few rows before the clock starts: what libraries import and compile
        on first use is left out.

    Returns
    -------
    dict
        As JSON can hold it: what was fitted, its scores, seconds, the process's greatest memory and
        the machine's load before.
    """
    load = os.getloadavg()[0]
    began = time.perf_counter()
    if warm:
        _warm_up(name, split, order)
    warmed = time.perf_counter()
    estimator = models.make(name, order)
    fit_began = time.perf_counter()
    estimator.fit(split.X, split.y)
    fitted = time.perf_counter()
    found = _judged(estimator, split)
    return {
        "data": split.name,
        "model": name,
        "cls": split.classification,
        "n": len(split.X),
        "d": split.X.shape[1],
        "seed": order.seed,
        "options": order.options,
        "warm_s": round(warmed - began, 3),
        "fit_s": round(fitted - fit_began, 3),
        **found,
        "peak_mb": _peak_mb(),
        "load_before": round(load, 2),
    }


def _warm_up(name: str, split: Split, order: Order) -> None:
    rng = np.random.default_rng(0)
    some = rng.permutation(len(split.X))[:WARM_ROWS]
    labels = np.unique(split.y[some])
    y = np.searchsorted(labels, split.y[some]) if split.classification else split.y[some]
    X = split.X.iloc[some].reset_index(drop=True)
    models.make(name, order).fit(X, y).predict(X)


def _judged(estimator: Any, split: Split) -> dict[str, float]:
    began = time.perf_counter()
    if split.classification:
        predicted = estimator.predict_proba(split.X_test)
    else:
        predicted = estimator.predict(split.X_test)
    seconds = {"predict_s": round(time.perf_counter() - began, 4)}
    if split.classification:
        return {**seconds, **scores.of_probabilities(split.y_test, predicted)}
    found = {**seconds, **scores.of_numbers(split.y_test, predicted)}
    if hasattr(estimator, "predict_interval"):
        intervals = estimator.predict_interval(split.X_test, coverage=COVERAGE)
        found |= scores.of_intervals(split.y_test, intervals)
    return found


def _peak_mb() -> float:
    """The greatest memory of this process, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


def study(
    splits: Iterable[Split], names: Iterable[str], order: dict[str, Any], warm: bool
) -> Iterable[dict[str, Any]]:
    """Measure models on splits; a model that fails is reported as such, and the others go on."""
    names = list(names)
    for split in splits:
        for name in names:
            asked = Order(split.classification, split.categories, **order)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    yield measure(name, split, asked, warm=warm)
                except Exception as error:  # noqa: BLE001 - hours of others' results must not be lost
                    yield {"data": split.name, "model": name, "error": f"{type(error).__name__}: {error}"}


def append(path: Path, record: dict[str, Any]) -> None:
    """Add a line to a file of results."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The results that a file holds, failures left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [record for line in lines if "error" not in (record := json.loads(line))]
