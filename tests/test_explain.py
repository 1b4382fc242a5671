"""Traces: their numbers are those of the compiled run, and they read like a derivation."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from conftest import make_network, make_problem, rates
from notation import numbers_that_come_out
from sklearn.utils import compute_sample_weight

import chainrule
from chainrule import compiled, trace_matrices, trace_units
from chainrule.equations import ACTIVATIONS, LOSSES, OPTIMISERS
from chainrule.errors import DataError, OptionError
from chainrule.parameters import Layout
from chainrule.problem import Objective, Stretch
from chainrule.trace_equation import plain
from chainrule.trace_step import Step
from chainrule.trace_terminal import colourful

STOCHASTIC = [name for name, row in OPTIMISERS.items() if not row.full_batch]
FEW = {"terms": 10**6, "units": 10**6, "moves": 10**6}


def make_step(activation="tanh", loss="squared_error", optimiser="adam", rows=1):
    network = make_network(loss, activation, hidden=(5, 4))
    theta, batch = make_problem(network, rows=rows)
    features = [f"x_{i}" for i in range(network.inputs)]
    outputs = [f"y_{k}" for k in range(network.outputs)]
    objective = Objective(network, {"l2": 0.01, "l1": 0.002})
    return Step(objective, theta, batch, features, outputs, OPTIMISERS[optimiser], 0.05, **FEW)


def found(equations, part):
    return {e.symbol: e.value for e in equations if e.part == part and e.value is not None}


def compiled_step(step):
    """Parameters after one compiled step, and the gradient without penalties."""
    bare = compiled.Run(Objective(step.objective.network))
    gradient = bare.loss_and_gradient(step.theta, step.batch)[1]
    run, theta = compiled.Run(step.objective, step.optimiser), step.theta.copy()
    n = len(step.batch)
    slots = np.zeros((len(step.optimiser.slots), theta.size), theta.dtype)
    scheduled = rates(step.rate, 1)
    run.steps(Stretch(step.batch, np.arange(n), 0, 1, n, scheduled, theta, slots, np.empty(1), 0, 0))
    return gradient, theta


def check_units(step):
    network, layout = step.objective.network, Layout(step.objective.network)
    equations = list(trace_units.equations(step))
    forward, backward, update = (found(equations, part) for part in ("forward", "backward", "update"))
    run, (gradient, moved) = compiled.Run(step.objective), compiled_step(step)
    close = {"rtol": 1e-10, "atol": 1e-13}
    for index, layer in enumerate(network.layers):
        values = run.values(step.theta, step.batch.X, index)[0]
        traced = [forward[f"a_{j}^[{index + 1}]"] for j in range(layer.units)]
        np.testing.assert_allclose(traced, values, **close)
        for part, vector, mark in ((backward, gradient, "d"), (update, moved, "")):
            W, b = layout.view(vector, index, "W"), layout.view(vector, index, "b")
            for j in range(layer.units):
                assert part[f"{mark}b_{j}^[{index + 1}]"] == pytest.approx(b[j], rel=1e-10, abs=1e-13)
                for i in range(len(W)):
                    name = f"{mark}w_{{{i},{j}}}^[{index + 1}]"
                    assert part[name] == pytest.approx(W[i, j], rel=1e-10, abs=1e-13)
    predicted = run.predict(step.theta, step.batch.X)[0]
    np.testing.assert_allclose([forward[f"ŷ_{k}"] for k in range(network.outputs)], predicted, **close)
    total = compiled.Run(Objective(network)).loss(step.theta, step.batch)
    assert found(equations, "loss")["L"] == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_units_show_the_compiled_numbers_of_every_activation(activation):
    check_units(make_step(activation=activation))


@pytest.mark.parametrize("loss", LOSSES)
def test_units_show_the_compiled_numbers_of_every_loss(loss):
    check_units(make_step(loss=loss))


@pytest.mark.parametrize("optimiser", STOCHASTIC)
def test_units_show_the_compiled_numbers_of_every_optimiser(optimiser):
    check_units(make_step(optimiser=optimiser))


@pytest.mark.parametrize("loss", LOSSES)
def test_matrices_show_the_compiled_numbers(loss):
    step = make_step(loss=loss, rows=4)
    equations = list(trace_matrices.equations(step))
    forward, backward, update = (found(equations, part) for part in ("forward", "backward", "update"))
    run, (gradient, moved) = compiled.Run(step.objective), compiled_step(step)
    layout = Layout(step.objective.network)
    for index in range(len(step.objective.network.layers)):
        layer, close = f"^[{index + 1}]", {"rtol": 1e-10, "atol": 1e-13}
        values = run.values(step.theta, step.batch.X, index)
        np.testing.assert_allclose(forward[f"A{layer}"], values, **close)
        np.testing.assert_allclose(backward[f"dW{layer}"], layout.view(gradient, index, "W"), **close)
        np.testing.assert_allclose(backward[f"db{layer}"][0], layout.view(gradient, index, "b"), **close)
        np.testing.assert_allclose(update[f"W{layer}"], layout.view(moved, index, "W"), **close)
    total = compiled.Run(Objective(step.objective.network)).loss(step.theta, step.batch)
    assert found(equations, "loss")["L"] == pytest.approx(total, rel=1e-12)


# ------------------------------------------------------------------ five sigmoid units


def five_units():
    """A network of 2 inputs, 2, 2 and 1 sigmoid units with round weights, and its trace."""
    X, y = np.array([[0.5, -1.0], [1.0, 0.0]]), np.array([1, 0])
    W = [np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[0.5, -0.6], [0.7, 0.8]]), np.array([[0.9], [-1.0]])]
    b = [np.array([0.1, 0.0]), np.array([0.0, 0.2]), np.array([0.3])]
    model = chainrule.MLPClassifier(
        (2, 2), activation="sigmoid", solver="gradient_descent", learning_rate_init=0.5, alpha=0, max_iter=1
    )
    with pytest.warns(match="Maximum iterations"):
        model.fit(X, y)
    model._expose(Layout(model.network_).pack(W, b))
    return chainrule.explain(model, X, y)


def test_five_units_read_like_a_derivation():
    def sigmoid(z):
        return 1 / (1 + math.exp(-z))

    z0, z1 = 0.1 * 0.5 + 0.3 * -1.0 + 0.1, 0.2 * 0.5 + 0.4 * -1.0 + 0.0
    a0, a1 = sigmoid(z0), sigmoid(z1)
    u0, u1 = sigmoid(0.5 * a0 + 0.7 * a1 + 0.0), sigmoid(-0.6 * a0 + 0.8 * a1 + 0.2)
    y = sigmoid(0.9 * u0 - 1.0 * u1 + 0.3)
    dz = y - 1
    du0 = 0.9 * dz
    dv0 = du0 * u0 * (1 - u0)
    w = 0.5 - 0.5 * dv0 * a0
    trace = five_units()
    assert trace.find("z_0^[1]").value == pytest.approx(z0, rel=1e-14)
    assert trace.find("ŷ_0").value == pytest.approx(y, rel=1e-14)
    assert trace.find("dz_0^[2]").value == pytest.approx(dv0, rel=1e-14)
    assert trace.find("w_{0,0}^[2]").value == pytest.approx(w, rel=1e-14)
    text = trace.text()
    for lines in (
        "z_0^[1] = w_{0,0}^[1] x_0 + w_{1,0}^[1] x_1 + b_0^[1]\n"
        "        = 0.1 · 0.5 + 0.3 · (−1) + 0.1\n"
        "        = −0.15\n"
        "a_0^[1] = sigmoid(z_0^[1])    [sigmoid(z) = 1 / (1 + e^(−z))]\n"
        "        = 1 / (1 + e^(−(−0.15)))\n"
        "        = 0.4626\n",
        "da_0^[2] = w_{0,0}^[3] dz_0^[3]    [Σ_j ∂z_j^[3]/∂a_0^[2] × ∂L/∂z_j^[3]]\n"
        f"         = 0.9 · (−{-dz:.4g})\n"
        f"         = −{-du0:.4g}\n",
        "dw_{0,0}^[2] = dz_0^[2] a_0^[1]    [∂L/∂z_0^[2] × ∂z_0^[2]/∂w_{0,0}^[2]]\n",
    ):
        assert lines in text


def test_a_part_of_a_trace():
    backward = five_units().part("backward")
    assert {e.part for e in backward.equations} == {"backward"}
    with pytest.raises(OptionError, match="no part 'sideways'"):
        five_units().part("sideways")


def test_json_holds_every_equation():
    trace = five_units()
    facts = json.loads(trace.json())
    assert facts["schema"] == "chainrule.trace/1"
    assert len(facts["equations"]) == len(trace.equations)
    assert set(facts["equations"][0]) == {
        "part", "layer", "symbol", "formula", "numbers", "value", "shape", "because", "operands",
    }  # fmt: skip


# ------------------------------------------------------------------ the numbers that are put in


def check_numbers(step):
    assert numbers_that_come_out(trace_units.equations(step)) > 20


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_numbers_of_every_activation_come_to_the_value(activation):
    check_numbers(replace(make_step(activation=activation), digits=17))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_numbers_of_every_loss_come_to_the_value(loss):
    check_numbers(replace(make_step(loss=loss, rows=3), digits=17, rows=[4, 7, 9]))


@pytest.mark.parametrize("optimiser", STOCHASTIC)
def test_the_numbers_of_every_optimiser_come_to_the_value(optimiser):
    step = make_step(optimiser=optimiser)
    rng = np.random.default_rng(6)
    slots = rng.uniform(0.01, 0.1, (len(step.optimiser.slots), step.theta.size))
    check_numbers(replace(step, digits=17, slots=slots, t=4))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_matrices_that_are_put_in_come_to_the_value(loss):
    """Products, sums and Hadamard products between the operands of each equation that has only those."""
    step, checked = make_step(loss=loss, rows=3), 0
    for equation in trace_matrices.equations(step):
        pieces = equation.operands
        arrays = [p for p in pieces if not isinstance(p, str)]
        words = [p for p in pieces if isinstance(p, str)]
        if len(arrays) < 2 or not set(words) <= {"+", "⊙"}:
            continue
        value, sign = arrays[0], "@"
        for piece in pieces[1:]:
            if isinstance(piece, str):
                sign = piece
                continue
            value = {"@": np.matmul, "+": np.add, "⊙": np.multiply}[sign](value, piece)
            sign = "@"
        np.testing.assert_allclose(value, np.array(equation.value), rtol=1e-10, atol=1e-13)
        checked += 1
    assert checked > 10


# ------------------------------------------------------------------ the step that training would make next


@pytest.mark.parametrize("form", ["units", "matrix"])
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop"])
def test_the_step_is_the_one_that_partial_fit_makes(solver, form):
    """With dropout, class weights, sample weights, penalties, a schedule and the optimiser's memory."""
    rng = np.random.default_rng(8)
    X, y = rng.standard_normal((60, 4)), np.arange(60) % 3
    weight = rng.uniform(0.5, 2, 60)
    model = chainrule.MLPClassifier(
        (5, 4), "tanh", solver=solver, dropout=0.3, class_weight={0: 1.0, 1: 2.5, 2: 0.5}, alpha=0.02,
        l1=0.01, learning_rate="cosine", max_iter=7, shuffle=False, random_state=3,
    )  # fmt: skip
    with pytest.warns(match="Maximum iterations"):
        model.fit(X, y, sample_weight=weight)
    rows = [1, 5, 3, 8, 12]
    options = {"sample_weight": weight, "dropout": True, "terms": 99, "units": 99}
    trace = chainrule.explain(model, X, y, row=rows, form=form, **options)
    model.partial_fit(X[rows], y[rows], sample_weight=weight[rows])
    layout, update = Layout(model.network_), found(trace.equations, "update")
    assert any("ã" in e.symbol or "Ã" in e.symbol for e in trace.equations)
    for index, layer in enumerate(model.network_.layers):
        W = layout.view(model.theta_, index, "W")
        for i, j in np.ndindex(W.shape):
            traced = (
                update[f"W^[{index + 1}]"][i][j]
                if form == "matrix"
                else update[f"w_{{{i},{j}}}^[{index + 1}]"]
            )
            assert traced == pytest.approx(W[i, j], rel=1e-10, abs=1e-13), (layer, i, j)


def test_a_balanced_class_weight_is_the_one_of_the_fit(tmp_path):
    rng = np.random.default_rng(9)
    X, y = rng.standard_normal((50, 3)), np.array(["a"] * 40 + ["b"] * 10)
    with pytest.warns(match="Maximum iterations"):
        model = chainrule.MLPClassifier((4,), class_weight="balanced", max_iter=2, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.class_weight_, [50 / 80, 50 / 20])
    model.save(tmp_path / "a.model")
    for again in (model, chainrule.load(tmp_path / "a.model")):
        trace = chainrule.explain(again, X, y, row=[0, 45])
        l0, l45 = trace.find("l^(0)").value, trace.find("l^(45)").value
        assert trace.find("L").value == pytest.approx((0.625 * l0 + 2.5 * l45) / 3.125, rel=1e-12)


def test_class_weights_of_several_labels():
    rng = np.random.default_rng(10)
    X, Y = rng.standard_normal((40, 3)), (rng.random((40, 2)) < 0.3).astype(int)
    with pytest.warns(match="Maximum iterations"):
        model = chainrule.MLPClassifier((4,), class_weight="balanced", max_iter=2, random_state=0).fit(X, Y)
    expected = compute_sample_weight("balanced", Y)
    np.testing.assert_allclose(model.problem(X, Y)[2].weights, expected, rtol=1e-12)
    with pytest.warns(match="Maximum iterations"):
        model.set_params(class_weight=None).fit(X, Y)
    assert not hasattr(model, "class_weight_") and model.problem(X, Y)[2].weights is None


def test_an_empty_memory_can_be_asked_for():
    rng = np.random.default_rng(11)
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    with pytest.warns(match="Maximum iterations"):
        model = chainrule.MLPRegressor(hidden_layer_sizes=(3,), max_iter=4, random_state=0).fit(X, y)
    anew, on = (chainrule.explain(model, X, y, memory=memory) for memory in (False, True))
    assert "the first step, t = 1, with m and v = 0 before" in anew.text()
    assert "step t = 5 of the optimiser" in on.text()
    assert anew.find("m_{0,0}^[1]").value != on.find("m_{0,0}^[1]").value


# ------------------------------------------------------------------ models of all sorts


def test_a_wide_network_is_summarised_and_says_so():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 784)), np.arange(40) % 10
    with pytest.warns(match="Maximum iterations"):
        model = chainrule.MLPClassifier((256, 256), max_iter=1, random_state=0).fit(X, y)
    began = time.process_time()
    trace = chainrule.explain(model, X, y, row=3)
    text = trace.text()
    assert time.process_time() - began < 5  # under 1 s where nothing else runs
    assert "4 of 256 units are written out" in text and "(780 smaller terms)" in text
    assert len(text.splitlines()) < 700


def test_the_smaller_terms_add_up():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((30, 50)), rng.standard_normal(30)
    with pytest.warns(match="Maximum iterations"):
        model = chainrule.MLPRegressor(hidden_layer_sizes=(3,), max_iter=1, random_state=0).fit(X, y)
    trace = chainrule.explain(model, X, terms=5, digits=12)
    equation = trace.find("z_0^[1]")
    assert "(45 smaller terms)" in equation.formula
    total = 0.0
    for term in equation.numbers.replace("−", "-").split(" + "):
        factors = [float(f.strip("()")) for f in term.split(" · ")]
        total += math.prod(factors)
    assert total == pytest.approx(equation.value, rel=1e-9)


def test_without_targets_there_is_only_the_way_forward():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30, 3))
    with pytest.warns(match="Maximum iterations"):
        model = chainrule.MLPClassifier((4,), max_iter=1).fit(X, np.arange(30) % 3)
    trace = chainrule.explain(model, X, row=4)
    assert {e.part for e in trace.equations} == {"forward"}
    shown = [trace.find(f"ŷ_{k}").value for k in range(3)]
    np.testing.assert_allclose(shown, model.predict_proba(X[4:5])[0], rtol=1e-12)


@pytest.mark.parametrize("solver", ["lbfgs", "levenberg_marquardt"])
@pytest.mark.parametrize("form", ["units", "matrix"])
def test_a_full_batch_method_shows_its_first_iteration_on_the_rows(solver, form):
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    options = {"hidden_layer_sizes": (4,), "solver": solver, "activation": "tanh", "random_state": 0}
    with pytest.warns(match="failed to converge"):
        model = chainrule.MLPRegressor(**options, max_iter=1).fit(X, y)
    again = chainrule.MLPRegressor(**options, max_iter=1, init_weights=(model.coefs_, model.intercepts_))
    with pytest.warns(match="failed to converge"):
        again.fit(X[:5], y[:5])
    trace = chainrule.explain(model, X, y, row=range(5), form=form, terms=99, units=99)
    update = found(trace.equations, "update")
    layout = Layout(model.network_)
    for index in range(2):
        W = layout.view(again.theta_, index, "W")
        traced = update[f"W^[{index + 1}]"] if form == "matrix" else None
        if traced is None:
            traced = [
                [update[f"w_{{{i},{j}}}^[{index + 1}]"] for j in range(W.shape[1])] for i in range(len(W))
            ]
        np.testing.assert_allclose(traced, W, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(4)
    age = rng.integers(20, 60, 60)
    colour = rng.choice(["red", "green & <b>"], 60)
    return pl.DataFrame(
        {"age": age, "colour": colour, "price": age * 10.0 + 100 * (colour == "red"), "kind": colour}
    )


def test_a_table_is_told_from_the_cell_to_the_unit_of_the_target(table):
    model = chainrule.TableModel(hidden_layer_sizes=(3,), max_iter=3).fit(table, "price", drop=["kind"])
    trace = chainrule.explain(model, table, row=5)
    cells = [e for e in trace.equations if e.part == "input"]
    assert [e.formula for e in cells] == model.encoder_.feature_names
    np.testing.assert_allclose([e.value for e in cells], model.encoder_.transform(table)[5])
    assert cells[0].numbers.startswith(f"({table['age'][5]} − ")
    assert trace.find("price").value == pytest.approx(model.predict(table[5])[0], rel=1e-6)


def test_a_table_without_its_target_has_no_way_back(table):
    model = chainrule.TableModel(hidden_layer_sizes=(3,), max_iter=3).fit(table, "kind", drop=["colour"])
    trace = chainrule.explain(model, table.drop("kind"), row=5)
    assert {e.part for e in trace.equations} == {"input", "forward"}
    assert trace.find("kind").formula == model.predict(table[5])[0]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"row": 30}, DataError, "There is no row 30: the data have rows 0 to 29."),
        ({"form": "poem"}, OptionError, "form must be 'units' or 'matrix', not 'poem'."),
        ({"terms": 0}, OptionError, "terms must lie between 1 and"),
        ({"row": []}, OptionError, "row must name 1 to 1000 rows, not 0."),
    ],
)
def test_bad_options_get_one_sentence(options, error, said):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30, 3))
    with pytest.warns(match="Maximum iterations"):
        model = chainrule.MLPRegressor(hidden_layer_sizes=(4,), max_iter=1).fit(X, X[:, 0])
    with pytest.raises(error) as caught:
        chainrule.explain(model, X, X[:, 0], **options)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\frac{1}{1 + e^{-z}}", "1 / (1 + e^(−z))"),
        (r"a \, (1 - a)", "a (1 − a)"),
        (r"w \leftarrow w - \eta g", "w ← w − η g"),
        (r"\tfrac{1}{2} (z - y)^2", "1 / 2 (z − y)^2"),
    ],
)
def test_formulas_in_plain_characters(latex, text):
    assert plain(latex) == text


def test_no_formula_of_the_tables_shows_its_markup():
    """The commands of LaTeX that are words of their own would be read as part of the formula."""
    for table in (ACTIVATIONS, LOSSES, OPTIMISERS):
        for row in table.values():
            for latex in (row.latex, row.slope_latex):
                leaked = re.search(r"mathsf|mathrm|\btext\b|[\\{}]|frac|sqrt", plain(latex))
                assert leaked is None, f"{row.name}: {plain(latex)}"


# ------------------------------------------------------------------ LaTeX and HTML


class Pages(HTMLParser):
    """Keeps the tags that are open, and refuses those that are closed out of turn."""

    def __init__(self, page):
        super().__init__()
        self.open, self.seen, self.words = [], set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def balanced(document):
    """Whether every environment and brace of a LaTeX document is closed in turn."""
    stack = []
    for begin, end in re.findall(r"\\begin\{(\w+\*?)\}|\\end\{(\w+\*?)\}", document):
        if begin:
            stack.append(begin)
        else:
            assert stack.pop() == end
    bare = re.sub(r"\\[{}$\\]", "", document)
    return not stack and bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0


@pytest.fixture(scope="module")
def hostile_trace():
    """Columns and classes whose names mean something in LaTeX or HTML."""
    rng = np.random.default_rng(5)
    columns = ["a_b & 50%", "<script>alert(1)</script>", "x^2 {~} $\\frac$", "größe #1"]
    frame = pl.DataFrame({name: rng.standard_normal(40) for name in columns})
    frame = frame.with_columns(pl.Series("kind", ["_no_&", "$yes</p>"] * 20))
    model = chainrule.TableModel(hidden_layer_sizes=(3,), max_iter=2).fit(frame, "kind")
    return {form: chainrule.explain(model, frame, row=2, form=form) for form in ("units", "matrix")}


@pytest.mark.parametrize("form", ["units", "matrix"])
def test_html_stands_alone_and_is_closed(hostile_trace, form):
    page = hostile_trace[form].html()
    parsed = Pages(page)
    assert parsed.open == []
    assert {"math", "msubsup" if form == "units" else "mtable"} <= parsed.seen
    assert not parsed.seen & {"script", "link", "img", "iframe"} and "http" not in page
    if form == "units":
        assert "<script>alert(1)</script>" in "".join(parsed.words)
    assert Pages(hostile_trace[form]._repr_html_()).open == []


@pytest.mark.parametrize("form", ["units", "matrix"])
def test_latex_is_balanced_whatever_columns_are_called(hostile_trace, form):
    document = hostile_trace[form].latex()
    assert balanced(document)
    assert document.startswith(r"\documentclass") and document.endswith("\\end{document}\n")
    body = document.partition(r"\begin{document}")[2]
    assert body.isascii() or set(re.sub(r"[\x00-\x7f]", "", body)) <= set("öß")


def test_latex_reads_like_mathematics():
    document = five_units().latex()
    assert r"z_{0}^{[1]} &= w_{0,0}^{[1]}\ x_{0}+w_{1,0}^{[1]}\ x_{1}+b_{0}^{[1]}" in document
    assert r"\partial L/\partial a_{0}^{[3]}" in document


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("form", ["units", "matrix"])
def test_latex_compiles(hostile_trace, form, tmp_path):
    (tmp_path / "trace.tex").write_text(hostile_trace[form].latex(), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "trace.tex"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_colours_change_no_character():
    trace = five_units()
    shown = colourful(trace)
    assert shown.plain == trace.text().rstrip("\n")
    styles = {str(span.style): shown.plain[span.start : span.end] for span in shown.spans}
    assert (
        styles["dim italic"].strip().startswith("[") and styles["cyan"].strip("−").replace(".", "").isdigit()
    )
