"""The plots: what is drawn is what the models say."""

import io
import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.stats import binomtest
from sklearn.datasets import load_iris, make_moons
from sklearn.metrics import confusion_matrix
from sklearn.preprocessing import StandardScaler

from chainrule import (
    DataError,
    MissingPackageError,
    MLPClassifier,
    MLPRegressor,
    OptionError,
    TableModel,
    Watch,
    plot,
)
from chainrule.plot import canvas, judgement, structure
from chainrule.watch import QUANTILES

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
RNG = np.random.default_rng(0)
XR = RNG.normal(size=(200, 3))
YR = XR[:, 0] ** 2 + XR[:, 1] + RNG.normal(size=200) / 5


@pytest.fixture(scope="module")
def iris():
    data = load_iris(as_frame=True)
    return data.data, data.target_names[data.target]


@pytest.fixture(scope="module")
def flowers(iris):
    """A classifier of iris, and the watch of its training."""
    watch = Watch(every=5)
    options = {"learning_rate_init": 0.01, "max_iter": 60, "random_state": 0, "callbacks": [watch]}
    stopping = {"early_stopping": True, "validation_fraction": 0.3, "track": ["accuracy"], "metric": "loss"}
    return MLPClassifier((8, 5), "tanh", **options, **stopping).fit(*iris), watch


@pytest.fixture(scope="module")
def moons():
    X, y = make_moons(300, noise=0.25, random_state=0)
    return MLPClassifier((12,), learning_rate_init=0.02, max_iter=100, random_state=0).fit(X, y), X, y


@pytest.fixture(scope="module")
def curve():
    return MLPRegressor(hidden_layer_sizes=(6,), solver="lbfgs", max_iter=50, random_state=0).fit(XR, YR)


@pytest.fixture(scope="module")
def table():
    """A table model of numbers in the hundreds, and its table."""
    frame = pl.DataFrame({"a": XR[:, 0], "b": XR[:, 1], "price": 500 + 100 * YR})
    return TableModel(hidden_layer_sizes=(6,), max_iter=20).fit(frame, "price"), frame


def rendered(ax) -> Figure:
    """Draw it as a file would have it: what cannot be laid out or printed fails here."""
    ax.figure.savefig(io.BytesIO(), format="png")
    return ax.figure


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def line(ax, label):
    return next(found for found in ax.lines if found.get_label() == label)


# ------------------------------------------------------------------ the network


def test_every_weight_is_an_edge(flowers):
    model, _ = flowers
    ax = plot.network(model)
    rendered(ax)
    edges = [found for found in ax.collections if isinstance(found, LineCollection)]
    largest = max(np.abs(W).max() for W in model.coefs_)
    for drawn, W in zip(edges, model.coefs_, strict=True):
        w = W.ravel()[np.argsort(np.abs(W), axis=None)]
        assert len(drawn.get_segments()) == W.size
        widths = np.maximum(structure.THICKEST * np.abs(w) / largest, structure.THINNEST)
        np.testing.assert_allclose(drawn.get_linewidths(), widths)
        positive = [np.allclose(colour[:3], to_rgb(canvas.BLUE)) for colour in drawn.get_colors()]
        np.testing.assert_array_equal(positive, w >= 0)
    assert f"|w| = {largest:.3g}, the largest" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_an_edge_joins_its_two_units(flowers):
    model, _ = flowers
    ax = plot.network(model)
    units = [np.column_stack(found.get_data()) for found in ax.lines]
    assert [len(layer) for layer in units] == [4, 8, 5, 3]
    W = model.coefs_[0]
    segments = ax.collections[0].get_segments()
    i, j = np.unravel_index(np.abs(W).argmax(), W.shape)
    np.testing.assert_allclose(segments[-1], [units[0][i], units[1][j]])  # the largest lies on top


def test_layers_inputs_and_outputs_are_named(flowers, iris):
    written = texts(plot.network(flowers[0]))
    assert set(iris[0].columns) <= set(written)
    assert {"setosa", "versicolor", "virginica"} <= set(written)
    assert {"inputs\n4", "hidden 1\n8, tanh", "hidden 2\n5, tanh", "output\n3, softmax"} <= set(written)


def test_units_left_out_are_counted(iris):
    model = MLPClassifier((1500,), max_iter=1, random_state=0).fit(*iris)
    ax = plot.network(model, most=7)
    rendered(ax)
    assert "… 1,493 more" in texts(ax)
    assert [len(found.get_xdata()) for found in ax.lines] == [4, 7, 3]
    drawn = ax.collections[0].get_linewidths()
    shown = np.r_[0:4, 1497:1500]
    largest = max(np.abs(W).max() for W in model.coefs_)
    wanted = np.sort(np.abs(model.coefs_[0][:, shown]), axis=None) * structure.THICKEST / largest
    np.testing.assert_allclose(drawn, np.maximum(wanted, structure.THINNEST))


@pytest.mark.parametrize(("width", "most"), [(1, 2), (5, 12), (12, 12), (13, 12), (13, 5), (100, 2)])
def test_units_have_room(width, most):
    column = structure.place(width, most, 2.0)
    assert len(column.shown) == len(column.y) == min(width, most)
    assert column.hidden == width - len(column.shown)
    heights = np.sort(np.r_[column.y, column.gap] if column.hidden else column.y)
    assert heights[0] == pytest.approx(-heights[-1]) and abs(heights).max() < 0.5
    if len(heights) > 1:
        assert np.ptp(np.diff(heights)) < 1e-12
    assert column.shown[0] == 0 and (np.diff(column.y) < 0).all()  # the first unit is on top
    assert column.shown[-1] == width - 1


def test_networks_of_tables_and_numbers_are_named(table, curve, moons):
    assert {"a", "b", "price"} <= set(texts(plot.network(table[0])))
    assert {"x1", "x2", "x3", "y", "output\n1, identity"} <= set(texts(plot.network(curve)))
    assert "P(1)" in texts(plot.network(moons[0]))
    two = MLPRegressor(hidden_layer_sizes=(), max_iter=1).fit(XR, np.c_[YR, YR])
    assert {"y1", "y2"} <= set(texts(plot.network(two)))


# ------------------------------------------------------------------ training


def test_curves_are_those_of_the_history(flowers):
    model, _ = flowers
    ax = plot.history(model)
    loss, accuracy = rendered(ax).axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    assert (loss.get_xlabel(), accuracy.get_xlabel()) == ("", "epoch")
    for panel, metric in ((loss, "loss"), (accuracy, "accuracy")):
        for label, name in (("training rows", metric), ("rows set apart", f"validation_{metric}")):
            epochs, values = line(panel, label).get_data()
            np.testing.assert_array_equal(values, model.history_[name])
            np.testing.assert_array_equal(epochs, np.arange(1, model.n_iter_ + 1))
    best = int(np.argmin(model.history_["validation_loss"])) + 1
    kept = line(loss, f"weights kept (epoch {best})")
    assert kept.get_xdata()[0] == best
    assert len(loss.get_legend().get_texts()) == 3 and accuracy.get_legend() is None


def test_a_history_fits_into_given_axes(flowers, curve):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot.history(flowers[0], left) is left
    assert plot.history(curve, ax=right) is right
    assert right.get_xlabel() == "iteration"
    assert len(figure.axes) == 3
    with pytest.raises(OptionError, match="axes of a grid"):
        plot.history(flowers[0], Figure().add_axes((0, 0, 1, 1)))


def test_a_loss_that_falls_far_is_on_a_logarithmic_axis():
    options = {"hidden_layer_sizes": (), "max_iter": 80, "solver": "lbfgs"}
    near, far = (
        plot.history(MLPRegressor(**options, alpha=0.0).fit(XR, XR[:, 0] + noise * YR)) for noise in (1, 0)
    )
    assert (near.get_yscale(), far.get_yscale()) == ("linear", "log")


def test_a_model_without_epochs_has_no_history(curve):
    model = MLPRegressor(max_iter=1, random_state=0).fit(XR, YR)
    model.history_ = {}
    with pytest.raises(OptionError, match="no epoch"):
        plot.history(model)


def test_distributions_are_those_of_the_records(flowers):
    _, watch = flowers
    axes = plot.distributions(watch)
    rendered(axes[0, 0])
    assert axes.shape == (3, 2)
    epochs = [record.epoch for record in watch.records]
    assert epochs[:3] == [0, 5, 10]
    values = np.array([record.values for record in watch.records])
    gradients = np.array([record.gradients for record in watch.records])
    for layer in range(3):
        for panel, figures in ((axes[layer, 0], values), (axes[layer, 1], gradients)):
            median = line(panel, "median")
            np.testing.assert_array_equal(median.get_xdata(), epochs)
            low = panel.get_ylim()[0] if panel is axes[layer, 1] else -np.inf
            np.testing.assert_allclose(median.get_ydata(), np.maximum(figures[:, layer, 3], low))
            widest = panel.collections[0].get_paths()[0].vertices[:, 1]
            assert widest.max() == pytest.approx(figures[:, layer, -1].max())
            assert [band.get_label() for band in panel.collections] == ["98%", "80%", "50%"]
        assert axes[layer, 1].get_yscale() == "log"
        assert axes[layer, 1].get_ylim() == axes[0, 1].get_ylim()
    assert axes[0, 0].get_ylabel() == "hidden layer 1\n8 × tanh"
    assert axes[2, 0].get_ylabel() == "output layer\n3 × identity"
    assert axes[2, 0].get_xlabel() == axes[2, 1].get_xlabel() == "epoch"
    assert QUANTILES[3] == 0.5


def test_distributions_fit_into_given_axes(flowers):
    axes = Figure().subplots(3, 2)
    assert plot.distributions(flowers[1], axes) is axes
    with pytest.raises(OptionError, match=r"shape \(3, 2\), not \(2, 2\)"):
        plot.distributions(flowers[1], Figure().subplots(2, 2))
    with pytest.raises(OptionError, match=r"draws a chainrule\.Watch, not MLPClassifier"):
        plot.distributions(flowers[0])
    with pytest.raises(OptionError, match="no training yet"):
        plot.distributions(Watch())


def test_dead_gradients_are_drawn_at_the_lower_end():
    watch = Watch()
    weights = [np.ones((3, 4)), np.ones((4, 1))], [np.full(4, -1e3), np.zeros(1)]
    options = {"hidden_layer_sizes": (4,), "init_weights": weights, "max_iter": 3}
    MLPRegressor(**options, callbacks=[watch], random_state=0).fit(XR, YR)
    axes = plot.distributions(watch)
    rendered(axes[0, 0])
    low = axes[0, 1].get_ylim()[0]
    np.testing.assert_allclose(line(axes[0, 1], "median").get_ydata(), low)


# ------------------------------------------------------------------ predictions


def test_regions_are_those_of_the_predicted_classes(moons):
    model, X, y = moons
    ax = plot.decision_boundary(model, X, y)
    rendered(ax)
    image = ax.images[0]
    pixels = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    u, v = np.linspace(left, right, len(pixels)), np.linspace(bottom, top, len(pixels))
    i, j = np.random.default_rng(0).integers(0, len(pixels), (2, 300))
    P = model.predict_proba(np.c_[u[j], v[i]])
    tint = np.array([to_rgb(canvas.BLUE), to_rgb(canvas.VERMILLION)])[P.argmax(axis=1)]
    np.testing.assert_allclose(
        pixels[i, j], 1 - 0.55 * (2 * P.max(axis=1) - 1)[:, None] * (1 - tint), atol=1e-6
    )
    border = np.concatenate([path.vertices for path in ax.collections[0].get_paths()])
    assert np.abs(model.predict_proba(border)[:, 1] - 0.5).max() < 0.1
    for number in (0, 1):
        np.testing.assert_array_equal(np.column_stack(line(ax, str(number)).get_data()), X[y == number])


def test_other_features_are_at_their_medians(flowers, iris):
    model, (X, y) = flowers[0], iris
    by_name = plot.decision_boundary(model, X, y, features=("petal length (cm)", "petal width (cm)"))
    by_number = plot.decision_boundary(model, X, y, features=(2, 3))
    pixels = np.asarray(by_name.images[0].get_array())
    np.testing.assert_array_equal(pixels, by_number.images[0].get_array())
    assert (by_name.get_xlabel(), by_name.get_ylabel()) == ("petal length (cm)", "petal width (cm)")
    assert by_name.get_title() == "other features at their medians"
    assert [t.get_text() for t in by_name.get_legend().get_texts()] == ["setosa", "versicolor", "virginica"]
    left, right, bottom, top = by_name.images[0].get_extent()
    point = X.median().to_frame().T
    point[["petal length (cm)", "petal width (cm)"]] = [[left, top]]
    best = model.predict_proba(point)[0].argmax()
    drawn = 1 - pixels[-1, 0]  # the corner's colour, however pale, is that of its class
    wanted = 1 - np.array(to_rgb(canvas.colour(best)))
    np.testing.assert_allclose(drawn / drawn.max(), wanted / wanted.max(), atol=1e-6)
    assert right > left and top > bottom


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ((0, 9), "no feature 9: choose numbers from 0 to 3"),
        (("x", 0), "no feature 'x'"),
        ((1, 1), "two different features"),
        ((1,), "two different features"),
    ],
)
def test_features_of_a_plane_are_checked(flowers, iris, features, message):
    with pytest.raises(OptionError, match=message):
        plot.decision_boundary(flowers[0], *iris, features=features)


def test_confusion_counts_as_scikit_learn_does(flowers, iris):
    model, (X, y) = flowers[0], iris
    y = np.where(np.arange(150) % 7 == 0, "setosa", y)
    ax = plot.confusion(model, X, y)
    rendered(ax)
    C = confusion_matrix(y, model.predict(X))
    np.testing.assert_allclose(
        ax.images[0].get_array(), confusion_matrix(y, model.predict(X), normalize="true")
    )
    written = [int(text.split("\n")[0].replace(",", "")) for text in texts(ax)]
    np.testing.assert_array_equal(written, C.ravel())
    assert [t.get_text() for t in ax.get_xticklabels()] == ["setosa", "versicolor", "virginica"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["setosa", "versicolor", "virginica"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert ax.get_title() == f"{np.trace(C) / 150:.1%} of 150 rows right"


def test_a_large_confusion_is_drawn_without_numbers(rng):
    y = np.repeat(np.arange(20), 5)
    model = MLPClassifier((4,), max_iter=1, random_state=0).fit(rng.normal(size=(100, 2)), y)
    ax = plot.confusion(model, rng.normal(size=(100, 2)), y)
    assert texts(ax) == [] and ax.images[0].get_array().shape == (20, 20)


def test_calibration_is_counted_by_bins(moons):
    model, _, _ = moons
    X, y = make_moons(1000, noise=0.25, random_state=1)
    ax = plot.calibration(model, X, y, bins=5)
    rendered(ax)
    p = model.predict_proba(X)[:, 1]
    mean, share = ax.containers[1].lines[0].get_data()
    edges = np.linspace(0, 1, 6)
    for k in range(5):
        inside = (p >= edges[k]) & (p < edges[k + 1])
        assert mean[k] == pytest.approx(p[inside].mean())
        assert share[k] == pytest.approx((y[inside] == 1).mean())
        assert ax.patches[k].get_height() == pytest.approx(inside.mean())
        bar = ax.containers[1].lines[2][0].get_segments()[k]
        wanted = binomtest(int(y[inside].sum()), int(inside.sum())).proportion_ci(method="wilson")
        np.testing.assert_allclose(bar[:, 1], [wanted.low, wanted.high], atol=1e-12)
    assert ax.get_xlabel() == "predicted probability of 1"
    counts = np.histogram(p, edges)[0]
    error = np.abs(share - mean) @ counts / counts.sum()
    assert f"model (mean error {error:.3f})" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_calibration_of_many_classes_is_that_of_the_prediction(flowers, iris):
    model, (X, y) = flowers[0], iris
    ax = plot.calibration(model, X, y)
    rendered(ax)
    P = model.predict_proba(X)
    mean, share, count = judgement.reliability(P.max(axis=1), model.predict(X) == y, 10)
    np.testing.assert_allclose(np.column_stack(ax.containers[1].lines[0].get_data()), np.c_[mean, share])
    assert count.sum() == 150
    assert ax.get_ylabel() == "share of right predictions"


def test_a_probability_of_one_is_in_the_last_bin():
    mean, share, count = judgement.reliability(np.array([0.0, 1.0, 0.5]), np.array([0, 1, 1]), 2)
    np.testing.assert_allclose([mean, share, count], [[0.0, 0.75], [0, 1], [1, 2]])


def test_residuals_are_true_minus_predicted(curve):
    ax = plot.residuals(curve, XR, YR)
    rendered(ax)
    predicted = curve.predict(XR)
    np.testing.assert_allclose(np.column_stack(line(ax, "rows").get_data()), np.c_[predicted, YR - predicted])
    rmse = np.sqrt(np.mean((YR - predicted) ** 2))
    assert f"± RMSE = {rmse:.3g}" in [t.get_text() for t in ax.get_legend().get_texts()]
    x, y = line(ax, "mean of neighbours").get_data()
    order = np.argsort(predicted)
    assert len(x) == judgement.TREND_BINS and (np.diff(x) > 0).all()
    first = order[: len(np.array_split(order, len(x))[0])]
    assert (x[0], y[0]) == pytest.approx((predicted[first].mean(), (YR - predicted)[first].mean()))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted y", "residual of y (true − predicted)")


def test_residuals_of_one_of_several_outputs():
    Y = np.c_[YR, -YR, 2 * YR]
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(XR, Y)
    ax = plot.residuals(model, XR, Y, output=2)
    np.testing.assert_allclose(line(ax, "rows").get_ydata(), Y[:, 2] - model.predict(XR)[:, 2])
    assert ax.get_xlabel() == "predicted y3"
    with pytest.raises(OptionError, match="from 0 to 2, not 3"):
        plot.residuals(model, XR, Y, output=3)
    with pytest.raises(OptionError, match="y has 1 columns, but the model predicts 3"):
        plot.residuals(model, XR, YR)


def test_residuals_of_a_table_are_in_the_targets_unit(table):
    model, frame = table
    ax = plot.residuals(model, frame)
    residual = frame["price"].to_numpy() - model.predict(frame)
    np.testing.assert_allclose(line(ax, "rows").get_ydata(), residual)
    assert ax.get_xlabel() == "predicted price"
    with pytest.raises(OptionError, match="hand over the data frame alone"):
        plot.residuals(model, frame, YR)


def test_classes_of_a_table_keep_their_names():
    frame = pl.DataFrame({"x": XR[:, 0], "kind": ["big" if x > 0 else "small" for x in XR[:, 0]]})
    model = TableModel(hidden_layer_sizes=(4,), max_iter=30).fit(frame, "kind")
    some = frame.with_columns(pl.when(pl.int_range(200) % 2 == 0).then("kind").alias("kind"))
    ax = plot.confusion(model, some)  # rows without a target are left out
    C = confusion_matrix(frame["kind"][::2], model.predict(frame)[::2])
    np.testing.assert_allclose(ax.images[0].get_array(), C / C.sum(axis=1, keepdims=True))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["big", "small"]
    assert plot.calibration(model, frame).get_xlabel() == "predicted probability of small"
    with pytest.raises(DataError, match="No row has a value in the target"):
        plot.confusion(model, frame.with_columns(pl.lit(None, pl.String).alias("kind")))
    with pytest.raises(OptionError, match="not a TableModel"):
        plot.decision_boundary(model, frame, None)


# ------------------------------------------------------------------ refusals


ONE_MODEL = ["network", "history", "confusion", "calibration", "residuals", "decision_boundary"]


@pytest.mark.parametrize("name", ONE_MODEL)
def test_a_wrong_or_unfitted_model_gets_a_sentence(name):
    function = getattr(plot, name)
    data = () if name in ("network", "history") else (XR, YR)
    with pytest.raises(OptionError, match=rf"plot\.{name} draws a fitted .*, not StandardScaler\."):
        function(StandardScaler(), *data)
    for model in (MLPClassifier(), MLPRegressor(), TableModel()):
        with pytest.raises(OptionError, match="call fit first"):
            function(model, *data)


@pytest.mark.parametrize("name", ["confusion", "calibration", "decision_boundary"])
def test_numbers_and_several_labels_are_no_classes(name, curve):
    with pytest.raises(OptionError, match="draws classes, but this model predicts numbers"):
        getattr(plot, name)(curve, XR, YR)
    labels = np.c_[YR > 0, YR > 1].astype(int)
    many = MLPClassifier((3,), max_iter=1).fit(XR, labels)
    with pytest.raises(OptionError, match="predicts several labels"):
        getattr(plot, name)(many, XR, labels)


def test_wrong_data_get_a_sentence(moons):
    model, X, y = moons
    with pytest.raises(OptionError, match="draws numbers, but this model predicts classes"):
        plot.residuals(model, X, y)
    with pytest.raises(DataError, match="true values y are needed"):
        plot.confusion(model, X)
    with pytest.raises(DataError, match="X has 300 rows, but y has 5 values"):
        plot.confusion(model, X, y[:5])
    with pytest.raises(DataError, match="y has the class 7"):
        plot.confusion(model, X, np.full(300, 7))
    with pytest.raises(OptionError, match="bins must be a whole number of at least 2"):
        plot.calibration(model, X, y, bins=1)
    with pytest.raises(OptionError, match="most must be a whole number of at least 2"):
        plot.network(model, most=1)
    narrow = MLPClassifier((3,), max_iter=1).fit(X[:, :1], y)
    with pytest.raises(OptionError, match="at least two features"):
        plot.decision_boundary(narrow, X[:, :1], y)


def test_given_axes_are_drawn_on(moons, curve):
    model, X, y = moons
    for function, data in (
        (plot.network, (model,)),
        (plot.confusion, (model, X, y)),
        (plot.calibration, (model, X, y)),
        (plot.decision_boundary, (model, X, y)),
        (plot.residuals, (curve, XR, YR)),
    ):
        ax = Figure().add_subplot()
        assert function(*data, ax=ax) is ax
        assert ax.has_data()


def test_without_matplotlib_there_is_one_sentence(moons, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError, match=re.escape("pip install 'chainrule[plot]'")):
        plot.network(moons[0])


def test_no_window_and_no_global_state():
    code = (
        "import sys, chainrule\n"
        "assert 'matplotlib' not in sys.modules and 'plot' in dir(chainrule)\n"
        "chainrule.plot.canvas.new_figure(1, 1)\n"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
