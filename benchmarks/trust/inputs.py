"""Bad input: CSV files, data and options, and scikit-learn's contract."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from csv_corpus import FILES, FORMULAS, NUMBERS, WHOLE, export_flaws, flaw
from fault_matrix import CASES
from fault_matrix import flaw as fault_flaw

from benchmarks.trust import ROOT
from benchmarks.trust.figure import Figure, Measured

SEEDS, AT_ONCE = 10, 2
CHECK = """
import sys, warnings
from sklearn.utils.estimator_checks import check_estimator
from chainrule import MLPClassifier, MLPRegressor

warnings.simplefilter("ignore")
for Model in (MLPClassifier, MLPRegressor):
    for seed in map(int, sys.argv[1:]):
        for found in check_estimator(Model(random_state=seed), on_fail=None, on_skip=None):
            why = " ".join(str(found["exception"]).split())[:80]
            print(found["status"], found["check_name"], why, sep="|")
"""
NOT_APPLICABLE = "does not have a decision_function method"


def csv(long: bool) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        flaws = [f"{name}: {found}" for name, file in FILES.items() if (found := flaw(file, Path(folder)))]
        exported = export_flaws(Path(folder))
    text = (
        f"{len(FILES) - len(flaws)} of {len(FILES)} files read right or refused with line and column; "
        f"{len(exported)} flaws in {len(FORMULAS)} formulas and {len(NUMBERS) + len(WHOLE)} numbers"
    )
    return Measured(
        text, not flaws and not exported and len(FILES) >= 120, "; ".join([*flaws, *exported][:5])
    )


def faults(long: bool) -> Measured:
    flaws = [f"{name}: {found}" for name, case in CASES.items() if (found := fault_flaw(case))]
    text = f"{len(CASES) - len(flaws)} of {len(CASES)} cases"
    return Measured(text, not flaws and len(CASES) >= 80, "; ".join(flaws[:5]))


def contract(long: bool) -> Measured:
    """In a process with the array API switched on, so that its check is not skipped for want of a setting."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = pool.map(_checks, [range(first, SEEDS, AT_ONCE) for first in range(AT_ONCE)])
        found = [each for part in parts for each in part]
    count = {status: sum(each[0] == status for each in found) for status in ("passed", "failed", "xfail")}
    skipped = [each for each in found if each[0] == "skipped"]
    wanting = [each for each in skipped if NOT_APPLICABLE not in each[2]]
    text = (
        f"{count['passed']} passed, {count['failed']} failed, {len(skipped)} skipped, "
        f"{count['xfail']} xfail; {SEEDS} seeds"
    )
    passed = count["passed"] > 0 and not count["failed"] + count["xfail"] + len(wanting)
    others = sorted({": ".join(each[1:]) for each in found if each[0] != "passed"})
    return Measured(text, passed, "; ".join(others))


def _checks(seeds: range) -> list[list[str]]:
    """Status, name and reason of each check of both estimators with each of the seeds."""
    settings = {"PYTHONPATH": str(ROOT / "src"), "SCIPY_ARRAY_API": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK, *map(str, seeds)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
    )
    return [line.split("|", 2) for line in done.stdout.splitlines()]


FIGURES = (
    Figure(18, "CSV files, and cells of formulas on export", "≥ 120 files, 0 silent, 100 % neutralised", csv),
    Figure(20, "faults in fit and predict", "≥ 80 cases, 0 silent", faults),
    Figure(22, "scikit-learn's check_estimator, both estimators", "0 failed, skipped or xfail", contract),
)
