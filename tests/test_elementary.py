"""exp, log and their like, and what is made of them, against mpmath."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from extreme_logits import asymmetric, binary, categorical
from mpmath import mp
from ulp import nearest, spacing

from chainrule import compiled, elementary, equation, planning
from chainrule.equations import ACTIVATIONS, LOSSES

pytestmark = pytest.mark.compiled


def exact_erfc(x):
    """mpmath's own, where it can; past 40 it lies below all doubles."""
    return mp.erfc(x) if abs(x) < 40 else mp.mpf(2 if x < 0 else 0)


EXACT = {
    "exp": mp.exp,
    "expm1": mp.expm1,
    "tanh": mp.tanh,
    "log": mp.log,
    "log1p": mp.log1p,
    "erfc": exact_erfc,
    "cos_turns": lambda u: mp.cospi(2 * u),
    "sin_turns": lambda u: mp.sinpi(2 * u),
}
NUMPY = {
    "erfc": np.vectorize(math.erfc),
    "cos_turns": equation.cos_turns,
    "sin_turns": equation.sin_turns,
}
SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0]


def loop(function):
    """A loop over an array, as kernels have it."""

    @numba.njit(error_model="numpy")
    def run(x, out):
        for i in range(x.size):
            out[i] = function(np.float64(x[i]))

    return run


def inputs(name, dtype):
    """All magnitudes, both signs, and the neighbourhood of the places where a formula changes."""
    rng, dtype = np.random.default_rng(5), np.dtype(dtype).type
    tiny, largest = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    magnitudes = np.exp(rng.uniform(math.log(tiny), math.log(largest), 1500))
    quarters = np.arange(1, 9, dtype=dtype) / 4
    beside = [np.nextafter(quarters, dtype(end)) for end in (-np.inf, np.inf)]
    normal, near = rng.standard_normal(1500) * 3, rng.uniform(0.5, 2, 500)
    x = np.concatenate([magnitudes, normal, near, quarters, *beside, [tiny, largest]])
    x = np.concatenate([x, -x]).astype(dtype)
    return x[x > {"log": 0, "log1p": -1}.get(name, -math.inf)]


def ulps(values, x, exact):
    """Distance of each value from the exact one, in units in the last place of the latter."""
    worst = 0.0
    for value, argument in zip(values, x, strict=True):
        truth = exact(mp.mpf(float(argument)))
        distance = (
            abs(mp.mpf(float(value)) - truth) / spacing(truth, values.dtype) if np.isfinite(value) else 0
        )
        if np.isinf(value):
            assert value == nearest(truth, values.dtype)
        worst = max(worst, float(distance))
    return worst


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 0.51), ("float64", 4)])
def test_an_elementary_function_is_accurate(name, dtype, bound):
    series = elementary.NARROW if dtype == "float32" else elementary.WIDE
    x = inputs(name, dtype)
    values = np.empty_like(x)
    loop(getattr(series, name))(x, values)
    with mp.workprec(160):
        assert ulps(values, x, EXACT[name]) <= bound


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("series", [elementary.NARROW, elementary.WIDE], ids=["narrow", "wide"])
def test_an_elementary_function_keeps_what_is_special(name, series):
    x = np.array(SPECIAL)
    values = np.empty_like(x)
    loop(getattr(series, name))(x, values)
    with np.errstate(all="ignore"):
        expected = NUMPY.get(name, getattr(np, name, None))(x)
    if series is elementary.NARROW:  # it is rounded to a float32
        values, expected = values.astype(np.float32), expected.astype(np.float32)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(np.signbit(values[3:]), np.signbit(expected[3:]))


def kernel(row, Z):
    """Values of an activation's kernel."""
    A, scratch = np.empty_like(Z), np.empty(3 * Z.size)
    address, _ = planning._activation_addresses(row, Z.dtype.name)
    call = planning.caller(planning.signatures(Z.dtype.name)["call_activate"])

    @numba.njit
    def run(Z, c, A, scratch):
        call(address, (Z, c, A, scratch))

    run(Z, np.array(list(row.parameters.values()), Z.dtype), A, scratch)
    return A


def exact_sigmoid(z):
    return 1 / (1 + mp.exp(-z))


def exact_softplus(z):
    return mp.log1p(mp.exp(z))


@pytest.mark.parametrize(("name", "exact"), [("sigmoid", exact_sigmoid), ("softplus", exact_softplus)])
def test_an_activation_of_float32_is_rounded_once(name, exact):
    Z = inputs(name, "float32")
    with mp.workprec(160):
        assert ulps(kernel(ACTIVATIONS[name], Z[:, None]).ravel(), Z, exact) <= 0.51


def test_log_softmax_is_accurate():
    """The cross-entropy of a class is minus the log-softmax of its logit."""
    rng = np.random.default_rng(8)
    scale = np.exp(rng.uniform(math.log(1e-4), math.log(1e4), (600, 1)))
    Z = (rng.standard_normal((600, 4)) * scale).astype(np.float32)
    row = LOSSES["categorical_cross_entropy"]
    address = planning._loss_addresses(row, "float32")[0]
    call = planning.caller(planning.signatures("float32")["call_loss"])

    @numba.njit
    def run(Z, Y, w, c, dZ, scratch, losses):
        call(address, (Z, Y, w, w[0], c, dZ, scratch, losses))
        return losses[0]

    one, none = np.ones(1, np.float32), np.empty(0, np.float32)
    worst = 0.0
    with mp.workprec(160):
        for z in Z:
            Y = np.array([[0, 1, 0, 0]], np.float32)
            value = np.float32(
                run(z[None, :].copy(), Y, one, none, np.empty_like(Y), np.empty(2000), np.empty(1))
            )
            exact = mp.log(sum(mp.exp(mp.mpf(float(v))) for v in z)) - mp.mpf(float(z[1]))
            error = abs(mp.mpf(float(value)) - exact)
            worst = max(worst, float(error / spacing(exact, np.dtype("float32"))))
    assert worst <= 0.51


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_cross_entropies_at_extreme_logits(dtype):
    """Also where the terms of a softmax's sum are below the smallest normal number."""
    found = [*binary(compiled.Run, dtype), *categorical(compiled.Run, dtype)]
    assert [each for each in found if not each.ulps <= 4] == []
    assert asymmetric(compiled.Run, dtype) == []
    assert any(each.loss > 1e3 for each in found) and any(0 < each.loss < 1e-15 for each in found)
