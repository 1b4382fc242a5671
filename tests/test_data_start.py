"""First parameters: what each kind draws, and those that look at the data."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import data_start, parameters, reference
from chainrule.equations import LAYERS
from chainrule.equations.layers_entrywise import bins_between
from chainrule.errors import OptionError
from chainrule.parameters import Layout
from chainrule.spec import Layer, Network

DEEP = Network(
    6,
    [
        Layer(kind="periodic(columns=4, frequencies=16)"),
        Layer(kind="grouped(groups=4, size=16, units=3)"),
        Layer(kind="embedding(columns=2, rows=9, size=8)"),
        Layer(kind="scale"),
        Layer(64, kind="ntk_dense"),
        Layer(kind="parametric_mish", dropout=0.15),
        Layer(48),
        Layer(kind="parametric_selu"),
        Layer(3, kind="ntk_dense"),
    ],
    "categorical_cross_entropy",
)
MATRICES = 4, 6, 8  # its layers that are sums over all inputs


def rows(rng, n=3000):
    X = rng.normal(size=(n, 6)) * [1, 100, 1e-3, 1, 1, 1]
    X[:, 4:] = rng.integers(0, 9, (n, 2))
    return X


def test_each_kind_draws_its_own_parameters(rng):
    theta, layout = parameters.initial(DEEP, rng, spread=3.0), Layout(DEEP)
    w, phase = layout.view(theta, 0, "w"), layout.view(theta, 0, "phase")
    assert 2 < w.std() < 4
    assert np.abs(phase).max() <= 0.5 and phase.std() > 0.2
    for name in ("W", "b"):
        values = layout.view(theta, 1, name)
        assert np.abs(values).max() <= 1 / 4 and values.std() > 0.08
    assert 0.7 < layout.view(theta, 2, "E").std() < 1.3
    np.testing.assert_array_equal(layout.view(theta, 3, "s"), 1)
    assert 0.9 < layout.view(theta, 4, "W").std() < 1.1
    np.testing.assert_array_equal(layout.view(theta, 4, "b"), 0)
    np.testing.assert_array_equal(layout.view(theta, 5, "alpha"), 1)
    affine = Network(3, [Layer(kind="affine"), Layer(kind="repeat(times=2)"), Layer(1)])
    np.testing.assert_array_equal(parameters.initial(affine, rng)[:6], [1, 1, 1, 0, 0, 0])


def test_every_kind_says_how_it_is_drawn():
    undrawn = {name for name, row in LAYERS.items() if row.draw is None}
    assert undrawn == {"dense", "piecewise"}  # an initialiser's, and given


def test_bins_are_given(rng):
    network = Network(2, [Layer(kind="piecewise(columns=2, bins=3)"), Layer(1)])
    bins = bins_between([[0.0, 1.0, 2.0, 4.0], [5.0, 7.0]], 3)
    theta = parameters.initial(network, rng, given={0: bins})
    X = np.array([[-1.0, 6.0], [1.5, 9.0], [6.0, 5.0]])
    Z = reference.forward(network, theta, X).Z[0]
    np.testing.assert_allclose(
        Z, [[-1, 0, 0, 0.5, 0, 0, -1, 6], [1, 0.5, 0, 2, 0, 0, 1.5, 9], [1, 1, 2, 0, 0, 0, 6, 5]]
    )
    with pytest.raises(
        OptionError, match=r"Layer 1 \(piecewise.*needs its parameters low, high, floor, ceil"
    ):
        parameters.initial(network, rng)
    with pytest.raises(OptionError, match=r"low of layer 1 must have shape \(2, 3\), not \(2, 2\)"):
        parameters.initial(network, rng, given={0: bins_between([[0.0, 1.0], [0.0, 1.0]], 2)})


def test_quantiles_are_the_edges_of_equally_full_bins(rng):
    x = np.append(np.arange(100.0), [np.nan, np.inf])
    np.testing.assert_allclose(data_start.quantiles(x, 3), [0, 33, 66, 99])
    np.testing.assert_array_equal(data_start.quantiles(np.repeat([1.0, 2.0], 50), 8), [1, 1.5, 2])
    assert len(data_start.quantiles(x[-2:], 3)) == 0
    network = Network(1, [Layer(kind="piecewise(columns=1, bins=4)"), Layer(1)])
    theta = data_start.initial(network, rng, np.arange(101.0)[:, None])
    np.testing.assert_allclose(Layout(network).view(theta, 0, "low"), [[0, 25, 50, 75]])
    assert np.isfinite(theta[Layout(network).layer_slice(1)]).all()


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_every_unit_starts_with_a_spread_of_one_and_a_bias_among_the_data(make, rng):
    X = rows(rng)
    theta = data_start.initial(DEEP, make(0), X)
    run, layout = reference.forward(DEEP, theta, X), Layout(DEEP)
    for index in MATRICES:
        np.testing.assert_allclose(run.Z[index].std(axis=0), 1, rtol=1e-10)
        b = layout.view(theta, index, "b")
        values = run.Z[index] - b
        assert ((-b >= values.min(axis=0)) & (-b <= values.max(axis=0))).all()
        assert np.count_nonzero(b) == b.size


def test_biases_may_start_at_zero(rng):
    theta, layout = data_start.initial(DEEP, rng, rows(rng, 100), mixed=0), Layout(DEEP)
    for index in MATRICES:
        np.testing.assert_array_equal(layout.view(theta, index, "b"), 0)


def test_a_bias_from_one_row_is_minus_its_value(rng):
    network = Network(2, [Layer(50)])
    X = rng.normal(size=(3, 2))
    theta = data_start.initial(network, rng, X, mixed=1)
    Z = reference.forward(network, theta, X).Z[0]
    np.testing.assert_allclose(np.abs(Z).min(axis=0), 0, atol=1e-14)


def test_inputs_that_do_not_vary_leave_finite_weights(rng):
    network = Network(3, [Layer(4), Layer(2)])
    for X in (np.full((50, 3), 0.1), np.zeros((50, 3)), np.ones((1, 3))):
        theta = data_start.initial(network, rng, X)
        assert np.abs(theta).max() < 100


def test_wide_networks_and_many_rows_are_looked_at_in_part(rng, monkeypatch):
    seen = []
    monkeypatch.setattr(
        data_start, "_forward", lambda layer, X, p, width: seen.append(len(X)) or X @ p[:-1, None]
    )
    network = Network(2, [Layer(1)])
    X = rng.normal(size=(6000, 2))
    data_start.initial(network, rng, X)
    monkeypatch.setattr(data_start, "ROOM", 1000)
    data_start.initial(network, rng, X)
    assert seen == [4096, 500]


def test_members_share_what_they_start_with(rng):
    network = Network(
        3,
        [
            Layer(kind="repeat(times=4)"),
            Layer(kind="scale"),
            Layer(20, "relu", members=4),
            Layer(kind="grouped(groups=4, size=5, units=1)"),
        ],
        dtype="float32",
        members=4,
    )
    X = rng.normal(size=(500, 3)).astype(np.float32)
    theta = data_start.initial(network, rng, X)
    assert theta.dtype == np.float32
    Z = reference.split(reference.forward(network, theta, X).Z[2], 4)
    np.testing.assert_allclose(Z.std(axis=0), 1, rtol=1e-4)


def test_what_is_drawn_depends_on_the_generator_alone(rng):
    X = rows(rng, 200)
    first, again, other = (data_start.initial(DEEP, np.random.default_rng(seed), X) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
