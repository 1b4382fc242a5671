"""Measures rounding errors, against arithmetic of 400 digits.

The error of a computed g at a point x is divided by |g| + sum_k |x_k dg/dx_k|, which is what a relative
change of the result and of each input would change, and by the machine epsilon. So it says how many
roundings of those it is worth. That measure is fair where g passes through zero, and needs no choice of a
tolerance. The value a = f(z) that a slope is given counts among its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy as sp

Errors = Mapping[str, float]
Computed = Callable[..., Any]  # (*columns of inputs in the dtype) -> columns of outputs

SCALE = "machine epsilons of |g| + sum |x dg/dx|"
DIGITS = 400  # differences of nearly equal exact numbers are as small as 1e-308
DTYPES = ("float64", "float32")


def worst(
    true: Sequence[Any],
    inputs: Sequence[Any],
    points: Iterable[Sequence[float]],
    computed: Computed,
    *,
    rounded: Sequence[Any] | None = None,
    also: Sequence[Any] | None = None,
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
    rounded : sequence of sympy.Symbol, optional
        The inputs that count in the measure, if not all.
    also : sequence of sympy.Expr, optional
        What else counts in the measure of each output.
    dtypes : sequence of str

    Returns
    -------
    dict of str to float
    """
    points = list(points)
    counted = list(inputs if rounded is None else rounded)
    condition = [abs(g) + sum(abs(x * sp.diff(g, x)) for x in counted) for g in true]
    condition = [sum(pair) for pair in zip(condition, also or [0] * len(condition), strict=True)]
    f = sp.lambdify(inputs, [*true, *condition], "mpmath")
    errors = {}
    with mpmath.workdps(DIGITS):
        exact_rows = [f(*map(mpmath.mpf, point)) for point in points]
        for dtype in dtypes:
            columns = np.array(points, dtype).T
            with np.errstate(all="ignore"):
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


def join(parts: Iterable[Errors]) -> Errors:
    """The larger of errors that belong together, for each dtype."""
    joined: dict[str, float] = {}
    for errors in parts:
        for dtype, error in errors.items():
            joined[dtype] = max(error, joined.get(dtype, 0.0))
    return joined
