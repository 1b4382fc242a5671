"""The estimators: scikit-learn's contract, scikit-learn's numbers, and what is on top."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import (
    load_iris,
    make_classification,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import chainrule
from chainrule import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
X3, Y3 = make_classification(200, 8, n_informative=6, n_classes=3, random_state=0)
X2, Y2 = make_classification(200, 8, random_state=0)
XM, YM = make_multilabel_classification(200, 8, n_classes=4, random_state=0)
XR, YR = make_regression(200, 8, random_state=0)
YR = YR / 100
WEIGHTS = np.random.default_rng(0).random(200)
COUNTS = np.random.default_rng(0).poisson(np.exp(YR.clip(-2, 2))).astype(float)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([MLPClassifier(), MLPRegressor()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


OPTIONS = {
    "adam": {},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "invscaling": {
        "solver": "sgd",
        "nesterovs_momentum": False,
        "learning_rate": "invscaling",
        "learning_rate_init": 0.3,
    },
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.1,
        "n_iter_no_change": 2,
        "tol": 0.01,
    },
    "early": {"early_stopping": True, "activation": "logistic"},
    "batches": {"batch_size": 37, "activation": "tanh", "hidden_layer_sizes": (20, 11)},
    "lbfgs": {"solver": "lbfgs", "activation": "tanh"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("case", ["multiclass", "binary", "multilabel", "regression"])
def test_same_seed_same_numbers_as_scikit_learn(case, options):
    name, X, y, weights = {
        "multiclass": ("MLPClassifier", X3, Y3, None),
        "binary": ("MLPClassifier", X2, Y2, WEIGHTS),
        "multilabel": ("MLPClassifier", XM / 5, YM, None),
        "regression": ("MLPRegressor", XR, YR, WEIGHTS),
    }[case]
    a = getattr(theirs, name)(random_state=3, max_iter=12, **options)
    b = getattr(chainrule, name)(random_state=3, max_iter=12, **options)
    a.fit(X, y, sample_weight=weights)
    b.fit(X, y, sample_weight=weights)
    for p, q in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_allclose(q, p, rtol=0, atol=1e-10)
    assert a.n_iter_ == b.n_iter_
    assert a.n_layers_ == b.n_layers_
    assert a.out_activation_ == b.out_activation_
    assert b.loss_ == pytest.approx(a.loss_, rel=1e-9)
    np.testing.assert_allclose(b.predict(X), a.predict(X), rtol=1e-9, atol=1e-9)
    if options.get("early_stopping"):
        np.testing.assert_allclose(b.validation_scores_, a.validation_scores_, rtol=1e-9)


def test_poisson_like_scikit_learn():
    a = theirs.MLPRegressor("poisson", random_state=0, max_iter=10).fit(XR, COUNTS)
    b = MLPRegressor("poisson", random_state=0, max_iter=10).fit(XR, COUNTS)
    np.testing.assert_allclose(b.predict(XR), a.predict(XR), rtol=1e-10)
    with pytest.raises(chainrule.DataError, match="y in row 3 is -1"):
        b.fit(XR, np.where(np.arange(200) == 3, -1.0, COUNTS))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_n_times_partial_fit_is_fit_for_n_epochs(dtype):
    options = {"hidden_layer_sizes": (9,), "random_state": 0, "batch_size": 20, "dropout": 0.1}
    whole = MLPClassifier(max_iter=6, **options).fit(X3.astype(dtype), Y3)
    parts = MLPClassifier(**options)
    for _ in range(6):
        parts.partial_fit(X3.astype(dtype), Y3, classes=[0, 1, 2])
    assert whole.theta_.dtype == dtype
    np.testing.assert_array_equal(whole.theta_, parts.theta_)
    np.testing.assert_array_equal(whole.loss_curve_, parts.loss_curve_)


@pytest.mark.parametrize("labels", [["a", "b", "c"], [1.0, 2.0, 9.0], [10, 20, 30]])
def test_a_saved_model_predicts_and_goes_on_with_the_same_bits(tmp_path, labels):
    y = np.array(labels)[Y3]
    model = MLPClassifier((9,), random_state=0, max_iter=4, dropout=0.2).fit(X3, y)
    model.save(tmp_path / "model")
    for other in (chainrule.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict_proba(X3), model.predict_proba(X3))
        np.testing.assert_array_equal(other.predict(X3), model.predict(X3))
        twin = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(other.partial_fit(X3, y).theta_, twin.partial_fit(X3, y).theta_)


def test_a_model_whose_rows_have_values_is_pickled():
    model = MLPRegressor("huber(delta=2)", (5,), "leaky_relu(alpha=0.2)", random_state=0, max_iter=3)
    other = pickle.loads(pickle.dumps(model.fit(XR, YR)))
    np.testing.assert_array_equal(other.predict(XR), model.predict(XR))


def test_multilabel_and_regression_models_are_saved(tmp_path):
    for model, X, y in (
        (MLPClassifier((5,), random_state=0, max_iter=3), XM, YM),
        (MLPRegressor("huber(delta=2)", (5,), random_state=0, max_iter=3), XR, np.c_[YR, YR]),
    ):
        model.fit(X, y).save(tmp_path / "model")
        np.testing.assert_array_equal(chainrule.load(tmp_path / "model").predict(X), model.predict(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_loaded_model_goes_on_with_early_stopping(tmp_path):
    """Its metric, its best value and the best weights are in the file."""
    options = {"early_stopping": True, "warm_start": True, "metric": "loss", "track": ["accuracy"]}
    model = MLPClassifier((5,), random_state=0, max_iter=4, **options).fit(X3, Y3)
    model._state.best_theta = model.theta_ + 1  # as after further training
    model._state.best_value = -1.0
    model.save(tmp_path / "model")
    other = chainrule.load(tmp_path / "model")
    assert (other.metric, [*other.track]) == ("loss", ["accuracy"])
    other.fit(X3, Y3)
    np.testing.assert_array_equal(other.theta_, model._state.best_theta)


def test_a_long_history_is_saved(tmp_path):
    model = MLPRegressor(hidden_layer_sizes=(2,), random_state=0, max_iter=1)
    model.partial_fit(XR, YR).history_["loss"] *= 10**6
    model.save(tmp_path / "model")
    assert chainrule.load(tmp_path / "model").history_ == model.history_


@pytest.fixture(scope="module")
def contents():
    model = MLPClassifier((5,), random_state=0, max_iter=2)
    model.partial_fit(X3, Y3, classes=[0, 1, 2])
    model.feature_names_in_ = np.array([f"x{i}" for i in range(X3.shape[1])], dtype=object)
    return model.to_contents()


@pytest.mark.parametrize(
    ("metadata", "arrays"),
    [
        ({}, {"order": np.zeros(200, np.int64)}),
        ({}, {"order": np.arange(200) - 1}),
        ({}, {"order": np.arange(200.0)}),
        ({}, {"slots": np.zeros((2, 7))}),
        ({}, {"slots": np.zeros((2, 63), np.float32)}),
        ({}, {"theta": np.zeros(7)}),
        ({}, {"random_state": np.zeros(7, np.int64)}),
        ({"random_state": [10**6, 0, 0.0]}, {}),
        ({"random_state": []}, {}),
        ({"options": {"callbacks": ["print"]}}, {}),
        ({"options": {"metric": [1]}}, {}),
        ({"options": {"track": [["a"]]}}, {}),
        ({"options": {"checkpoint": "model"}}, {}),
        ({"options": {"__class__": "x"}}, {}),
        ({"fitted": {"n_features_in_": 9}}, {}),
        ({"fitted": {"n_features_in_": 8, "predict": "x"}}, {}),
        ({"fitted": {"n_features_in_": 8, "n_iter_": "many"}}, {}),
        ({"fitted": {}}, {}),
        ({"feature_names": ["a"]}, {}),
        ({"target": "multiclass-multioutput"}, {}),
        ({"target": "binary", "classes": ["a", "b"]}, {}),
        ({"classes": ["a", "b"]}, {}),
        ({"classes": "object"}, {}),
        ({"history": ["loss", "more"]}, {}),
        ({"history": [["loss"]]}, {}),
        ({}, {"history 0": np.zeros((2, 2))}),
        ({}, {"history 0": np.array([1])}),
        ({"state": {"t": 1}}, {}),
        ({"dropout_seed": None}, {}),
    ],
    ids=str,
)
def test_contents_that_do_not_fit_together_are_refused(contents, metadata, arrays):
    right, numbers = contents
    assert set(arrays) <= numbers.keys() and metadata.keys() <= right.keys()
    assert MLPClassifier.from_contents(right, numbers).theta_.shape == (63,)
    with pytest.raises(chainrule.FileError, match="does not fit together"):
        MLPClassifier.from_contents({**right, **metadata}, {**numbers, **arrays})


@pytest.mark.parametrize("seed", [3, np.int64(3), None, np.random.RandomState(3)])
def test_the_options_of_a_saved_model_come_back(tmp_path, seed):
    """But for live objects: a generator, a class weight by label, callbacks."""
    given = {"hidden_layer_sizes": (5,), "activation": ["tanh"], "alpha": 0.01, "max_iter": 2}
    model = MLPClassifier(random_state=seed, class_weight={0: 2.0}, **given).fit(X3, Y3)
    model.save(tmp_path / "model")
    loaded = chainrule.load(tmp_path / "model")
    options = loaded.get_params()
    assert {name: options[name] for name in given} == given
    assert options["random_state"] == (None if isinstance(seed, np.random.RandomState) else seed)
    assert options["class_weight"] is None
    for name in ("loss_", "best_loss_", "n_iter_", "t_", "stop_reason_", "n_features_in_", "n_layers_"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.loss_curve_ == model.loss_curve_
    assert loaded.out_activation_ == model.out_activation_ == "softmax"


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(chainrule.OptionError, match="not fitted"):
        MLPClassifier().save(tmp_path / "model")
    assert list(Path(tmp_path).iterdir()) == []


def test_replaced_weights_are_used():
    model = MLPRegressor(hidden_layer_sizes=(), random_state=0, max_iter=2).fit(XR, YR)
    model.coefs_ = [np.arange(8.0)[:, None]]
    model.intercepts_[0] = np.array([3.0])
    np.testing.assert_allclose(model.predict(XR), XR @ np.arange(8.0) + 3.0, rtol=1e-12)


def test_divergence_keeps_the_last_finite_weights():
    model = MLPRegressor(solver="sgd", learning_rate_init=1e6, random_state=0)
    with pytest.raises(chainrule.DivergenceError, match=r"non-finite parameter weights.*learning rate"):
        model.fit(XR, YR)
    assert np.isfinite(model.predict(XR)).all()
    assert model.stop_reason_ == "diverged"


def test_options_beyond_scikit_learn():
    seen = []
    model = MLPClassifier(
        (12, 6),
        ["gelu", "leaky_relu(alpha=0.2)"],
        solver="adamw",
        learning_rate="cosine",
        dropout=[0.1, 0.0],
        l1=1e-4,
        penalty_scaling="none",
        class_weight="balanced",
        metric="f1_macro",
        track=["accuracy"],
        callbacks=[seen.append],
        init="he_normal",
        max_iter=5,
        random_state=0,
    )
    model.fit(X3[:150], Y3[:150], validation_data=(X3[150:], Y3[150:]))
    assert set(model.history_) == {
        "loss",
        "accuracy",
        "validation_accuracy",
        "validation_f1_macro",
    }
    assert [epoch.number for epoch in seen] == [1, 2, 3, 4, 5]
    assert model.transform(X3, 0).shape == (200, 12)
    assert model.transform(X3).shape == (200, 6)
    assert chainrule.check_gradients(model, X3, Y3).passed
    with pytest.raises(chainrule.OptionError, match="layer=7 does not exist"):
        model.transform(X3, 7)


def test_tracking_the_loss_adds_that_of_the_rows_set_apart():
    model = MLPRegressor(track=["loss"], early_stopping=True, max_iter=4, random_state=0).fit(XR, YR)
    assert {name: len(values) for name, values in model.history_.items()} == {
        "loss": 4,
        "validation_loss": 4,
        "validation_score": 4,
    }


def test_a_callback_ends_training():
    model = MLPRegressor(callbacks=[lambda epoch: epoch.number == 3], random_state=0).fit(XR, YR)
    assert (model.n_iter_, model.stop_reason_) == (3, "callback")


def test_stopping_by_the_validation_loss_restores_the_best_weights():
    model = MLPRegressor(
        metric="loss", early_stopping=True, learning_rate_init=0.05, max_iter=60, random_state=0
    ).fit(XR, YR)
    assert model.best_validation_score_ == min(model.history_["validation_loss"])


@pytest.mark.parametrize("solver", ["rmsprop", "levenberg_marquardt", "lbfgs", "gradient_descent"])
def test_other_solvers_learn(solver):
    options = {"learning_rate_init": 0.01} if solver in ("rmsprop", "gradient_descent") else {}
    model = MLPRegressor("squared_error", (6,), "tanh", solver=solver, random_state=0, **options)
    assert model.fit(XR, YR).score(XR, YR) > 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "rellu"}, "Did you mean 'relu'"),
        ({"activation": ["relu"], "hidden_layer_sizes": (3, 3)}, "give one for each"),
        ({"solver": "adm"}, "Did you mean 'adam'"),
        ({"learning_rate": "cosin"}, "Did you mean 'cosine'"),
        ({"loss": "binary_cross_entropy"}, "a loss for classes"),
    ],
)
def test_a_wrong_option_gets_a_sentence(options, message):
    with pytest.raises(chainrule.OptionError, match=message):
        MLPRegressor(**options).fit(XR, YR)


def test_pipelines_grid_search_and_clones():
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MLPClassifier((8,), learning_rate_init=0.05, random_state=0)),
        {"mlpclassifier__activation": ["tanh", "silu"]},
        cv=2,
        n_jobs=2,
    ).fit(X, y)
    assert search.best_score_ > 0.6
    copy = clone(search.best_estimator_[-1])
    assert copy.get_params()["activation"] in ("tanh", "silu")
    assert "MLPClassifier" in copy._repr_html_()


def test_the_interpreted_engine_gives_the_same_model():
    models = [MLPClassifier((7,), engine=e, random_state=0, max_iter=5) for e in ("compiled", "interpreted")]
    fast, slow = (model.fit(X3, Y3).theta_ for model in models)
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-12)


def test_not_converged_is_a_warning():
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        MLPClassifier(max_iter=1).fit(X2, Y2)
