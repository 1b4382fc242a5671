"""Models in turns on the same machine, each fit in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tabular import ROOT


def run(data: Sequence[str], names: Sequence[str], rounds: int, out: Path) -> None:
    """Fit each model on each data set, one after the other, and add the results to a file.

    The order of the models is turned round from one round to the next. The clock starts after a fit of
    a few rows, so that no library's imports or compilation count.
    """
    for name in data:
        for turn in range(rounds):
            for model in names if turn % 2 == 0 else names[::-1]:
                command = [sys.executable, "-m", "benchmarks.tabular", "run", model, "--data", name, "--warm"]
                subprocess.run([*command, "--out", str(out.resolve())], check=True, cwd=ROOT)
