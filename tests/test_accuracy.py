"""Functions and derivatives of the compiled run beside exact ones, and the code that measures them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from accuracy import (
    QUANTITIES,
    inputs,
    measure_exactly,
    measure_narrow,
    reference_error,
    ulps_beside,
)

pytestmark = pytest.mark.compiled
BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_function_is_rounded_once_in_float32(name):
    found = measure_narrow(BY_NAME[name], 40_000)
    assert found.ulps <= 0.51
    assert found.mismatches == 0
    assert found.count == 40_000


@pytest.mark.parametrize("name", BY_NAME)
def test_a_function_is_accurate_in_float64(name):
    Z = inputs(400, "float64", 4)
    found = measure_exactly(BY_NAME[name], Z.reshape(-1, 4) if BY_NAME[name].coupled else Z)
    assert found.ulps <= 4
    assert found.mismatches == 0


@pytest.mark.parametrize("name", BY_NAME)
def test_the_reference_is_far_more_accurate_than_float32(name):
    assert reference_error(BY_NAME[name], 200).ulps <= 2**20


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_have_every_exponent_and_the_smallest_numbers(dtype):
    found, info = inputs(20_000, dtype, 0), np.finfo(dtype)
    _, exponents = np.frexp(found[np.abs(found) >= info.tiny])
    assert len(np.unique(exponents)) == info.maxexp - info.minexp
    assert ((found != 0) & (np.abs(found) < info.tiny)).any()
    assert (found > 0).any() and (found < 0).any() and np.isfinite(found).all()


def test_an_error_of_a_few_units_is_found():
    """By both ways, also where the exact value is subnormal."""
    right = BY_NAME["exp"]
    for z, units in ((1.0, 3), (-95.0, 5)):
        wrong = replace(right, values=lambda Z: _moved(right.values(Z), units))  # noqa: B023 - used at once
        exact = measure_exactly(wrong, np.array([z], np.float32))
        assert exact.ulps == pytest.approx(units, abs=0.51)
        beside = ulps_beside(wrong.values(np.array([z], np.float32)), np.exp(np.array([z])))
        assert beside[0] == pytest.approx(exact.ulps, abs=1e-6)


def test_an_infinity_in_the_wrong_place_is_a_mismatch():
    right = BY_NAME["exp"]
    wrong = replace(right, values=lambda Z: np.where(Z > 80, np.inf, right.values(Z)).astype(np.float32))
    assert measure_narrow(wrong, 40_000).mismatches > 0


def _moved(values, units):
    """The values, so many units in the last place higher."""
    return (values.view(np.int32) + np.int32(units)).view(np.float32)
