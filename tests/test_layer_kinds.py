"""Every layer kind: exact gradients in both runs, equal training in both, and safe whatever comes in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tabular_networks import NETWORKS, ROWS, make_tabular

import chainrule
from chainrule import check, compiled, reference, units
from chainrule.equations import LAYERS, OPTIMISERS
from chainrule.errors import FileError, OptionError
from chainrule.parameters import Layout
from chainrule.problem import Objective, Pace, Stretch, paces
from chainrule.spec import Layer, Network, Training

runs = pytest.mark.parametrize("Run", [reference.Run, compiled.Run], ids=["interpreted", "compiled"])
every = pytest.mark.parametrize("name", NETWORKS)
TRAINED = [name for name in NETWORKS if not name.startswith("parametric")]
PACE = Pace({"s": 6.0, "alpha": 0.1, "phase": 0.1, "b": 0.1}, {"s": 36.0, "E": 0.5, "b": 0.0}, 0.3)


def test_the_networks_have_every_kind():
    used = {layer.row.name for make in NETWORKS.values() for layer in make().layers}
    assert used == set(LAYERS)


# ------------------------------------------------------------------ gradients


@runs
@every
def test_gradients_equal_the_complex_step(name, Run):
    for weighted, soft, strengths in ((False, False, {}), (True, True, {"l2": 0.1, "l1": 0.05})):
        network, theta, batch = make_tabular(name, rows=7, weighted=weighted, soft=soft)
        objective = Objective(network, strengths)
        _, gradient = Run(objective).loss_and_gradient(theta, batch)
        report = check.compare(objective, theta, batch, gradient, objective.layout.learnt)
        assert report.passed, report
        assert report.error <= 1e-13
        rest = np.delete(gradient, objective.layout.learnt)
        np.testing.assert_array_equal(rest, 0)


@every
def test_any_single_entry_wrong_by_a_millionth_is_caught(name):
    network, theta, batch = make_tabular(name, rows=15)
    objective = Objective(network, {"l2": 0.01})
    _, gradient = reference.Run(objective).loss_and_gradient(theta, batch)
    entries = objective.layout.learnt
    exact = check.complex_step(objective, theta, batch, entries)
    sizes = check.term_sizes(objective, theta, batch)
    for entry in entries[gradient[entries] != 0]:
        faulty = gradient.copy()
        faulty[entry] *= 1 + 1e-6
        report = check.judge(objective, exact, sizes, faulty, entries)
        assert report.faults == (check.entry_name(objective, int(entry)),)


@every
def test_the_textbook_run_gives_the_same_gradient(name):
    network, theta, batch = make_tabular(name, rows=5, weighted=True)
    _, gradient = reference.Run(Objective(network)).loss_and_gradient(theta, batch)
    by_units = units.gradient(network, theta, batch)
    assert np.abs(by_units - gradient).max() <= 1e-14 * max(1.0, np.abs(gradient).max())


@runs
@every
def test_the_jacobian_equals_the_complex_step(name, Run):
    network, theta, batch = make_tabular(name, rows=4)
    Z, J = Run(Objective(network)).jacobian(theta, batch.X)
    run, moved = reference.Run(Objective(network)), theta.astype(complex)
    np.testing.assert_allclose(Z, run.values(theta, batch.X), rtol=1e-12)
    for entry in Layout(network).learnt:
        moved[entry] += 1e-30j
        column = run.values(moved, batch.X).imag / 1e-30
        moved[entry] = theta[entry]
        np.testing.assert_allclose(J[:, :, entry], column, rtol=1e-10, atol=1e-13)


def test_a_check_leaves_out_what_is_not_learnt():
    network, theta, batch = make_tabular("piecewise")
    report = check.check_objective(Objective(network), theta, batch)
    assert report.passed
    assert report.checked == Layout(network).learnt.size < theta.size


@every
def test_the_compiled_run_predicts_the_same(name):
    network, theta, batch = make_tabular(name, rows=100)
    fast, slow = compiled.Run(Objective(network)), reference.Run(Objective(network))
    for rows in (batch.X, batch.X[:3]):
        np.testing.assert_allclose(
            fast.predict(theta, rows), slow.predict(theta, rows), rtol=1e-12, atol=1e-14
        )
    for index in range(len(network.layers)):
        values = [run.values(theta, batch.X, index) for run in (fast, slow)]
        np.testing.assert_allclose(*values, rtol=1e-12, atol=1e-13)


# ------------------------------------------------------------------ training


def dropping(network):
    """The network with dropout after its activations."""
    layers = [
        replace(layer, dropout=0.2) if layer.activation != "identity" or layer.row.activation else layer
        for layer in network.layers[:-1]
    ]
    return replace(network, layers=[*layers, network.layers[-1]])


def trained(Run, name, dtype="float64", optimiser="adamw(weight_decay=0.02)", steps=20):
    """Parameters, memory and losses after some steps with everything that is scheduled."""
    network, theta, batch = make_tabular(name, rows=8 * steps - 3, weighted=True, soft=True, dtype=dtype)
    network, row = dropping(network), OPTIMISERS.find(optimiser)
    slots, losses = np.zeros((len(row.slots), theta.size), dtype), np.empty(steps)
    share = np.linspace(0, 1, steps)
    scheduled = np.array([0.02 * np.sin(3 * share + 0.1), 1 - share, (1 - share) ** 2])
    order = np.random.default_rng(2).permutation(len(batch))
    stretch = Stretch(batch, order, 0, steps, 8, scheduled, theta, slots, losses, 3, 11)
    assert Run(Objective(network, {"l2": 0.01}), row, PACE).steps(stretch) == steps
    return theta, slots, losses


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", TRAINED)
def test_both_runs_train_alike(name, dtype):
    tolerance = {"float64": 1e-10, "float32": 2e-3}[dtype]
    fast, slow = trained(compiled.Run, name, dtype), trained(reference.Run, name, dtype)
    for one, other in zip(fast, slow, strict=True):
        finite = np.isfinite(other)
        np.testing.assert_array_equal(np.isfinite(one), finite)
        largest = max(1.0, float(np.abs(other[finite]).max()))
        np.testing.assert_allclose(one[finite], other[finite], rtol=tolerance, atol=tolerance * largest)


@pytest.mark.parametrize("optimiser", ["adam", "momentum", "nesterov", "rmsprop", "gradient_descent"])
def test_every_optimiser_knows_the_paces(optimiser):
    for one, other in zip(
        *(trained(Run, "all", optimiser=optimiser) for Run in (compiled.Run, reference.Run)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.compiled
@pytest.mark.parametrize("name", TRAINED)
def test_a_team_trains_alike(threads, name):
    threads(1)
    alone = trained(compiled.Run, name)
    for count in (2, 3):
        threads(count)
        for one, other in zip(trained(compiled.Run, name), alone, strict=True):
            finite = np.isfinite(other)
            np.testing.assert_allclose(one[finite], other[finite], rtol=1e-9, atol=1e-10)


def test_a_pace_is_the_rate_and_the_decay_of_its_group():
    network, theta, batch = make_tabular("affine", rows=8)
    row = OPTIMISERS.find("adamw(weight_decay=0.5)")
    before, moved = theta.copy(), {}
    for factor in (1.0, 3.0):
        theta, slots = before.copy(), np.zeros((2, before.size))
        pace = Pace({"s": factor}, {"s": factor})
        scheduled = np.array([[0.01], [0.5], [1.0]])
        stretch = Stretch(batch, np.arange(8), 0, 1, 8, scheduled, theta, slots, np.empty(1), 0, 0)
        compiled.Run(Objective(network), row, pace).steps(stretch)
        moved[factor] = theta - before
    layout = Layout(network)
    s, step = layout.view(before, 1, "s"), [layout.view(moved[factor], 1, "s") for factor in (1.0, 3.0)]
    shrunk = [-0.01 * factor * 0.5 * 0.5 * factor * s for factor in (1.0, 3.0)]
    np.testing.assert_allclose(step[1] - shrunk[1], 3 * (step[0] - shrunk[0]), rtol=1e-10)
    for index in (0, 2):
        for piece in ("W", "b"):
            same = [layout.view(moved[factor], index, piece) for factor in (1.0, 3.0)]
            np.testing.assert_array_equal(*same)


def test_paces_leave_out_what_is_given():
    network, theta, _ = make_tabular("piecewise")
    stretches = paces(Layout(network), OPTIMISERS["adam"], Pace())
    covered = sum(stop - start for start, stop, *_ in stretches)
    assert covered == Layout(network).learnt.size < theta.size
    first = Layout(network).layer_slice(0)
    assert all(start >= first.stop for start, *_ in stretches)


def test_a_long_gradient_is_shortened():
    network, theta, batch = make_tabular("all", rows=8)
    objective, row = Objective(network, {"l2": 0.3}), OPTIMISERS["gradient_descent"]
    _, gradient = reference.Run(objective).loss_and_gradient(theta, batch)
    length = np.linalg.norm(gradient)
    for clip, expected in ((length / 4, gradient / 4), (2 * length, gradient), (0.0, gradient)):
        moved = theta.copy()
        scheduled = np.array([[1.0], [1.0], [1.0]])
        stretch = Stretch(
            batch, np.arange(8), 0, 1, 8, scheduled, moved, np.zeros((0, theta.size)), np.empty(1), 0, 0
        )
        compiled.Run(objective, row, Pace(clip=float(clip))).steps(stretch)
        np.testing.assert_allclose(theta - moved, expected, rtol=1e-10, atol=1e-13)


# ------------------------------------------------------------------ what may come in


@runs
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_codes_outside_of_a_table_stand_for_the_nearest_row(Run, dtype):
    network, theta, batch = make_tabular("embedding", rows=8, dtype=dtype)
    X = batch.X.copy()
    X[:, 2] = [np.nan, -1, -np.inf, -1e30, np.inf, 1e30, ROWS, ROWS - 0.5]
    tame = X.copy()
    tame[:, 2] = [0, 0, 0, 0, ROWS - 1, ROWS - 1, ROWS - 1, ROWS - 1]
    run = Run(Objective(network))
    np.testing.assert_array_equal(run.predict(theta, X), run.predict(theta, tame))
    both = [run.loss_and_gradient(theta, replace(batch, X=given)) for given in (X, tame)]
    assert both[0][0] == both[1][0]
    np.testing.assert_array_equal(both[0][1], both[1][1])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("embedding(rows=1e300)", "rows=1e.300 of the layer kind 'embedding' must lie in"),
        ("embedding(rows=-3)", "rows=-3"),
        ("embedding(rows=0)", "rows=0"),
        ("embedding(rows=2.5)", "must be a whole number"),
        ("repeat(times=1e400)", "times=inf"),
        ("repeat(times=2147483648)", "values for each row, more than"),
        ("embedding(columns=1, rows=2147483648, size=1000000)", "parameters, more than"),
        ("periodic(columns=9, frequencies=2)", "takes 9 inputs, but there are 4"),
        ("grouped(groups=3, size=2, units=1)", "takes 6 inputs, but there are 4"),
        ("piecewise(columns=1, bins=1e18)", "bins=1e.18"),
        ("scale(size=2)", "no parameter 'size'"),
        ("waves", "no layer kind 'waves'"),
    ],
)
def test_sizes_that_cannot_be_are_refused(kind, message):
    facts = {"inputs": 4, "layers": [{"kind": kind}, {"units": 1}]}
    with pytest.raises(OptionError, match=message):
        Network.from_dict(facts)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"layers": [{"units": 10**400}]}, "values for each row"),
        ({"layers": [{"units": 10**7}, {"units": 9 * 10**6 - 10**6 * 3}]}, "parameters, more than"),
        ({"layers": [{"units": None}]}, "needs units"),
        ({"layers": [{"units": 3, "kind": "scale"}]}, "has 4 units, not 3"),
        ({"layers": [{"units": 6, "members": 4}]}, "needs units, a multiple of its members=4"),
        ({"layers": [{"units": 6, "members": 3}]}, "must share its 4 inputs equally"),
        ({"layers": [{"units": 6}], "members": 4}, "must share its last 6 values equally"),
        ({"layers": [{"units": 6, "members": -2}]}, "members must be a whole number"),
        ({"layers": [{"units": 6}], "members": 0}, "members must be a whole number"),
        ({"layers": [{"units": 6, "members": 2.0}]}, "members must be a whole number"),
    ],
)
def test_networks_that_cannot_be_are_refused(facts, message):
    with pytest.raises(OptionError, match=message):
        Network.from_dict({"inputs": 4, **facts})


@every
def test_a_network_is_read_as_it_was_written(name):
    network = NETWORKS[name]()
    assert Network.from_dict(network.as_dict()) == network
    for text in (network.summary(), network._repr_html_()):
        assert f"{Layout(network).size:,} parameters" in text


def test_a_network_from_before_there_were_kinds_is_read():
    old = {
        "inputs": 3,
        "layers": [{"units": 4, "activation": "relu", "dropout": 0.1, "kind": "dense"}, {"units": 2}],
        "loss": "squared_error",
        "dtype": "float64",
    }
    assert Network.from_dict(old) == Network(3, [Layer(4, "relu", 0.1), Layer(2)])


def fitted(network, theta):
    """A regressor whose network is this one."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20, network.inputs)), rng.standard_normal((20, 2))
    with pytest.warns(match="Maximum iterations"):
        model = chainrule.MLPRegressor(hidden_layer_sizes=(3,), max_iter=1).fit(X, Y)
    model.network_, model._state = network, None
    model._expose(theta)
    return model


@pytest.mark.parametrize("name", [name for name in TRAINED if NETWORKS[name]().loss == "squared_error"])
def test_a_model_file_holds_every_kind(name, tmp_path):
    network, theta, batch = make_tabular(name)
    model = fitted(network, theta)
    model.save(tmp_path / "a.model")
    again = chainrule.load(tmp_path / "a.model")
    assert again.network_ == network
    np.testing.assert_array_equal(again.predict(batch.X), model.predict(batch.X))


def test_a_model_file_whose_network_is_larger_than_its_parameters_is_refused(tmp_path, monkeypatch):
    network, theta, _ = make_tabular("embedding")
    model = fitted(network, theta)
    facts = network.as_dict()
    facts["layers"][0]["kind"] = f"embedding(columns=2, rows={10**9}, size=3)"
    monkeypatch.setattr(Network, "as_dict", lambda self: facts)
    model.save(tmp_path / "a.model")
    with pytest.raises(FileError, match="its parameters do not fit its network"):
        chainrule.load(tmp_path / "a.model")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip": -1.0}, "clip must be a number"),
        ({"rate_factors": {"s": -1.0}}, "The rate factor of 's' must be a number"),
        ({"decay_factors": {"s": float("nan")}}, "The decay factor of 's' must be a number"),
        ({"decay_schedule": "sometimes"}, "no schedule 'sometimes'"),
        ({"dropout_schedule": "sometimes"}, "no schedule 'sometimes'"),
    ],
)
def test_paces_that_cannot_be_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        Training(**options)
