"""How many sick and healthy runs are diagnosed as what they are.

    python benchmarks/diagnosis.py [--runs 10] [--first 0]

The runs are those of tests/diagnosed_runs.py: so many of each kind of sickness, and as many healthy ones
as sick ones. Seeds below 1000 draw from other families of data than the thresholds were chosen on; those
from 1000 are the runs that they were chosen on.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from diagnosed_runs import SICK, make


def study(kind: str, seeds: range) -> Counter[str]:
    """How often each warning was given; "healthy" where none was."""
    found: Counter[str] = Counter()
    for seed in seeds:
        model, given = make(kind, seed)
        warned = [finding.name for finding in model.diagnose(*given) if finding.severity == "warning"]
        found.update(warned or ["healthy"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="runs of each sickness")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    began, recognised = time.perf_counter(), 0
    print("| run | runs | diagnosed as such | also, or instead |\n|---|---|---|---|")
    for kind in [*SICK, "healthy"]:
        count = options.runs * (len(SICK) if kind == "healthy" else 1)
        found = study(kind, range(options.first, options.first + count))
        hits = found.pop(kind, 0)
        recognised += hits if kind in SICK else 0
        others = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in found.most_common())
        print(f"| {kind.replace('_', ' ')} | {count} | {hits} | {others} |")
    total = options.runs * len(SICK)
    print(f"\n{recognised} of {total} sick runs recognised, in {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    main()
