"""What the studio draws and tells, and how it gets to the page."""

from __future__ import annotations

import json
import struct

import numpy as np
import polars as pl
import pytest
from studio_server import CSV, SMALL, ask, origin, running, settled, upload
from websockets.sync.client import connect

from chainrule import explain, reference
from chainrule.errors import DataError, OptionError
from chainrule.studio import export, lesson, plane, source, views
from chainrule.studio.hub import MOST, Hub
from chainrule.studio.session import Session, opened
from chainrule.studio.settings import Settings
from chainrule.studio.source import ExampleChoice, example
from chainrule.trace_parts import PARTS


@pytest.fixture
def session():
    session = settled()
    yield session
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


def test_a_weight_of_a_large_network_is_read_where_it_matters(monkeypatch):
    monkeypatch.setattr(lesson, "MOST_LINKS", 10)
    session = settled(layers=[{"units": 12, "activation": "tanh"}, {"units": 2}])
    model, frame = session.ask(session.moment).result().opened(), session.source.frame
    shown = {e.symbol for e in lesson.traced(model, frame, 0).equations}
    left_out = 0
    for i in range(12):
        element = {"kind": "link", "layer": 2, "from": i, "to": 0}
        if f"dw_{{{i},0}}^[2]" in shown:
            symbols = {e["symbol"] for e in lesson.equations(model, frame, 0, element)}
            assert {f"dw_{{{i},0}}^[2]", f"w_{{{i},0}}^[2]"} <= symbols
            continue
        left_out += 1
        with pytest.raises(DataError, match="click the unit"):
            lesson.equations(model, frame, 0, element)
    assert left_out == 12 - lesson.TERMS
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
