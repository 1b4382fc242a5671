"""Relations between problems, and sameness to the bit: of runs, of batches, of layouts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from invariance import batch_differences, command_differences, equal_hashes, layouts_with_other_bits
from relations import RELATIONS, holds

from benchmarks.trust import ROOT
from benchmarks.trust.figure import Figure, Measured

EXAMPLES, PROCESSES = 200, 20
TRAIN = """
import sys, warnings
import numpy as np
from chainrule import MLPClassifier

warnings.simplefilter("ignore")
rng = np.random.default_rng(3)
X = rng.normal(size=(300, 20))
y = np.array(["a", "b", "c"])[rng.integers(0, 3, 300)]
options = {"dropout": 0.2, "solver": "adamw", "learning_rate": "one_cycle", "class_weight": "balanced"}
model = MLPClassifier((64, 32), ["gelu", "sigmoid"], random_state=0, max_iter=4, **options)
model.fit(X, y).save(sys.argv[1])
"""


def relations(long: bool) -> Measured:
    broken = {name: flaw for name, relation in RELATIONS.items() if (flaw := holds(relation, EXAMPLES))}
    bitwise = sum(relation.bitwise for name, relation in RELATIONS.items() if name not in broken)
    text = f"{len(broken)} failures in {len(RELATIONS)} relations x {EXAMPLES}, {bitwise} bitwise"
    passed = not broken and len(RELATIONS) >= 20 and bitwise >= 10
    return Measured(text, passed, "; ".join(f"{name}: {flaw}" for name, flaw in broken.items()))


def same_file(long: bool) -> Measured:
    hashes = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(PROCESSES):
            path = Path(folder) / f"{number}.model"
            environment = {**os.environ, "PYTHONHASHSEED": str(number), "PYTHONPATH": str(ROOT / "src")}
            subprocess.run([sys.executable, "-c", TRAIN, path], check=True, env=environment, cwd=folder)
            hashes.append(hashlib.sha256(path.read_bytes()).hexdigest())
    same = max(hashes.count(each) for each in hashes)
    return Measured(f"{same} of {PROCESSES}", same == PROCESSES)


def threads(long: bool) -> Measured:
    counts = (1, 2, 3, 4)
    equal = equal_hashes(counts)
    total, same = len(counts) * len(equal), sum(equal.values())
    other = [name for name, count in equal.items() if count < len(counts)]
    return Measured(f"{same} of {total}", same == total >= 40, "; ".join(other))


def batches(long: bool) -> Measured:
    found = {name: batch_differences(name, rows=10_000) for name in ("classes", "numbers", "float32")}
    total = sum(sum(sizes.values()) for sizes in found.values())
    printed = command_differences()
    by_size = {size: sum(sizes[size] for sizes in found.values()) for size in found["classes"]}
    apart = ", ".join(f"{count} by {size}" for size, count in by_size.items() if count)
    text = f"{total} values differ{f' ({apart})' if apart else ''}; {printed} between command line and Python"
    return Measured(text, total == printed == 0)


def layouts(long: bool) -> Measured:
    other, count = layouts_with_other_bits()
    return Measured(f"{count - len(other)} of {count}", not other and count >= 12, "; ".join(other))


FIGURES = (
    Figure(7, "metamorphic relations, 200 examples each", "0 failures, ≥ 20, ≥ 10 bitwise", relations),
    Figure(8, "same seed: SHA-256 of the model file, 20 processes", "20 of 20", same_file),
    Figure(9, "thread invariance: 10 fits with 1, 2, 3 and 4 threads, hashes", "40 of 40", threads),
    Figure(10, "batch invariance of prediction: 10,000 rows whole, in 7 sizes, by row", "0 differ", batches),
    Figure(11, "layouts and types of the data with the same bits", "12 of 12", layouts),
)
