"""A CSV file of several GB trained under a limit on memory, whose peak is measured from outside the process.

    python benchmarks/large_csv.py [--size 2GB] [--memory 1GB] [--epochs 3] [--folder FOLDER]

Ends with an error if the command fails, if its peak is above the limit, or if it has learnt nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from chainrule.memory import shown, size_of

NUMBERS = 10
CITIES = [f"city {k:02d}" for k in range(30)]
CHANNELS = ["shop, north", "shop, south", 'the "web"', "telephone"]  # with a separator and with quotes
BLOCK = 200_000  # rows that are made at once


def block(number: int) -> pl.DataFrame:
    """Some rows: numbers, some missing, texts and a date; the target follows from them, with noise."""
    rng = np.random.default_rng(number)
    X = rng.standard_normal((BLOCK, NUMBERS)).round(4)
    city, channel = rng.integers(len(CITIES), size=BLOCK), rng.integers(len(CHANNELS), size=BLOCK)
    score = X[:, 0] - X[:, 1] * X[:, 2] + 0.3 * (city % 5 - 2) + (channel == 2) + rng.logistic(size=BLOCK) / 2
    days = rng.integers(0, 3650, BLOCK)
    columns = {f"x{k}": pl.Series(X[:, k]) for k in range(NUMBERS)}
    columns["x3"] = pl.Series(np.where(rng.random(BLOCK) < 0.02, np.nan, X[:, 3])).fill_nan(None)
    return pl.DataFrame(
        {
            "id": pl.Series(np.arange(number * BLOCK, (number + 1) * BLOCK)),
            **columns,
            "city": pl.Series(np.array(CITIES)[city]),
            "channel": pl.Series(np.array(CHANNELS)[channel]),
            "day": pl.Series(np.datetime64("2015-01-01") + days).cast(pl.Date),
            "bought": pl.Series(np.where(score > 0, "yes", "no")),
        }
    )


def write(path: Path, size: int) -> int:
    """A CSV file of that size or a little more; returns its rows."""
    number = 0
    with path.open("wb") as file:
        while file.tell() < size:
            block(number).write_csv(file, include_header=not number)
            number += 1
    return number * BLOCK


def peak_of(pid: int) -> int:
    """The peak of a process's memory so far, in bytes, as the kernel has it."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def watched(command: list[str], folder: Path) -> tuple[str, int, int]:
    """The output of a command, its peak of memory, and the most that lay in a folder meanwhile."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    free, least = shutil.disk_usage(folder).free, shutil.disk_usage(folder).free
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, peak_of(process.pid))
        except (FileNotFoundError, ProcessLookupError):
            break
        least = min(least, shutil.disk_usage(folder).free)
        time.sleep(0.05)
    output = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}")
    return output, peak, free - least


def main() -> None:
    """Make the file, train, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="2GB")
    parser.add_argument("--memory", default="1GB")
    parser.add_argument("--epochs", default="3")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="needs some four times the size")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder, path = Path(name), Path(name) / "large.csv"
        began = time.perf_counter()
        rows = write(path, size_of(options.size))
        print(
            f"{path.stat().st_size / 1e9:.2f} GB, {rows:,} rows, made in {time.perf_counter() - began:.0f} s"
        )
        os.environ["TMPDIR"] = name
        command = [
            sys.executable, "-m", "chainrule", "train", str(path), "--target", "bought", "--drop", "id",
            "--epochs", options.epochs, "--memory", options.memory, "--output", str(folder / "model"),
            "--quiet", "--json",
        ]  # fmt: skip
        began = time.perf_counter()
        output, peak, disk = watched(command, folder)
        spent = time.perf_counter() - began
        report = json.loads(output)
        left = {each.name for each in folder.iterdir()} - {"large.csv", "model"}
    accuracy = report["scores"]["accuracy"]
    print(f"trained in {spent:.0f} s, {options.epochs} epochs; at most {shown(disk)} on disk meanwhile")
    print(f"accuracy {accuracy['model']:.4f} on {report['rows']['held out']:,} rows held out")
    print(f"always the same class: {accuracy['baseline']:.4f}")
    print(f"peak of memory {shown(peak)} of the {options.memory} allowed")
    if left:
        raise SystemExit(f"files were left behind: {sorted(left)}")
    if peak > size_of(options.memory):
        raise SystemExit("the peak is above the limit")
    if accuracy["model"] < accuracy["baseline"] + 0.1:
        raise SystemExit("nothing was learnt")


if __name__ == "__main__":
    main()
