"""The reader of model files: fuzzed, and given a corpus of hostile files."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import hostile
import model_fuzz
import mutants
import numpy as np
import watched

from benchmarks.trust import ROOT
from benchmarks.trust.figure import Figure, Measured, folder_in_memory
from chainrule import store
from chainrule.errors import ChainruleError

FUZZED = {False: (200_000, 10_000), True: (1_000_000, 40_000)}  # files, and contents of real models
LEAST = 200_000
LONGEST = 0.1  # seconds of processor time for a small file, and for a megabyte of a large one
LARGE = 64 * 2**20
MARGIN = 16 * 2**20
READ_LARGE = """
import sys, time
from pathlib import Path
from chainrule import store
import numpy as np

def peak():  # of this process alone; what getrusage tells includes its parent's
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024

before, start = peak(), time.process_time()
arrays = store.read(sys.argv[1]).arrays
print(peak() - before, time.process_time() - start)
"""


def fuzz(long: bool) -> Measured:
    files, contents = FUZZED[long]
    with folder_in_memory() as folder:
        found, slowest = _fuzz_files(Path(folder) / "model", files)
        grown, seconds = _read_large(Path(folder) / "large")
    found += _fuzz_contents(contents)
    untyped = [name for name in found if name not in ("read", "refused")]
    per_megabyte = seconds / (LARGE / 1e6)
    passed = (
        not untyped
        and sum(found.values()) >= LEAST
        and min(found["read"], found["refused"]) > files // 100
        and slowest <= LONGEST
        and per_megabyte <= LONGEST
        and grown <= 2 * LARGE + MARGIN
    )
    text = (
        f"{sum(found.values()):,} inputs, {sum(found[name] for name in untyped)} untyped errors; slowest "
        f"{slowest * 1e3:.0f} ms; {LARGE >> 20} MiB: {per_megabyte * 1e3:.1f} ms/MB and memory of "
        f"{grown / LARGE:.2f} files"
    )
    return Measured(text, passed, "; ".join(untyped[:5]))


def _fuzz_files(path: Path, count: int) -> tuple[Counter[str], float]:
    draw, found, slowest = random.Random(0), Counter[str](), 0.0
    for _ in range(count):
        path.write_bytes(mutants.mutant(draw))
        start = time.process_time()  # other programs may take the processor meanwhile
        found[_outcome(path)] += 1
        slowest = max(slowest, time.process_time() - start)
    return found, slowest


def _outcome(path: Path) -> str:
    try:
        store.read(path)
    except ChainruleError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return f"{type(error).__name__}: {error}"
    return "read"


def _fuzz_contents(count: int) -> Counter[str]:
    draw, originals = random.Random(0), model_fuzz.originals()
    return Counter(
        model_fuzz.outcome(model_fuzz.altered(contents, draw), data)
        for number in range(count)
        for contents, data in [originals[number % len(originals)]]
    )


def _read_large(path: Path) -> tuple[int, float]:
    """By how much a process grows that reads a large file, and how long it takes."""
    store.write(path, "K", {}, {"w": np.zeros(LARGE // 8)})
    done = subprocess.run(
        [sys.executable, "-c", READ_LARGE, path],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT / "src")},
    )
    grown, seconds = done.stdout.split()
    return int(grown), float(seconds)


def corpus(long: bool) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        refused, read, trouble = watched.read_all(Path(folder))
    count, others = len(hostile.CORPUS), len(watched.harmless())
    text = f"{refused} of {count} refused, {read} of {others} harmless ones read, canary {int(bool(trouble))}"
    return Measured(text, count >= 60 and (refused, read, trouble) == (count, others, ""), trouble)


FIGURES = (
    Figure(
        16,
        "fuzzed model files and contents",
        "≥ 200k inputs, 0 untyped, ≤ 0.1 s, memory ≤ 2 files + 16 MB",
        fuzz,
    ),
    Figure(17, "hostile model files", "≥ 60, all refused, canary 0", corpus),
)
