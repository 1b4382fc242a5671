"""Equations: proved from the code that runs, accurate at extreme logits, and equal to a second source."""

from __future__ import annotations

from statistics import median

import parity
from extreme_logits import asymmetric, binary, categorical
from parity import DATA, SOLVERS, STEADY, STREAMED

from benchmarks.trust import ROOT
from benchmarks.trust.figure import Figure, Measured
from chainrule import compiled, proofs
from chainrule.proofs.page import page

DTYPES = ("float64", "float32")
MOST_ULPS, MOST_PARITY = 4.0, 1e-12
LEAST_STEADY = 20


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


def second_source(long: bool) -> Measured:
    """A NaN is no success, so the comparisons are written such that it fails them."""
    steps = [parity.beside_scikit_learn(solver, data) for solver in SOLVERS for data in DATA]
    wide = [parity.beside_extended_precision(name) for name in STREAMED]
    found = [*parity.by_lbfgs()]
    steady = [each for each in found if each.moved <= STEADY]
    others = [each for each in found if not each.moved <= STEADY]
    passed = all(v <= MOST_PARITY for v in (*steps, *wide, *(each.apart for each in steady)))
    text = (
        f"{max(steps):.1e} by steps, {max(each.apart for each in steady):.1e} by L-BFGS on {len(steady)} "
        f"steady problems of {len(found)}, {max(wide):.1e} beside long double"
    )
    longest = sum(each.iterations == parity.STEPS for each in steady)
    ratios = [each.apart / each.moved for each in others]
    remark = (
        "L-BFGS magnifies rounding, so only those problems count whose parameters in scikit-learn move by at "
        f"most {STEADY:g} when each input is changed to its neighbour; {longest} of these take all "
        f"{parity.STEPS} iterations. Of the {len(others)} others, scikit-learn's parameters move by up to "
        f"{max(each.moved for each in others):.0e}, and ours are {median(ratios):.1f} times as far from them "
        f"in the median, {max(ratios):.1f} times at most"
    )
    return Measured(text, passed and len(steady) >= LEAST_STEADY, remark)


FIGURES = (
    Figure(3, "equations proved by SymPy; text of code and docs equal", "100 %", proved),
    Figure(5, "cross-entropy and its gradient at extreme logits", "≤ 4 ULP, 0 asymmetric", extreme_logits),
    Figure(6, "parity after 50 steps: scikit-learn, and long double", "≤ 1e-12", second_source),
)
