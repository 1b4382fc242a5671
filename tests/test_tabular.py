"""`TabularClassifier` and `TabularRegressor`: scikit-learn's contract, and what is on top of it."""

from __future__ import annotations

import json
import pickle
import threading
import time

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from tables import QUICK, as_polars, mixed

import chainrule
from chainrule import DivergenceError, FileError, TabularClassifier, TabularRegressor, TrainingWarning
from chainrule.models import KINDS
from chainrule.tabular_recipe import ENCODING
from chainrule.temperature import probabilities

pytestmark = pytest.mark.compiled
FRAME, CLASSES, SCORE = mixed()
BOTH = ((TabularClassifier, CLASSES), (TabularRegressor, SCORE))


def fitted(kind, y, **options):
    return kind(**{**QUICK, **options}).fit(FRAME, y)


def outcome(model, X):
    return model.predict_proba(X) if isinstance(model, TabularClassifier) else model.predict(X)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def not_as_repeated(estimator):
    """Weights scale the loss of a row in its mini-batch; rows that are repeated fall into several."""
    return {"check_sample_weight_equivalence_on_dense_data": "mini-batches are drawn by rows"}


SMALL = {"epochs": 40, "hidden_layer_sizes": [32], "random_state": 0}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [TabularClassifier(**SMALL), TabularRegressor(**SMALL)], expected_failed_checks=not_as_repeated
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_they_learn():
    train, test = slice(0, 240), slice(240, None)
    frame, classes, score = mixed(640)
    options = {"hidden_layer_sizes": [32], "epochs": 30, "learning_rate": 0.02, "random_state": 0}
    model = TabularClassifier(**options).fit(frame[train], classes[train])
    assert model.score(frame[test], classes[test]) > 0.65
    model = TabularRegressor(**options).fit(frame[train], score[train])
    assert model.score(frame[test], score[test]) > 0.85


# ---------------------------------------------------------------- what comes in


@pytest.mark.parametrize(("kind", "y"), BOTH)
def test_libraries_and_unseen_cells_are_taken(kind, y):
    model = fitted(kind, y)
    other = kind(**QUICK).fit(as_polars(FRAME), y)
    assert same(outcome(model, FRAME), outcome(other, as_polars(FRAME)))
    assert model.feature_names_in_.tolist() == list(FRAME.columns) and model.n_features_in_ == 7
    odd = FRAME[:4].copy()
    odd["colour"] = ["violet", None, "red", "red"]
    odd.loc[2, "size"], odd.loc[3, "born"] = np.nan, pd.NaT
    assert np.isfinite(outcome(model, odd)).all()


def test_arrays_with_missing_values_and_texts_are_taken():
    X = np.column_stack([SCORE, np.where(np.arange(240) % 9, 1.0, np.nan)])
    model = TabularClassifier(**QUICK).fit(X, CLASSES)
    assert model.encoder_.layout.names == ("x0", "x1=<missing>")
    mixed_array = np.array([[1.5, "a", True], [2.5, "b", None], [np.nan, None, False]] * 20, dtype=object)
    model = TabularRegressor(**QUICK).fit(mixed_array, np.arange(60.0))
    assert [column.kind for column in model.encoder_.columns] == ["number", "category", "boolean"]
    assert np.isfinite(model.predict(mixed_array)).all()


@pytest.mark.parametrize("chosen", [["k"], [1], np.array([1])])
def test_columns_of_numbers_can_be_categories(chosen):
    frame = pd.DataFrame({"size": SCORE, "k": np.arange(240) % 3})
    model = TabularClassifier(**QUICK, cat_features=chosen).fit(frame, CLASSES)
    assert model.encoder_.columns[1].levels == ("0", "1", "2")


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
def test_columns_go_by_their_places_where_one_side_has_no_names():
    X = np.column_stack([SCORE, SCORE**2])
    named = pd.DataFrame(X, columns=["a", "b"])
    for rows in (X, named, as_polars(named), pd.DataFrame(X)):
        model = TabularRegressor(**QUICK).fit(rows, SCORE)
        for others in (X, named, as_polars(named), pd.DataFrame(X)):
            assert same(model.predict(others), model.predict(rows))


@pytest.mark.parametrize("labels", [[0, 1, 2], ["a", "b", "c"], [1.0, 2.0, 3.0], [-5, 7, 9]])
def test_any_labels_are_taken(labels, tmp_path):
    y = np.array(labels)[np.searchsorted(np.unique(CLASSES), CLASSES)]
    model = fitted(TabularClassifier, y)
    assert model.classes_.tolist() == sorted(labels)
    assert set(model.predict(FRAME)) <= set(labels) and model.predict(FRAME).dtype == y.dtype
    model.save(tmp_path / "m.model")
    assert same(chainrule.load(tmp_path / "m.model").predict(FRAME), model.predict(FRAME))


@pytest.mark.parametrize(("kind", "y"), BOTH)
def test_weights_count(kind, y):
    weights = np.where(np.arange(240) < 60, 0.0, 1.0)
    weighted = kind(**QUICK).fit(FRAME, y, weights)
    assert same(outcome(weighted, FRAME), outcome(kind(**QUICK).fit(FRAME[60:], y[60:]), FRAME))
    assert same(
        outcome(kind(**QUICK).fit(FRAME, y, np.full(240, 3.0)), FRAME), outcome(fitted(kind, y), FRAME)
    )
    heavy = kind(**QUICK).fit(FRAME, y, np.where(y == y[0], 50.0, 1.0))
    assert not same(outcome(heavy, FRAME), outcome(fitted(kind, y), FRAME))


# ---------------------------------------------------------------- stopping


@pytest.mark.parametrize(
    ("kind", "y", "metric", "best"),
    [
        (TabularClassifier, CLASSES, "log_loss", min),
        (TabularClassifier, CLASSES, "accuracy", max),
        (TabularClassifier, CLASSES, "auc", max),
        (TabularClassifier, CLASSES, lambda y, p: f1_score(y, p, average="macro"), max),
        (TabularRegressor, SCORE, "mae", min),
        (TabularRegressor, SCORE, "r2", max),
    ],
)
def test_the_epoch_is_the_best_by_the_metric_that_was_named(kind, y, metric, best):
    model = fitted(kind, y, metric=metric, epochs=12, learning_rate=0.02)
    member = model.members_[0]
    seen = member.history["validation"]
    last = len(seen) - seen[::-1].index(best(seen))
    assert member.facts["best_epoch"] == last and member.facts["metric"] == best(seen)
    assert member.facts["epochs"] == len(seen) == len(member.history["loss"]) == 12


def test_of_equal_epochs_the_last_one_is_kept():
    model = fitted(TabularClassifier, CLASSES, metric=lambda y, p: 0.5, epochs=6)
    assert model.members_[0].facts["best_epoch"] == 6


def test_rows_of_your_own_can_be_stopped_by():
    held = slice(180, None)
    model = TabularClassifier(**{**QUICK, "n_members": 2})
    model.fit(FRAME[:180], CLASSES[:180], eval_set=(FRAME[held], CLASSES[held]))
    assert [member.facts["rows"] for member in model.members_] == [180, 180]
    P = [probabilities(model._values(model._matrix(FRAME[held]))[number]) for number in range(2)]
    for member, own in zip(model.members_, P, strict=True):
        assert member.facts["metric"] == pytest.approx(log_loss(CLASSES[held], own))
    calm = log_loss(CLASSES[held], np.mean(P, axis=0))
    assert log_loss(CLASSES[held], model.predict_proba(FRAME[held])) <= calm


def test_training_ends_when_nothing_improves():
    figures = iter([1.0, 3.0, 2.0, 4.0, *[0.0] * 200])
    model = fitted(TabularRegressor, SCORE, epochs=200, metric=lambda y, p: next(figures))
    facts = model.members_[0].facts
    assert (facts["best_epoch"], facts["epochs"], facts["metric"]) == (4, 29, 4.0)
    assert "did not improve" in facts["ended_by"]


# ---------------------------------------------------------------- members


@pytest.mark.parametrize(("kind", "y"), BOTH)
def test_bits_depend_on_the_seed_and_on_no_thread(kind, y):
    one = fitted(kind, y, n_members=3, n_jobs=1)
    two = fitted(kind, y, n_members=3, n_jobs=3)
    other = fitted(kind, y, n_members=3, random_state=1)
    assert all(same(a.theta, b.theta) for a, b in zip(one.members_, two.members_, strict=True))
    assert same(outcome(one, FRAME), outcome(two, FRAME))
    assert not same(outcome(one, FRAME), outcome(other, FRAME))
    assert not same(one.members_[0].theta, one.members_[1].theta)


def test_predictions_are_the_mean_of_the_members():
    model = fitted(TabularRegressor, SCORE, n_members=3, clip=False)
    values = model._values(model._matrix(FRAME))[:, :, 0].astype(np.float64)
    np.testing.assert_allclose(model.predict(FRAME), values.mean(axis=0) * model.scale_ + model.centre_)
    model = fitted(TabularClassifier, CLASSES, n_members=3)
    P = probabilities(model._values(model._matrix(FRAME)), model.temperature_)
    np.testing.assert_allclose(model.predict_proba(FRAME), P.mean(axis=0), rtol=1e-12)


def test_an_error_in_a_thread_is_raised():
    def fails(y, predicted):
        raise ZeroDivisionError("the user's own")

    with pytest.raises(ZeroDivisionError, match="own"):
        fitted(TabularClassifier, CLASSES, n_members=3, n_jobs=2, metric=fails)


def test_an_interruption_keeps_what_is_there():
    seen = []

    def interrupts(y, predicted):
        seen.append(1)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return float(len(seen))

    with pytest.warns(TrainingWarning, match="interrupted by user"):
        model = fitted(TabularClassifier, CLASSES, epochs=30, metric=interrupts)
    assert model.members_[0].facts["epochs"] >= 3 and model.members_[0].facts["best_epoch"] == 3
    assert model.report_["cut"] == ["1 of 1 networks were ended before their last epoch"]


def test_an_interruption_of_one_network_ends_the_others():
    def interrupts(y, predicted):
        if threading.current_thread().name.endswith("_0"):
            raise KeyboardInterrupt
        return 0.0

    with pytest.warns(TrainingWarning, match="interrupted by user"):
        model = fitted(TabularClassifier, CLASSES, n_members=4, n_jobs=2, epochs=500, metric=interrupts)
    assert len(model.members_) < 4 and len(model.predict(FRAME)) == 240
    assert f"{len(model.members_)} of 4 networks were trained" in model.report_["cut"]


def test_predictions_stay_within_the_range_of_the_target():
    X = np.linspace(-1, 1, 60)[:, None]
    options = {**QUICK, "epochs": 30, "learning_rate": 0.05}
    free = TabularRegressor(**options, clip=False).fit(X, X.ravel()).predict(X * 3)
    kept = TabularRegressor(**options).fit(X, X.ravel()).predict(X * 3)
    assert free.max() > 1 and kept.max() <= 1
    np.testing.assert_array_equal(kept, np.clip(free, X.min(), X.max()))


# ---------------------------------------------------------------- intervals


@pytest.mark.parametrize("members", [1, 3])
def test_intervals_of_a_model_hold_new_rows(members):
    covered = []
    for seed in range(4):
        frame, _, score = mixed(1600, seed)
        model = TabularRegressor(hidden_layer_sizes=[32], epochs=20, random_state=0)
        model.set_params(n_members=members).fit(frame[:600], score[:600])
        ends = model.predict_interval(frame[600:], coverage=0.9)
        covered.append(np.mean((ends[:, 0] <= score[600:]) & (score[600:] <= ends[:, 1])))
        wide = model.predict_interval(frame[600:], coverage=0.95)
        assert (wide[:, 0] <= ends[:, 0]).all() and (ends[:, 1] <= wide[:, 1]).all()
    assert 0.88 <= np.mean(covered) <= 0.92


def test_intervals_have_the_targets_unit():
    model, scaled = fitted(TabularRegressor, SCORE), fitted(TabularRegressor, 1000 * SCORE + 7)
    expected = 1000 * model.predict_interval(FRAME) + 7
    np.testing.assert_allclose(scaled.predict_interval(FRAME), expected, rtol=1e-3, atol=1)


# ---------------------------------------------------------------- time


@pytest.mark.parametrize("members", [1, 4])
def test_a_time_limit_is_kept_and_what_it_cut_is_said(members):
    fitted(TabularRegressor, SCORE, n_members=members)  # compiled before
    frame, _, score = mixed(2000)
    began = time.perf_counter()
    model = TabularRegressor(n_members=members, time_limit=1.0, epochs=2000, random_state=0).fit(frame, score)
    spent = time.perf_counter() - began
    epoch = max(m.facts["seconds"] / m.facts["epochs"] for m in model.members_)
    assert spent < 1.0 + 2 * epoch + 0.5
    assert model.report_["time_limit"] == 1.0
    assert "of 2000 epochs were planned" in " ".join(model.report_["cut"])
    assert model.predict(frame).std() > 0


# ---------------------------------------------------------------- importances


@pytest.mark.parametrize(("kind", "y"), BOTH)
def test_importances_are_those_of_the_tables_columns(kind, y):
    frame, classes, score = mixed(500, seed=3)
    model = kind(hidden_layer_sizes=[32], epochs=30, random_state=0).fit(FRAME, y)
    target = classes if kind is TabularClassifier else score
    found = model.importances(frame, target, repeats=3)
    assert set(found.columns) == set(FRAME.columns) and found.values.shape == (7, 3)
    assert set(found.columns[:2]) == {"size", "colour"}
    assert found.to_dict()["same"] == 0 and (np.diff(found.mean) <= 0).all()
    assert found.metric == model.report_["metric"]
    assert same(found.values, model.importances(frame, target, repeats=3).values)
    for text in (str(found), found._repr_html_()):
        assert "size" in text and found.metric in text


def test_an_importance_is_what_the_metric_loses():
    model = fitted(TabularRegressor, SCORE, epochs=20)
    found = model.importances(FRAME, SCORE, metric="r2", repeats=2, random_state=4)
    assert found.baseline == pytest.approx(model.score(FRAME, SCORE))
    random = np.random.RandomState(4)
    shuffled = FRAME.copy()
    for repeat in range(2):  # "size" is the first column
        shuffled["size"] = FRAME["size"].to_numpy()[random.permutation(240)]
        lost = found.baseline - model.score(shuffled, SCORE)
        assert found.values[found.columns.index("size"), repeat] == pytest.approx(lost, rel=1e-6)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize(("kind", "y"), BOTH)
def test_a_model_survives_files_pickles_and_clones(kind, y, members, tmp_path):
    model = fitted(kind, y, n_members=members, cat_features=["town"])
    path = tmp_path / "m.model"
    model.save(path)
    loaded = chainrule.load(path)
    for other in (loaded, pickle.loads(pickle.dumps(model)), clone(model).fit(FRAME, y)):
        assert same(outcome(other, FRAME), outcome(model, FRAME))
        assert other.feature_names_in_.tolist() == list(FRAME.columns)
    assert loaded.get_params() == model.get_params()
    assert loaded.report_ == json.loads(json.dumps(model.report_))
    if kind is TabularRegressor:
        assert same(loaded.predict_interval(FRAME), model.predict_interval(FRAME))
    loaded.save(tmp_path / "again.model")
    assert (tmp_path / "again.model").read_bytes() == path.read_bytes()


def changes():
    """What may be wrong in a file, by the name of the estimator."""
    wrong = {
        "network": {"inputs": 3},
        "encoder": {"columns": []},
        "n_features_in": 3,
        "feature_names": ["a"] * 7,
        "options": {"epochs": -1},
        "histories": [],
    }
    for key, value in wrong.items():
        yield from (("TabularClassifier", key, value), ("TabularRegressor", key, value))
    yield "TabularClassifier", "temperature", -1.0
    yield "TabularClassifier", "classes", ["a", "b"]
    yield "TabularRegressor", "target", [0.0, 0.0, 1.0, 2.0]
    yield "TabularRegressor", "intervals", [{"members": [5], "constant": 0.0, "low": 0.0, "high": 0.0}]


@pytest.mark.parametrize(("name", "key", "value"), list(changes()))
def test_contents_that_do_not_fit_together_are_refused(name, key, value):
    model = fitted(*BOTH[name == "TabularRegressor"])
    metadata, arrays = model.to_contents()
    metadata = json.loads(json.dumps(metadata))
    KINDS[name].from_contents(metadata, arrays)
    metadata[key] = {**metadata[key], **value} if isinstance(value, dict) else value
    with pytest.raises(FileError, match="does not fit together"):
        KINDS[name].from_contents(metadata, arrays)


# ---------------------------------------------------------------- scikit-learn


def test_pipelines_and_searches_take_them():
    model = make_pipeline(
        FunctionTransformer(lambda frame: frame.drop(columns="town")), TabularRegressor(**QUICK)
    )
    grid = {"tabularregressor__hidden_layer_sizes": [[4], [8]], "tabularregressor__epochs": [2, 3]}
    search = GridSearchCV(model, grid, cv=2).fit(FRAME, SCORE)
    assert len(search.best_estimator_[-1].encoder_.columns) == 6


def test_tags_tell_what_is_taken():
    for kind, _ in BOTH:
        tags = kind().__sklearn_tags__().input_tags
        assert tags.allow_nan and tags.categorical and not tags.sparse


@pytest.mark.parametrize(("kind", "y"), BOTH)
def test_both_runs_train_alike(kind, y):
    compiled, read = fitted(kind, y, epochs=1), fitted(kind, y, epochs=1, engine="interpreted")
    np.testing.assert_allclose(outcome(compiled, FRAME), outcome(read, FRAME), rtol=1e-3, atol=1e-4)


# ---------------------------------------------------------------- explanations


@pytest.mark.parametrize("form", ["units", "matrix"])
@pytest.mark.parametrize("members", [1, 3])
def test_a_row_is_explained_from_its_cells_to_the_outcome(form, members):
    model = fitted(TabularClassifier, CLASSES, n_members=members, cat_features=["town"])
    trace = chainrule.explain(model, FRAME, CLASSES, row=7, form=form, member=members - 1)
    P = model.predict_proba(FRAME)[7]
    for label, p in zip(model.classes_, P, strict=True):
        assert trace.find(f"probability of {label}").value == pytest.approx(p)
    assert trace.find("class").formula == model.predict(FRAME)[7]
    x = model._matrix(FRAME)[7]
    for equation in trace.part("input").equations:
        if equation.symbol.startswith("x_"):
            assert equation.value == x[int(equation.symbol[2:])]
    size = trace.find("x_0")
    assert size.formula == "size" and "√(1 + (u / 3)²)" in size.numbers
    assert trace.part("update").equations and "u / √" in trace.text()
    for printed in (trace.html(), trace.latex(), trace.json()):
        assert "probability of high" in printed


def test_a_number_is_explained_back_to_its_own_unit():
    for y, members in ((SCORE * 10, 1), (SCORE * 10, 2), (SCORE > 0, 2)):
        kind = TabularRegressor if y.dtype == float else TabularClassifier
        model = fitted(kind, y, n_members=members)
        trace = chainrule.explain(model, as_polars(FRAME), row=3)
        if kind is TabularRegressor:
            assert trace.find("prediction").value == pytest.approx(model.predict(FRAME)[3])
        else:
            assert trace.find("probability of True").value == pytest.approx(model.predict_proba(FRAME)[3, 1])


def test_an_unknown_category_and_a_missing_number_are_explained():
    model = fitted(TabularRegressor, SCORE)
    odd = FRAME[:1].copy()
    odd["colour"], odd["income"] = "violet", np.nan
    trace = chainrule.explain(model, odd)
    place = model.encoder_.layout.names.index("income")
    assert trace.find(f"x_{place}").numbers == "0, which is the median"
    assert trace.find(f"x_{place}").because == "income is missing"
    assert "colour is 'violet'" in trace.text()


# ---------------------------------------------------------------- other ways to end


@pytest.mark.parametrize("limit", [None, 60.0])
def test_divergence_is_said(limit):
    with pytest.raises(DivergenceError, match=r"first epoch.*Lower the learning_rate"):
        fitted(TabularRegressor, SCORE, learning_rate=1e38, epochs=3, time_limit=limit)


def test_weights_before_a_divergence_are_kept():
    with pytest.warns(TrainingWarning, match="network 1 diverged; the weights of its best epoch"):
        model = fitted(TabularRegressor, SCORE, learning_rate=1000.0, epochs=40)
    facts = model.members_[0].facts
    assert facts["epochs"] < 40 and facts["best_epoch"] and np.isfinite(model.predict(FRAME)).all()


def test_a_sparse_matrix_is_refused_with_a_remedy():
    with pytest.raises(chainrule.DataError, match=r"X is a sparse matrix.*X\.toarray\(\)"):
        TabularRegressor(**QUICK).fit(sparse.csr_matrix(np.eye(4)), np.arange(4.0))


def test_the_recipe_says_how_categories_are_encoded():
    model = fitted(TabularClassifier, CLASSES)
    widths = [len(c.one_hot_names) for c in model.encoder_.kept if c.kind == "category"]
    assert all(width <= ENCODING.widest for width in widths)
    assert model.network_.inputs == model.encoder_.layout.total
