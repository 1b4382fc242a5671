"""What the first use costs, in fresh processes: import, compile, load from the cache, first prediction.

    python benchmarks/first_use.py [--repeats 3]

A fit with an empty cache must say what it waits for; one with a full cache must be silent. Both are checked.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import warnings

SCRIPT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
told = {}
def lap(name, began):
    told[name] = time.perf_counter() - began
began = time.perf_counter(); import chainrule; lap("import chainrule", began)
began = time.perf_counter(); from chainrule import MLPClassifier; lap("import MLPClassifier", began)
import numpy as np
X = np.random.default_rng(0).standard_normal((500, 20))
y = (X[:, 0] > 0).astype(int)
def fit():
    return MLPClassifier((16,), max_iter=1, random_state=0).fit(X, y)
began = time.perf_counter(); model = fit(); lap("first fit", began)
began = time.perf_counter(); model.predict_proba(X); lap("first predict", began)
began = time.perf_counter(); fit(); lap("second fit", began)
print(json.dumps(told))
"""


def measure(cache: str) -> tuple[dict[str, float], str]:
    """The times of a fresh process with that folder for the cache, and what it said."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout), done.stderr


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found: dict[str, list[dict[str, float]]] = {"empty": [], "full": []}
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as cache:
            for state in found:
                times, said = measure(cache)
                found[state].append(times)
                if ("ompil" in said) is (state == "full"):
                    raise SystemExit(f"with the cache {state}, a fit said: {said!r}")
    print("| seconds, median | cache empty | cache full |")
    print("|---|---|---|")
    for name in found["full"][0]:
        cells = [f"{statistics.median(each[name] for each in found[state]):.2f}" for state in found]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
