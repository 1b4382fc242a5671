"""How long a training step takes, beside scikit-learn, PyTorch and JAX, and beside its bound.

    python benchmarks/bench_steps.py [--quick | --full] [--only TEXT] [--compile]

Each library runs in a process of its own, one at a time, in turns. Writes steps.json, steps.md and
steps.svg into benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from steps import cells, machine, report, results
from steps.libraries import MACHINE, MODULES, OPTIONAL, OURS
from steps.pool import Process

RESULTS = Path(__file__).parent / "results"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    grid = parser.add_mutually_exclusive_group()
    grid.add_argument("--quick", action="store_true", help="about ten cells (default)")
    grid.add_argument("--full", action="store_true", help="every combination: hours")
    parser.add_argument("--only", default="", metavar="TEXT", help="cells with this text in their name")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too: slow to start")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each library in each cell")
    parser.add_argument("--seconds", type=float, default=0.3, help="least length of a turn")
    parser.add_argument(
        "--patience", type=float, default=5.0, help="seconds to wait, before each turn, for a quiet machine"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the results")
    return parser.parse_args()


def begin(processes: Mapping[str, Process], options: argparse.Namespace) -> dict[str, Any]:
    """What is known before the first cell."""
    return {
        "began": time.strftime("%Y-%m-%d"),
        "versions": {name: p.versions for name, p in processes.items() if name != MACHINE and p.versions},
        "absent": {name: p.absent for name, p in processes.items() if p.absent},
        "peers": [name for name in processes if name not in (OURS, MACHINE)],
        "repeats": options.repeats,
        "seconds": options.seconds,
        "rows": [],
    }


def write(study: Mapping[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "steps.json").write_text(json.dumps(study, indent=1) + "\n")
    (folder / "steps.md").write_text(report.markdown(study))


def study_of(grid: Iterable[cells.Cell], options: argparse.Namespace) -> dict[str, Any]:
    """Measure all cells; results are written after each, so that a long study can be ended early."""
    facts = machine.describe()  # before any library is loaded
    modules = {name: m for name, m in MODULES.items() if name not in OPTIONAL or options.compile}
    modules[MACHINE] = MACHINE
    processes = {name: Process(module, options.patience) for name, module in modules.items()}
    study = {**begin(processes, options), "machine": facts}
    if OURS in study["absent"]:
        sys.exit(f"{OURS} itself is not installed: {study['absent'][OURS]}.")
    for name, why in study["absent"].items():
        print(f"{name} is absent: {why}.", file=sys.stderr)
    try:
        for cell in grid:
            row = results.measure(cell, processes, options.repeats, options.seconds)
            study["rows"].append(row)
            write(study, options.results)
            taken = ", ".join(f"{name} {us:.1f}" for name, us in row["median_us"].items())
            print(f"{row['name']}: {taken} µs", file=sys.stderr, flush=True)
    finally:
        for process in processes.values():
            process.close()
    return study


def main() -> None:
    options = arguments()
    grid = [cell for cell in (cells.full() if options.full else cells.quick()) if options.only in cell.name]
    if not grid:
        sys.exit(f"No cell has {options.only!r} in its name.")
    study = study_of(grid, options)
    print(report.markdown(study))
    try:
        report.plot(study, options.results / "steps.svg")
    except ImportError:
        print("No picture was drawn: matplotlib is absent.", file=sys.stderr)


if __name__ == "__main__":
    main()
