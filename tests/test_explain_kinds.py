"""Traces of networks with every layer kind, of several members and with several paces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from notation import numbers_that_come_out
from tabular_networks import NETWORKS, make_tabular

from chainrule import reference, trace_matrices, trace_units
from chainrule.equations import OPTIMISERS
from chainrule.parameters import Layout
from chainrule.problem import Objective, Pace, Stretch
from chainrule.trace import Trace
from chainrule.trace_numbers import symbol_of
from chainrule.trace_step import Step
from chainrule.trace_terms import parameter_name

EVERYTHING = {"terms": 10**6, "units": 10**6, "moves": 10**6, "digits": 17}
PACE = Pace({"s": 6.0, "alpha": 0.1, "b": 0.5}, {"s": 2.0, "E": 0.25}, 0.05)


def make_step(name, rows=3, **options):
    network, theta, batch = make_tabular(name, rows=rows, weighted=rows > 1, soft=True)
    outputs = [f"class {k}" for k in range(network.outputs)]
    features = [f"column {i}" for i in range(network.inputs)]
    given = {"rows": range(10, 10 + rows), "pace": PACE, "decaying": 0.5, **EVERYTHING, **options}
    objective = Objective(network, {"l2": 0.01})
    optimiser = OPTIMISERS.find("adamw(weight_decay=0.1)")
    return Step(objective, theta, batch, features, outputs, optimiser, 0.05, **given)


def interpreted_step(step):
    """The gradient without penalties, and the parameters after a step."""
    bare = reference.Run(Objective(step.objective.network))
    gradient = bare.loss_and_gradient(step.theta, step.batch)[1]
    run, theta = reference.Run(step.objective, step.optimiser, step.pace), step.theta.copy()
    n = len(step.batch)
    slots = np.zeros((len(step.optimiser.slots), theta.size))
    scheduled = np.array([[step.rate], [step.decaying], [step.dropping]])
    run.steps(Stretch(step.batch, np.arange(n), 0, 1, n, scheduled, theta, slots, np.empty(1), 0, 0))
    return gradient, theta


def found(equations, part):
    return {e.symbol: e.value for e in equations if e.part == part and e.value is not None}


def learnt(step):
    """Index, place in the layer and in the whole of each parameter that moves with these rows."""
    for block in Layout(step.objective.network).blocks:
        start = step.objective.layout.layer_slice(block.layer).start
        for place in range(block.start, block.stop):
            if not block.frozen and (block.name != "E" or step.run.gradient[place]):
                yield block.layer, place - start, place


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_units_show_the_numbers_of_every_kind(name, rows):
    step = make_step(name, rows)
    equations = list(trace_units.equations(step))
    forward, backward, update = (found(equations, part) for part in ("forward", "backward", "update"))
    gradient, moved = interpreted_step(step)
    close = {"rel": 1e-10, "abs": 1e-13}
    for index, place, at in learnt(step):
        parameter = parameter_name(step, index, place)
        assert backward[f"d{parameter}"] == pytest.approx(gradient[at], **close), parameter
        assert update[parameter] == pytest.approx(moved[at], **close), parameter
    mark = f"^({step.rows[0]})" if rows > 1 else ""
    predicted = reference.Run(step.objective).predict(step.theta, step.batch.X)[0]
    assert [forward[f"ŷ_{k}{mark}"] for k in range(len(predicted))] == pytest.approx(list(predicted), **close)
    loss = reference.Run(Objective(step.objective.network)).loss(step.theta, step.batch)
    assert found(equations, "loss")["L"] == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_printed_formula_comes_to_its_value(name, rows):
    assert numbers_that_come_out(trace_units.equations(make_step(name, rows))) > 50


@pytest.mark.parametrize("name", NETWORKS)
def test_matrices_show_the_numbers_of_every_kind(name):
    step = make_step(name)
    equations = list(trace_matrices.equations(step))
    forward, backward, update = (found(equations, part) for part in ("forward", "backward", "update"))
    gradient, moved = interpreted_step(step)
    close = {"rtol": 1e-10, "atol": 1e-13}
    for index in range(len(step.objective.network.layers)):
        values = reference.Run(step.objective).values(step.theta, step.batch.X, index)
        np.testing.assert_allclose(forward[f"A^[{index + 1}]"], values, **close)
    for block in step.objective.layout.blocks:
        if block.frozen:
            continue
        symbol, at = f"{symbol_of(block.name)}^[{block.layer + 1}]", slice(block.start, block.stop)
        for part, vector in ((backward[f"d{symbol}"], gradient), (update[symbol], moved)):
            whole = vector[at].reshape(-1, block.shape[-1])
            taken = np.flatnonzero(gradient[at].reshape(whole.shape).any(axis=1))
            np.testing.assert_allclose(part, whole[taken] if block.name == "E" else whole, **close)
    loss = reference.Run(Objective(step.objective.network)).loss(step.theta, step.batch)
    assert found(equations, "loss")["L"] == pytest.approx(loss, rel=1e-12)
    predicted = reference.Run(step.objective).predict(step.theta, step.batch.X)
    np.testing.assert_allclose(forward["Ŷ"], predicted, **close)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_matrices_that_are_put_in_come_to_the_value(name):
    signs = {"@": np.matmul, "+": np.add, "⊙": np.multiply}
    checked = 0
    for equation in trace_matrices.equations(make_step(name)):
        pieces = equation.operands
        if sum(isinstance(p, np.ndarray) for p in pieces) < 2:
            continue
        if not {p for p in pieces if isinstance(p, str)} <= {"+", "⊙"}:
            continue
        value, sign = pieces[0], "@"
        for piece in pieces[1:]:
            sign, value = (piece, value) if isinstance(piece, str) else ("@", signs[sign](value, piece))
        given = np.array(equation.value)
        np.testing.assert_allclose(value.reshape(given.shape), given, rtol=1e-10, atol=1e-13)
        checked += 1
    assert checked > 3


@pytest.mark.parametrize("form", [trace_units, trace_matrices])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_is_written_as_text_latex_and_html(name, form):
    trace = Trace("units", "A step", tuple(form.equations(make_step(name, digits=4))))
    assert "nan" not in trace.text()
    for text in (trace.latex(), trace.html(), trace.json()):
        assert len(text) > 1000


def text_of(name, rows=1, **options):
    step = make_step(name, rows, digits=4, **options)
    return Trace("units", "A step", tuple(trace_units.equations(step))).text()


def test_kinds_read_like_a_derivation():
    assert "z_0^[1] = s_0^[1] x_0    [scale]\n" in text_of("scale")
    assert "ds_0^[1] = dz_0^[1] x_0    [" in text_of("scale")
    assert "z_1^[1] = cos(2 π (w_{0,1}^[1] x_0 + φ_{0,1}^[1]))    [periodic]\n" in text_of("periodic")
    assert "z_15^[1] = x_0    [passes]\n" in text_of("periodic")
    text = text_of("parametric_mish")
    assert "f_0^[2] = mish(a_0^[1])    [mish(z) = " in text
    assert "z_0^[2] = a_0^[1] + α_0^[2] (f_0^[2] − a_0^[1])    [parametric_mish]\n" in text
    assert "∂z_0^[2]/∂a_0^[1] = 1 + α_0^[2] (f'_0^[2] − 1)" in text
    text = text_of("ntk_dense")
    assert "z_0^[1] = (w_{0,0}^[1] x_0 + w_{1,0}^[1] x_1 + w_{2,0}^[1] x_2) / √(3) + b_0^[1]\n" in text
    assert "dw_{0,0}^[1] = (dz_0^[1] x_0) / √(3)    [" in text
    text = text_of("members")
    assert "(p_0 + p_3 + p_6 + p_9) / 4    [class 0: the mean of the members]" in text
    assert ") / 4    [the mean over the 4 members]" in text


def test_a_table_shows_the_rows_that_are_taken():
    step = make_step("embedding", 3)
    taken = {int(code) for code in step.batch.X[:, 2:].ravel()}
    equations = list(trace_units.equations(step))
    shown = {e.symbol for e in equations if e.symbol.startswith("dE")}
    assert shown == {f"dE_{{{row},{k}}}^[1]" for row in taken for k in range(3)}
    assert any(e.formula.startswith("E_{") and "of the table, which x_2^" in e.because for e in equations)


def test_a_gradient_that_is_too_long_is_shortened_in_words_and_numbers():
    text = text_of("scale", terms=8, units=8, moves=8)
    assert "the gradient is longer than 0.05: it is multiplied by κ = " in text
    assert "κ (dw + 0.01 · w)" in text and "with factors on η: 6 of s, 0.5 of b" in text
    calm = make_step("scale", digits=4)
    calm = replace(calm, pace=replace(calm.pace, clip=0.0))
    assert "κ" not in Trace("units", "A step", tuple(trace_units.equations(calm))).text()
