"""Many models at once: eight fits, one after the other and two at once, in threads and in processes.

    python benchmarks/many_models.py [--repeats 3]

Every way must give the same bits; that is checked. A ratio of 2 is what two cores can give. Times are the
least of some repeats. A medium network uses both cores alone, too.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
from joblib import parallel_config  # noqa: TID251 - the user's way to choose threads or processes
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from chainrule import MLPClassifier

FITS = 8
NETS = {
    "small: 20-16-3, 2,000 rows": (20, (16,), 2000),
    "medium: 100-128-64-3, 4,000 rows": (100, (128, 64), 4000),
}
WAYS = {
    "threads": ("threading", None),
    "threads, BLAS with one": ("threading", 1),
    "processes": ("loky", None),
}


def fit(sizes: tuple[int, ...], X: Any, y: Any, seed: int) -> bytes:
    """The parameters of one model."""
    epochs = 300 if len(sizes) == 1 else 20
    model = MLPClassifier(sizes, max_iter=epochs, tol=0, n_iter_no_change=epochs, random_state=seed)
    return model.fit(X, y).theta_.tobytes()


def fits(backend: str, jobs: int, sizes: tuple[int, ...], X: Any, y: Any) -> tuple[float, list[bytes]]:
    """Seconds of all fits, and what came out; workers are there before the time is taken."""
    with parallel_config(backend, n_jobs=jobs), Parallel() as pool:
        pool(delayed(fit)(sizes, X[:200], y[:200], seed) for seed in range(2 * jobs))
        began = time.perf_counter()
        found = pool(delayed(fit)(sizes, X, y, seed) for seed in range(FITS))
        return time.perf_counter() - began, found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| network | backend | 8 fits, n_jobs=1 | n_jobs=2 | ratio |")
    print("|---|---|---|---|---|")
    for name, (inputs, sizes, rows) in NETS.items():
        rng = np.random.default_rng(0)
        X = rng.standard_normal((rows, inputs)).astype(np.float32)
        y = np.digitize(X[:, 0] * X[:, 1] + X[:, 2], [-0.5, 0.5])
        for label, (backend, limit) in WAYS.items():
            with threadpool_limits(limit, "blas"):
                turns = [
                    [fits(backend, jobs, sizes, X, y) for jobs in (1, 2)] for _ in range(options.repeats)
                ]
            if len({tuple(found) for turn in turns for _, found in turn}) > 1:
                raise SystemExit(f"{name}, {label}: the fits differ with n_jobs")
            one, two = (min(turn[k][0] for turn in turns) for k in (0, 1))  # other programs can only add
            print(f"| {name} | {label} | {one:.2f} s | {two:.2f} s | {one / two:.2f} |", flush=True)


if __name__ == "__main__":
    main()
