"""The search for options: by Optuna on tables, and by scikit-learn on the estimators."""

import json
import math
import sqlite3
import warnings
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - brings HalvingGridSearchCV
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV

import chainrule
from chainrule import MLPClassifier, TableModel, TrainingWarning, tuning_study
from chainrule.cli import main
from chainrule.errors import DataError, FileError, MissingPackageError, OptionError
from chainrule.tuning import tune
from chainrule.tuning_space import TABLE_MODEL, Choice, Interval

SPACE = {
    "hidden_layer_sizes": Choice(("4", "8,4"), TABLE_MODEL["hidden_layer_sizes"].read),
    "learning_rate_init": Interval(1e-4, 1e-1, logarithmic=True),
    "dropout": Interval(0.0, 0.5),
}
QUICK = {"space": SPACE, "max_iter": 12, "batch_size": 32, "trials": 6}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 2))
    kind = np.where(x[:, 0] + 0.3 * rng.standard_normal(200) > 0, "big", "small")
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "kind": kind})


@pytest.fixture(scope="module")
def whole(frame):
    """A search from its beginning to its end."""
    return tune(frame, "kind", **QUICK)


class Killed(BaseException):
    """Nothing may handle it, as nothing can handle a kill."""


def killed_after(trials):
    """A callback that breaks off in the third epoch of a later trial."""
    told = []

    def kill(epoch):
        if len(told) >= trials and epoch.number == 3:
            raise Killed

    return {"callbacks": [kill], "on_trial": told.append}


def test_the_best_trial_is_the_one_of_least_loss(frame, whole):
    complete = [trial for trial in whole.trials if trial["state"] == "complete"]
    best = min(complete, key=lambda trial: trial["loss"])
    assert whole.best_options == best["options"] and whole.best_loss == best["loss"]
    assert len(whole.trials) == 6 and whole.stopped == "trials"
    assert set(whole.best_options) == set(SPACE)
    for trial in whole.trials:
        assert trial["options"]["hidden_layer_sizes"] in {(4,), (8, 4)}
        assert 1e-4 <= trial["options"]["learning_rate_init"] <= 1e-1
    again = TableModel(random_state=0, validation_size=0.2, max_iter=12, batch_size=32, **whole.best_options)
    again.fit(frame, "kind")
    assert np.array_equal(again.predict_proba(frame), whole.model.predict_proba(frame))
    assert min(again.estimator_.history_["validation_loss"]) == whole.best_loss
    assert set(whole.importances) == set(SPACE)
    assert math.isclose(sum(whole.importances.values()), 1)
    json.dumps(whole.to_dict())


def test_a_killed_search_goes_on_and_finds_the_same(frame, whole, tmp_path):
    study = tmp_path / "a.study"
    for trials in (0, 3):
        with pytest.raises(Killed):
            tune(frame, "kind", study=study, **QUICK, **killed_after(trials))
    resumed = tune(frame, "kind", study=study, **QUICK)
    chosen = [(trial["state"], trial["loss"], trial["options"]) for trial in resumed.trials]
    assert chosen == [(trial["state"], trial["loss"], trial["options"]) for trial in whole.trials]
    assert np.array_equal(resumed.model.predict_proba(frame), whole.model.predict_proba(frame))
    tried = []
    finished = tune(frame, "kind", study=study, on_trial=tried.append, **QUICK)
    assert tried == [] and finished.best_options == whole.best_options
    assert np.array_equal(finished.model.predict_proba(frame), whole.model.predict_proba(frame))


def test_bad_trials_are_pruned(frame):
    space = {"learning_rate_init": Choice((1e-6, 1e-2, 2e-2, 3e-2))}
    found = tune(frame, "kind", space=space, max_iter=30, hidden_layer_sizes=(4,), trials=15)
    pruned = [t["options"]["learning_rate_init"] for t in found.trials[5:] if t["state"] == "pruned"]
    assert 1e-6 in pruned
    assert found.best_options["learning_rate_init"] > 1e-6


def test_trials_that_diverge_do_not_end_the_search(frame):
    space = {"learning_rate_init": Choice((1e200, 1e-2))}
    found = tune(frame, "kind", space=space, solver="sgd", max_iter=5, trials=6)
    lost = [trial for trial in found.trials if trial["options"]["learning_rate_init"] == 1e200]
    assert lost and all(trial["state"] == "pruned" and trial["loss"] is None for trial in lost)
    assert found.best_options == {"learning_rate_init": 1e-2} and found.importances == {}
    with pytest.raises(OptionError, match="Training diverged in every trial"):
        tune(
            frame, "kind", space={"learning_rate_init": Choice((1e200,))}, solver="sgd", max_iter=5, trials=2
        )


def test_regression_and_a_time_limit(frame):
    clock = SimpleNamespace(now=0.0)

    def later(epoch):
        clock.now += 1.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.tuning.time.monotonic", lambda: clock.now)
        found = tune(frame, "a", drop=["kind"], time_limit=30, callbacks=[later], **QUICK)
        assert found.stopped == "time" and 1 <= len(found.trials) < 6
        assert found.model.target_.task == "regression"
        with pytest.raises(OptionError, match="No trial could be finished in the time"):
            tune(frame, "a", time_limit=5, callbacks=[later], **QUICK)


def test_an_interrupted_search_returns_what_it_has(frame):
    told = []

    def interrupt(epoch):
        if len(told) == 2 and epoch.number == 2:
            raise KeyboardInterrupt

    found = tune(frame, "kind", callbacks=[interrupt], on_trial=told.append, **QUICK)
    assert found.stopped == "interrupted" and len(found.trials) == 2
    told = [None, None]
    with pytest.raises(KeyboardInterrupt):
        tune(frame, "kind", callbacks=[interrupt], **QUICK)


def test_another_search_does_not_take_the_study(frame, tmp_path):
    study = tmp_path / "a.study"
    tune(frame, "kind", study=study, **{**QUICK, "trials": 1})
    with pytest.raises(OptionError, match=r"another search: the table, max_iter differ\. Name another file"):
        tune(frame.head(100), "kind", study=study, **{**QUICK, "max_iter": 13})
    with pytest.raises(OptionError, match="another search: the range of dropout differs"):
        tune(frame, "kind", study=study, **{**QUICK, "space": {**SPACE, "dropout": Interval(0.0, 0.1)}})


@pytest.mark.parametrize("content", [b"x" * 200, "sqlite"], ids=["text", "another database"])
def test_a_file_that_is_no_study_is_refused_and_left_alone(frame, tmp_path, content):
    path = tmp_path / "a.study"
    if content == "sqlite":
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE mine (x)")
        database.commit()
        database.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(FileError, match="holds no study of chainrule: name another file"):
        tune(frame, "kind", study=path, **QUICK)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"trials": 0}, OptionError, "trials must be at least 1"),
        ({"time_limit": math.nan}, OptionError, "time_limit must be above 0 s"),
        ({"study": "nowhere/at/all.study"}, OptionError, "There is no folder nowhere/at"),
        ({"colour": "red"}, OptionError, "no such option"),
        ({"validation_size": 0}, DataError, "too few rows to stop training by"),
    ],
)
def test_what_cannot_be_searched_is_refused(frame, wrong, error, message):
    with pytest.raises(error, match=message):
        tune(frame, "kind", **{**QUICK, **wrong})


def test_without_optuna_one_sentence_says_what_to_install(frame, monkeypatch):
    monkeypatch.setattr(tuning_study, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"^Tuning needs optuna: .*chainrule\[tune\]"):
        chainrule.tune(frame, "kind")


def test_the_command_writes_the_best_model(frame, tmp_path, monkeypatch):
    monkeypatch.setattr("chainrule.tuning.tune.__kwdefaults__", {**tune.__kwdefaults__, "space": SPACE})
    frame.write_csv(tmp_path / "a.csv")
    common = ["tune", f"{tmp_path}/a.csv", "--target", "kind", "--epochs", "5", "--study", f"{tmp_path}/s"]
    common += ["--output", f"{tmp_path}/a.model"]
    shown = CliRunner().invoke(main, [*common, "--trials", "2"])
    assert shown.exit_code == 0, shown.output
    assert "hidden_layer_sizes" in shown.stdout and "2 trials complete, 0 pruned" in shown.stdout
    assert shown.stderr.splitlines()[0].startswith("Trial 1: loss ")
    more = CliRunner().invoke(main, [*common, "--trials", "3", "--json"])
    assert len(more.stderr.splitlines()) == 1
    told = json.loads(more.stdout)
    assert told["complete"] == 3 and told["report"]["scores"]["accuracy"]["model"] > 0
    saved = chainrule.load(tmp_path / "a.model")
    assert saved.report_["network"]["widths"][1:-1] == told["best"]["options"]["hidden_layer_sizes"]


@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV])
def test_scikit_learns_searches_take_the_estimators(frame, search):
    X, y = frame.select("a", "b").to_numpy(), frame["kind"].to_numpy()
    grid = {"hidden_layer_sizes": [(3,), (4, 3)], "learning_rate_init": [1e-6, 0.05]}
    more = {"n_iter": 3, "random_state": 0} if search is RandomizedSearchCV else {}
    more |= {"random_state": 0, "factor": 2} if search is HalvingGridSearchCV else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", TrainingWarning)  # of the rate that is too low
        found = search(MLPClassifier(max_iter=15, random_state=0), grid, cv=2, **more).fit(X, y)
    assert found.best_params_["learning_rate_init"] == 0.05
    assert found.best_score_ > 0.8 and found.predict(X[:5]).shape == (5,)
