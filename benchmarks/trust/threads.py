"""Sameness to the bit of what is learnt, at any number of threads; run as a program, it does the fits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
from killed import digest_of

from benchmarks.trust import ROOT
from benchmarks.trust.figure import Figure, Measured
from chainrule import MLPClassifier, MLPRegressor

THREADS = (1, 2, 3, 4)
# Rows, inputs, units of the hidden layers, and options; targets are numbers where the loss is one of numbers.
FITS: tuple[tuple[int, int, tuple[int, ...], dict[str, Any]], ...] = (
    (1000, 784, (128,), {}),
    (1000, 784, (128,), {"solver": "sgd", "learning_rate": "cosine"}),
    (2000, 50, (256, 256), {"activation": "gelu"}),
    (3000, 100, (100,), {"batch_size": 500, "solver": "adamw"}),
    (400, 30, (40, 40, 40), {"dropout": 0.2}),
    (800, 40, (50,), {"early_stopping": True}),
    (600, 300, (64,), {"solver": "lbfgs", "max_iter": 10}),
    (300, 8, (10,), {"solver": "levenberg_marquardt", "loss": "squared_error"}),
    (1000, 64, (128,), {"loss": "huber"}),
    (500, 200, (), {"batch_size": 33}),
)


def digests() -> list[str]:
    """Of each fit, of all that its model file would hold."""
    found = []
    for number, (rows, inputs, hidden, options) in enumerate(FITS):
        rng = np.random.default_rng(number)
        X = rng.normal(size=(rows, inputs)).astype("f4" if number % 2 else "f8")
        score = X[:, 0] + X[:, 1] * X[:, 2]
        cls, y = (
            (MLPRegressor, score) if "loss" in options else (MLPClassifier, np.digitize(score, [-0.5, 0.5]))
        )
        model = cls(**{"hidden_layer_sizes": hidden, "max_iter": 2, "random_state": 0, **options})
        found.append(digest_of(model.fit(X, y)))
    return found


def threads(long: bool) -> Measured:
    found = [_with_threads(count) for count in THREADS]
    equal = sum(one == other for each in found for one, other in zip(found[0], each, strict=True))
    count = len(THREADS) * len(FITS)
    differ = [n for n, fits in enumerate(zip(*found, strict=True)) if len(set(fits)) > 1]
    names = [f"{FITS[n][0]} x {FITS[n][1]} to {FITS[n][2]}" for n in differ]
    remark = f"bits that depend on the number of threads: {'; '.join(names)}" if names else ""
    return Measured(f"{equal} of {count} as with one thread", equal == count, remark)


def _with_threads(count: int) -> list[str]:
    settings = {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "OPENBLAS_NUM_THREADS": str(count),
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.trust.threads"],
        check=True,
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    answers: list[str] = json.loads(done.stdout)
    return answers


FIGURES = (Figure(9, "fits with 1, 2, 3 and 4 threads: equal model files", "40 of 40", threads),)

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(digests()))
