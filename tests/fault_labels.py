"""Labels, weights, options and validation data that are not as they should be."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from faults import N, X, c, clf, put, refused, reg, right, same, y
from sklearn.metrics import accuracy_score

from chainrule import MLPClassifier

# ---------------------------------------------------------------- labels

LABELS: dict[str, Any] = {
    "ints": c,
    "texts": np.array(["no", "yes"])[c],
    "truth values": c.astype(bool),
    "objects": np.array(["no", "yes"], dtype=object)[c],
    "whole floats": c.astype(float),
    "negative": -c,
    "a list of texts": ["yes" if v else "no" for v in c],
    "categories": pd.Series(pd.Categorical(np.array(["no", "yes"])[c])),
}
for label, labels in LABELS.items():
    right(
        f"labels: {label}",
        lambda t=labels: (
            set(clf(max_iter=300, learning_rate_init=0.05).fit(X, t).predict(X).tolist())
            <= set(np.asarray(t).tolist())
            and clf(max_iter=300, learning_rate_init=0.05).fit(X, t).score(X, t) > 0.8
        ),
    )
refused("labels: bytes", lambda: clf().fit(X, np.array([b"n", b"y"])[c]), "bytes", "Convert", "b'")
refused("labels: None", lambda: clf().fit(X, [None, "n", "y"] * 20), "y[0]", "None", "Leave out")
refused("labels: mixed", lambda: clf().fit(X, [1, "n", "y"] * 20), "y[0] is 1", "y[1] is 'n'", "astype(str)")
refused("labels: fractions", lambda: clf().fit(X, y), "continuous", "y[0] is 2.2", "MLPRegressor")
refused("labels: dicts", lambda: clf().fit(X, [{}] * N), "y[0]", "dict", "must be texts")
refused("labels: NaN among texts", lambda: clf().fit(X, ["n", np.nan] * 30), "y[1]", "nan", "Leave out")
refused("labels: dates of NumPy", lambda: clf().fit(X, c.astype("M8[D]")), "datetime64[D]", "must be texts")
refused(
    "labels: numbers as objects", lambda: clf().fit(X, c.astype(object)), "array of objects", "astype(int)"
)
refused("labels: past 64 bits", lambda: clf().fit(X, [10**30 * int(v) for v in c]), "objects", "astype(str)")
refused("labels: NUL at the end", lambda: clf().fit(X, ["b", "b\0"] * 30), "y[1] is 'b\\x00'", "cut off")
refused("labels: a generator", lambda: clf().fit(X, iter(c)), "y is a", "must be texts")
refused("labels: inf", lambda: clf().fit(X, np.where(c, np.inf, 0.0)), "y[0]", "inf", "Leave out")
refused(
    "labels: two columns", lambda: clf().fit(X, np.c_[c * 3, c]), "2 columns of labels", "MultiLabelBinarizer"
)
right("labels: nullable", lambda: clf().fit(X, pd.Series(c, dtype="Int64")).classes_.tolist() == [0, 1])
right("one class", lambda: one_class())
refused(
    "a class with one row, and stopping early",
    lambda: clf(early_stopping=True).fit(X, np.eye(N, dtype=int)[5]),
    "class 1 has a single row",
    "row 5",
    "validation_data",
)
right("4 positives in 2000 rows", lambda: few_positives())
refused(
    "warm start with other classes",
    lambda: clf(warm_start=True).fit(X, c).fit(X, c + 1),
    "warm_start",
    "[0 1]",
    "[1 2]",
)
refused(
    "warm start with other columns",
    lambda: reg(warm_start=True).fit(X, y).fit(X[:, :2], y),
    "2 features",
    "expecting 4",
    "Give the columns",
)
refused(
    "partial_fit without classes", lambda: clf().partial_fit(X, c), "classes must be passed", "first call"
)
refused(
    "partial_fit with a new class",
    lambda: clf().partial_fit(X, c, classes=[0, 1]).partial_fit(X, c + 5),
    "classes not in",
    "[0 1]",
    "[5 6]",
)
refused(
    "partial_fit with other classes",
    lambda: clf().partial_fit(X, c, classes=[0, 1]).partial_fit(X, c, classes=[0, 2]),
    "[0, 2]",
    "not the same",
    "[0, 1]",
)
refused(
    "partial_fit with mixed classes",
    lambda: clf().partial_fit(X, c, classes=[0, "a"]),
    "classes mixes",
    "texts",
)
refused(
    "partial_fit with early stopping",
    lambda: clf(early_stopping=True).partial_fit(X, c, classes=[0, 1]),
    "early",
)


def one_class() -> bool:
    model = clf().fit(X, np.full(N, "a"))
    return model.predict(X).tolist() == ["a"] * N and same(model.predict_proba(X), np.ones((N, 1)))


def few_positives() -> bool:
    """They are set apart in both parts, and a network of few units finds them."""
    draw = np.random.default_rng(0)
    rows, label = draw.normal(size=(2000, 3)), np.arange(2000) < 40
    label[4:40] = False
    rows[:4] += 8
    model = MLPClassifier((8,), learning_rate_init=0.02, random_state=0, early_stopping=True, metric="loss")
    model.set_params(validation_fraction=0.25, n_iter_no_change=30).fit(rows, label)
    return bool((model.predict(rows) == label).all())


# ---------------------------------------------------------------- weights

WEIGHTS = np.ones(N)
refused("a negative weight", lambda: reg().fit(X, y, put(WEIGHTS, 2, -1.0)), "row 2 is -1", "at least 0")
for label, value in {"NaN": np.nan, "inf": np.inf}.items():
    refused(
        f"a weight of {label}",
        lambda v=value: reg().fit(X, y, put(WEIGHTS, 5, v)),
        "row 5",
        "must be finite",
        "leave such rows out",
    )
refused("complex weights", lambda: reg().fit(X, y, WEIGHTS + 0j), "sample_weight", "complex", "Give real")
for label, value in {"too large": 1e308, "too small": 1e-320}.items():
    refused(f"weights {label}", lambda v=value: reg().fit(X, y, WEIGHTS * v), f"{value:g}", "by one factor")
refused(
    "weights too large for float32", lambda: reg().fit(X.astype("f4"), y, WEIGHTS * 1e39), "1e+39", "float32"
)
refused("all weights zero", lambda: clf().fit(X, c, 0 * WEIGHTS), "at least one", "zero", "must count")
refused(
    "too few weights", lambda: reg().fit(X, y, WEIGHTS[:5]), "(5,)", "expected (60,)", "each of the 60 rows"
)
refused(
    "weights as texts", lambda: reg().fit(X, y, ["much"] * N), "sample_weight", "'much'", "a number for each"
)
right("weight zero is the row left out", lambda: zero_weight())
refused(
    "class weight of a strange name", lambda: clf(class_weight="balance").fit(X, c), "'balanced'", "'balance'"
)
refused(
    "class weight of no class", lambda: clf(class_weight={7: 1.0}).fit(X, c), "7", "[0, 1]", "leave it out"
)
for label, value in {"NaN": np.nan, "negative": -1.0, "text": "a", "inf": np.inf}.items():
    refused(
        f"class weight: {label}",
        lambda v=value: clf(class_weight={0: v}).fit(X, c),
        "class_weight[0]",
        "finite number of at least 0",
    )
refused(
    "all class weights zero",
    lambda: clf(class_weight={0: 0, 1: 0}).fit(X, c),
    "class_weight of zero",
    "must count",
)


def zero_weight() -> bool:
    """By full batches, for the order of the rows must not matter."""
    options = {"solver": "gradient_descent", "learning_rate_init": 0.01}
    weights = np.r_[np.zeros(10), np.ones(N - 10)]
    a, b = reg(**options).fit(X, y, weights), reg(**options).fit(X[10:], y[10:])
    return bool(np.allclose(a.theta_, b.theta_, rtol=1e-12, atol=1e-14))


# ---------------------------------------------------------------- options

refused(
    "poisson with negative y",
    lambda: reg(loss="poisson").fit(X, y),
    "y in row 2 is -4.9",
    "at least 0",
    "shift",
)
refused("an unknown parameter", lambda: MLPClassifier(layers=3), "layers")
refused("an unknown parameter set", lambda: clf().set_params(layers=3), "'layers'", "Valid parameters are")
WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a text for a number": ({"alpha": "0.1"}, ("'alpha'", "float in the range", "'0.1'")),
    "a learning rate in words": ({"learning_rate_init": "fast"}, ("'learning_rate_init'", "range", "'fast'")),
    "a learning rate of NaN": ({"learning_rate_init": np.nan}, ("'learning_rate_init'", "range", "nan")),
    "an infinite learning rate": ({"learning_rate_init": np.inf}, ("'learning_rate_init'", "range", "inf")),
    "a penalty of NaN": ({"alpha": np.nan}, ("'alpha'", "range", "nan")),
    "a tolerance of NaN": ({"tol": np.nan}, ("'tol'", "range", "nan")),
    "a fraction of a unit": ({"hidden_layer_sizes": (6.5,)}, ("hidden_layer_sizes", "whole numbers", "6.5")),
    "a text for units": ({"hidden_layer_sizes": ("64",)}, ("hidden_layer_sizes", "whole numbers", "'64'")),
    "no units": ({"hidden_layer_sizes": (0,)}, ("hidden_layer_sizes", "> 0")),
    "units beyond memory": ({"hidden_layer_sizes": (10**18,)}, ("hidden_layer_sizes", "memory", "smaller")),
    "a misspelt activation": ({"activation": "rellu"}, ("'rellu'", "Did you mean 'relu'")),
    "a misspelt solver": ({"solver": "adm"}, ("'adm'", "Did you mean 'adam'")),
    "a misspelt metric": ({"metric": "acuracy"}, ("metric", "'acuracy'", "Did you mean 'accuracy'")),
    "a misspelt track": ({"track": ["acuracy"]}, ("track", "'acuracy'", "Did you mean 'accuracy'")),
    "a misspelt schedule": ({"learning_rate": "cosin"}, ("'cosin'", "Did you mean 'cosine'")),
    "an unknown initialiser": ({"init": "hee"}, ("'hee'", "Choose one of")),
    "a callback that is none": ({"callbacks": [3]}, ("callbacks", "3", "functions")),
    "an unknown engine": ({"engine": "gpu"}, ("'engine'", "compiled", "'gpu'")),
    "dropout above 1": ({"dropout": 1.5}, ("'dropout'", "range", "1.5")),
    "dropout in words": ({"dropout": ["much"]}, ("dropout", "number in", "'much'")),
    "a momentum of NaN": ({"solver": "sgd", "momentum": np.nan}, ("'momentum'", "range", "nan")),
    "a fraction of all rows": ({"validation_fraction": 1.0}, ("'validation_fraction'", "range", "1.0")),
    "a seed in words": ({"random_state": "x"}, ("'random_state'", "int in the range", "'x'")),
    "first weights of NaN": (
        {"init_weights": ([np.full((4, 5), np.nan), np.ones((5, 1))], [np.ones(5), np.ones(1)])},
        ("init_weights", "W[1][0, 0] is nan", "correct"),
    ),
    "first weights of another shape": (
        {"init_weights": ([np.ones((3, 5)), np.ones((5, 1))], [np.ones(5), np.ones(1)])},
        ("(4, 5)", "(3, 5)"),
    ),
}
for label, (options, words) in WRONG.items():
    refused(label, lambda options=options: clf(**options).fit(X, c), *words)

VALIDATION: dict[str, tuple[Any, tuple[str, ...]]] = {
    "no pair": (X, ("validation_data must be (X, y)",)),
    "X alone": ((X,), ("validation_data must be (X, y)",)),
    "NaN in X": ((put(X, (3, 2), np.nan), c), ("validation_data's X[3, 2]", "SimpleImputer")),
    "another length": ((X, c[:30]), ("60 rows", "30 targets", "one for each")),
    "other classes": ((X, c + 5), ("classes not in", "[0 1]", "[5 6]")),
    "no rows": ((X[:0], c[:0]), ("0 sample(s)", "at least one row")),
    "other columns": ((X[:, :2], c), ("2 features", "expecting 4")),
    "a weight of NaN": ((X, c, put(WEIGHTS, 5, np.nan)), ("row 5", "must be finite")),
}
for label, (given, words) in VALIDATION.items():
    refused(f"validation data: {label}", lambda given=given: clf().fit(X, c, validation_data=given), *words)
refused(
    "validation data: NaN in y",
    lambda: reg().fit(X, y, validation_data=(X, put(y, 3, np.nan))),
    "validation_data's y is nan in row 3",
    "leave out",
)

# ---------------------------------------------------------------- metrics and callbacks

JUDGES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a text": ({"metric": lambda a, b: "x"}, ("validation_score", "must return a number", "'x'")),
    "None": ({"metric": lambda a, b: None}, ("validation_score", "must return a number", "None")),
    "an array": ({"metric": lambda a, b: np.ones(3)}, ("validation_score", "a number", "array([1.")),
    "of probabilities": (
        {"metric": "roc_auc"},
        ("'roc_auc'", "MLPRegressor predicts no probabilities", "another"),
    ),
    "twice": ({"track": ["r2", "r2"]}, ("track", "two metrics of the name 'r2'", "leave one out")),
    "two functions without names": (
        {"track": [lambda a, b: 1.0, lambda a, b: 2.0]},
        ("'<lambda>'", "other names"),
    ),
}
for label, (options, words) in JUDGES.items():
    refused(
        f"a metric: {label}", lambda options=options: reg(early_stopping=True, **options).fit(X, y), *words
    )
right("a metric that is tracked and stopped by", lambda: counted(metric="accuracy", track=["accuracy"]))
right("a loss that is tracked and stopped by", lambda: counted(metric="loss", track=["loss"]))
right("a metric without a name", lambda: counted(track=[partial(accuracy_score, normalize=True)]))
refused("a callback that raises", lambda: clf(callbacks=[raising]).fit(X, c), "of the callback")
right("after a callback that raised", lambda: usable())
refused(
    "a callback that writes to the weights",
    lambda: clf(callbacks=[lambda epoch: epoch.theta.fill(0)]).fit(X, c),
    "read-only",
)


def counted(**options: Any) -> bool:
    """Each figure of the history has an entry for each epoch."""
    model = clf(early_stopping=True, **options).fit(X, c)
    return len(model.history_) > 1 and {len(v) for v in model.history_.values()} == {model.n_iter_}


def raising(epoch: Any) -> None:
    raise ValueError("the fault of the callback")


def usable() -> bool:
    """The weights are those of the last epoch; diagnosis and files still work."""
    model = clf(callbacks=[raising])
    with suppress(ValueError):
        model.fit(X, c)
    again = MLPClassifier.from_contents(*model.to_contents())
    return model.diagnose() is not None and same(model.predict_proba(X), again.predict_proba(X))
