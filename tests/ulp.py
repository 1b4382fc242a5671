"""Distances of numbers from exact ones, in units in the last place."""

from __future__ import annotations

from typing import Any

import numpy as np
from mpmath import mp


def nearest(truth: Any, dtype: np.dtype[Any]) -> Any:
    """The number of a dtype that is nearest to an exact one."""
    with np.errstate(over="ignore"):
        return dtype.type(float(truth))


def spacing(truth: Any, dtype: np.dtype[Any]) -> Any:
    """The unit in the last place of an exact number."""
    info = np.finfo(dtype)
    exponent = max(mp.frexp(abs(truth))[1] - 1, info.minexp) if truth else info.minexp
    return mp.ldexp(1, int(exponent) - info.nmant)


def distance(value: Any, truth: Any) -> float:
    """How far a number is from an exact one; infinite where one of them is infinite and the other not."""
    dtype = np.asarray(value).dtype
    if not np.isfinite(value):
        return 0.0 if value == nearest(truth, dtype) else float("inf")
    return float(abs(mp.mpf(float(value)) - truth) / spacing(truth, dtype))
