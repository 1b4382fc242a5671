"""Back propagation against the complex step, over the whole product of the tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import make_network, make_problem
from gradient_cells import FAULTS, cells, planted, relative_error, sample

from chainrule import check, compiled, reference
from chainrule.equations import ACTIVATIONS, LOSSES
from chainrule.problem import Objective

runs = pytest.mark.parametrize(
    "Run",
    [reference.Run, compiled.Run],
    ids=["interpreted", "compiled"],
)


@pytest.mark.slow
@runs
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_equals_complex_step(activation, loss, Run):
    for objective, theta, batch in cells(activation, loss):
        _, gradient = Run(objective).loss_and_gradient(theta, batch)
        report = check.compare(objective, theta, batch, gradient, np.arange(theta.size))
        assert report.passed, report
        assert report.error <= 1e-13


@pytest.mark.parametrize("loss", LOSSES)
def test_any_single_entry_wrong_by_a_millionth_is_caught(loss):
    objective = Objective(make_network(loss, ["gelu", "sigmoid"], hidden=(5, 4)), {"l2": 0.01})
    # An odd number of rows: signs must not cancel to a gradient of exactly 0, which has no fault.
    theta, batch = make_problem(objective.network, rows=15)
    _, gradient = reference.Run(objective).loss_and_gradient(theta, batch)
    everything = np.arange(theta.size)
    exact = check.complex_step(objective, theta, batch, everything)
    sizes = check.term_sizes(objective, theta, batch)
    assert np.count_nonzero(gradient) == theta.size
    for entry in everything:
        faulty = gradient.copy()
        faulty[entry] *= 1 + 1e-6
        report = check.judge(objective, exact, sizes, faulty, everything)
        assert report.faults == (check.entry_name(objective, entry),)
        assert not report.passed


@pytest.mark.compiled
def test_the_error_over_all_parameters_is_rounding():
    """The bound of the scoreboard, on a sample; `make trust` takes more."""
    for objective, theta, batch in sample(20):
        assert relative_error(compiled.Run(objective), objective, theta, batch) <= 1e-14


def test_planted_faults_are_caught():
    found = [*planted(10 * len(FAULTS))]
    assert [what for what, caught in found if not caught] == []
    assert len({what.partition(" ")[0] for what, _ in found}) == len(FAULTS)


@runs
@pytest.mark.parametrize("loss", ["squared_error", "categorical_cross_entropy"])
def test_softmax_and_other_activations_on_the_output(loss, Run):
    base = make_network(loss, "tanh", outputs=3)
    for activation in ACTIVATIONS:
        layers = [base.layers[0], replace(base.layers[1], activation=activation)]
        objective = Objective(replace(base, layers=layers))
        theta, batch = make_problem(objective.network)
        _, gradient = Run(objective).loss_and_gradient(theta, batch)
        report = check.compare(objective, theta, batch, gradient, np.arange(theta.size))
        assert report.passed, (activation, str(report))


@runs
def test_jacobian_equals_complex_step(Run):
    objective = Objective(make_network("squared_error", ["softmax", "mish"], hidden=(5, 4)))
    theta, batch = make_problem(objective.network)
    Z, J = Run(objective).jacobian(theta, batch.X)
    assert J.shape == (16, 2, theta.size)
    run, moved = reference.Run(objective), theta.astype(complex)
    np.testing.assert_allclose(Z, run.values(theta, batch.X), rtol=1e-14)
    for entry in range(theta.size):
        moved[entry] += 1e-30j
        column = run.values(moved, batch.X).imag / 1e-30
        moved[entry] = theta[entry]
        np.testing.assert_allclose(J[:, :, entry], column, rtol=1e-11, atol=1e-15)


def test_a_large_model_is_checked_on_a_sample_of_its_parameters():
    objective = Objective(make_network("huber", "silu", inputs=30, hidden=(60,)), {"l2": 0.1})
    theta, batch = make_problem(objective.network, rows=5)
    report = check.check_objective(objective, theta, batch, most=200)
    assert report.passed
    assert report.checked == 200 < report.parameters == theta.size
    assert "agrees with the complex step" in str(report)


def test_a_single_precision_model_is_checked_in_double_precision():
    objective = Objective(make_network("poisson", "relu", dtype="float32"))
    theta, batch = make_problem(objective.network, weighted=True)
    assert check.check_objective(objective, theta, batch).passed
