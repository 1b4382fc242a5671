"""How far the compiled run's functions and derivatives are from exact ones, over all magnitudes.

Where there are too many inputs for mpmath, values of float32 are compared with a reference in float64 whose
own distance from mpmath is measured on a sample: it is thousands of times smaller than what is looked for.
The inputs that come out worst are measured once more, against mpmath.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numba
import numpy as np
from mpmath import mp
from ulp import distance

from chainrule import planning
from chainrule.equations import ACTIVATIONS, LOSSES

DIGITS = 200  # binary ones: no formula here takes a difference of nearly equal numbers
CLASSES = 4  # logits in a row of a softmax; the first is that of the target
CHUNK = 1 << 19  # inputs at once
SUSPECTS = 20  # of each chunk, so many of the worst inputs are measured against mpmath too
INTERVALS = {"float32": ((-110, 95), (-20, 20), (-1, 1)), "float64": ((-750, 715), (-40, 40), (-1, 1))}
Z_SHARE = 0.5  # of the inputs from the intervals; the others have every exponent equally often


@dataclass(frozen=True)
class Quantity:
    """A function or a derivative.

    Attributes
    ----------
    name : str
    values : callable
        ``values(Z) -> values`` by the compiled run; of a softmax Z has the shape (n, CLASSES).
    wide : callable
        The same of float64, by NumPy.
    exact : callable
        The same of one mpmath number, or of a list of them.
    """

    name: str
    values: Callable[[Any], Any]
    wide: Callable[[Any], Any]
    exact: Callable[[Any], Any]

    @property
    def coupled(self) -> bool:
        """Whether it takes a row of logits."""
        return self.name.startswith("log-softmax")


@dataclass
class Measured:
    """What was found of a quantity.

    Attributes
    ----------
    ulps : float
        The largest distance from the exact value, in units in the last place of the latter.
    at : Any
        The input that it was found at.
    mismatches : int
        Values that are infinite, or no number, where the exact value rounds to a finite one; or the reverse.
    count : int
        Inputs.
    """

    ulps: float = 0.0
    at: Any = None
    mismatches: int = 0
    count: int = 0

    def see(self, ulps: float, at: Any) -> None:
        """Take note of a distance."""
        if not ulps <= self.ulps:  # a NaN is the worst
            self.ulps, self.at = ulps, at


# ------------------------------------------------------------------ what the compiled run computes


@cache
def _activation_loops(name: str, dtype: str) -> tuple[Callable[..., None], Callable[..., None]]:
    activate, deactivate = planning._activation_addresses(ACTIVATIONS[name], dtype)
    signatures = planning.signatures(dtype)
    call_f, call_slope = (planning.caller(signatures[sort]) for sort in ("call_activate", "call_deactivate"))

    @numba.njit
    def f(Z: Any, c: Any, A: Any, scratch: Any) -> None:
        call_f(activate, (Z, c, A, scratch))

    @numba.njit
    def slope(Z: Any, A: Any, c: Any, dA: Any) -> None:
        call_slope(deactivate, (Z, A, c, dA))

    return f, slope


def _activated(name: str, derivative: bool, z: Any) -> Any:
    """Values of an activation, or of its derivative as back propagation has it."""
    f, slope = _activation_loops(name, z.dtype.name)
    Z, constants = z[:, None], np.empty(0, z.dtype)
    A, dA = np.empty_like(Z), np.ones_like(Z)
    f(Z, constants, A, np.empty(1))
    if derivative:
        slope(Z, A, constants, dA)
    return (dA if derivative else A).ravel()


@cache
def _loss_loop(dtype: str) -> Callable[..., None]:
    address = planning._loss_addresses(LOSSES["categorical_cross_entropy"], dtype)[0]
    call = planning.caller(planning.signatures(dtype)["call_loss"])

    @numba.njit
    def run(Z: Any, Y: Any, none: Any, one: Any, dZ: Any, scratch: Any, out: Any) -> None:
        loss = np.empty(1)
        for i in range(Z.shape[0]):
            call(address, (Z[i : i + 1], Y, none, one, none, dZ[i : i + 1], scratch, loss))
            out[i] = -loss[0]

    return run


def _log_softmax(derivative: bool, Z: Any) -> Any:
    """Logarithm of the first probability of each row; or its derivatives, with respect to all logits."""
    dtype = Z.dtype
    Y, out, dZ = np.eye(1, Z.shape[1], dtype=dtype), np.empty(len(Z), dtype), np.empty_like(Z)
    scratch = np.empty(64 * (3 * Z.shape[1] + 5))
    _loss_loop(dtype.name)(Z, Y, np.empty(0, dtype), dtype.type(1), dZ, scratch, out)
    return -dZ if derivative else out


# ------------------------------------------------------------------ the same in float64, and exactly


def _wide_sigmoid(z: Any) -> Any:
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def _wide_sigmoid_slope(z: Any) -> Any:
    e = np.exp(-np.abs(z))
    return e / (1 + e * (2 + e))


def _others(Z: Any) -> tuple[Any, Any, Any]:
    """Of each row the largest logit, the exponentials beside it, and the sum of all but its own."""
    rows, top = np.arange(len(Z)), Z.argmax(axis=1)
    m = Z[rows, top]
    e = np.exp(Z - m[:, None])
    e[rows, top] = 0
    return m, e, e.sum(axis=1)


def _wide_log_softmax(Z: Any) -> Any:
    m, _, r = _others(Z)
    return (Z[:, 0] - m) - np.log1p(r)


def _wide_log_softmax_slope(Z: Any) -> Any:
    m, e, r = _others(Z)
    top = m[:, None] == Z
    top &= np.cumsum(top, axis=1) == 1
    slope = -np.where(top, 1, e) / (1 + r)[:, None]
    others = np.where(top[:, 0], r, 1 + r - e[:, 0])  # 1 - p of the target, without a difference of equals
    slope[:, 0] = others / (1 + r)
    return slope


def _exact_sigmoid(z: Any) -> Any:
    return 1 / (1 + mp.exp(-z))


def _exact_log_softmax(Z: Any) -> Any:
    m = max(Z)
    others = list(Z)
    others.remove(m)
    return (Z[0] - m) - mp.log1p(mp.fsum(mp.exp(z - m) for z in others))


def _exact_log_softmax_slope(Z: Any) -> Any:
    m = max(Z)
    e = [mp.exp(z - m) for z in Z]
    return [mp.fsum(e[1:]) / mp.fsum(e), *(-v / mp.fsum(e) for v in e[1:])]


def _exact_tanh_slope(z: Any) -> Any:
    return mp.sech(z) ** 2


QUANTITIES = (
    Quantity("exp", partial(_activated, "exponential", False), np.exp, mp.exp),
    Quantity("exp'", partial(_activated, "exponential", True), np.exp, mp.exp),
    Quantity("tanh", partial(_activated, "tanh", False), np.tanh, mp.tanh),
    Quantity(
        "tanh'",
        partial(_activated, "tanh", True),
        lambda z: 4 * _wide_sigmoid_slope(2 * z),
        _exact_tanh_slope,
    ),
    Quantity("sigmoid", partial(_activated, "sigmoid", False), _wide_sigmoid, _exact_sigmoid),
    Quantity(
        "sigmoid'",
        partial(_activated, "sigmoid", True),
        _wide_sigmoid_slope,
        lambda z: _exact_tanh_slope(z / 2) / 4,
    ),
    Quantity(
        "softplus",
        partial(_activated, "softplus", False),
        lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
        lambda z: max(z, 0) + mp.log1p(mp.exp(-abs(z))),
    ),
    Quantity("softplus'", partial(_activated, "softplus", True), _wide_sigmoid, _exact_sigmoid),
    Quantity("log-softmax", partial(_log_softmax, False), _wide_log_softmax, _exact_log_softmax),
    Quantity("log-softmax'", partial(_log_softmax, True), _wide_log_softmax_slope, _exact_log_softmax_slope),
)


# ------------------------------------------------------------------ inputs


def inputs(count: int, dtype: str, seed: int) -> Any:
    """Finite numbers: every sign and exponent equally often, subnormal ones too, and places of interest."""
    rng = np.random.default_rng(seed)
    info, word = np.finfo(dtype), np.dtype(dtype.replace("float", "uint"))
    strata = np.arange(count - int(count * Z_SHARE)) % (2 * (2**info.nexp - 1))
    sign, exponent = strata % 2, strata // 2
    mantissa = rng.integers(0, 2**info.nmant, len(strata), dtype=np.uint64)
    low = rng.random(len(strata))  # the ends of each stretch: the powers of two, and the number before each
    mantissa[low < 0.05], mantissa[low > 0.95] = 0, 2**info.nmant - 1
    pattern = (sign.astype(np.uint64) << np.uint64(info.bits - 1)) | (
        exponent.astype(np.uint64) << np.uint64(info.nmant)
    )
    spread = (pattern | mantissa).astype(word).view(dtype)
    intervals = INTERVALS[dtype]
    parts = [
        rng.uniform(*intervals[k % len(intervals)], size).astype(dtype)
        for k, size in enumerate(_parts(count - len(strata), len(intervals)))
    ]
    return rng.permutation(np.concatenate([spread, *parts]))


def _parts(total: int, count: int) -> list[int]:
    return [len(part) for part in np.array_split(np.empty(total), count)]


# ------------------------------------------------------------------ measuring


def ulps_beside(values: Any, wide: Any) -> Any:
    """Distance of float32 values from float64 ones, in units in the last place; 0 where both are infinite."""
    _, exponent = np.frexp(wide)
    unit = np.ldexp(1.0, np.maximum(exponent - 1, -126) - 23)
    with np.errstate(all="ignore"):
        same = np.isinf(values) & (values == wide.astype(np.float32))
        return np.where(same, 0.0, np.abs(values.astype(np.float64) - wide) / unit)


def measure_narrow(quantity: Quantity, count: int, seed: int = 0) -> Measured:
    """A quantity in float32, at that many inputs, beside float64; and beside mpmath where it is worst."""
    found = Measured()
    for number, start in enumerate(range(0, count, CHUNK)):
        Z = inputs(min(CHUNK, count - start), "float32", seed + number)
        if quantity.coupled:
            Z = Z[: len(Z) // CLASSES * CLASSES].reshape(-1, CLASSES)
        with np.errstate(all="ignore"):
            values, wide = quantity.values(Z), quantity.wide(Z.astype(np.float64))
            finite = np.isfinite(wide.astype(np.float32))
        found.mismatches += int((np.isfinite(values) != finite).sum())
        found.count += Z.size
        ulps = ulps_beside(values, wide)
        suspects = np.argsort(ulps, axis=None)[-SUSPECTS:]
        for place in suspects:
            row = np.unravel_index(place, ulps.shape)[0]
            found.see(_exact_ulps(quantity, Z[row], values[row]), Z[row])
        found.see(float(np.partition(ulps, -SUSPECTS - 1, axis=None)[-SUSPECTS - 1]), None)
    return found


def measure_exactly(quantity: Quantity, Z: Any) -> Measured:
    """A quantity at given inputs, in their dtype, beside mpmath."""
    with np.errstate(all="ignore"):
        values = quantity.values(Z)
    return _beside_mpmath(quantity, Z, values)


def reference_error(quantity: Quantity, count: int, seed: int = 1) -> Measured:
    """The float64 reference itself beside mpmath, at float32 inputs, in units of a float64's last place."""
    Z = inputs(count, "float32", seed)
    if quantity.coupled:
        Z = Z[: len(Z) // CLASSES * CLASSES].reshape(-1, CLASSES)
    Z = Z.astype(np.float64)
    with np.errstate(all="ignore"):
        values = quantity.wide(Z)
    # What is below the smallest float32 by far is 0 in it either way.
    return _beside_mpmath(quantity, Z, values, least=2.0**-200)


def _beside_mpmath(quantity: Quantity, Z: Any, values: Any, least: float = 0.0) -> Measured:
    found = Measured(count=Z.size)
    for z, value in zip(Z, values, strict=True):
        if least and np.all(np.abs(value) < least):
            continue
        ulps = _exact_ulps(quantity, z, value)
        if ulps == np.inf:
            found.mismatches += 1
        found.see(ulps, z)
    return found


def _exact_ulps(quantity: Quantity, z: Any, value: Any) -> float:
    """The distance of a value, or the largest one of a row of values, from the exact one."""
    with mp.workprec(DIGITS):
        exact = quantity.exact([mp.mpf(float(v)) for v in z] if quantity.coupled else mp.mpf(float(z)))
        if isinstance(exact, list):
            return max(distance(v, truth) for v, truth in zip(value, exact, strict=True))
        return distance(value, exact)
