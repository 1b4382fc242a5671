"""Accuracy of functions and derivatives in units in the last place, subnormals and extremes included."""

from __future__ import annotations

from accuracy import QUANTITIES, Measured, inputs, measure_exactly, measure_narrow, reference_error

from benchmarks.trust import figure

MOST_ULPS = 2.0
MOST_OF_REFERENCE = 2**20  # of a float64's ulps: a five-hundredth of a float32's
NARROW, WIDE, SAMPLE = {False: 500_000, True: 20_000_000}, {False: 2_000, True: 200_000}, 2_000


def _worst(found: dict[str, Measured]) -> tuple[float, str]:
    name = max(found, key=lambda each: found[each].ulps)
    return found[name].ulps, name


def accuracy(long: bool) -> figure.Measured:
    reference = {q.name: reference_error(q, SAMPLE) for q in QUANTITIES}
    narrow = {q.name: measure_narrow(q, NARROW[long]) for q in QUANTITIES}
    wide = {}
    for q in QUANTITIES:
        Z = inputs(WIDE[long], "float64", seed=2)
        wide[q.name] = measure_exactly(q, Z.reshape(-1, 4) if q.coupled else Z)
    mismatches = sum(found.mismatches for found in (*narrow.values(), *wide.values()))
    ulps = {"float32": _worst(narrow), "float64": _worst(wide)}
    counts = {"float32": NARROW[long], "float64": WIDE[long]}
    text = "; ".join(
        f"{dtype}: {worst:.3f} ULP ({name}) at {counts[dtype]:,} inputs of each of {len(QUANTITIES)}"
        for dtype, (worst, name) in ulps.items()
    )
    known = _worst(reference)[0] <= MOST_OF_REFERENCE
    passed = known and not mismatches and all(worst <= MOST_ULPS for worst, _ in ulps.values())
    beyond = [f"{name} {found.ulps:.2f}" for name, found in wide.items() if not found.ulps <= MOST_ULPS]
    remark = f"beyond 2 ULP in float64: {', '.join(beyond)}" if beyond else ""
    return figure.Measured(f"{text}; {mismatches} non-finite mismatches", passed, remark)


FIGURES = (
    figure.Figure(
        4, "exp, tanh, sigmoid, softplus, log-softmax, and derivatives", "≤ 2 ULP, 0 mismatches", accuracy
    ),
)
