"""Sparse rows in the compiled run: never dense, and the numbers of the dense ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from chainrule import MLPClassifier, compiled, team, train
from chainrule.equations import OPTIMISERS
from chainrule.problem import Batch, Objective
from chainrule.spec import Layer, Network, Training

SOLVERS = [name for name, row in OPTIMISERS.items() if not row.full_batch]
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


def problem(dtype="float64", rows=150, inputs=60, units=9, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.random(rows, inputs, 0.1, "csr", dtype, rng)
    Y = np.eye(3, dtype=dtype)[rng.integers(3, size=rows)]
    network = Network(inputs, [Layer(units, "tanh"), Layer(3)], "categorical_cross_entropy", dtype)
    objective = Objective(network, {"l2": 0.01, "l1": 0.001})
    return objective, rng.standard_normal(objective.layout.size).astype(dtype) / 3, Batch(X, Y)


def close(one, other, dtype):
    np.testing.assert_allclose(one, other, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] / 10)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_loss_gradient_and_predictions_are_those_of_dense_rows(dtype):
    objective, theta, batch = problem(dtype)
    dense = Batch(batch.X.toarray(), batch.Y)
    run, other = compiled.Run(objective), compiled.Run(objective)
    (loss, gradient), (right, same) = (
        each.loss_and_gradient(theta, rows) for each, rows in ((run, batch), (other, dense))
    )
    close(loss, right, dtype)
    close(gradient, same, dtype)
    close(run.predict(theta, batch.X), other.predict(theta, dense.X), dtype)
    close(run.values(theta, batch.X, 0), other.values(theta, dense.X, 0), dtype)


@pytest.mark.parametrize("solver", SOLVERS)
def test_training_is_that_of_dense_rows(solver):
    objective, theta, batch = problem()
    training = Training(solver, learning_rate=0.01, batch_size=32, epochs=4)
    found = []
    for rows in (batch, Batch(batch.X.toarray(), batch.Y)):
        state = train.State.begin(theta.copy(), training)
        train.fit(objective, training, rows, state)
        found.append(state)
    np.testing.assert_allclose(found[0].theta, found[1].theta, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found[0].history["loss"], found[1].history["loss"], rtol=1e-11)


def test_a_layer_in_many_pieces_has_the_same_gradient(monkeypatch):
    """More weights than the scratch holds at once."""
    objective, theta, batch = problem(inputs=4000, units=80)
    dense = Batch(batch.X.toarray(), batch.Y)
    assert objective.layout.size > 2 * compiled.PIECE
    found = [compiled.Run(objective).loss_and_gradient(theta, rows)[1] for rows in (batch, dense)]
    np.testing.assert_allclose(*found, rtol=1e-10, atol=1e-13)


@pytest.mark.compiled
def test_the_bits_do_not_depend_on_the_threads(monkeypatch):
    objective, theta, batch = problem("float32", rows=400, inputs=3000, units=64)
    training = Training("adam", batch_size=128, epochs=2)
    found = []
    for count in (1, 2):
        monkeypatch.setattr(team, "allowed", lambda count=count: count)
        monkeypatch.setattr(compiled, "CALL", 0)
        state = train.State.begin(theta.copy(), training)
        train.fit(objective, training, batch, state)
        found.append(state.theta[: 3000 * 64 + 64].tobytes())
    assert found[0] == found[1]


def test_odd_rows_are_right():
    """Without values, with zeros that are stored, with a column twice and in any order."""
    X = sparse.csr_matrix((3, 5))
    X.indptr = np.array([0, 0, 3, 5], np.int32)
    X.indices, X.data = np.array([4, 1, 4, 2, 0], np.int32), np.array([1.0, 2.0, 3.0, 0.0, -1.0])
    dense = np.zeros((3, 5))
    np.add.at(dense, (np.repeat([0, 1, 2], [0, 3, 2]), X.indices), X.data)
    network = Network(5, [Layer(4), Layer(1)], "squared_error")
    objective = Objective(network)
    theta, Y = np.linspace(-1, 1, objective.layout.size), np.arange(3.0)[:, None]
    one, other = (compiled.Run(objective).loss_and_gradient(theta, Batch(rows, Y)) for rows in (X, dense))
    assert one[0] == pytest.approx(other[0], rel=1e-14)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-13, atol=1e-15)


def test_no_batch_is_made_dense():
    """The room of a run does not grow with the inputs."""
    objective, theta, batch = problem("float32", inputs=50_000, units=4)
    run = compiled.Run(objective)
    run.predict(theta, batch.X)
    run.loss_and_gradient(theta, batch)
    assert max(space.work.size for space in run._spaces) < 100 * len(batch)


def test_an_estimator_takes_sparse_and_dense_rows_in_turn():
    batch = problem(rows=80)[2]
    y = batch.Y.argmax(axis=1)
    model = MLPClassifier((6,), max_iter=5, random_state=0, tol=0)
    other = MLPClassifier((6,), max_iter=5, random_state=0, tol=0)
    for rows in (batch.X, batch.X.toarray(), batch.X):
        model.partial_fit(rows, y, classes=[0, 1, 2])
        other.partial_fit(batch.X.toarray(), y, classes=[0, 1, 2])
        np.testing.assert_allclose(model.predict_proba(rows), other.predict_proba(batch.X), rtol=1e-10)
