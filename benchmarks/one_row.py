"""How long a prediction of one row takes: 20-64-32-1, all checks on, beside scikit-learn.

Run it on a machine that does nothing else: ``python benchmarks/one_row.py``.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as Theirs

from chainrule import MLPClassifier

CALLS, WARM = 20_000, 500


def microseconds(call: Callable[[], Any]) -> Any:
    """The time of each call."""
    for _ in range(WARM):
        call()
    spent = np.empty(CALLS)
    for i in range(CALLS):
        began = time.perf_counter_ns()
        call()
        spent[i] = time.perf_counter_ns() - began
    return spent / 1e3


def main() -> None:
    """Print the median and the 99th percentile of each way."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 20))
    y = (X[:, 0] > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours = MLPClassifier((64, 32), max_iter=5, random_state=0).fit(X, y)
        theirs = Theirs((64, 32), max_iter=5, random_state=0).fit(X, y)
    row, predict = X[:1].copy(), ours.predictor()
    if not np.allclose(predict(row), theirs.predict_proba(row), rtol=1e-10):
        raise SystemExit("The two libraries do not predict the same: nothing to compare.")
    ways = {
        "chainrule, predictor": lambda: predict(row),
        "chainrule, predict_proba": lambda: ours.predict_proba(row),
        "scikit-learn, predict_proba": lambda: theirs.predict_proba(row),
    }
    for name, way in ways.items():
        spent = microseconds(way)
        print(f"{name:30s} median {np.median(spent):6.1f} us, 99 % within {np.percentile(spent, 99):6.1f} us")


if __name__ == "__main__":
    main()
