"""exp, log, tanh and erfc without a branch: a compiler turns loops over them into vector instructions.

All compute in double precision. The *wide* ones are accurate to about an ulp of a double; the *narrow*
ones stop their series where an error can no longer be seen in a float32, whose kernels compute in double
precision throughout and round once. Infinities, NaN, signed zeros and subnormal results come out as in C.

The series are Taylor's, after the usual reductions (Cody & Waite 1980, Software Manual for the Elementary
Functions; Muller 2016, Elementary Functions, chapters 3 and 11):

    exp x = 2^k exp r,                     r = x - k log 2,        |r| <= log(2) / 2
    log x = e log 2 + 2 artanh s,          s = (m - 1) / (m + 1),  x = 2^e m,  1/sqrt 2 <= m < sqrt 2
    tanh x = -q / (2 + q) = 1 - 2 e / (1 + e),  q = e - 1,         e = exp(-2 x),  x >= 0
    erfc x = exp(-x^2) t g(2 t - 1),       t = 2 / (2 + x),        x >= 0
    cos 2 pi u = sin 2 pi (1/4 - |r|),     r = u - k,              |r| <= 1/2

where g is expanded in Chebyshev polynomials (the variable as in Shepherd & Laframboise 1981, Math. Comp. 36).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable
from numpy.polynomial import chebyshev

Scalar = Callable[..., Any]

LOG2_E = 1 / math.log(2)
# log 2 in two pieces; the first has trailing zeros, so that k times it is exact.
LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
ROUNDER = 1.5 * 2.0**52  # adding it leaves the nearest integer in the last bits
ROUNDER_BITS = np.int64(0x4338000000000000)
SQRT_HALF_BITS = np.int64(0x3FE6A09E667F3BCD)
MANTISSA = np.int64(0x000FFFFFFFFFFFFF)
UPPER_HALF = np.int64(-(2**27))  # keeps 26 bits of the mantissa, whose square is exact
SMALLEST_NORMAL = 2.0**-1022

# Chebyshev coefficients of exp(x^2) erfc(x) / t in 2 t - 1, computed with 60 digits.
ERFC = (
    0.57703373861646968862, 0.35543692127049848731, 0.06509515882878652455, 0.0036711423958366391659,
    -0.0011128447433526324969, -0.00016075829915378079758, 0.000032780315741731370605,
    5.4424416455050160333e-6, -1.5154665553171481622e-6, -1.4297608181169864917e-7,
    8.234608827419493433e-8, -1.2962846852306562536e-9, -4.1547216310151983042e-9,
    6.3470582783628111814e-10, 1.4320822712256223707e-10, -6.1603901052045855418e-11,
    2.0612138554721696306e-12, 3.571493148847704445e-12, -8.5864228432517964757e-13,
    -6.145600213790630554e-14, 7.4187257485966170573e-14, -1.2895042755032325615e-14,
    -2.3587263857106323568e-15, 1.5729349381685911397e-15, -2.2782966239546465174e-16,
    -6.3123304507564298101e-17, 3.5916763531814922992e-17,
)  # fmt: skip


@intrinsic
def bits(typing_context: Any, x: Any) -> Any:
    """The bits of a double as an integer."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@intrinsic
def double(typing_context: Any, i: Any) -> Any:
    """The double of those bits."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once where the machine has an instruction for it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        number = context.get_value_type(types.float64)
        kind = cgutils.ir.FunctionType(number, [number] * 3)
        return builder.call(builder.module.declare_intrinsic("llvm.fmuladd", [number], kind), values)

    return types.float64(types.float64, types.float64, types.float64), generate


def inlined(function: Scalar) -> Scalar:
    """A call that stays in a loop would keep it from being vectorised."""
    return register_jitable(forceinline=True)(function)  # type: ignore[no-any-return]


def polynomial(coefficients: Sequence[float]) -> Scalar:
    """A function of x by Horner's rule, lowest power first."""
    text = repr(float(coefficients[-1]))
    for c in reversed(coefficients[:-1]):
        text = f"fma({text}, x, {float(c)!r})"
    scope: dict[str, Any] = {"fma": fma}
    exec(f"def p(x):\n    return {text}", scope)
    return inlined(scope["p"])


@inlined
def nearest(x):
    """x = k log 2 + r with the nearest integer k, as the last bits of an integer, and r."""
    shifted = fma(x, LOG2_E, ROUNDER)
    k = shifted - ROUNDER
    return bits(shifted), fma(-k, LN2_LOW, fma(-k, LN2_HIGH, x))


@inlined
def powers(i):
    """Two factors of 2^k, k in the last bits of i: each is normal although their product may not be."""
    half = ((i << np.int64(12)) >> np.int64(12)) >> np.int64(1)
    bias, place = np.int64(1023), np.int64(52)
    return double((half + bias) << place), double((i - half + bias) << place)


def elementary(exp_terms: int, log_terms: int, erfc_terms: int, sine_terms: int) -> SimpleNamespace:
    """The functions with series of that many terms."""
    made = SimpleNamespace()
    turn = 2 * math.pi
    sine = [(-1) ** k * turn ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(sine_terms)]
    _add_waves(made, polynomial(sine))
    _add_exponentials(made, polynomial([1 / math.factorial(k) for k in range(2, exp_terms + 2)]))
    _add_logarithms(made, polynomial([2 / (2 * k + 3) for k in range(log_terms)]))
    _add_erfc(made, made.exp, polynomial(list(chebyshev.cheb2poly(ERFC[:erfc_terms]))))
    return made


def _add_exponentials(made: SimpleNamespace, tail: Scalar) -> None:

    @inlined
    def exp(x):
        # Comparisons are written so that a NaN passes.
        x = 760.0 if x > 760.0 else x
        x = -760.0 if x < -760.0 else x
        i, r = nearest(x)
        a, b = powers(i)
        return (a + a * fma(r * r, tail(r), r)) * b

    @inlined
    def expm1(x):
        y = 760.0 if x > 760.0 else x
        y = -60.0 if y < -60.0 else y
        i, r = nearest(y)
        a, b = powers(i)
        e = fma(r * r, tail(r), r)
        value = (a + a * e) * b if y > 40.0 else fma(a * b, e, a * b - 1.0)
        return x if x == 0.0 else value  # keeps the sign of zero

    @inlined
    def tanh(x):
        # Both forms from one reduction: near 0 the first keeps the digits of the difference, and where
        # tanh x > 1/2 the second adds to 1 what is known to all its digits.
        a = abs(x)
        y = -60.0 if a > 30.0 else -2.0 * a
        i, r = nearest(y)
        first, second = powers(i)
        power, e = first * second, fma(r * r, tail(r), r)
        q, whole = fma(power, e, power - 1.0), fma(power, e, power)
        far = a > 0.5
        part = (2.0 * whole if far else -q) / ((1.0 if far else 2.0) + (whole if far else q))
        value = 1.0 - part if far else part
        return math.copysign(value, x)

    made.exp, made.expm1, made.tanh = exp, expm1, tanh


def _add_logarithms(made: SimpleNamespace, artanh: Scalar) -> None:
    @inlined
    def log(x):
        subnormal = x < SMALLEST_NORMAL
        i = bits(x * 2.0**54 if subnormal else x) - SQRT_HALF_BITS
        m = double((i & MANTISSA) + SQRT_HALF_BITS)
        e = (double((i >> np.int64(52)) + ROUNDER_BITS) - ROUNDER) - (54.0 if subnormal else 0.0)
        f = m - 1.0
        s = f / (2.0 + f)
        value = f - s * (f - s * s * artanh(s * s))
        value = fma(e, LN2_HIGH, fma(e, LN2_LOW, value))
        value = value if x < math.inf else x  # infinity and NaN
        value = math.nan if x < 0.0 else value
        return -math.inf if x == 0.0 else value

    @inlined
    def log1p(x):
        u = 1.0 + x
        lost = (x - (u - 1.0)) / u  # what rounding u lost, to first order
        value = log(u) + (lost if u < 2.0**53 else 0.0)
        return x if x == 0.0 else value

    made.log, made.log1p = log, log1p


def _add_waves(made: SimpleNamespace, sine: Scalar) -> None:
    @inlined
    def cos_turns(u):
        t = 0.25 - abs(u - np.rint(u))
        return t * sine(t * t)

    @inlined
    def sin_turns(u):
        r = u - np.rint(u)
        t = math.copysign(0.5, r) - r if abs(r) > 0.25 else r
        return t * sine(t * t)

    made.cos_turns, made.sin_turns = cos_turns, sin_turns


def _add_erfc(made: SimpleNamespace, exp: Scalar, g: Scalar) -> None:
    @inlined
    def erfc(x):
        a = abs(x)
        a = a if a < 28.0 else 28.0
        h = double(bits(a) & UPPER_HALF)
        low = (a - h) * (a + h)  # a^2 = h^2 + low, both without error
        t = 2.0 / (2.0 + a)
        value = exp(-h * h) * (1.0 - low * (1.0 - low * (0.5 - low / 6.0))) * (t * g(2.0 * t - 1.0))
        value = value if x >= 0.0 else 2.0 - value
        return value if x == x else x

    made.erfc = erfc


NARROW = elementary(exp_terms=7, log_terms=5, erfc_terms=14, sine_terms=8)
WIDE = elementary(exp_terms=12, log_terms=11, erfc_terms=27, sine_terms=11)
