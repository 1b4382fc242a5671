"""Gradients: against the complex step, and whether faults in them are seen."""

from __future__ import annotations

from gradient_cells import planted, relative_error, sample

from benchmarks.trust.figure import Figure, Measured
from chainrule import compiled

MOST = 1e-14
CELLS, FAULTS = 1000, 500


def complex_step(long: bool) -> Measured:
    cells = sample(None if long else CELLS)
    errors = [
        relative_error(compiled.Run(objective), objective, theta, batch) for objective, theta, batch in cells
    ]
    good = sum(error <= MOST for error in errors)
    return Measured(f"{max(errors):.1e}; {good} of {len(errors)} cells", good == len(errors) >= 200)


def planted_faults(long: bool) -> Measured:
    found = [*planted(FAULTS)]
    missed = [what for what, caught in found if not caught]
    return Measured(f"{len(found) - len(missed)} of {len(found)}", not missed, "; ".join(missed[:5]))


FIGURES = (
    Figure(1, "gradient error against the complex step, all parameters", "≤ 1e-14 in 100 %", complex_step),
    Figure(2, "planted faults that the gradient check catches", "500 of 500", planted_faults),
)
