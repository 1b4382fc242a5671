"""From a table to a model: targets, parts, scores, files."""

import datetime
import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, r2_score, roc_auc_score

from chainrule import scores, store, targets
from chainrule.column_values import as_frame
from chainrule.errors import DataError, FileError, OptionError
from chainrule.models import KINDS, load
from chainrule.predictions import predictions
from chainrule.splits import set_apart
from chainrule.table_model import TableModel

SMALL = {"hidden_layer_sizes": (4,), "max_iter": 3}


def flowers(rows: int = 60) -> pl.DataFrame:
    """Three kinds that two numbers and a colour tell apart, and numbers that follow from them."""
    rng = np.random.default_rng(0)
    kind = np.arange(rows) % 3
    x = rng.normal(size=rows) + 3.0 * kind
    return pl.DataFrame(
        {
            "x": x,
            "z": rng.normal(size=rows),
            "colour": ["red" if k else "blue" for k in kind],
            "kind": [("ash", "elm", "oak")[k] for k in kind],
            "price": 1000.0 + 10.0 * x,
        }
    )


def small(**options) -> TableModel:
    return TableModel(**{**SMALL, **options})


def target_of(values, task=None):
    return targets.learn(as_frame(pl.DataFrame({"y": values}, strict=False))["y"], task)


# ------------------------------------------------------------------ targets


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"] * 5, "classification"),
        ([True, False] * 5, "classification"),
        ([0, 1] * 5, "classification"),
        ([1.0, 2.0, None] * 5, "classification"),
        (list(range(10)) * 2, "classification"),
        (list(range(11)) * 2, "regression"),
        (list(range(5)), "regression"),
        ([0.5, 1.5] * 5, "regression"),
        ([1e200, -3.0, 7.25], "regression"),
    ],
)
def test_the_task_follows_from_the_target(values, task):
    assert target_of(values).task == task


def test_the_task_can_be_given():
    assert target_of([0, 1] * 5, "regression").task == "regression"
    assert target_of([0.5, 1.5] * 5, "classification").labels == (0.5, 1.5)
    with pytest.raises(OptionError, match="task must be"):
        target_of([0, 1], "clustering")


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["b", None, "a", "b"], ("a", "b")),
        ([True, False, None, True], (False, True)),
        ([2.0, 1.0, math.nan, 1.0], (1, 2)),
        ([2**63 - 1, 2**63 - 2, None], (2**63 - 2, 2**63 - 1)),
    ],
)
def test_classes_keep_their_type(values, labels):
    target = target_of(values, "classification")
    assert target.labels == labels
    assert list(map(type, target.labels)) == list(map(type, labels))
    series = as_frame(pl.DataFrame({"y": values}))["y"]
    decoded = target.decode(target.encode(series))
    there = targets.present(target.encode(series))
    wanted = [v for v in values if v is not None and v == v]
    assert decoded[there].tolist() == wanted
    assert targets.from_dict(json.loads(json.dumps(targets.to_dict(target)))) == target


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_numbers_are_standardised_and_back(scale):
    values = np.array([1.0, 2.0, 4.5]) * scale
    target = target_of(values)
    y = target.encode(as_frame(pl.DataFrame({"y": values}))["y"])
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=1e-15)
    np.testing.assert_allclose(target.decode(y), values)
    assert targets.from_dict(json.loads(json.dumps(targets.to_dict(target)))) == target


@pytest.mark.parametrize(
    ("values", "task", "words"),
    [
        (["a", "a", None], None, "single class, 'a'"),
        ([f"{i}" for i in range(20)], None, "20 different values in 20 rows"),
        ([0.5, 0.5], None, "is 0.5 in every row"),
        (["1", "x"], "regression", "row 2: 'x' is not a number"),
        ([1.0, math.inf], None, "row 2: the value is infinite"),
        ([datetime.date(2024, 1, 1)] * 3, None, "is a date"),
        ([None, None], None, "no row with a value"),
        ([1.5, None], None, "only one row with a value"),
    ],
)
def test_targets_without_anything_to_learn(values, task, words):
    with pytest.raises(DataError, match=words):
        target_of(values, task)


def test_a_class_that_was_not_trained():
    target = target_of(["a", "b"] * 3)
    with pytest.raises(DataError, match="row 2: 'c' is none of the classes"):
        target.encode(as_frame(pl.DataFrame({"y": ["a", "c"]}))["y"])


# ------------------------------------------------------------------ parts


@pytest.mark.parametrize("seed", range(5))
def test_parts_cover_all_rows_once(seed):
    rows = np.arange(5, 105)
    groups = np.repeat([0, 1, 2], [70, 27, 3])
    parts = set_apart(rows, groups, 0.2, 0.1, seed)
    together = np.concatenate([parts.training, parts.validation, parts.held_out])
    assert sorted(together) == rows.tolist()
    assert parts.known.tolist() == sorted({*rows} - {*parts.held_out})
    assert len(parts.held_out) == 20 and len(parts.validation) == 8
    held = np.bincount(groups[parts.held_out - 5], minlength=3)
    assert held.tolist() in ([14, 5, 1], [14, 6, 0])  # each class its share, to one row


def test_the_last_row_of_a_class_stays_in_training():
    groups = np.array([0] * 9 + [1])
    for seed in range(10):
        parts = set_apart(np.arange(10), groups, 0.5, 0.5, seed)
        assert 9 in parts.training
        assert {0, 1} <= {*groups[parts.training]}


def test_the_seed_decides():
    draws = [set_apart(np.arange(50), None, 0.2, 0.1, seed).held_out.tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


# ------------------------------------------------------------------ scores


@pytest.mark.parametrize("K", [2, 3])
def test_scores_of_classes_agree_with_another_source(K, rng):
    y = rng.integers(0, K, 200)
    P = rng.dirichlet(np.ones(K), 200).round(2)
    P /= P.sum(axis=1, keepdims=True)
    found = scores.classification(y, P)
    predicted = P.argmax(axis=1)
    assert found["accuracy"] == (predicted == y).mean()
    assert found["balanced accuracy"] == pytest.approx(balanced_accuracy_score(y, predicted))
    inside = (P[np.arange(200), y] > 0).all()
    if inside:
        assert found["log loss"] == pytest.approx(log_loss(y, P))
    assert math.isfinite(found["log loss"])
    if K == 2:
        assert found["ROC AUC"] == pytest.approx(roc_auc_score(y, P[:, 1]))
    else:
        assert "ROC AUC" not in found


def test_scores_of_numbers_agree_with_another_source(rng):
    y, predicted = rng.normal(size=(2, 100))
    found = scores.regression(y, predicted, 3.0)
    assert found["R²"] == pytest.approx(r2_score(y, predicted))
    assert found["mean absolute error"] == pytest.approx(3 * np.abs(y - predicted).mean())
    assert found["root mean squared error"] == pytest.approx(3 * np.sqrt(((y - predicted) ** 2).mean()))
    assert "R²" not in scores.regression(np.ones(3), np.zeros(3))


# ------------------------------------------------------------------ models


@pytest.mark.slow
def test_learns_classes_and_says_how_well():
    model = TableModel(hidden_layer_sizes=(8,), max_iter=100, learning_rate_init=0.02)
    model.fit(flowers(300), "kind", drop=["price"])
    accuracy = model.report_["scores"]["accuracy"]
    assert accuracy["model"] > 0.85 and accuracy["baseline"] == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.slow
def test_learns_numbers_and_says_how_well():
    model = TableModel(hidden_layer_sizes=(8,), max_iter=200, learning_rate_init=0.02)
    model.fit(flowers(300), "price", drop=["kind"])
    found = model.report_["scores"]
    assert found["R²"]["model"] > 0.95
    assert abs(found["R²"]["baseline"]) < 0.1
    errors = found["mean absolute error"]
    assert errors["model"] < errors["baseline"] / 3
    predicted = model.predict(flowers(300))
    np.testing.assert_allclose(predicted.mean(), 1030, rtol=0.01)


def test_the_report_says_what_was_done():
    frame = flowers().with_columns(pl.lit(1).alias("same"))
    frame = frame.with_columns(kind=pl.when(pl.arange(60) < 6).then(None).otherwise("kind"))
    epochs = []
    model = small().fit(frame, "kind", drop=["price"], callbacks=[epochs.append])
    report = json.loads(json.dumps(model.report_))
    assert report["target"] == "kind" and report["task"] == "classification"
    assert report["classes"] == ["ash", "elm", "oak"]
    assert report["dropped"] == ["price"]
    assert report["rows"] == {
        "in the table": 60,
        "without a target": 6,
        "to train on": 43,
        "to stop by": 0,
        "held out": 11,
    }
    done = {column["column"]: column["done"] for column in report["columns"]}
    assert done["colour"] == "2 levels (blue, red)"
    assert done["same"] == "dropped: every value is the same"
    assert report["network"]["widths"] == [4, 4, 3]
    assert report["network"]["parameters"] == 4 * 4 + 4 + 4 * 3 + 3
    assert report["training"]["epochs"] == report["training"]["most_epochs"] == 3
    assert report["training"]["stopped"] == "epochs"
    assert [(epoch.number, epoch.epochs) for epoch in epochs] == [(1, 3), (2, 3), (3, 3)]


def test_rows_to_stop_by():
    report = small().fit(flowers(150), "kind").report_
    assert report["rows"]["to stop by"] == 12
    for options in ({"validation_size": 0}, {"solver": "lbfgs"}):
        assert small(**options).fit(flowers(150), "kind").report_["rows"]["to stop by"] == 0


def test_training_can_be_interrupted():
    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    model = small(max_iter=9)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(flowers(), "kind", callbacks=[interrupt])
    done = model.report_["training"]
    assert (done["epochs"], done["most_epochs"], done["stopped"]) == (2, 9, "interrupted")
    assert model.report_["scores"] is not None


def test_nothing_held_out():
    model = small(test_size=0).fit(flowers(), "kind")
    assert model.report_["scores"] is None
    assert model.report_["rows"]["held out"] == 0


def test_two_rows_are_enough():
    frame = pl.DataFrame({"x": [1, 2], "y": [0.5, 1.5]})
    assert np.isfinite(small().fit(frame, "y").predict(frame)).all()


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (["no", "yes"] * 10, {"no", "yes"}),
        ([False, True] * 10, {False, True}),
        ([3, 7] * 10, {3, 7}),
    ],
)
def test_predicts_the_classes_themselves(target, labels):
    frame = pl.DataFrame({"x": range(20), "y": target})
    model = small().fit(frame, "y")
    predicted = model.predict(frame.drop("y"))
    assert set(predicted.tolist()) <= labels
    P = model.predict_proba(frame)
    assert P.shape == (20, 2)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    assert (model.classes_[P.argmax(axis=1)] == predicted).all()


def test_the_same_seed_gives_the_same_model():
    first, second, other = (small(random_state=s).fit(flowers(), "price") for s in (0, 0, 1))
    assert (first.predict(flowers()) == second.predict(flowers())).all()
    assert (first.predict(flowers()) != other.predict(flowers())).any()


def test_any_frame_and_any_order_of_columns():
    model = small().fit(flowers(), "kind")
    wanted = model.predict_proba(flowers())
    for other in (
        pd.DataFrame(flowers().to_dict(as_series=False)),
        flowers().select("price", "colour", "z", "x"),
    ):
        assert (model.predict_proba(other) == wanted).all()
    again = small().fit(pd.DataFrame(flowers().to_dict(as_series=False)), "kind")
    assert (again.predict_proba(flowers()) == wanted).all()


def test_a_huge_target():
    frame = flowers().with_columns(price=pl.col("price") * 1e200)
    model = small().fit(frame, "price")
    assert np.isfinite(model.predict(frame)).all()
    assert all(math.isfinite(s["model"]) for s in model.report_["scores"].values())


def test_a_class_with_one_member():
    frame = flowers().with_columns(kind=pl.when(pl.arange(60) == 7).then(pl.lit("fir")).otherwise("kind"))
    model = small().fit(frame, "kind")
    assert "fir" in model.classes_ and 7 in model.parts_.training


def test_what_is_new_in_a_table():
    model = small().fit(flowers(), "kind", drop=["price"])
    assert model.notes(flowers()) == []
    new = flowers().with_columns(pl.lit(1).alias("more"), colour=pl.lit("green"))
    assert len(model.notes(new)) == 2


def test_predictions_as_a_table():
    frame = flowers().with_columns(pl.Series("flag", [True, False] * 30))
    model = small().fit(frame, "flag")
    table = predictions(model, frame, probabilities=True, keep=["x"])
    assert table.columns == ["x", "flag", "probability_false", "probability_true"]
    assert (table["x"] == frame["x"]).all()
    with pytest.raises(OptionError, match="'flag' is the name"):
        predictions(model, frame, keep=["flag"])
    with pytest.raises(DataError, match="no column 'absent'"):
        predictions(model, frame, keep=["absent"])


@pytest.mark.compiled
@pytest.mark.parametrize("target", ["kind", "price"])
def test_its_gradient_is_right(target):
    model = small(activation="tanh").fit(flowers(), target)
    report = model.check_gradients(flowers(), rows=10)
    assert report.passed and report.error < 1e-13
    with pytest.raises(OptionError, match="at least 1"):
        model.check_gradients(flowers(), rows=0)
    with pytest.raises(DataError, match="No row has a value"):
        model.check_gradients(flowers().with_columns(pl.lit(None, pl.String).alias(target)))


@pytest.mark.parametrize(
    ("options", "fit", "error", "words"),
    [
        ({"test_size": 1.0}, {}, OptionError, "test_size must be a share"),
        ({"validation_size": -0.1}, {}, OptionError, "validation_size must be"),
        ({"hiden": (3,)}, {}, OptionError, "hiden"),
        ({}, {"target": "absent"}, DataError, "no column 'absent'"),
        ({}, {"drop": ["absent"]}, DataError, "no column 'absent'"),
        ({}, {"drop": ["kind"]}, OptionError, "cannot be dropped"),
        ({}, {"task": "other"}, OptionError, "task must be"),
        ({}, {"data": np.zeros((3, 2))}, DataError, "data frame"),
    ],
)
def test_wrong_options(options, fit, error, words):
    with pytest.raises(error, match=words):
        small(**options).fit(**{"data": flowers(), "target": "kind", **fit})


def test_wrong_tables_at_prediction():
    model = small().fit(flowers(), "price")
    with pytest.raises(DataError, match="no rows"):
        model.predict(flowers().clear())
    with pytest.raises(DataError, match="no column 'z'"):
        model.predict(flowers().drop("z"))
    with pytest.raises(DataError, match="data frame"):
        model.predict(np.zeros((3, 4)))
    with pytest.raises(OptionError, match="no probabilities"):
        model.predict_proba(flowers())
    assert not hasattr(model, "classes_")


def test_a_model_that_is_not_fitted(tmp_path):
    model = small()
    for use in (model.predict, model.predict_proba, model.check_gradients):
        with pytest.raises(OptionError, match="not fitted yet"):
            use(flowers())
    with pytest.raises(OptionError, match="not fitted yet"):
        model.save(tmp_path / "model")
    assert not hasattr(model, "classes_")


def test_few_positives():
    frame = pl.DataFrame({"x": np.arange(2000.0), "y": [i % 500 == 0 for i in range(2000)]})
    model = small().fit(frame, "y")
    held = frame["y"].to_numpy()[model.parts_.held_out]
    assert held.sum() == 1  # its share of four
    assert model.report_["scores"]["balanced accuracy"]["baseline"] == 0.5


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("target", ["kind", "price"])
def test_a_model_survives_its_file(tmp_path, target):
    model = small().fit(flowers(), target, drop=["z"])
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert isinstance(again, TableModel)
    assert (again.predict(flowers()) == model.predict(flowers())).all()
    assert again.report_ == json.loads(json.dumps(model.report_))
    assert again.notes(flowers()) == []
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def test_unknown_kinds_are_refused(tmp_path):
    store.write(tmp_path / "model", "Forest", {}, {})
    with pytest.raises(FileError, match=f"'Forest'.*{', '.join(KINDS)}"):
        load(tmp_path / "model")


NONSENSE = [[], {}, {"columns": [{"kind": "number"}]}, {"columns": []}, {"task": "x"}, "text", 1]
BOTH = {"task": "classification", "name": "kind"}
NUMBER = {"kind": "number", "name": "x", "fill": 0.0, "missing": False}


@pytest.mark.parametrize("part", ["estimator", "encoder", "target", "report"])
@pytest.mark.parametrize("instead", NONSENSE)
def test_contents_that_make_no_sense_are_refused(contents, part, instead):
    refuse(contents, {part: instead})


@pytest.mark.parametrize(
    "changes",
    [
        {"target": {**BOTH, "labels": ["ash", "elm"]}},
        {"target": {**BOTH, "labels": ["ash"]}},
        {"target": {**BOTH, "labels": ["ash", "elm", None]}},
        {"target": {"task": "regression", "name": "y", "centre": 0.0, "scale": 0.0}},
        {"target": {"task": "regression", "name": "y", "centre": "0", "scale": 1.0}},
        {"encoder": {"columns": [{**NUMBER, "centre": 0.0, "scale": 0.0}]}},
        {"encoder": {"columns": [{**NUMBER, "centre": math.nan, "scale": 1.0}]}},
        {"encoder": {"columns": [{**NUMBER, "centre": "0", "scale": 1.0}]}},
        {"encoder": {"columns": [{"kind": "category", "name": "x", "levels": [1], "missing": True}]}},
        {"encoder": {"columns": [{"kind": "date", "name": "x", "parts": ["eon"], "numbers": []}]}},
        {"encoder": {"columns": [{"kind": "number", "name": "x", "centre": 0.0, "spin": 2}]}},
    ],
)
def test_parts_that_do_not_fit_are_refused(contents, changes):
    refuse(contents, changes)


@pytest.fixture(scope="module")
def contents():
    return small().fit(flowers(), "kind").to_contents()


def refuse(contents, changes) -> None:
    metadata, arrays = contents
    with pytest.raises(FileError):
        TableModel.from_contents({**metadata, **changes}, arrays)


@pytest.mark.parametrize("part", ["estimator", "encoder", "target", "report"])
def test_a_part_that_is_not_there(contents, part):
    metadata, arrays = contents
    with pytest.raises(FileError):
        TableModel.from_contents({k: v for k, v in metadata.items() if k != part}, arrays)
