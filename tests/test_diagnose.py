"""Diagnoses: 110 sick and 110 healthy runs, and what the figures of a finding are."""

import json
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import make_network, make_problem
from diagnosed_runs import SICK, make
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.preprocessing import scale

import chainrule
from chainrule import (
    DataError,
    Diagnosis,
    DivergenceError,
    MLPClassifier,
    MLPRegressor,
    OptionError,
    TableModel,
    Watch,
    reference,
    team,
)
from chainrule.diagnose import NEEDS, diagnose
from chainrule.equations import ACTIVATIONS
from chainrule.evidence import Evidence, Notes, scale_of
from chainrule.problem import Batch, Objective
from chainrule.snapshot import Fit, Layer, Snapshot, measure, sample, steepest, take
from chainrule.symptom import symptom
from chainrule.symptoms import SYMPTOMS
from chainrule.watch import QUANTILES

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
RUNS = 10  # of each kind of sickness; as many healthy ones as sick ones
DOCS = Path(__file__).parents[1] / "docs" / "diagnosis.md"


def warned(diagnosis: Diagnosis) -> list[str]:
    return [finding.name for finding in diagnosis if finding.severity == "warning"]


# ------------------------------------------------------------------ the study


@cache
def recognised(kind: str) -> tuple[bool, ...]:
    """Of each sick run, whether its sickness was found."""
    runs = (make(kind, seed) for seed in range(RUNS))
    return tuple(kind in warned(model.diagnose(*given)) for model, given in runs)


@pytest.mark.parametrize("kind", SICK)
def test_each_sickness_is_recognised(kind):
    assert np.mean(recognised(kind)) >= 0.8


def test_of_all_sick_runs_nearly_all_are_recognised():
    every = [found for kind in SICK for found in recognised(kind)]
    assert len(every) >= 100
    assert np.mean(every) >= 0.95


def test_no_alarm_on_healthy_runs():
    count = RUNS * len(SICK)
    assert count >= 100
    alarms = {}
    for seed in range(count):
        diagnosis = make("healthy", seed)[0].diagnose()
        assert len(diagnosis.checked) >= 7
        if not diagnosis.healthy:
            alarms[seed] = diagnosis.line()
    assert alarms == {}


REAL = {
    "iris": (load_iris, MLPClassifier),
    "wine": (load_wine, MLPClassifier),
    "tumours": (load_breast_cancer, MLPClassifier),
    "digits": (load_digits, MLPClassifier),
    "diabetes": (load_diabetes, MLPRegressor),
}


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("name", REAL)
def test_no_alarm_on_real_data_that_is_scaled(name, options):
    load, estimator = REAL[name]
    X, y = load(return_X_y=True)
    model = estimator(hidden_layer_sizes=(32,), max_iter=60, random_state=0, **options)
    model.fit(scale(X), y if estimator is MLPClassifier else scale(y))
    assert warned(model.diagnose()) == []


# ------------------------------------------------------------------ the table


def test_every_warning_has_its_sick_runs():
    assert set(SICK) == {name for name, row in SYMPTOMS.items() if row.severity == "warning"}


@pytest.mark.parametrize("row", SYMPTOMS.values(), ids=list(SYMPTOMS))
def test_rows_are_complete(row):
    assert row.doc.endswith(".") and row.source and row.remedy.endswith(".") and row.message
    assert set(row.needs) <= set(NEEDS) and row.needs
    assert set(row.explained_by) <= set(SYMPTOMS) - {row.name}
    documented = DOCS.read_text(encoding="utf-8")
    assert f"| {row.name.replace('_', ' ')} |" in documented
    for value in row.parameters.values():
        assert f"{value:g}" in documented


def test_another_symptom_is_one_definition():
    @symptom(needs=("losses",), message="The last loss is {last}.", remedy="Nothing.", severity="note")
    def last_loss(e):
        """A note of the last loss."""
        return {"last": e.losses[-1]}

    try:
        diagnosis = diagnose(Evidence(losses=[2.0, 1.0]))
    finally:
        SYMPTOMS.remove("last_loss")
    assert str(diagnosis.findings[0]) == "The last loss is 1.0. Nothing."
    assert diagnosis.healthy


# ------------------------------------------------------------------ the figures


def test_dead_units_are_counted():
    network = make_network("squared_error", "relu", hidden=(6,), inputs=3)
    theta, batch = make_problem(network, rows=20)
    objective = Objective(network)
    objective.layout.view(theta, 0, "b")[:4] = -100.0
    layer, output = take(objective, theta, batch).layers
    assert (layer.dead, layer.units, layer.saturated) == (4, 6, 0.0)
    assert output.dead == 0
    # A rectifier that fires for one row only is alive.
    objective.layout.view(theta, 0, "W")[:, 0] = 0.0
    objective.layout.view(theta, 0, "W")[0, 0] = 1.0
    highest = np.sort(batch.X[:, 0])[-2:].mean()
    objective.layout.view(theta, 0, "b")[0] = -highest
    assert take(objective, theta, batch).layers[0].dead == 3


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softsign"])
def test_saturation_is_the_share_of_flat_values(name):
    network = make_network("squared_error", name, hidden=(7,))
    theta, batch = make_problem(network, rows=40)
    theta *= 20
    run = reference.forward(network, theta, batch.X)
    row, z = ACTIVATIONS[name], run.Z[0]
    flat = row.slope(z, run.A[0]) < 0.05 * row.slope(np.zeros(1), row.f(np.zeros(1)))
    layer = take(Objective(network), theta, batch).layers[0]
    assert 0 < flat.mean() < 1
    assert layer.saturated == pytest.approx(flat.mean())
    assert layer.dead == 0


def test_the_length_of_a_gradient_is_that_of_its_rows():
    network = make_network("squared_error", "tanh", hidden=(5, 4))
    theta, batch = make_problem(network, rows=30)
    lengths = []
    for i in range(30):  # a row by itself: the loss is a mean over rows, so dZ of one row is not divided
        one = batch.take([i])
        run = reference.forward(network, theta, one.X)
        reference.backward(network, theta, run, one.Y, None)
        lengths.append([np.linalg.norm(dZ) for dZ in run.dZ])
    wanted = np.sqrt(np.square(lengths).mean(axis=0))
    found = [layer.gradient for layer in take(Objective(network), theta, batch).layers]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "loss", ["squared_error", "binary_cross_entropy", "categorical_cross_entropy", "poisson"]
)
def test_the_fit_agrees_with_the_loss_of_the_runs(loss, weighted):
    network = make_network(loss, "tanh", outputs=3)
    theta, batch = make_problem(network, rows=50, weighted=weighted)
    fit = take(Objective(network), theta, batch).fit
    assert fit.loss == pytest.approx(reference.Run(Objective(network)).loss(theta, batch), rel=1e-12)
    # No constant prediction near the mean does better than the baseline.
    link = {"squared_error": lambda m: m, "poisson": np.log, "categorical_cross_entropy": np.log}
    weights = np.ones(50) if batch.weights is None else batch.weights
    mean = np.average(batch.Y, axis=0, weights=weights)
    z = link.get(loss, lambda m: np.log(m / (1 - m)))(mean)
    losses = [measure(network, np.tile(z + step, (50, 1)), batch).loss for step in np.eye(3) * 0.1]
    assert fit.baseline == pytest.approx(measure(network, np.tile(z, (50, 1)), batch).loss, rel=1e-12)
    assert fit.baseline < min(losses)


def test_the_standard_error_is_that_of_a_mean(rng):
    network = make_network("squared_error", outputs=1)
    batch = Batch(np.zeros((4, 4)), np.array([[0.0], [2.0], [2.0], [4.0]]))
    fit = measure(network, np.zeros((4, 1)), batch)
    losses = np.array([0.0, 2.0, 2.0, 8.0])
    assert (fit.loss, fit.error) == (3.0, pytest.approx(losses.std() / 2))
    assert fit.baseline == 1.0


@pytest.mark.parametrize("make_matrix", [np.array, sparse.csr_matrix])
def test_the_scale_of_columns(make_matrix, rng):
    X = rng.normal(size=(500, 4)) * [1, 2, 30, 0] + [0, 5, 0, 0]
    found = scale_of(make_matrix(X))
    sizes = np.sqrt(np.square(X).mean(axis=0))
    assert found.column == 2
    assert (found.mean, found.deviation) == (pytest.approx(X[:, 2].mean()), pytest.approx(X[:, 2].std()))
    assert found.typical == pytest.approx(np.median(sizes))
    assert found.length == pytest.approx(np.linalg.norm(sizes))
    assert found.size == pytest.approx(sizes[2])


def test_a_sample_covers_sorted_rows():
    batch = Batch(np.arange(1000.0)[:, None], np.arange(1000.0)[:, None])
    few = sample(batch, 10)
    assert len(few) == 10 and few.X[0] == 0 and few.X[-1] == 999
    assert np.diff(few.X[:, 0]) == pytest.approx(111, abs=1)
    assert sample(batch, 1000) is batch


@pytest.mark.parametrize("name", [name for name, row in ACTIVATIONS.items() if not row.coupled])
def test_the_steepest_slope(name):
    row = ACTIVATIONS[name]
    z = np.linspace(-3, 3, 61)
    slopes = np.abs(row.slope(z, row.f(z, *row.parameters.values()), *row.parameters.values()) + 0 * z)
    assert 0 < steepest(row) <= 1
    assert steepest(row) >= min(1, slopes.max())


# ------------------------------------------------------------------ single symptoms


def evidence(losses=(), **facts) -> Evidence:
    """Evidence of a run that began at loss 1, where the mean would lose 1."""
    network = make_network("squared_error", outputs=1, hidden=(4,))
    theta, batch = make_problem(network, rows=64)
    layers = take(Objective(network), theta, batch).layers
    begin, end = Snapshot(64, layers, fit_of(1.0)), Snapshot(64, layers, facts.pop("end", fit_of(1.0)))
    notes = Notes(begin=begin, end=end, **facts.pop("notes", {}))
    return Evidence(notes=notes, losses=losses, learning_rate=0.1, **{"stopped": "going on", **facts})


def fit_of(loss: float, error: float = 0.01) -> Fit:
    return Fit(rows=64, loss=loss, error=error, baseline=1.0)


FALLING = list(np.linspace(1, 0.2, 20))


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("diverged", evidence([1.0, 50.0, 1001.0])),
        ("learning_rate_too_high", evidence([1.0, 5.1, 0.5, 0.4])),
        ("learning_rate_too_high", evidence([1.0, 0.5] + [0.3, 0.6] * 8)),
        ("learning_rate_too_low", evidence([1 - i / 1e4 for i in range(20)], notes={"moved": 1e-3})),
        ("unfinished", evidence(FALLING, stopped="epochs")),
        ("overfitting", evidence(FALLING, validation=[1, 0.7, 0.9, 0.81, 0.82], notes={"held": fit_of(0.7)})),
        ("overfitting", evidence(FALLING, end=fit_of(0.1), notes={"held": fit_of(0.6)})),
        ("imbalance", evidence(notes={"classes": (951.0, 49.0)})),
    ],
)
def test_a_symptom_is_seen_in_made_up_figures(name, facts):
    assert name in diagnose(facts).names


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("diverged", evidence([1.0, 50.0, 999.0])),
        ("learning_rate_too_high", evidence([1.0, 4.9, 0.5, 0.4])),
        ("learning_rate_too_high", evidence([1.0, 0.5] + [0.30, 0.35] * 8)),
        # Few epochs of many were kept: per epoch the parameters moved far enough.
        ("learning_rate_too_low", evidence([1 - i / 1e4 for i in range(20)], notes={"moved": 1e-3}, kept=1)),
        ("learning_rate_too_low", evidence(FALLING, notes={"moved": 1e-3})),
        ("unfinished", evidence(FALLING, stopped="converged")),
        ("overfitting", evidence(FALLING, validation=[1, 0.7, 0.9, 0.79, 0.82], notes={"held": fit_of(0.7)})),
        (
            "overfitting",
            evidence(FALLING, validation=[1, 0.7] + [0.95] * 3, notes={"held": fit_of(0.7, 0.1)}),
        ),
        # A single leap at the end is no trend.
        ("overfitting", evidence(FALLING, validation=[1, 0.7, 0.71, 0.72, 3], notes={"held": fit_of(0.7)})),
        ("overfitting", evidence(FALLING, end=fit_of(0.1), notes={"held": fit_of(0.6, error=0.2)})),
        ("imbalance", evidence(notes={"classes": (949.0, 51.0)})),
        ("imbalance", evidence(notes={"classes": (100.0,) * 50})),
    ],
)
def test_a_symptom_is_not_seen_below_its_threshold(name, facts):
    diagnosis = diagnose(facts)
    assert name in diagnosis.checked and name not in diagnosis.names


@pytest.mark.parametrize(("loss", "from_the_start", "found"), [(0.4, 0, 0), (0.6, 0, 1), (0.4, 1, 1)])
def test_units_that_became_flat_in_a_good_training_are_no_harm(loss, from_the_start, found):
    plain = evidence(FALLING, end=fit_of(loss))
    flat = (Layer(4, "relu", 4, 0.0, 0.0, 0.0), *plain.notes.end.layers[1:])
    changed = {"end": replace(plain.notes.end, layers=flat)}
    if from_the_start:
        changed["begin"] = replace(plain.notes.begin, layers=flat)
    names = diagnose(replace(plain, notes=replace(plain.notes, **changed))).names
    assert ("dead_units" in names) == bool(found)


def test_a_cause_silences_what_it_explains():
    curve = [1 - i / 1e4 for i in range(20)]
    plain = evidence(curve, notes={"moved": 1e-3})
    dead = (Layer(4, "relu", 4, 0.0, 0.0, 0.0), *plain.notes.end.layers[1:])
    notes = replace(plain.notes, end=replace(plain.notes.end, layers=dead))
    assert diagnose(plain).names == ["learning_rate_too_low"]
    assert diagnose(replace(plain, notes=notes)).names == ["dead_units"]


# ------------------------------------------------------------------ estimators


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True, as_frame=True)


def test_a_finding_names_the_column_and_what_to_do(wine):
    X, y = wine
    diagnosis = MLPClassifier((8,), max_iter=20, random_state=0).fit(X, y).diagnose()
    finding = diagnosis.findings[0]
    assert finding.name == "unscaled_inputs" and not diagnosis.healthy
    assert "column 'proline' has mean 747 and standard deviation 314" in finding.message
    assert finding.evidence["mean"] == pytest.approx(X["proline"].mean())
    assert "StandardScaler" in finding.remedy
    text = str(diagnosis)
    assert text.startswith("1 of 10 checks found a problem.\n- Warning: The inputs")
    assert "Not checked: overfitting (hand over X and y that were not trained on)." in text
    assert diagnosis.line().startswith(finding.message)
    array = MLPClassifier((8,), max_iter=20, random_state=0).fit(X.to_numpy(), y).diagnose()
    assert "X[:, 12] has mean 747" in array.line()


def test_columns_of_tiny_numbers_are_unscaled_too(wine):
    X, y = scale(wine[0]) * 1e-3, wine[1]
    assert "unscaled_inputs" in MLPClassifier((8,), max_iter=20, random_state=0).fit(X, y).diagnose().names


def test_a_diagnosis_is_json_and_html(wine):
    X, y = wine
    X = X.rename(columns={"proline": "<b>&"})
    diagnosis = MLPClassifier((8,), max_iter=20, random_state=0).fit(X, y).diagnose()
    facts = json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False))
    assert facts["healthy"] is False and facts["summary"] == diagnosis.line()
    assert facts["findings"][0]["name"] == "unscaled_inputs"
    assert facts["checked"] == list(diagnosis.checked)
    html = diagnosis._repr_html_()
    assert "&lt;b&gt;&amp;" in html and "<b>&" not in html
    assert html.count("<tr>") == 1 + len(diagnosis)
    endless = chainrule.diagnose.Finding("x", "note", "", "", {"a": math.inf, "b": np.float64(1.5)})
    assert Diagnosis((endless,), ()).to_dict()["findings"][0]["evidence"] == {"a": "inf", "b": 1.5}


def test_rows_handed_over_are_looked_at(wine):
    X, y = scale(wine[0]), wine[1].to_numpy()
    model = MLPClassifier((8,), "tanh", learning_rate_init=0.01, max_iter=60, random_state=0).fit(X, y)
    assert model.diagnose(X, y).names == model.diagnose().names
    far = model.diagnose(X * 1e4)  # rows of another scale saturate the units
    assert "saturated_units" in far.names
    assert far.unchecked["vanishing_gradients"] == "hand over X and y"
    assert "vanishing_gradients" in model.diagnose(X, y).checked
    # Labels by chance: the network does far worse on them than on the rows that it knows.
    shuffled = np.random.default_rng(0).permutation(y)
    assert "overfitting" in model.diagnose(X, shuffled).names
    assert "overfitting" in model.diagnose(X, y).checked


def test_wrong_data_get_a_sentence(wine):
    X, y = scale(wine[0]), wine[1].to_numpy()
    model = MLPClassifier((8,), max_iter=5, random_state=0).fit(X, y)
    with pytest.raises(OptionError, match="diagnose needs X"):
        model.diagnose(y=y)
    with pytest.raises(DataError, match="each of the 178 rows"):
        model.diagnose(X, y[:10])
    with pytest.raises(DataError, match="classes not in"):
        model.diagnose(X, np.full(178, 7))
    with pytest.raises(ValueError, match="expecting 13 features"):
        model.diagnose(X[:, :3])
    with pytest.raises(DataError, match="hold 1 values"):
        MLPRegressor(max_iter=2).fit(X, y).diagnose(X, np.c_[y, y])
    with pytest.raises(ValueError, match="not fitted"):
        MLPClassifier().diagnose()


def test_class_weights_settle_an_imbalance(rng):
    X, y = rng.normal(size=(2000, 3)), np.repeat(["no", "yes"], [1985, 15])
    plain, balanced = (
        MLPClassifier((4,), max_iter=3, random_state=0, class_weight=weight).fit(X, y).diagnose()
        for weight in (None, "balanced")
    )
    assert "0.8% of the rows are of class yes" in plain.line()
    assert "class no would be right for 99.2%" in plain.line()
    assert "imbalance" in balanced.checked and "imbalance" not in balanced.names
    labels = np.c_[y == "yes", y == "yes"].astype(int)  # several labels to a row are not classes
    many = MLPClassifier((4,), max_iter=3, random_state=0).fit(X, labels).diagnose()
    assert "imbalance" not in {*many.checked, *many.unchecked}


@pytest.mark.parametrize("kind", ["saturated_units", "overfitting", "imbalance", "diverged"])
def test_a_model_from_a_file_gets_the_same_diagnosis(kind, tmp_path):
    model = make(kind, 3)[0]
    model.set_params(init_weights=None).save(tmp_path / "model")
    for other in (chainrule.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert other.diagnose().to_dict() == model.diagnose().to_dict()


def test_a_file_without_notes_is_diagnosed_by_its_history(wine):
    model = MLPClassifier((8,), max_iter=5, random_state=0).fit(*wine)
    metadata, arrays = model.to_contents()
    del metadata["notes"]
    old = MLPClassifier.from_contents(metadata, arrays).diagnose()
    assert old.unchecked["unscaled_inputs"] == "fit the model anew"
    assert old.unchecked["dead_units"] == "hand over X"
    for bad in ({"inputs": {"column": 1}}, {"other": 1}, {"moved": "far"}, {"end": [1]}):
        with pytest.raises(chainrule.FileError, match="does not fit together"):
            MLPClassifier.from_contents({**metadata, "notes": bad}, arrays)


def test_no_rows_are_kept():
    sizes = []
    for rows in (300, 3000):
        X = np.random.default_rng(0).normal(size=(rows, 50))
        model = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, X[:, 0] > 0)
        sizes.append(len(json.dumps(asdict(model._notes))))
    assert max(sizes) < 3000 and abs(sizes[0] - sizes[1]) < 50


def test_training_by_parts_is_diagnosed_too(wine):
    X, y = wine
    model = MLPClassifier((8,), random_state=0)
    for _ in range(5):
        model.partial_fit(X, y, classes=[0, 1, 2])
    found = model.diagnose()
    assert found.names == ["unscaled_inputs"]
    assert found.unchecked["dead_units"] == "hand over X"
    fitted = MLPClassifier((8,), max_iter=5, random_state=0).fit(scale(X), y)
    assert "dead_units" in fitted.diagnose().checked
    assert "dead_units" in fitted.partial_fit(scale(X), y).diagnose().unchecked


def test_divergence_says_why():
    X = np.random.default_rng(0).normal(size=(100, 3)) * [1, 1, 1e6]
    options = {"solver": "gradient_descent", "n_iter_no_change": 1000, "max_iter": 1000}
    model = MLPRegressor(hidden_layer_sizes=(), random_state=0, **options)
    with pytest.raises(DivergenceError, match=r"in epoch .*X\[:, 2\] has mean .*StandardScaler.*Lower the"):
        model.fit(X, X[:, 0])
    assert warned(model.diagnose()) == ["unscaled_inputs", "diverged"]
    with pytest.raises(DivergenceError, match=r"Scale the inputs.*Lower the learning rate"):
        model.set_params(learning_rate_init=1e9).fit(X / [1, 1, 1e6], X[:, 0])


def test_a_learning_rate_is_not_blamed_where_there_is_none(wine):
    model = MLPClassifier((8,), solver="lbfgs", random_state=0).fit(*wine)
    checked = {*model.diagnose().checked, *model.diagnose().unchecked}
    assert not {"learning_rate_too_high", "learning_rate_too_low", "unfinished"} & checked


def test_a_table_model_names_columns_and_classes():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=3000), "kind": ["good"] * 2970 + ["bad"] * 30})
    model = TableModel(hidden_layer_sizes=(4,), max_iter=3).fit(frame, "kind")
    found = model.diagnose()
    assert "of class bad" in found.line()
    assert model.report_["diagnosis"] == found.to_dict()
    assert "overfitting" in found.checked  # there were rows to stop by
    assert (
        model.diagnose(frame.head(500).drop("kind")).unchecked["exploding_gradients"] == "hand over X and y"
    )
    assert "exploding_gradients" in model.diagnose(frame.head(500)).checked
    empty = frame.head(9).with_columns(pl.lit(None, pl.String).alias("kind"))
    assert "exploding_gradients" in model.diagnose(empty).unchecked


# ------------------------------------------------------------------ while training


def test_a_watch_records_the_distributions(rng):
    X = rng.normal(size=(400, 5))
    y = (X[:, 0] > 0).astype(int)
    watch = Watch(every=2, rows=100)
    options = {"hidden_layer_sizes": (6, 4), "activation": "tanh", "random_state": 0, "max_iter": 6}
    model = MLPClassifier(callbacks=[watch], **options).fit(X, y)
    assert [record.epoch for record in watch.records] == [0, 2, 4, 6]
    assert watch.network == model.network_
    few = np.linspace(0, 399, 100).astype(int)
    objective, theta, batch = model.problem(X[few], y[few])
    run = reference.forward(model.network_, theta, batch.X)
    reference.backward(model.network_, theta, run, batch.Y, None)
    last = watch.records[-1]
    np.testing.assert_allclose(last.values, [np.quantile(A, QUANTILES) for A in run.A], rtol=1e-12)
    gradients = [np.abs(run.gradient[objective.layout.layer_slice(i)]) for i in range(3)]
    np.testing.assert_allclose(last.gradients, [np.quantile(g, QUANTILES) for g in gradients], rtol=1e-9)
    assert last.snapshot == take(objective, theta, batch)
    unwatched = MLPClassifier(**options).fit(X, y)
    np.testing.assert_array_equal(unwatched.theta_, model.theta_)


def test_a_watch_goes_on_with_partial_fit_and_begins_anew_with_fit(rng):
    X = rng.normal(size=(60, 3))
    watch = Watch()
    model = MLPClassifier((4,), callbacks=watch, random_state=0, max_iter=2)
    for _ in range(3):
        model.partial_fit(X, X[:, 0] > 0, classes=[False, True])
    assert [record.epoch for record in watch.records] == [0, 1, 2, 3]
    model.fit(X, X[:, 0] > 0)
    assert [record.epoch for record in watch.records] == [0, 1, 2]


def test_a_watch_tells_what_it_finds_once(rng):
    X = rng.normal(size=(200, 3))
    told = []
    sizes, biases = [(3, 8), (8, 1)], [np.full(8, -50.0), np.zeros(1)]
    weights = [rng.normal(size=size) for size in sizes], biases
    watch = Watch(tell=told.append)
    MLPRegressor(
        hidden_layer_sizes=(8,), init_weights=weights, callbacks=[watch], max_iter=5, random_state=0
    ).fit(X, X[:, 0])
    assert (
        [finding.name for finding in told] == ["dead_units"] == [finding.name for finding in watch.findings]
    )
    assert "In hidden layer 1, 8 of 8 units (relu)" in told[0].message
    assert watch.diagnose().names == ["dead_units"]


def test_a_watch_of_nothing_says_so():
    with pytest.raises(OptionError, match="no training yet"):
        Watch().diagnose()
    for options in ({"every": 0}, {"rows": 0}, {"every": 1.5}):
        with pytest.raises(OptionError, match="whole number of at least 1"):
            Watch(**options)


def test_numpys_threads_are_left_as_they_were(rng):
    """Also where several fits take their notes at the same time."""
    X = rng.normal(size=(300, 20))
    before = team.blas().info()
    with team.QUIET:
        assert all(library["num_threads"] == 1 for library in team.blas().info())
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(MLPRegressor(hidden_layer_sizes=(30,), max_iter=2).fit, X, X[:, 0]) for _ in range(12)
        ]
        assert all(job.result().diagnose().checked for job in jobs)
    assert team.blas().info() == before


def test_notes_have_a_reader_for_every_field():
    from chainrule.evidence import FROM_JSON

    assert set(FROM_JSON) == {field.name for field in fields(Notes)}
