"""The studio without a browser: stepping, rewinding, what is drawn, and what is taken away."""

from __future__ import annotations

import io
import json
import time
import warnings

import numpy as np
import polars as pl
import pytest
from studio_server import CSV, SMALL, settled

from chainrule import TableModel, load
from chainrule.equations import ACTIVATIONS, INITIALISERS, LOSSES, OPTIMISERS, SCHEDULES
from chainrule.errors import DataError, OptionError
from chainrule.studio import export, source
from chainrule.studio.examples import EXAMPLES, table
from chainrule.studio.session import Session
from chainrule.studio.settings import Settings, choices


def theta(session):
    return session.ask(lambda: session.model.theta.copy()).result()


@pytest.fixture
def session():
    session = settled()
    yield session
    session.close()


# ------------------------------------------------------------------ training


def test_a_batch_an_epoch_and_a_rewind(session):
    first = theta(session)
    batches = session.moment().facts["batches"]
    assert batches == 3
    session.ask(lambda: session.step("batch")).result()
    one = theta(session)
    assert not np.array_equal(one, first) and session.moment().facts["batch"] == 1
    session.ask(lambda: session.step("epoch")).result()
    facts = session.moment().facts
    assert (facts["epoch"], facts["batch"], facts["step"]) == (1, 0, 3)
    session.ask(session.rewind).result()
    assert np.array_equal(theta(session), first) and session.moment().facts["epoch"] == 0
    session.ask(lambda: session.step("batch")).result()
    assert np.array_equal(theta(session), one)


@pytest.mark.parametrize("speed", ["batch", "epoch", "fast"])
def test_start_and_pause(session, speed):
    session.ask(lambda: session.start(speed)).result()
    deadline = time.monotonic() + 10
    while session.moment().facts["step"] < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    session.ask(session.pause).result()
    before = theta(session)
    time.sleep(0.1)
    assert session.moment().facts["step"] >= 4 and np.array_equal(theta(session), before)


def test_all_planned_epochs_end_training_and_say_so(session):
    session.ask(lambda: session.start("fast")).result()
    deadline = time.monotonic() + 20
    while session.moment().facts["running"] and time.monotonic() < deadline:
        time.sleep(0.01)
    facts = session.moment().facts
    assert facts["epoch"] == 40 and "planned epochs" in facts["status"]
    with pytest.raises(OptionError, match="Rewind"):
        session.ask(lambda: session.start("fast")).result()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_exported_code_trains_to_the_same_weights(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = settled({"name": name, "rows": 60}, l2=0.01, layers=[{"units": 3, "dropout": 0.2}])
    for _ in range(4):
        session.ask(lambda: session.step("epoch")).result()
    now = session.moment()
    names = run(export.code(now.opened(), session.source, session.settings, 0, learnt=False))
    assert np.array_equal(names["model"].estimator_.theta_, now.opened().theta)
    (tmp_path / "page.model").write_bytes(export.model_file(now.opened()))
    frame = session.source.frame
    assert np.array_equal(load(tmp_path / "page.model").predict(frame), names["model"].predict(frame))
    session.close()


def run(code):
    names = {"print": lambda *_: None}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(code, "train.py", "exec"), names)
    return names


def test_code_in_the_midst_of_an_epoch_says_what_it_leaves_out(session):
    session.ask(lambda: session.step("epoch")).result()
    session.ask(lambda: session.step("batch")).result()
    now = session.moment()
    code = export.code(now.opened(), session.source, session.settings, 1, learnt=True)
    assert "1 more batch had" in code and "weights of a model file" in code and "epoch.number == 1" in code


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_optimiser_steps(optimiser):
    session = settled({"name": "plane", "rows": 60}, optimiser=optimiser)
    first = theta(session)
    session.ask(lambda: session.step("batch")).result()
    session.ask(lambda: session.step("epoch")).result()
    after = session.moment()
    assert not np.array_equal(after.opened().theta, first)
    assert after.points[-1].loss < after.points[0].loss * 1.5
    session.close()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_steps(schedule):
    session = settled(schedule=schedule, optimiser="momentum")
    session.ask(lambda: session.step("epoch")).result()
    assert session.moment().facts["epoch"] == 1
    session.close()


def test_a_divergence_keeps_the_last_finite_weights_and_says_so():
    session = settled({"name": "plane", "rows": 60}, optimiser="gradient_descent", learning_rate=1e6, l2=1.0)
    for _ in range(40):
        session.ask(lambda: session.step("epoch")).result()
    now = session.moment()
    assert "learning rate" in now.facts["status"] and np.isfinite(now.opened().theta).all()
    session.close()


def test_what_is_drawn_does_not_change_with_training(session):
    before = session.ask(session.moment).result()
    copy = before.opened().theta.copy()
    session.ask(lambda: session.step("epoch")).result()
    assert np.array_equal(before.opened().theta, copy)
    assert not np.array_equal(session.moment().opened().theta, copy)


# ------------------------------------------------------------------ settings


def test_the_lists_of_the_page_are_the_tables_of_equations():
    offered = {kind: [row["name"] for row in rows] for kind, rows in choices().items()}
    assert offered["activation"] == [n for n, row in ACTIVATIONS.items() if not row.coupled]
    assert offered["loss"] == [n for n, row in LOSSES.items() if row.targets == "real"]
    assert offered["optimiser"] == list(OPTIMISERS) and offered["schedule"] == list(SCHEDULES)
    assert offered["init"] == ["auto", *INITIALISERS]


def test_settings_survive_json():
    settings = Settings.from_dict({**SMALL, "loss": "huber(delta=2)", "drop": ["a"], "held_out": 0})
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"layers": [{"units": 0}]}, "at least 1"),
        ({"layers": [{"units": 5000}]}, "at most 32"),
        ({"layers": [{}] * 3}, "A layer has units"),
        ({"layers": [{"units": 2, "kind": "x"}]}, "units, activation and dropout"),
        ({"loss": "binary_cross_entropy"}, "loss for classes"),
        ({"held_out": 1}, "0.9"),
        ({"optimiser": "adam", "schedule": "adaptive"}, "Adam takes no schedule"),
        ({"task": "magic"}, "task"),
        ({"speed": 1}, "no setting"),
        ({"optimiser": 3}, "must be a name"),
        ({"seed": 2**40}, "2\\^32"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(facts, message):
    with pytest.raises(OptionError, match=message):
        Settings.from_dict(facts)


# ------------------------------------------------------------------ tables


def test_a_table_with_texts_and_missing_values_is_learnt():
    session = Session(source.of_bytes(CSV))
    described = session.ask(session.describe).result()
    assert session.problem == "" and described["target"] == "bought"
    columns = {column["name"]: column for column in described["source"]["columns"]}
    assert columns["colour"]["kind"] == "category" and columns["age"]["missing"] == 1
    assert "colour=red" in described["network"]["features"]
    session.ask(lambda: session.step("epoch")).result()
    session.ask(lambda: session.change_target("income")).result()
    assert session.describe()["network"]["task"] == "regression"
    session.close()


def test_a_parquet_file_is_known_by_its_content():
    content = io.BytesIO()
    table("iris").write_parquet(content)
    read = source.of_bytes(content.getvalue())
    assert read.frame.equals(table("iris")) and read.target == "species"


def test_a_target_that_cannot_be_learnt_leaves_the_page_alive():
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0] * 5, "b": ["x", "y"] * 10, "same": ["k"] * 20})
    session = Session(source.of_frame(frame))
    described = session.ask(session.describe).result()
    assert "single class" in described["problem"] and described["network"] is None
    with pytest.raises(OptionError, match="single class"):
        session.ask(lambda: session.start("fast")).result()
    session.ask(lambda: session.change_target("b")).result()
    assert session.describe()["problem"] == ""
    session.close()


@pytest.mark.parametrize("raw", [b"", b"a\n1\n2\n", b"a,b\n1\n", b"\0\1\2", b"PAR1 no parquet"])
def test_a_bad_file_gets_a_sentence(raw):
    with pytest.raises(DataError):
        source.of_bytes(raw)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_the_same_for_the_same_seed(name):
    first, again = table(name, 50, 0.2, 3), table(name, 50, 0.2, 3)
    assert first.equals(again) and EXAMPLES[name].target in first.columns


def test_a_model_file_goes_on_with_its_weights(tmp_path):
    frame = table("moons", 80)
    made = TableModel(hidden_layer_sizes=(4,), activation="tanh", max_iter=30, random_state=2)
    made.fit(frame, "class")
    made.save(tmp_path / "moons.model")
    session = Session(source.of_frame(frame), learnt=load(tmp_path / "moons.model"))
    assert np.array_equal(theta(session), made.estimator_.theta_)
    session.ask(lambda: session.step("epoch")).result()
    assert not np.array_equal(theta(session), made.estimator_.theta_)
    session.ask(session.rewind).result()
    assert np.array_equal(theta(session), made.estimator_.theta_)
    session.ask(lambda: session.change_settings(Settings.from_dict(SMALL))).result()
    assert session.problem == "" and session.learnt is None
    session.close()
