"""The report on a table model: its page, the reference beside it, and what columns are worth."""

import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

import chainrule
from chainrule import TableModel, report_html, table_page, table_reference
from chainrule.cli import main
from chainrule.column_values import as_frame
from chainrule.errors import DataError, MissingPackageError, OptionError
from chainrule.permutation import importances, loss
from chainrule.table_page import MOST_IMPORTANCES
from chainrule.table_reference import compare

pytest.importorskip("matplotlib")

HOSTILE = "<script>alert('x')</script>"
VOID = {"meta", "img"}
ROWS = 160


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 2))
    label = np.where(x[:, 0] > 0, "$\\bad {", "<img src=x onerror=alert(1)>")
    return pl.DataFrame(
        {
            "x": x[:, 0],
            "noise": x[:, 1],
            HOSTILE: rng.choice(["a", "</style><b>"], ROWS),
            "kind": label,
            "size": 10 * x[:, 0] + 100,
        }
    )


@pytest.fixture(scope="module")
def classifier(frame):
    model = TableModel(hidden_layer_sizes=(8,), learning_rate_init=0.02, max_iter=40)
    model.fit(frame, "kind", drop=["size"])
    compare(model, frame)
    return model


@pytest.fixture(scope="module")
def regressor(frame):
    model = TableModel(hidden_layer_sizes=(8,), learning_rate_init=0.02, max_iter=40)
    model.fit(frame, "size", drop=["kind"])
    compare(model, frame)
    return model


@pytest.mark.parametrize("rows", [60, 11_000])
def test_a_class_of_one_row_does_not_stop_the_reference(rows):
    """With more than 10,000 rows scikit-learn's boosting divides them, each class by itself."""
    x = np.random.default_rng(0).standard_normal(rows)
    kind = np.where(x > 0, "a", "b").astype("<U4")
    kind[0] = "rare"
    table = pl.DataFrame({"x": x, "kind": kind})
    model = TableModel(hidden_layer_sizes=(2,), max_iter=1, batch_size=16).fit(table, "kind")
    compare(model, table)
    assert model.report_["scores"]["accuracy"]["reference"] > 0.9
    lonely = pl.DataFrame({"x": x[:60], "kind": ["one"] + ["many"] * 59})
    model = TableModel(hidden_layer_sizes=(2,), max_iter=1, batch_size=16).fit(lonely, "kind")
    compare(model, lonely)
    assert "reference" not in model.report_


def series(frame, name):
    """A column as the target takes it."""
    return as_frame(frame)[name]


class Reader(HTMLParser):
    """Collects tags, attributes and text, and refuses what is not closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return "".join(self.texts)


@pytest.mark.parametrize("which", ["classifier", "regressor"])
def test_the_page_is_whole_runs_nothing_and_fetches_nothing(which, frame, request, tmp_path):
    model = request.getfixturevalue(which)
    page = report_html(model, frame, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    read = Reader(page)
    assert not {"script", "iframe", "link", "object", "a", "b"} & set(read.tags)
    assert all(not name.startswith("on") for name, _ in read.attributes)
    sources = [value for name, value in read.attributes if name in {"src", "href", "srcset", "data"}]
    assert sources and all(value.startswith("data:image/svg+xml;base64,") for value in sources)
    assert len(sources) == {"classifier": 3, "regressor": 2}[which]
    assert ("content", table_page.POLICY) in read.attributes
    assert HOSTILE in read.text
    for heading in ("Scores", "Training", "What each column is worth", "What was done to each column"):
        assert heading in read.text
    assert "Forward propagation" in read.text and "Layer 2" in read.text
    for found in model.report_["scores"].values():
        assert all(table_page._figure(value) in read.text for value in found.values())
    assert report_html(model, frame) == page


def test_the_row_is_the_one_that_is_misjudged_most(regressor, frame):
    held = regressor.parts_.held_out
    errors = np.abs(regressor.predict(frame[held]) - frame["size"].to_numpy()[held])
    row = held[errors.argmax()]
    text = Reader(report_html(regressor, frame)).text
    assert f"Row {row}, counted from 0: the one of the 32 rows held out" in text
    assert f"True: {frame['size'][int(row)]:.6g}." in text


def test_a_model_from_a_file_is_judged_by_the_rows_given(classifier, frame, tmp_path):
    classifier.save(tmp_path / "a.model")
    loaded = chainrule.load(tmp_path / "a.model")
    text = Reader(report_html(loaded, frame.head(50))).text
    assert "Of the 50 rows given." in text and "HistGradientBoosting (scikit-learn" in text
    with pytest.raises(DataError, match="No row has a value in the target 'kind'"):
        report_html(loaded, frame.head(5).with_columns(kind=pl.lit(None, pl.String)))


def test_without_rows_held_out_there_are_no_scores(frame):
    model = TableModel(hidden_layer_sizes=(3,), max_iter=2, test_size=0).fit(frame, "kind")
    compare(model, frame)
    assert "reference" not in model.report_
    text = Reader(report_html(model, frame)).text
    assert "Scores" not in text and f"{ROWS} rows given" in text


@pytest.mark.parametrize(
    ("which", "kind", "score", "name"),
    [
        ("classifier", HistGradientBoostingClassifier, "accuracy", "kind"),
        ("regressor", HistGradientBoostingRegressor, "R²", "size"),
    ],
)
def test_the_reference_learns_from_the_same_rows(which, kind, score, name, frame, request):
    model = request.getfixturevalue(which)
    X, y = model.encoder_.transform(frame), model.target_.encode(series(frame, name))
    held, known = model.parts_.held_out, model.parts_.known
    direct = kind(random_state=0).fit(X[known], y[known])
    found = model.report_["scores"][score]
    assert found["reference"] == pytest.approx(direct.score(X[held], y[held]), rel=1e-12)
    assert model.report_["reference"]["name"] == "HistGradientBoosting"


def test_lightgbm_is_taken_where_it_is_installed(frame, monkeypatch):
    known = []

    class Constant:
        def __init__(self, random_state, verbose):
            self.classes_ = np.array([1])

        def fit(self, X, y):
            known.append(len(X))

        def predict_proba(self, X):
            return np.ones((len(X), 1))

    made = SimpleNamespace(LGBMClassifier=Constant, LGBMRegressor=None)
    monkeypatch.setitem(sys.modules, "lightgbm", made)
    monkeypatch.setattr(table_reference, "find_spec", lambda name: name)
    monkeypatch.setattr(table_reference, "version", lambda name: "9.9")
    monkeypatch.setattr(table_reference, "MOST_ROWS", 50)
    model = TableModel(hidden_layer_sizes=(3,), max_iter=2).fit(frame, "kind")
    compare(model, frame)
    assert model.report_["reference"]["package"] == "lightgbm 9.9" and known == [50]
    share = np.mean(model.target_.encode(series(frame, "kind"))[model.parts_.held_out] == 1)
    assert model.report_["scores"]["accuracy"]["reference"] == share


def test_the_worth_of_a_column_is_the_rise_of_the_loss(regressor, frame):
    X = regressor.encoder_.transform(frame)
    y = regressor.target_.encode(series(frame, "size"))
    found = {importance.column: importance for importance in importances(regressor, X, y)}
    assert next(iter(found)) == "x" and found["x"].mean > 5 * abs(found["noise"].mean)
    rng = np.random.default_rng(0)
    rises = []
    for _ in range(5):
        changed = X.copy()
        changed[:, 0] = X[rng.permutation(len(X)), 0]
        predicted = regressor.estimator_.predict(changed)
        rises.append(np.sqrt(np.mean((predicted - y) ** 2)) * regressor.target_.scale)
    assert found["x"].mean == pytest.approx(np.mean(rises) - loss(regressor, X, y))
    assert found["x"].deviation == pytest.approx(np.std(rises))


def test_a_column_without_weight_is_worth_nothing(frame):
    model = TableModel(hidden_layer_sizes=(4,), max_iter=5).fit(frame, "kind", drop=["size"])
    of_category = [name.startswith(HOSTILE) for name in model.encoder_.feature_names]
    model.estimator_.coefs_[0][of_category] = 0
    found = importances(model, model.encoder_.transform(frame), model.target_.encode(series(frame, "kind")))
    assert [(i.mean, i.deviation) for i in found if i.column == HOSTILE] == [(0, 0)]


def test_many_columns_are_cut_short():
    rng = np.random.default_rng(0)
    many = pl.DataFrame(rng.standard_normal((60, 120)), schema=[f"c{i}" for i in range(120)])
    model = TableModel(hidden_layer_sizes=(2,), max_iter=2).fit(many, "c0")
    text = Reader(report_html(model, many)).text
    assert f"And {119 - MOST_IMPORTANCES} more." in text and "And 19 more." in text


def test_what_cannot_be_reported_is_refused(frame, monkeypatch):
    with pytest.raises(OptionError, match="not fitted"):
        report_html(TableModel(), frame)
    model = TableModel(hidden_layer_sizes=(2,), max_iter=2).fit(frame, "kind")
    monkeypatch.setattr(table_page, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"matplotlib, .* pip install 'chainrule\[plot\]'"):
        report_html(model, frame)


def test_the_command_writes_the_page(frame, tmp_path):
    frame.write_csv(tmp_path / "a.csv")
    common = ["train", f"{tmp_path}/a.csv", "--target", "size", "--hidden", "3", "--epochs", "3"]
    common += ["--output", f"{tmp_path}/a.model"]
    shown = CliRunner().invoke(main, [*common, "--report", f"{tmp_path}/a.html"])
    assert shown.exit_code == 0, shown.output
    assert "HistGradientBoosting" in shown.stdout
    assert "HistGradientBoosting" in Reader((tmp_path / "a.html").read_text()).text
    without = CliRunner().invoke(main, [*common, "--no-reference"])
    assert without.exit_code == 0 and "HistGradientBoosting" not in without.stdout
    many = frame.with_columns(size=pl.Series([f"class {i % 11}" for i in range(ROWS)]))
    many.write_csv(tmp_path / "a.csv")
    assert "HistGradientBoosting" not in CliRunner().invoke(main, common).stdout
    assert "HistGradientBoosting" in CliRunner().invoke(main, [*common, "--reference"]).stdout
    refused = CliRunner().invoke(main, [*common, "--report", f"{tmp_path}/a.model"])
    assert refused.exit_code == 2 and "The model and the report cannot both be written" in refused.stderr
