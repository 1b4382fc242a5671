"""Equations: proved from the code that runs, accurate at extreme logits, and equal to a second source."""

from __future__ import annotations

from extreme_logits import asymmetric, binary, categorical
from parity import (
    DATA,
    SOLVERS,
    STREAMED,
    beside_extended_precision,
    beside_scikit_learn,
    scikit_learn_beside_itself,
)

from benchmarks.trust import ROOT
from benchmarks.trust.figure import Figure, Measured
from chainrule import compiled, proofs
from chainrule.proofs.page import page

DTYPES = ("float64", "float32")
MOST_ULPS, MOST_PARITY = 4.0, 1e-12
FULL_BATCH = "L-BFGS"


def proved(long: bool) -> Measured:
    found = proofs.prove_all(measure=False)
    good = sum(proof.status == "proved" for proof in found)
    same = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8") == page(found)
    text = f"{good} of {len(found)}; docs/equations.md is {'the same text' if same else 'another text'}"
    return Measured(text, good == len(found) > 0 and same)


def extreme_logits(long: bool) -> Measured:
    found = [each for dtype in DTYPES for kind in (binary, categorical) for each in kind(compiled.Run, dtype)]
    crooked = [place for dtype in DTYPES for place in asymmetric(compiled.Run, dtype)]
    worst = max(found, key=lambda each: each.ulps)
    good = sum(each.ulps <= MOST_ULPS for each in found)
    text = f"{worst.ulps:.1f} ULP at {worst.where}; {good} of {len(found)} cases, {len(crooked)} asymmetric"
    return Measured(text, good == len(found) > 0 and not crooked)


def parity(long: bool) -> Measured:
    """A NaN is no success, so the comparisons are written such that it fails them."""
    theirs = {(s, d): beside_scikit_learn(s, d) for s in SOLVERS for d in DATA}
    steps = max(v for (solver, _), v in theirs.items() if solver != FULL_BATCH)
    full = max(v for (solver, _), v in theirs.items() if solver == FULL_BATCH)
    wide = max(beside_extended_precision(name) for name in STREAMED)
    text = f"{steps:.1e} by steps, {full:.1e} by {FULL_BATCH}, {wide:.1e} beside long double"
    passed = all(v <= MOST_PARITY for v in (*theirs.values(), wide))
    itself = max(scikit_learn_beside_itself(FULL_BATCH, d) for d in DATA)
    remark = (
        f"50 iterations of {FULL_BATCH} magnify rounding: scikit-learn's own result moves by {itself:.1e} "
        "when its inputs are changed by one unit in the last place"
    )
    return Measured(text, passed, "" if full <= MOST_PARITY else remark)


FIGURES = (
    Figure(3, "equations proved by SymPy; text of code and docs equal", "100 %", proved),
    Figure(5, "cross-entropy and its gradient at extreme logits", "≤ 4 ULP, 0 asymmetric", extreme_logits),
    Figure(6, "parity after 50 steps: scikit-learn, and long double", "≤ 1e-12", parity),
)
