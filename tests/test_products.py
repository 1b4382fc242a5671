"""Matrix products of the compiled run: close to the exact ones, and the same bits however they are cut up."""

from __future__ import annotations

from functools import cache

import invariance
import numpy as np
import pytest
from conftest import make_network, make_problem, rates

from chainrule import compiled, native, products, reference, team, tiles
from chainrule.equations import OPTIMISERS
from chainrule.problem import Objective, Stretch

DTYPES = ["float32", "float64"]
pytestmark = pytest.mark.compiled


@cache
def multiplier(dtype):
    """out = A B as a function of compiled code."""
    import numba

    products.ready(dtype)

    @numba.njit
    def multiply(A, B, out):
        native.product(A, B, out)

    return multiply


def product(A, B):
    out = np.full((A.shape[0], B.shape[1]), np.nan, A.dtype)
    multiplier(A.dtype.name)(A, B, out)
    return out


def matrices(m, k, n, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)


def chain(A, B):
    """The product by its definition in float32: a chain of sums, each rounded once, by way of doubles.

    A product of two float32 is exact in double; the sum rounded to double and then to float32 differs
    from the sum rounded once only in halfway cases, which the data below have not.
    """
    total = np.zeros((A.shape[0], B.shape[1]), np.float32)
    for k in range(A.shape[1]):
        total = (A[:, k, None].astype("f8") * B[None, k].astype("f8") + total).astype("f4")
    return total


def views(A):
    """The matrix with contiguous rows, with contiguous columns, and inside a larger one."""
    rows, columns = A.shape
    wide, tall = np.zeros((rows + 2, columns + 5), A.dtype), np.zeros((columns + 3, 2 * rows + 1), A.dtype)
    wide[1 : 1 + rows, 2 : 2 + columns], tall[1 : 1 + columns, 1 : 1 + rows] = A, A.T
    apart = np.zeros((2 * rows, 3 * columns), A.dtype)
    apart[::2, ::3] = A
    inside = wide[1 : 1 + rows, 2 : 2 + columns], tall[1 : 1 + columns, 1 : 1 + rows].T
    return [A, np.asfortranarray(A), *inside], apart[::2, ::3]


# sizes around the tiles', and ones that are copied in panels: deep, tall, and both with remainders
SIZES = [
    (1, 1, 1), (1, 7, 40), (3, 5, 1), (7, 1, 17), (8, 16, 32), (9, 31, 33), (15, 64, 31), (64, 3, 100),
    (70, 600, 37), (600, 300, 20), (1030, 257, 5),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SIZES)
def test_products_are_as_exact_as_a_chain_of_roundings_can_be(sizes, dtype):
    """Within gamma_k |A| |B|, gamma_k = k u / (1 - k u) (Higham 2002, section 3.5)."""
    A, B = matrices(*sizes, dtype)
    exact = A.astype(np.longdouble) @ B.astype(np.longdouble)
    ku = sizes[1] * np.finfo(dtype).eps / 2
    bound = ku / (1 - ku) * (np.abs(A).astype(np.longdouble) @ np.abs(B).astype(np.longdouble))
    assert (np.abs(product(A, B) - exact) <= bound).all()


@pytest.mark.parametrize("sizes", SIZES)
def test_an_entry_is_one_chain_in_the_order_of_the_inner_index(sizes):
    A, B = matrices(*sizes, "float32")
    if tiles.host()[2]:
        np.testing.assert_array_equal(product(A, B), chain(A, B))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SIZES)
def test_views_with_any_steps_give_the_same_bits(sizes, dtype):
    A, B = matrices(*sizes, dtype)
    expected = product(A, B)
    forms, apart = views(A)
    for form in (*forms, apart):
        for other in views(B)[0]:
            np.testing.assert_array_equal(product(form, other), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_beyond_the_result_is_written(dtype):
    for m, k, n in [(3, 5, 7), (13, 4, 33), (65, 300, 17), (9, 2, 1)]:
        A, B = matrices(m, k, n, dtype)
        room = np.full((m + 2, n + 3), 7, dtype)
        for other in (B, np.asfortranarray(B)):
            room[1:-1, 1:-2] = np.nan
            multiplier(dtype)(A, other, room[1:-1, 1:-2])
            assert np.isfinite(room[1:-1, 1:-2]).all()
            room[1:-1, 1:-2] = 7
            assert (room == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)])
def test_sizes_of_zero(sizes, dtype):
    A, B = matrices(*sizes, dtype)
    for other in (B, np.asfortranarray(B)):
        result = product(A, other)
        assert result.shape == (sizes[0], sizes[2]) and not result.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_stays_in_its_row_and_column(dtype):
    A, B = matrices(20, 30, 40, dtype)
    A[4, 7], B[3, 11] = np.nan, np.inf
    result = product(A, B)
    assert np.isnan(result[4]).all() and not np.isfinite(result[:, 11]).any()
    result[4], result[:, 11] = 0, 0
    assert np.isfinite(result).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(40, 20, 10), (300, 257, 33), (1030, 600, 16)])
def test_a_row_has_the_same_bits_whichever_rows_come_along(sizes, dtype):
    A, B = matrices(*sizes, dtype)
    for W in (B, np.asfortranarray(B)):
        whole = product(A, W)
        for size in (1, 2, 3, 7, 64, 1000):
            parts = [product(A[i : i + size], W) for i in range(0, len(A), size)]
            np.testing.assert_array_equal(np.concatenate(parts), whole)
        np.testing.assert_array_equal(product(A[::-1], W), whole[::-1])


# ---------------------------------------------------------------- runs


SHAPES = {"narrow": ((5,), 3), "wide": ((100, 70), 20), "deep": ((17, 16, 33), 1)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_predictions_do_not_depend_on_the_batch(shape, dtype):
    hidden, inputs = SHAPES[shape]
    loss = "squared_error" if shape == "deep" else "categorical_cross_entropy"
    network = make_network(loss, "gelu", inputs=inputs, hidden=hidden, dtype=dtype)
    theta, batch = make_problem(network, rows=2100)
    run = compiled.Run(Objective(network))
    whole = run.predict(theta, batch.X)
    for size in (1, 2, 3, 7, 64, 1000):
        parts = [run.predict(theta, batch.X[i : i + size]) for i in range(0, 2100, size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def teamed(monkeypatch, count):
    monkeypatch.setattr(compiled, "MEMBER", 1)
    monkeypatch.setattr(compiled, "CALL", 1)
    monkeypatch.setattr(team, "processors", lambda: count)
    monkeypatch.setattr(team.QUIET, "threads", lambda: count)
    monkeypatch.setattr(team.CREW, "pool", None)


def steps_of_a_team(network, weighted):
    theta, batch = make_problem(network, rows=150, weighted=weighted)
    row = OPTIMISERS.find("adamw")
    slots, losses = np.zeros((len(row.slots), theta.size), theta.dtype), np.empty((4, 3))
    run = compiled.Run(Objective(network, {"l2": 0.01, "l1": 0.001}), row)
    order = np.random.default_rng(1).permutation(150)
    for number in range(4):
        stretch = Stretch(batch, order, 0, 3, 61, rates(0.01, 3), theta, slots, losses[number], 3 * number, 5)
        assert run.steps(stretch) == 3
    value, gradient = run.loss_and_gradient(theta, batch)
    return theta, slots, losses, np.array([value, run.loss(theta, batch)]), gradient


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("loss", "hidden"), [("categorical_cross_entropy", (70, 40)), ("squared_error", (20_000,))]
)
def test_training_does_not_depend_on_the_number_of_threads(monkeypatch, loss, hidden, dtype):
    """Neither in a layer so wide that its gradient comes in pieces of less than a block of rows of W."""
    monkeypatch.setattr(compiled, "CHUNK", 64)
    network = make_network(loss, "tanh", inputs=13, dropout=0.2, dtype=dtype, hidden=hidden)
    teamed(monkeypatch, 1)
    alone = steps_of_a_team(network, weighted=True)
    for count in (2, 3, 4):
        teamed(monkeypatch, count)
        for one, other in zip(alone, steps_of_a_team(network, weighted=True), strict=True):
            np.testing.assert_array_equal(other, one)


def test_the_penalties_of_a_step_are_those_of_the_equations(monkeypatch):
    teamed(monkeypatch, 3)
    network = make_network("squared_error", "tanh", hidden=(70, 40))
    theta, batch = make_problem(network, rows=40)
    objective, row = Objective(network, {"l2": 0.3, "l1": 0.2}), OPTIMISERS.find("sgd")
    results = []
    for run in (compiled.Run(objective, row), reference.Run(objective, row)):
        w, losses = theta.copy(), np.empty(1)
        slots = np.zeros((len(row.slots), w.size))
        run.steps(Stretch(batch, np.arange(40), 0, 1, 40, rates(0.1, 1), w, slots, losses, 0, 0))
        results.append((losses[0], w))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", invariance.FITS)
def test_fits_do_not_depend_on_the_number_of_threads(name):
    assert invariance.fit_with_threads(name, 1) == invariance.fit_with_threads(name, 3)
