"""Measure the figures and print them: exit code 1 if a target is missed."""

from __future__ import annotations

import argparse
import os
import sys
import warnings

from benchmarks.trust import ROOT
from benchmarks.trust.figure import find, take
from benchmarks.trust.report import page, show

PAGE = ROOT / "docs" / "trust.md"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust", description=__doc__)
    parser.add_argument(
        "--long", action="store_true", help="take 150 mutants and a million fuzzed files: half an hour"
    )
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="only the figures of these numbers")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONPATH", str(ROOT / "src"))  # for the processes that figures start
    figures = [f for f in find("benchmarks.trust") if options.only is None or f.number in options.only]
    lines = []
    for figure in figures:
        print(f"{figure.number:>3}  {figure.name} ...", file=sys.stderr, flush=True)
        lines.append(take(figure, options.long))
    show(lines)
    if options.write:
        PAGE.write_text(page(lines, options.long), encoding="utf-8")
    return int(not lines or any(not line.measured.passed for line in lines))


if __name__ == "__main__":
    sys.exit(main())
