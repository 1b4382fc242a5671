"""The studio without a browser: stepping, rewinding, what is drawn, and what is taken away."""

from __future__ import annotations

import io
import json
import struct
import time
import warnings

import numpy as np
import polars as pl
import pytest
from studio_server import ask, origin, running, upload
from websockets.sync.client import connect

from chainrule import TableModel, explain, load, reference
from chainrule.equations import ACTIVATIONS, INITIALISERS, LOSSES, OPTIMISERS, SCHEDULES
from chainrule.errors import DataError, OptionError
from chainrule.studio import export, lesson, plane, source, views
from chainrule.studio.examples import EXAMPLES, table
from chainrule.studio.hub import MOST, Hub
from chainrule.studio.session import Session, opened
from chainrule.studio.settings import Settings, choices
from chainrule.studio.source import ExampleChoice, example
from chainrule.trace_parts import PARTS

CSV = b"""age,colour,income,bought
31,red,1200,yes
,blue,900,no
45,,2100,yes
22,green,700,no
38,red,,yes
29,blue,800,no
51,red,3000,yes
24,green,650,no
""" + b"".join(
    f"{20 + i},{'red' if i % 2 else 'blue'},{600 + 40 * i},{'yes' if i > 20 else 'no'}\n".encode()
    for i in range(40)
)
SMALL = {"layers": [{"units": 3, "activation": "tanh"}], "batch_size": 16, "epochs": 40}


def settled(choice=None, **settings):
    """A session on a small network, and a function that calls it."""
    session = Session(example(ExampleChoice(**(choice or {"rows": 60}))))
    session.ask(lambda: session.change_settings(Settings.from_dict({**SMALL, **settings}))).result()
    assert session.problem == ""
    return session


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
    assert offered["loss"] == [n for n, row in LOSSES.items() if row.task == "regression"]
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


# ------------------------------------------------------------------ what is drawn


def test_the_surfaces_are_the_engines_values(session):
    now = session.ask(session.moment).result()
    header, blobs = views.surfaces(now.opened(), now.plane)
    net = now.opened().estimator_
    run = reference.forward(net.network_, net.theta_, now.plane.grid())
    G = header["grid"]
    tiles = np.frombuffer(blobs["tiles0"], np.uint8).reshape(3, G * G)
    scale = np.array(header["scales"][0])
    assert np.abs((tiles.T - 128.0) / 127 * scale - run.A[0]).max() <= scale.max() / 100
    shown = np.frombuffer(blobs["output"], np.uint8) / 255
    assert np.abs(shown - net._output(now.plane.grid()).ravel()).max() <= 1 / 250


def test_rows_lie_where_the_plane_has_them(session):
    now = session.ask(session.moment).result()
    model, (x, y) = now.opened(), now.plane.axes
    places = now.plane.project(model.X_)
    raw = session.source.frame
    assert np.allclose(places[:, 0] * x.scale + x.centre, raw["x1"].to_numpy())
    assert np.allclose(places[:, 1] * y.scale + y.centre, raw["x2"].to_numpy())
    assert x.low < places[:, 0].min() and places[:, 0].max() < x.high


def test_components_span_the_most_of_the_table():
    model = opened(example(ExampleChoice("iris")), "species", Settings.from_dict(SMALL))
    shown = plane.make(model.encoder_, model.X_, {"kind": "components"})
    assert np.allclose(shown.directions @ shown.directions.T, np.eye(2))
    spread = shown.project(model.X_).var(axis=0)
    values = np.linalg.eigvalsh(np.cov(model.X_.T, bias=True))[::-1]
    assert np.allclose(spread, values[:2])


def test_the_pass_of_a_row_is_the_engines(session):
    model = session.ask(session.moment).result().opened()
    header, blobs = views.row_pass(model, 5)
    _, theta_, batch = model.estimator_.problem(model.X_[5:6], model.y_[5:6])
    run = reference.forward(model.estimator_.network_, theta_, batch.X)
    reference.backward(model.estimator_.network_, theta_, run, batch.Y, None)
    assert header["a"][0] == run.A[0][0].tolist() and header["dz"][0] == run.dZ[0][0].tolist()
    assert np.frombuffer(blobs["dW0"], np.float32).shape == (6,)


def test_judgements_are_those_of_the_report():
    for name in ("iris", "peaks"):
        session = settled({"name": name, "rows": 100})
        for _ in range(5):
            session.ask(lambda s=session: s.step("epoch")).result()
        model = session.moment().opened()
        scores = model.settled().report_["scores"]
        found = views.judgement(model)
        if name == "iris":
            assert found["accuracy"] == scores["accuracy"]["model"]
            assert np.sum(found["confusion"]) == found["rows"]
        else:
            assert np.isclose(found["rmse"], scores["root mean squared error"]["model"])
        session.close()


def test_a_message_can_be_taken_apart_again():
    raw = views.pack({"kind": "x", "nan": float("nan")}, {"a": b"123", "b": b"12345678"})
    (size,) = struct.unpack("<I", raw[:4])
    header = json.loads(raw[4 : 4 + size])
    body = raw[4 + size :]
    assert header["nan"] is None and (4 + size) % 4 == 0
    assert [body[at : at + n] for at, n in header["blobs"].values()] == [b"123", b"12345678"]


# ------------------------------------------------------------------ equations


def elements(model):
    """Every element of a network."""
    widths = model.estimator_.network_.widths
    yield {"kind": "loss"}
    yield from ({"kind": "input", "unit": i} for i in range(widths[0]))
    yield from ({"kind": "output", "unit": k} for k in range(widths[-1]))
    for layer in range(1, len(widths)):
        for j in range(widths[layer]):
            yield {"kind": "unit", "layer": layer, "unit": j}
            for i in range(widths[layer - 1]):
                yield {"kind": "link", "layer": layer, "from": i, "to": j}


@pytest.mark.parametrize("name", ["circles", "arms", "peaks"])
def test_every_element_has_equations_with_the_engines_numbers(name):
    session = settled({"name": name, "rows": 60}, layers=[{"units": 12, "activation": "elu"}, {"units": 2}])
    model, frame = session.ask(session.moment).result().opened(), session.source.frame
    header, blobs = views.row_pass(model, 3)
    for element in elements(model):
        found = lesson.equations(model, frame, 3, element)
        values = {e["symbol"]: e["value"] for e in found}
        assert all("<math>" in e["html"] or "note" in e["html"] for e in found)
        if element["kind"] == "unit":
            layer, j = element["layer"], element["unit"]
            assert values[f"a_{j}^[{layer}]"] == header["a"][layer - 1][j]
            assert values[f"dz_{j}^[{layer}]"] == header["dz"][layer - 1][j]
        if element["kind"] == "link":
            layer, i, j = element["layer"], element["from"], element["to"]
            widths = model.estimator_.network_.widths
            dW = np.frombuffer(blobs[f"dW{layer - 1}"], np.float32).reshape(widths[layer - 1 : layer + 1])
            assert np.float32(values[f"dw_{{{i},{j}}}^[{layer}]"]) == dW[i, j]
            assert {f"{letter}_{{{i},{j}}}^[{layer}]" for letter in "mvw"} <= values.keys()
    session.close()


def test_the_walk_is_the_trace_in_order(session):
    model, frame = session.ask(session.moment).result().opened(), session.source.frame
    steps = lesson.walk(model, frame, 2)
    trace = explain(model, frame, row=2, terms=lesson.WALK_TERMS, units=lesson.WALK_UNITS)
    walked = [(e["part"], e["symbol"], e["value"]) for step in steps for e in step["equations"]]
    assert walked == [(e.part, e.symbol, e.value) for e in trace.equations]
    assert [step["part"] for step in steps] == sorted((step["part"] for step in steps), key=[*PARTS].index)
    assert all(step["title"] and step["words"] for step in steps)


def test_an_element_that_is_not_there_is_refused(session):
    model, frame = session.ask(session.moment).result().opened(), session.source.frame
    for element in ({"kind": "unit", "layer": 0, "unit": 0}, {"kind": "x"}, {"kind": "input", "unit": -1}):
        with pytest.raises(OptionError):
            lesson.equations(model, frame, 0, element)


# ------------------------------------------------------------------ the hub and the wire


def test_the_hub_keeps_sessions_and_makes_room():
    hub = Hub(Session)
    names = [hub.open("new").name for _ in range(MOST)]
    assert hub.open(names[3]).name == names[3]
    hub.find(names[0]).listeners.add(lambda: None)
    late = hub.open("new")
    assert hub.find(names[0]) and not hub.find(names[1]) and hub.find(late.name)
    for name in list(hub._sessions):
        hub.find(name).listeners.add(lambda: None)
    with pytest.raises(OptionError, match="tabs"):
        hub.open("new")
    hub.close()


def test_only_a_session_that_nobody_came_back_to_is_paused():
    hub = Hub(settled)
    session = hub.open("new")
    first = hub.leave(session)
    second = hub.leave(session)  # the tab was back in between
    session.ask(lambda: session.start("epoch")).result()
    first()
    assert session.ask(lambda: session.running).result()
    session.listeners.add(int)
    second()
    assert session.ask(lambda: session.running).result()
    session.listeners.clear()
    second()
    assert not session.ask(lambda: session.running).result()
    hub.close()


def receive(line, wanted):
    """Messages until one is wanted: its header, and its blobs."""
    while True:
        message = line.recv(timeout=20)
        if isinstance(message, str):
            header, body = json.loads(message), b""
        else:
            (size,) = struct.unpack("<I", message[:4])
            header, body = json.loads(message[4 : 4 + size]), message[4 + size :]
            if header["kind"] == "frame":
                line.send('{"do": "seen"}')
        if wanted(header):
            return header, body


def command(line, **request):
    line.send(json.dumps({"id": 7, **request}))
    return receive(line, lambda header: header.get("re") == 7)[0]


def test_tabs_share_a_session_and_a_dropped_connection_resumes():
    with running(settled) as studio:
        address = studio.address.replace("http", "ws")
        home, new = origin(studio), address + "ws/new"
        with connect(new, origin=home) as first, connect(new, origin=home) as other:
            name = receive(first, lambda h: h.get("kind") == "hello")[0]["session"]
            assert receive(other, lambda h: h.get("kind") == "hello")[0]["session"] != name
            assert command(first, do="step", unit="epoch") == {"re": 7, "ok": True}
            frame, body = receive(first, lambda h: h.get("kind") == "frame" and h["epoch"] == 1)
            assert frame["points"][-1][0] == 1 and len(body) > 3 * frame["grid"] ** 2
            assert receive(other, lambda h: h.get("kind") == "frame")[0]["epoch"] == 0
        same = address + f"ws/{name}"
        with connect(same, origin=home) as again, connect(same, origin=home):
            assert receive(again, lambda h: h.get("kind") == "hello")[0]["session"] == name
            frame, _ = receive(again, lambda h: h.get("kind") == "frame")
            assert frame["epoch"] == 1 and [point[0] for point in frame["points"]] == [0, 1]
            assert "judgement" in command(again, do="judge") and "diagnosis" in command(again, do="diagnose")
            status, body = upload(studio, name, CSV)
            assert (status, json.loads(body)) == (200, {"ok": True})
            state = receive(again, lambda h: h.get("kind") == "state" and h["target"] == "bought")[0]
            assert state["source"]["example"] is None
            status, body = upload(studio, name, b"a,b\n1\n")
            assert status == 422 and "error" in json.loads(body)
            for path in ("model", "code", "trace/units/3/html", "trace/matrix/3/latex"):
                status, headers, body = ask(studio, "GET", f"/s/{name}/{path}")
                assert status == 200 and body and headers["content-disposition"].startswith("attachment")


def test_names_of_columns_and_classes_are_text_in_every_export():
    evil = "<img src=x onerror=alert(1)>"
    frame = pl.DataFrame({evil: [1.0, 2.0, 3.0, 4.0] * 5, "y": [evil, "ok"] * 10})
    session = Session(source.of_frame(frame))
    model = session.ask(session.moment).result().opened()
    html = export.trace_file(model, frame, 0, "units", "html")
    walked = json.dumps(lesson.walk(model, frame, 0))
    clicked = json.dumps(lesson.equations(model, frame, 0, {"kind": "input", "unit": 0}))
    for text in (html, walked, clicked):
        assert "<img" not in text and "&lt;img" in text
    session.close()
