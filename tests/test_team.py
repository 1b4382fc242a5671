"""Threads that share a run: the same numbers, whoever works."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_network, make_problem, rates
from threadpoolctl import threadpool_limits

from chainrule import compiled, native, products, reference, team
from chainrule.equations import LAYERS, OPTIMISERS
from chainrule.problem import Batch, Objective, Stretch

LARGE = {"hidden": (70, 40)}


def trained(dtype="float64", loss="categorical_cross_entropy", weights=True, dropout=0.2, optimiser="adamw"):
    network = make_network(loss, "tanh", dropout=dropout, dtype=dtype, **LARGE)
    theta, batch = make_problem(network, rows=150, weighted=weights)
    objective, row = Objective(network, {"l2": 0.01, "l1": 0.001}), OPTIMISERS.find(optimiser)
    slots = np.zeros((len(row.slots), theta.size), theta.dtype)
    losses = np.empty(9)
    stretch = Stretch(
        batch, np.arange(150)[::-1].copy(), 0, 3, 64, rates(0.01, 3), theta, slots, losses, 0, 5
    )
    run = compiled.Run(objective, row)
    for _ in range(3):
        assert run.steps(stretch) == 3
    return theta, slots, losses[:3], objective, batch


@pytest.mark.compiled
@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_steps_of_a_team_are_those_of_one_to_the_bit(threads, count, dtype):
    threads(1)
    alone = trained(dtype)
    threads(count)
    for one, other in zip(alone[:3], trained(dtype)[:3], strict=True):
        np.testing.assert_array_equal(other, one)


@pytest.mark.compiled
def test_a_team_gives_the_same_bits_every_time(threads):
    threads(3)
    first, again = trained(), trained()
    assert all((a == b).all() for a, b in zip(first[:3], again[:3], strict=True))


@pytest.mark.compiled
@pytest.mark.parametrize("count", [1, 2, 5])
def test_loss_gradient_and_predictions_of_a_team(threads, count, monkeypatch):
    monkeypatch.setattr(compiled, "CHUNK", 64)
    theta, _, _, objective, batch = trained()
    threads(count)
    fast, slow = compiled.Run(objective), reference.Run(objective)
    value, gradient = fast.loss_and_gradient(theta, batch)
    expected, slopes = slow.loss_and_gradient(theta, batch)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-10, atol=1e-14)
    assert fast.loss(theta, batch) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(fast.predict(theta, batch.X), slow.predict(theta, batch.X), rtol=1e-12)


@pytest.mark.compiled
def test_a_loss_that_is_not_finite_stops_every_member(threads):
    threads(2)
    network = make_network("squared_error", "tanh", **LARGE)
    theta, batch = make_problem(network, rows=64)
    batch.Y[40] = np.nan
    run = compiled.Run(Objective(network), OPTIMISERS.find("adam"))
    before, slots = theta.copy(), np.zeros((2, theta.size))
    stretch = Stretch(batch, np.arange(64), 0, 4, 16, rates(0.01, 4), theta, slots, np.empty(4), 0, 0)
    assert run.steps(stretch) == 2
    assert np.isfinite(theta).all() and (theta != before).any()


def test_there_is_one_team():
    with threadpool_limits(2, user_api="blas"), team.gathered(2) as count:
        with team.gathered(2) as other:
            assert other == 1
        assert count == min(2, team.processors())


def test_no_more_threads_than_blas_is_allowed():
    with threadpool_limits(1, user_api="blas"):
        assert team.allowed() == 1


@pytest.mark.compiled
def test_fits_in_several_threads_at_once():
    results = {}

    def work(k):
        results[k] = trained()[0]

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for k in range(1, 4):
        np.testing.assert_array_equal(results[k], results[0])


def _in_a_child(queue):
    with team.gathered(2) as count:
        queue.put(team.together(count, lambda rank: rank))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_a_team_of_its_own():
    with team.gathered(2) as count:
        team.together(count, lambda rank: rank)
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        child = context.Process(target=_in_a_child, args=(queue,))
        child.start()
        assert queue.get(timeout=30) == 0
        child.join(30)


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 1), (32, 10, 16)])
def test_products_of_views(dtype, sizes):
    import numba

    products.ready(dtype)

    @numba.njit
    def multiply(A, B, out):
        native.product(A, B, out)

    m, k, n = sizes
    rng = np.random.default_rng(1)
    A, B = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    wide, tall = np.empty((m, k + 3), dtype), np.empty((k, m + 3), dtype)
    wide[:, 1 : 1 + k], tall[:, 1 : 1 + m] = A, A.T
    for form in (A, np.asfortranarray(A), wide[:, 1 : 1 + k], tall[:, 1 : 1 + m].T):
        for other in (B, np.asfortranarray(B)):
            out = np.full((m, n), np.nan, dtype)
            multiply(form, other, out)
            np.testing.assert_allclose(out, A @ B, rtol=1e-5, atol=1e-5)


def test_a_batch_of_weights_that_are_all_zero_teaches_nothing(threads):
    threads(1)
    network = make_network("squared_error", "tanh", **LARGE)
    theta, batch = make_problem(network, rows=16)
    run = compiled.Run(Objective(network))
    value, gradient = run.loss_and_gradient(theta, Batch(batch.X, batch.Y, np.zeros(16)))
    assert value == 0 and not gradient.any()


@pytest.mark.compiled
def test_a_layer_whose_gradient_is_one_piece(threads, monkeypatch):
    """One member computes it, whoever else is there."""
    threads(1)
    sliced = trained()
    monkeypatch.setitem(LAYERS._rows, "dense", replace(LAYERS["dense"], sliced=False))
    for count in (1, 3):
        threads(count)
        whole = trained()
        for one, other in zip(sliced[:2], whole[:2], strict=True):
            np.testing.assert_array_equal(other, one)
        np.testing.assert_allclose(whole[2], sliced[2], rtol=1e-14)  # sums of penalties have other blocks


def test_a_layer_whose_gradient_is_one_piece_in_either_run(monkeypatch):
    network = make_network("squared_error", "tanh")
    theta, batch = make_problem(network)
    run = compiled.Run(Objective(network, {"l2": 0.1}), OPTIMISERS.find("adamw"))
    monkeypatch.setitem(LAYERS._rows, "dense", replace(LAYERS["dense"], sliced=False))
    whole = compiled.Run(Objective(network, {"l2": 0.1}), OPTIMISERS.find("adamw"))
    np.testing.assert_array_equal(
        whole.loss_and_gradient(theta, batch)[1], run.loss_and_gradient(theta, batch)[1]
    )


def test_without_the_compiler_there_is_one_thread(monkeypatch):
    network = make_network("squared_error", "tanh", **LARGE)
    run = compiled.Run(Objective(network))
    monkeypatch.setattr(compiled, "COMPILED", False)
    assert run._members(10**6, 10**6) == 1
