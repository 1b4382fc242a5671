"""The page in a browser: each thing that a visitor does, and what the engine says to it."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from studio_server import origin, running
from studio_visitor import SIZES, visiting

from chainrule import load, reference
from chainrule.studio.session import Session

CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (apt-get install chromium)")

COLOURS = ("red", "blue", "")
CSV = "age,colour,income,bought\n" + "".join(
    f"{'' if i % 9 == 4 else 20 + i},{COLOURS[i % 3]},{600 + 37 * i % 900},{'yes' if i % 7 > 2 else 'no'}\n"
    for i in range(80)
)
EVIL = "<img src=x onerror=document.title='hacked'>"
HOSTILE_CSV = f"a,{EVIL},y\n" + "".join(f"{i},{i % 5},{EVIL if i % 2 else 'b'}\n" for i in range(40))


@pytest.fixture(scope="module")
def studio():
    with running() as studio:
        yield studio


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visitor(studio, browser):
    with visiting(studio, browser) as visitor:
        yield visitor


def passed(session, row):
    """The engine's own pass of a row."""
    model = session.ask(session.moment).result().opened()
    net = model.estimator_
    _, theta, batch = net.problem(model.X_[row : row + 1], model.y_[row : row + 1])
    run = reference.forward(net.network_, theta, batch.X)
    reference.backward(net.network_, theta, run, batch.Y, None)
    return run


# ------------------------------------------------------------------ one's own table


def test_an_own_table_is_trained_stepped_read_rewound_and_taken_away(visitor, tmp_path):
    (tmp_path / "people.csv").write_text(CSV)
    page = visitor.page
    page.set_input_files("#file", tmp_path / "people.csv")
    visitor.wait(lambda: visitor.know("state.facts.target") == "bought")
    page.wait_for_selector("text=category, 26 missing")
    first = visitor.theta
    page.click("#start")
    visitor.wait(lambda: visitor.facts["epoch"] >= 5)
    page.click("#start")
    visitor.wait(lambda: not visitor.facts["running"])
    before = visitor.facts["step"]
    visitor.click("#step-batch")
    assert visitor.facts["step"] == before + 1
    page.fill("#row", "11")
    page.press("#row", "Enter")
    page.click('[data-element="unit 1 2"]')
    run = passed(visitor.session, 11)
    assert visitor.value("z_2^[1]") == run.Z[0][0, 2]
    assert visitor.value("a_2^[1]") == run.A[0][0, 2]
    assert visitor.value("dz_2^[1]") == run.dZ[0][0, 2]
    assert f"{run.A[0][0, 2]:.4g}".replace("-", "−") in page.inner_text("#panel-equations").replace(" ", "")
    (tmp_path / "page.model").write_bytes(visitor.download("#take-model"))
    frame, now = visitor.session.source.frame, visitor.session.moment().opened()
    assert np.array_equal(load(tmp_path / "page.model").predict_proba(frame), now.predict_proba(frame))
    visitor.click("#rewind")
    assert np.array_equal(visitor.theta, first)
    page.select_option("#target", "income")
    visitor.wait(lambda: visitor.know("state.facts.network.task") == "regression")


def test_a_table_dropped_on_the_page_is_read_and_a_bad_one_is_refused(visitor):
    drop = """([name, text]) => {
        const data = new DataTransfer();
        data.items.add(new File([text], name));
        const facts = { dataTransfer: data, bubbles: true, cancelable: true };
        document.dispatchEvent(new DragEvent("drop", facts));
    }"""
    visitor.page.evaluate(drop, ["../../x.csv", CSV])
    visitor.wait(lambda: visitor.know("state.facts.target") == "bought")
    with visitor.page.expect_response(lambda response: response.status == 422):
        visitor.page.evaluate(drop, ["x.csv", "a,b\n1,2,3\n"])
    visitor.page.wait_for_selector("#toast.wrong")
    assert visitor.know("state.facts.target") == "bought"
    visitor.errors = [e for e in visitor.errors if "422" not in e]


def test_names_of_columns_and_classes_run_no_script(visitor):
    visitor.page.set_input_files(
        "#file", {"name": EVIL, "mimeType": "text/csv", "buffer": HOSTILE_CSV.encode()}
    )
    visitor.wait(lambda: visitor.know("state.facts.target") == "y")
    for selector in ('[data-element="input  1"]', '[data-element="output  0"]'):
        visitor.page.click(selector)
        visitor.page.wait_for_selector("#panel-equations .equation")
    for tab in ("walk", "judge", "diagnosis"):
        visitor.page.click(f"#tab-{tab}")
        visitor.page.wait_for_selector(f"#panel-{tab} h3")
    assert EVIL in visitor.page.inner_text("#legend")
    assert visitor.page.locator("img").count() == 1  # the page's own sign
    assert "hacked" not in visitor.page.title()


# ------------------------------------------------------------------ the network


def test_the_network_and_its_training_are_set_on_the_page(visitor):
    page = visitor.page
    visitor.click('[aria-label="Add a layer before the output"]')
    visitor.change('[aria-label="Units of layer 1"]', 9)
    visitor.click('[aria-label="One unit more in layer 3"]')
    with visitor.changing():
        page.select_option('[aria-label="Activation of layer 2"]', "gelu")
    visitor.change('[aria-label="Dropout of layer 1"]', 0.25)
    visitor.click('[aria-label="Remove layer 2"]')
    assert [(n.units, n.activation, n.dropout) for n in visitor.session.settings.layers] == [
        (9, "tanh", 0.25),
        (5, "tanh", 0.0),
    ]
    visitor.click('[title^="Waves"]')
    with visitor.changing():
        page.select_option("#settings >> label:has-text('Loss') >> select", "huber")
    visitor.change("#settings >> label:has-text('delta') >> input", 2)
    for label, name in {"Optimiser": "nesterov", "Schedule": "cosine", "Initialiser": "he_normal"}.items():
        with visitor.changing():
            page.select_option(f"#settings >> label:has-text('{label}') >> select", name)
        assert name in visitor.session.settings.to_dict().values()
    numbers = {"Learning rate": 0.05, "Batch size": 20, "L2": 0.01, "L1": 0.001, "Seed": 7, "Epochs": 300}
    for label, number in numbers.items():
        visitor.change(f"#settings >> label:has-text('{label}') >> input", number)
    settings = visitor.session.settings
    assert settings.loss == "huber(delta=2)"
    assert (settings.learning_rate, settings.batch_size, settings.l2, settings.l1) == (0.05, 20, 0.01, 0.001)
    assert (settings.seed, settings.epochs, visitor.session.problem) == (7, 300, "")
    page.fill('[aria-label="Units of layer 1"]', "0")
    page.press('[aria-label="Units of layer 1"]', "Enter")
    page.wait_for_selector("#toast.wrong")
    assert visitor.session.settings == settings


PIXELS = """(id) => {
    const canvas = document.getElementById(id);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) {
        sum = (31 * sum + data[i] + 7 * data[i + 1] + 3 * data[i + 2]) % 1e9;
    }
    return sum;
}"""


def test_training_is_drawn_live_and_every_speed_runs(visitor):
    page = visitor.page
    drawn = {}
    for speed in ("batch", "epoch", "fast"):
        page.select_option("#speed", speed)
        page.click("#start")
        before = visitor.facts["step"]
        visitor.wait(lambda b=before: visitor.facts["step"] > b + 3)
        page.click("#start")
        visitor.wait(lambda: visitor.know("state.frame.running") is False)
        page.wait_for_timeout(150)
        now = {id: page.evaluate(PIXELS, id) for id in ("network", "output", "loss-curve", "metric-curve")}
        assert all(now[id] != drawn.get(id) for id in ("network", "output", "loss-curve"))
        drawn = now
    session, shown = visitor.session, visitor.know("[state.frame.epoch, state.points.at(-1)]")
    point = session.ask(lambda: session.trainer.points[-1]).result()
    assert shown[0] == visitor.facts["epoch"] and shown[1][:3] == [point.epoch, point.loss, point.held_loss]


def test_the_plane_is_two_features_or_two_components(visitor):
    page = visitor.page
    visitor.click('[title^="Iris"]')
    page.select_option("#axes >> label:has-text('up') >> select", "3")
    visitor.wait(lambda: visitor.know("state.plane?.axes[1].name") == "petal width")
    page.select_option("#axes >> label:has-text('Plane') >> select", "components")
    visitor.wait(lambda: visitor.know("state.plane?.axes[0].name") == "component 1")
    box = page.locator("#output").bounding_box()
    place = visitor.know("""(() => {
        const [x, y] = state.plane.axes, p = new Float32Array(state.plane.blobs.places.slice(40, 48).buffer);
        return [(p[0] - x.low) / (x.high - x.low), (y.high - p[1]) / (y.high - y.low)];
    })()""")
    side = box["width"]
    across, down = 40 + place[0] * (side - 48), 8 + place[1] * (side - 42)
    page.mouse.click(box["x"] + across, box["y"] + down)
    assert page.input_value("#row") != "0"


# ------------------------------------------------------------------ equations


def test_links_outputs_and_the_loss_are_read_and_factors_light_the_network(visitor):
    page = visitor.page
    visitor.click("#step-epoch")
    link = visitor.page.evaluate("""async () => {
        const base = location.href.split("#")[0];
        const { view } = await import(base + "network.js");
        const { ends } = await import(base + "geometry.js");
        const [x1, y1, x2, y2] = ends(view.plan, 1, 0, 0);
        return [x1 + 0.04 * (x2 - x1), y1 + 0.01 * (y2 - y1)];
    }""")
    box = page.locator("#network").bounding_box()
    page.mouse.click(box["x"] + link[0], box["y"] + link[1])
    chosen = visitor.know("state.selected")
    assert chosen["kind"] == "link" and chosen["layer"] == 1
    i, j = chosen["from"], chosen["to"]
    weight = f"w_{{{i},{j}}}^[1]"
    run = passed(visitor.session, 0)
    widths = visitor.session.describe()["network"]["widths"]
    dW = run.gradient[: widths[0] * widths[1]].reshape(widths[:2])
    assert visitor.value(f"d{weight}") == dW[i, j]
    assert np.isfinite(visitor.value(weight))  # after the update
    assert page.locator(f'.equation[data-symbol="{weight}"] msqrt').count() > 0  # Adam's, with its numbers
    factor = page.locator(f'.equation[data-symbol="d{weight}"] .factor').last
    factor.focus()
    assert visitor.know("state.lit.length") == 1
    assert factor.get_attribute("aria-label")
    factor.press("Enter")
    visitor.wait(lambda: visitor.know("state.selected.kind") in ("input", "unit"))
    page.click('[data-element="output  0"]')
    assert (
        visitor.value("ŷ_0") == reference.predict(visitor.session.model.estimator_.network_, run.A[-1])[0, 0]
    )
    page.click('[data-element="loss  "]')
    assert visitor.value("L") > 0 and visitor.value("da_0^[3]") == run.dA[-1][0, 0]


def test_the_walk_goes_from_the_input_to_the_new_weights(visitor):
    page = visitor.page
    page.click("#tab-walk")
    page.wait_for_selector("#walk-next")
    seen = []
    while True:
        pressed = page.get_attribute("#flow", "aria-pressed")
        part = page.locator("#panel-walk .equation").first.get_attribute("data-part")
        seen.append(part)
        assert pressed == ("true" if part == "backward" else "false")
        assert visitor.know("state.lit.length") > 0 or part in ("loss", "update")
        if page.is_disabled("#walk-next"):
            break
        page.click("#walk-next")
    assert list(dict.fromkeys(seen)) == ["input", "forward", "loss", "backward", "update"]
    visitor.click("#walk-step")
    assert visitor.facts["step"] == 1
    visitor.wait(lambda: "Step 1 of" in page.inner_text("#walk-place"))


def test_judgement_and_diagnosis(visitor):
    page = visitor.page
    visitor.click('[title^="Arms"]')
    visitor.click("#step-epoch")
    page.click("#tab-judge")
    page.wait_for_selector(".confusion")
    counts = [int(text) for text in page.locator(".confusion tr td:not(:first-child)").all_inner_texts()]
    assert sum(counts) == len(visitor.session.model.parts_.held_out) and page.locator(".point").count()
    page.click("#tab-diagnosis")
    page.wait_for_selector("#panel-diagnosis h3")
    visitor.click('[title^="Peaks"]')
    page.click("#tab-judge")
    page.wait_for_selector(".cloud")


# ------------------------------------------------------------------ taking away


def test_code_traces_pictures_and_a_link_are_taken_away(visitor):
    page = visitor.page
    for _ in range(3):
        visitor.click("#step-epoch")
    names = {"print": lambda *_: None}
    code = visitor.download("#take-code").decode().replace('model.save("model.safetensors")', "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(code, "train.py", "exec"), names)
    assert np.array_equal(names["model"].estimator_.theta_, visitor.theta)
    assert b"<math>" in visitor.download("#take-html")
    assert visitor.download("#take-latex").startswith(b"\\documentclass")
    drawing = visitor.download("#take-svg").decode()
    assert drawing.startswith("<svg") and drawing.count("<path") == 2 * 6 + 6 * 4 + 4
    assert drawing.count("data:image/png") == 2 + 6 + 4 + 1 and "http" not in drawing.replace(
        "http://www.w3.org/2000/svg", ""
    )
    assert visitor.download("#take-png").startswith(b"\x89PNG")
    visitor.click('[title^="Spirals"]')
    visitor.change('[aria-label="Units of layer 2"]', 3)
    page.click("#takeaway summary") if not page.is_visible("#take-link") else None
    page.click("#take-link")
    link = page.url
    assert "#" in link
    visitor.click('[title^="Moons"]')
    page.click("#takeaway summary")
    page.fill("#restore", link)
    page.press("#restore", "Enter")
    visitor.wait(lambda: visitor.session.source.example.name == "spirals")
    assert visitor.session.settings.layers[1].units == 3


def test_a_link_restores_the_settings_in_a_new_tab(studio, browser, visitor):
    visitor.click('[title^="XOR"]')
    visitor.page.click("#takeaway summary")
    visitor.page.click("#take-link")
    with visiting(studio, browser) as other:
        other.page.goto("about:blank")
        other.open("#" + visitor.page.url.partition("#")[2])
        other.wait(lambda: other.know("state.facts.source.example?.name") == "xor")
        assert other.session is not visitor.session


# ------------------------------------------------------------------ for everyone


def test_the_keyboard_does_it_all(visitor):
    page = visitor.page
    page.keyboard.press("b")
    visitor.wait(lambda: visitor.facts["step"] == 1)
    page.keyboard.press("e")
    visitor.wait(lambda: visitor.facts["epoch"] == 1)
    page.keyboard.press("r")
    visitor.wait(lambda: visitor.facts["step"] == 0)
    page.keyboard.press("Space")
    visitor.wait(lambda: visitor.know("state.running"))
    page.keyboard.press("Space")
    visitor.wait(lambda: not visitor.facts["running"])
    for key in ("n", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert visitor.know("state.selected") == {"kind": "unit", "layer": 1, "unit": 1}
    page.wait_for_selector('.equation[data-symbol="z_1^[1]"]')
    page.keyboard.press("g")
    assert page.get_attribute("#flow", "aria-pressed") == "true"
    page.keyboard.press("Escape")
    assert visitor.know("state.selected") is None
    theme = page.get_attribute("html", "data-theme")
    page.keyboard.press("d")
    assert page.get_attribute("html", "data-theme") != theme
    page.focus("#tab-equations")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-walk", "aria-selected") == "true"


NAMELESS = """() => [...document.querySelectorAll("button, input, select, a, summary, [role]")]
    .filter((e) => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim()
        || [...(e.labels ?? [])].some((label) => label.textContent.trim())))
    .filter((e) => !["alert", "status"].includes(e.getAttribute("role")))
    .map((e) => e.outerHTML.slice(0, 120))"""


def test_everything_that_can_be_used_has_a_name(visitor):
    visitor.click('[title^="Waves"]')
    visitor.page.click('[data-element="unit 1 0"]')
    visitor.page.wait_for_selector(".factor")
    assert visitor.page.evaluate(NAMELESS) == []
    assert visitor.page.get_attribute("html", "lang") == "en"
    ids = visitor.page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def luminance(colour):
    parts = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_and_no_window_is_too_narrow(studio, browser, scheme):
    with visiting(studio, browser, color_scheme=scheme) as visitor:
        page = visitor.page
        assert page.get_attribute("html", "data-theme") == scheme
        for width, height in SIZES.values():
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(100)
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0
        for selector in ("h2", ".quiet", "#step-batch", ".button", ".field span", ".hint", "footer p"):
            style = page.eval_on_selector(selector, "(e) => getComputedStyle(e).color")
            ground = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
            light, dark = sorted((luminance(style), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, selector


# Machado, Oliveira & Fernandes 2009: what is seen without one of the three kinds of cones (linear RGB).
SIGHT = {
    "all cones": np.eye(3),
    "no red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "no blue cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


def test_both_signs_differ_for_every_colour_vision(visitor):
    names = visitor.page.locator("#palette option").all_inner_texts()
    assert len(names) >= 3
    for name in names:
        visitor.page.select_option("#palette", name)
        colours = visitor.page.evaluate(
            "['--minus', '--plus'].map((v) => document.documentElement.style.getPropertyValue(v))"
        )
        rgb = [np.array([int(v) for v in re.findall(r"\d+", c)]) / 255 for c in colours]
        for matrix in SIGHT.values():
            minus, plus = (np.clip(np.array(matrix) @ c**2.2, 0, 1) ** (1 / 2.2) for c in rgb)
            assert np.linalg.norm(minus - plus) > 0.25, name


# ------------------------------------------------------------------ the server's side


def test_nothing_comes_from_elsewhere_and_no_script_but_our_own(studio, visitor):
    visitor.click('[title^="Digits"]')
    visitor.page.click("#tab-judge")
    visitor.download("#take-png")
    home = origin(studio)
    places = {
        url.split("://")[1].split("/")[0]
        for url in visitor.requests
        if not url.startswith(("blob:", "data:"))
    }
    assert places == {home.split("://")[1]}
    scripts = visitor.page.evaluate("[...document.scripts].map((s) => s.src + s.textContent)")
    assert [script.rpartition("/")[2] for script in scripts] == ["main.js"]
    page = Path(__file__).parents[1] / "src/chainrule/studio/page"
    for file in page.iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), file.name
        assert not re.search(r"\beval\(|innerHTML|document\.write|new Function", text), file.name
        assert len(text.splitlines()) <= 400, file.name


def test_tabs_are_independent_and_a_dropped_connection_resumes(studio, browser, visitor):
    with visiting(studio, browser) as other:
        assert other.session is not visitor.session
        visitor.click("#step-epoch")
        assert other.facts["epoch"] == 0
        session = visitor.session
        for connection in list(studio.server.server_state.connections):
            connection.loop.call_soon_threadsafe(connection.transport.abort)
        visitor.wait(lambda: not visitor.know("state.online") or visitor.page.is_visible("#banner"))
        visitor.wait(lambda: visitor.know("state.online"))
        visitor.click("#step-epoch")
        assert visitor.session is session and visitor.facts["epoch"] == 2
        visitor.wait(lambda: visitor.know("state.points.length") == 3)
        other.errors, visitor.errors = [], []


def test_a_reload_goes_on_with_the_session(visitor):
    visitor.click("#step-epoch")
    session = visitor.session
    visitor.page.reload()
    visitor.page.wait_for_selector(".unit")
    visitor.wait(lambda: visitor.know("state.frame?.epoch") == 1)
    assert visitor.session is session


def test_a_table_that_cannot_be_learnt_leaves_a_sentence(studio, browser):
    with visiting(studio, browser) as visitor:
        text = "a,c,b\n" + "1,x,k\n2,y,k\n" * 10
        visitor.page.set_input_files("#file", {"name": "x.csv", "mimeType": "", "buffer": text.encode()})
        visitor.page.wait_for_selector("#problem:visible")
        assert "single class" in visitor.page.inner_text("#problem")
        visitor.page.click("#start")
        visitor.page.wait_for_selector("#toast.wrong")
        visitor.page.select_option("#target", "c")
        visitor.page.wait_for_selector("#problem", state="hidden")


def test_the_state_is_json_all_the_way():
    session = Session()
    assert json.loads(json.dumps(session.ask(session.describe).result()))["network"]["widths"] == [2, 6, 4, 1]
    session.close()
