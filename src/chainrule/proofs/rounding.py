"""Measures the rounding errors of what the rows compute, against arithmetic of 40 digits.

The error of a computed g at a point x is divided by |g| + sum_k |x_k dg/dx_k|, which is what a relative
change of each input would change, and by the machine epsilon. So it says how many roundings of the
inputs it is worth. That measure is fair where g passes through zero, and needs no choice of a tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from chainrule import second_order
from chainrule.equation import Row
from chainrule.equations.activations import Activation
from chainrule.equations.initialisers import Initialiser
from chainrule.equations.layers import LayerKind
from chainrule.equations.losses import Loss
from chainrule.equations.optimisers import Optimiser
from chainrule.equations.penalties import Penalty
from chainrule.equations.schedules import Schedule
from chainrule.proofs import initialisers, schedules, updates
from chainrule.proofs.curves import SLOPE, VALUE, Curve, activation_curve, loss_curves, penalty_curve
from chainrule.proofs.entries import symbols
from chainrule.proofs.readings import exact
from chainrule.proofs.zero import at

Errors = Mapping[str, float]
Computed = Callable[..., Any]  # (*columns of inputs in the dtype) -> columns of outputs

SCALE = "machine epsilons of |g| + sum |x dg/dx|"
DIGITS = 40
DTYPES = ("float64", "float32")
SAMPLES = 40
# Exact in both dtypes: close around 0, and in steps of 1/8.
GRID = np.array(sorted({s * 2.0**k for k in range(-24, 7) for s in (-1, 1)} | set(np.arange(-160, 161) / 8)))
TARGETS = {
    "real": (-3.03125, 0.53125, 12.71875),
    "nonnegative": (0.0, 3.0, 17.0),
    "unit": (0.0, 0.28125, 1.0),
}


def worst(
    true: Sequence[Any],
    inputs: Sequence[Any],
    points: Iterable[Sequence[float]],
    computed: Computed,
    dtypes: Sequence[str] = DTYPES,
) -> Errors:
    """The largest error over some points.

    Parameters
    ----------
    true : sequence of sympy.Expr
        The exact outputs.
    inputs : sequence of sympy.Symbol
    points : iterable
        Values of the inputs, exact in each dtype.
    computed : callable
        ``computed(*columns) -> outputs``, with an array of each input in the dtype.
    dtypes : sequence of str

    Returns
    -------
    dict of str to float
    """
    points = list(points)
    condition = [abs(g) + sum(abs(x * sp.diff(g, x)) for x in inputs) for g in true]
    f = sp.lambdify(inputs, [*true, *condition], "mpmath")
    errors = {}
    with mpmath.workdps(DIGITS):
        exact_rows = [f(*map(mpmath.mpf, point)) for point in points]
        for dtype in dtypes:
            columns = np.array(points, dtype).T
            with np.errstate(under="ignore"):
                given = [np.broadcast_to(g, len(points)) for g in computed(*columns)]
            errors[dtype] = _largest(np.array(given).T, exact_rows, np.finfo(dtype))
    return errors


def _largest(given: Any, exact_rows: Any, info: Any) -> float:
    largest = mpmath.mpf(0)
    count = given.shape[1]
    for computed, row in zip(given, exact_rows, strict=True):
        for value, g, scale in zip(computed, row[:count], row[count:], strict=True):
            allowed = float(info.eps) * scale + mpmath.mpf(float(info.tiny))
            largest = max(largest, abs(mpmath.mpf(float(value)) - g) / allowed)
    return float(largest)


def _join(parts: Iterable[Errors]) -> Errors:
    joined: dict[str, float] = {}
    for errors in parts:
        for dtype, error in errors.items():
            joined[dtype] = max(error, joined.get(dtype, 0.0))
    return joined
