"""The runs agree with each other: per unit, as matrices, compiled."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import make_network, make_problem
from scipy.sparse import csr_array

import chainrule
from chainrule import check, compiled, reference, train, units
from chainrule.equations import ACTIVATIONS, LOSSES, OPTIMISERS, SCHEDULES
from chainrule.parameters import Layout
from chainrule.problem import Batch, Objective
from chainrule.spec import Layer, Network, Training

TOLERANCE = {"float64": 1e-13, "float32": 2e-5}


def relative(a, b):
    """Norm of the difference, relative to the norm."""
    return np.linalg.norm(np.float64(a) - np.float64(b)) / max(np.linalg.norm(np.float64(b)), 1e-300)


class TestFiveSigmoidUnits:
    """One hidden layer of five sigmoid units on four inputs, one sigmoid output, binary cross-entropy."""

    network = Network(4, [Layer(5, "sigmoid"), Layer(1)], "binary_cross_entropy")

    @pytest.fixture
    def problem(self):
        return make_problem(self.network, rows=10)

    def textbook(self, theta, batch):
        """The equations as a course on neural networks writes them: columns are examples."""
        W1, W2 = (W.T for W in Layout(self.network).views(theta, "W"))
        b1, b2 = (b[:, None] for b in Layout(self.network).views(theta, "b"))
        X, Y, m = batch.X.T, batch.Y.T, len(batch)
        A1 = 1 / (1 + np.exp(-(W1 @ X + b1)))
        A2 = 1 / (1 + np.exp(-(W2 @ A1 + b2)))
        dZ2 = A2 - Y
        dW2, db2 = dZ2 @ A1.T / m, dZ2.sum(axis=1) / m
        dZ1 = W2.T @ dZ2 * A1 * (1 - A1)
        dW1, db1 = dZ1 @ X.T / m, dZ1.sum(axis=1) / m
        return np.concatenate([dW1.T.ravel(), db1, dW2.T.ravel(), db2])

    def test_per_unit_equals_textbook(self, problem):
        assert relative(units.gradient(self.network, *problem), self.textbook(*problem)) <= 1e-15

    def test_matrices_equal_textbook(self, problem):
        _, gradient = reference.Run(Objective(self.network)).loss_and_gradient(*problem)
        assert relative(gradient, self.textbook(*problem)) <= 1e-15

    def test_compiled_equals_per_unit_and_matrices(self, problem):
        _, gradient = compiled.Run(Objective(self.network)).loss_and_gradient(*problem)
        _, matrices = reference.Run(Objective(self.network)).loss_and_gradient(*problem)
        assert relative(gradient, matrices) <= 1e-15
        assert relative(gradient, units.gradient(self.network, *problem)) <= 1e-15

    def test_loss_is_the_mean_negative_log_likelihood(self, problem):
        theta, batch = problem
        run = reference.Run(Objective(self.network))
        p = run.predict(theta, batch.X)
        expected = -np.mean(batch.Y * np.log(p) + (1 - batch.Y) * np.log(1 - p))
        assert run.loss(theta, batch) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_per_unit_equals_matrices(activation, loss):
    network = make_network(loss, ["tanh", activation], hidden=(3, 4))
    theta, batch = make_problem(network, rows=6, weighted=True)
    _, gradient = reference.Run(Objective(network)).loss_and_gradient(theta, batch)
    assert relative(units.gradient(network, theta, batch), gradient) <= 1e-14


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_compiled_equals_interpreted(activation, loss, dtype):
    network = make_network(loss, activation, hidden=(6, 5), dtype=dtype)
    objective = Objective(network, {"l2": 0.01, "l1": 0.001})
    theta, batch = make_problem(network, rows=33, weighted=True)
    theta *= theta.dtype.type(0.3 if activation == "exponential" else 1)
    fast, slow = compiled.Run(objective), reference.Run(objective)
    value, gradient = fast.loss_and_gradient(theta, batch)
    expected_value, expected = slow.loss_and_gradient(theta, batch)
    assert gradient.dtype == expected.dtype == dtype
    assert value == pytest.approx(expected_value, rel=TOLERANCE[dtype])
    assert fast.loss(theta, batch) == value
    assert relative(gradient, expected) <= TOLERANCE[dtype]
    assert relative(fast.predict(theta, batch.X), slow.predict(theta, batch.X)) <= TOLERANCE[dtype]
    assert fast.predict(theta, batch.X).dtype == dtype


def train_both(network, training, *, strengths=None, per_batch=False, rows=150):
    """Parameters after training in each of the two runs."""
    objective = Objective(network, strengths or {"l2": 1e-3, "l1": 1e-4}, per_batch)
    theta, batch = make_problem(network, rows=rows, weighted=True)
    states = []
    for engine in ("compiled", "interpreted"):
        state = train.State.begin(theta.copy(), training)
        run = train.make_run(objective, training, engine)
        outcome = train.fit(objective, training, batch, state, run=run)
        assert outcome.reason == "epochs"
        states.append(state)
    return states


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_optimisers_agree_after_50_steps(optimiser):
    full = OPTIMISERS[optimiser].full_batch
    network = make_network("squared_error", ["tanh", "silu"], hidden=(6, 5), dropout=0.0 if full else 0.2)
    rows = 150
    if optimiser == "lbfgs":
        # Its path magnifies a difference in rounding some 100,000 times in 50 steps: one hidden layer
        # and more rows keep that factor in bounds.
        network, rows = make_network("squared_error", "tanh", hidden=(6,)), 400
    training = Training(optimiser, 0.01, epochs=50 if full else 10, batch_size=32, patience=None, tol=1e-12)
    fast, slow = train_both(network, training, strengths={"l2": 1e-3} if full else None, rows=rows)
    assert fast.t == slow.t == (0 if full else 50)
    assert len(fast.history["loss"]) == (50 if full else 10)
    assert np.max(np.abs(fast.theta - slow.theta)) <= 1e-10
    assert fast.history["loss"][-1] < fast.history["loss"][0]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_agree(schedule):
    training = Training("adam", 0.01, schedule, batch_size=32, epochs=10, patience=None)
    fast, slow = train_both(make_network("huber", "elu"), training, per_batch=True)
    assert np.max(np.abs(fast.theta - slow.theta)) <= 1e-12


def test_sparse_input_gives_what_dense_input_gives(rng):
    network = make_network("binary_cross_entropy", "relu", inputs=40, hidden=(7,))
    theta, batch = make_problem(network, rows=50)
    X = np.where(rng.random(batch.X.shape) < 0.1, batch.X, 0.0)
    run = compiled.Run(Objective(network))
    results = [run.loss_and_gradient(theta, Batch(data, batch.Y)) for data in (X, csr_array(X))]
    # To the bit, where the products are the run's own; without the compiler they are NumPy's.
    tolerance = 0 if compiled.COMPILED else 1e-12
    assert results[0][0] == pytest.approx(results[1][0], rel=tolerance, abs=0)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=tolerance, atol=tolerance)
    predicted = run.predict(theta, csr_array(X))
    np.testing.assert_allclose(predicted, run.predict(theta, X), rtol=tolerance, atol=tolerance)


def test_more_rows_than_a_chunk():
    network = make_network("categorical_cross_entropy", "gelu")
    theta, batch = make_problem(network, rows=2 * compiled.CHUNK + 17, weighted=True)
    objective = Objective(network, {"l2": 0.1}, per_batch=True)
    value, gradient = compiled.Run(objective).loss_and_gradient(theta, batch)
    expected_value, expected = reference.Run(objective).loss_and_gradient(theta, batch)
    assert value == pytest.approx(expected_value, rel=1e-13)
    assert relative(gradient, expected) <= 1e-13


# ------------------------------------------------------------------ the tables at run time


@pytest.fixture
def cubic():
    """An activation added while the program runs, and removed afterwards."""
    yield chainrule.register_activation(
        "cubic",
        lambda z, c: z + c * z**3 / 3,
        lambda z, a, c: 1 + c * z**2,
        parameters={"c": 0.1},
        latex=r"z + c z^3 / 3",
    )
    ACTIVATIONS.remove("cubic")


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_activation_added_at_run_time_compiles_and_checks(cubic, dtype):
    network = make_network("squared_error", ["cubic(c=0.3)", "tanh"], hidden=(5, 4), dtype=dtype)
    objective = Objective(network, {"l2": 0.01})
    theta, batch = make_problem(network)
    _, gradient = compiled.Run(objective).loss_and_gradient(theta, batch)
    _, expected = reference.Run(objective).loss_and_gradient(theta, batch)
    assert relative(gradient, expected) <= TOLERANCE[dtype]
    assert check.check_objective(objective, theta, batch).passed
    assert relative(units.gradient(network, theta, batch), expected) < 0.1  # (no penalty there)


@pytest.mark.compiled
def test_two_lambdas_of_one_name_are_not_mixed_up():
    """A cache keyed by name or by place would give the second the first one's code."""
    network = make_network("squared_error", "identity")
    theta, batch = make_problem(network)
    found = []
    for power in (2, 3):
        chainrule.register_activation("bend", lambda z, p=power: z**p, lambda z, a, p=power: p * z ** (p - 1))
        objective = Objective(make_network("squared_error", "bend"))
        _, gradient = compiled.Run(objective).loss_and_gradient(theta, batch)
        _, expected = reference.Run(objective).loss_and_gradient(theta, batch)
        assert relative(gradient, expected) <= 1e-14
        found.append(gradient)
        ACTIVATIONS.remove("bend")
    assert relative(*found) > 0.1


def test_a_wrong_slope_is_found_by_the_check():
    chainrule.register_activation("wrong", lambda z: np.tanh(z), lambda z, a: 1 - a * a * (1 + 1e-6))
    try:
        objective = Objective(make_network("squared_error", "wrong"))
        theta, batch = make_problem(objective.network)
        report = check.check_objective(objective, theta, batch)
        assert not report.passed
        with pytest.raises(chainrule.CheckError, match="DOES NOT agree"):
            report.raise_if_failed()
    finally:
        ACTIVATIONS.remove("wrong")


SCRIPT = """
import numpy as np
from chainrule.compiled import Run
from chainrule.problem import Batch, Objective
from chainrule.spec import Layer, Network
network = Network(2, [Layer(3, "sigmoid"), Layer(1)], "squared_error")
theta = np.linspace(-1, 1, 13)
batch = Batch(np.array([[0.5, -1.0], [2.0, 0.3]]), np.array([[1.0], [0.0]]))
print(Run(Objective(network)).loss_and_gradient(theta, batch)[1].tolist())
"""


def run_script(script: str, path: Path, **environment: str) -> str:
    """Run a script in a fresh process against a copy of the package."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.compiled
def test_an_edited_equation_is_used_at_once(tmp_path):
    """The disk cache of one version must never serve another."""
    package = Path(chainrule.__file__).parent
    shutil.copytree(package, tmp_path / "chainrule", ignore=shutil.ignore_patterns("__pycache__"))
    original = eval(run_script(SCRIPT, tmp_path))
    assert eval(run_script(SCRIPT, tmp_path)) == original
    assert list((tmp_path / "chainrule" / "__pycache__").glob("*.nbi"))
    rows = tmp_path / "chainrule" / "equations" / "activations.py"
    text = rows.read_text()
    right = "return e / (1 + e * (2 + e))"
    assert text.count(right) == 1
    stamp = rows.stat()
    rows.write_text(text.replace(right, right.replace("(2 + e)", "(e - 0.5)")))
    os.utime(rows, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    edited = eval(run_script(SCRIPT, tmp_path))
    layer_1, layer_2 = slice(0, 9), slice(9, 13)
    assert edited[layer_2] == original[layer_2]
    assert all(abs(e) > abs(o) for e, o in zip(edited[layer_1], original[layer_1], strict=True))
    rows.write_text(text)
    assert eval(run_script(SCRIPT, tmp_path)) == original


@pytest.mark.compiled
def test_it_works_where_no_cache_can_be_written(tmp_path):
    package = Path(chainrule.__file__).parent
    shutil.copytree(package, tmp_path / "chainrule", ignore=shutil.ignore_patterns("__pycache__"))
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder is wanted")
    (tmp_path / "chainrule" / "__pycache__").write_text("the same")
    script = "import os; os.environ['HOME'] = os.environ['XDG_CACHE_HOME'] = os.devnull\n" + SCRIPT
    cold = run_script(script, tmp_path, HOME=str(blocked), XDG_CACHE_HOME=str(blocked))
    assert eval(cold) == eval(run_script(SCRIPT, package.parent))


TRAIN = """
import hashlib, numpy as np
from chainrule import train
from chainrule.parameters import initial
from chainrule.problem import Batch, Objective
from chainrule.spec import Layer, Network, Training
rng = np.random.default_rng(3)
X = rng.normal(size=(300, 20))
Y = np.eye(3)[rng.integers(0, 3, 300)]
network = Network(20, [Layer(64, "gelu", 0.2), Layer(32, "sigmoid"), Layer(3)], "categorical_cross_entropy")
training = Training("adamw", 0.01, "one_cycle", batch_size=32, epochs=5, seed=5)
state = train.State.begin(initial(network, rng, "he_normal"), training)
train.fit(Objective(network, {"l1": 1e-4}), training, Batch(X, Y), state)
print(hashlib.sha256(state.theta.tobytes()).hexdigest())
"""


@pytest.mark.compiled
def test_the_same_seed_gives_the_same_bits_in_20_processes():
    path = Path(chainrule.__file__).parent.parent
    hashes = {run_script(TRAIN, path, PYTHONHASHSEED=str(k)) for k in range(20)}
    assert len(hashes) == 1
    assert len(hashes.pop().strip()) == hashlib.sha256().digest_size * 2
