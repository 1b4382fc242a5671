"""The parts of the estimators for tables: columns, metrics, temperature, intervals, time."""

from __future__ import annotations

import json
import math

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import metrics as theirs
from tables import as_polars, mixed

from chainrule import DataError, OptionError, conformal, tabular_metrics, temperature
from chainrule.robust_scaling import Scaling
from chainrule.tabular_columns import cells_of
from chainrule.tabular_encoder import Encoding, TableEncoder
from chainrule.tabular_ensemble import lots
from chainrule.tabular_time import Budget, Clock


def encode(frame, **options):
    encoder = TableEncoder()
    return encoder, encoder.fit_transform(nw.from_native(frame), **options)


# ---------------------------------------------------------------- columns


def test_numbers_are_scaled_by_quartiles_and_clipped_smoothly(rng):
    x = rng.normal(5, 3, 101)
    _, X = encode(pd.DataFrame({"x": x}))
    q1, q2, q3 = np.quantile(x, [0.25, 0.5, 0.75])
    u = (x - q2) / (q3 - q1)
    np.testing.assert_allclose(X[:, 0], u / np.sqrt(1 + (u / 3) ** 2), rtol=1e-6)


def test_equal_quartiles_fall_back_to_half_the_range():
    x = np.r_[np.zeros(9), 4.0]
    _, X = encode(pd.DataFrame({"x": x}))
    assert X[9, 0] == pytest.approx(2 / math.sqrt(1 + 4 / 9))
    assert not X[:9].any()


@pytest.mark.parametrize("x", [[-1e308, 0.0, 1e308, 5e307], [0.0, 5e-324, 1.0, 2.0], [1e-320, 2e-320, 0.0]])
def test_numbers_of_any_size_stay_finite(x):
    _, X = encode(pd.DataFrame({"x": x}))
    assert np.isfinite(X).all() and np.abs(X).max() <= 3


def test_a_missing_number_is_the_median_and_marked():
    encoder, X = encode(pd.DataFrame({"x": [1.0, 2.0, 3.0, 2.0, 2.0, np.nan]}))
    assert encoder.layout.names == ("x", "x=<missing>")
    assert X[5, 0] == 0 and X[1, 0] == 0
    assert X[5, 1] == pytest.approx(2 / math.sqrt(1 + 4 / 9)) and not X[:5, 1].any()


def test_statistics_are_those_of_the_training_rows():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 99.0], "c": ["a", "b", "a", "z"], "d": ["b", "b", "a", "a"]})
    encoder, X = encode(frame, rows=np.arange(3))
    alone, Y = encode(frame[:3])
    assert encoder.to_dict() == alone.to_dict()
    np.testing.assert_array_equal(X[:3], Y)


def test_small_categories_get_columns_and_large_ones_a_code():
    letters = list("abcdefghij") * 3
    frame = pd.DataFrame(
        {"two": ["p", "q"] * 15, "three": ["x", "y", "z"] * 10, "ten": letters, "n": np.arange(30.0)}
    )
    encoder, X = encode(frame, encoding=Encoding(widest=8, scaled=False))
    assert encoder.layout.names == ("n", "two=p", "three=x", "three=y", "three=z", "ten")
    assert (encoder.layout.numbers, encoder.layout.one_hot, encoder.layout.cardinalities) == (1, 4, (11,))
    np.testing.assert_array_equal(X[:4, 1], [1, -1, 1, -1])
    np.testing.assert_array_equal(X[:4, 2:5], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(X[:10, 5], np.arange(1, 11))
    new = pd.DataFrame({"two": [None], "three": ["?"], "ten": ["k"], "n": [0.0]})
    assert not encoder.transform(nw.from_native(new))[0, 1:].any()


def test_one_hot_columns_are_scaled_as_numbers_are():
    """A rare one becomes 0 or 1.664, as the source has it."""
    frame = pd.DataFrame({"c": ["a"] * 40 + ["b"] * 40 + ["z"] * 4})
    encoder, X = encode(frame)
    where = encoder.layout.names.index("c=z")
    assert X[-1, where] == pytest.approx(1.6641, abs=1e-4) and X[0, where] == 0
    for place in range(3):
        column = encode(pd.DataFrame({"x": (frame["c"] == "abz"[place]).astype(float)}))[1]
        np.testing.assert_allclose(X[:, place], column[:, 0], rtol=1e-6)


def test_rare_levels_count_as_unknown_and_the_most_frequent_ones_are_kept():
    frame = pd.DataFrame({"c": ["a"] * 5 + ["b"] * 4 + ["d"] * 3 + ["once"], "n": np.arange(13.0)})
    encoder, _ = encode(frame, encoding=Encoding(most=2))
    column = encoder.columns[0]
    assert column.levels == ("a", "b") and column.rare == 2
    assert "2 rare ones left out" in column.done


def test_counts_give_the_quartiles_of_the_rows(rng):
    for _ in range(20):
        counts = rng.integers(1, 9, 3)
        values = np.repeat([-1.0, 0.0, 1.0], counts)
        assert Scaling.of_counts((-1.0, 0.0, 1.0), counts) == Scaling.learn(values)


@pytest.mark.parametrize("kind", ["objects", "categories", "polars", "polars categories"])
def test_any_library_gives_the_same_matrix(kind):
    frame = mixed()[0]
    given = {
        "objects": frame.astype({"colour": object, "town": object}),
        "categories": frame.astype({"colour": "category", "town": "category"}),
        "polars": as_polars(frame),
        "polars categories": as_polars(frame).with_columns(pl.col("colour", "town").cast(pl.Categorical)),
    }[kind]
    expected, X = encode(frame)
    encoder, Y = encode(given)
    assert encoder.to_dict() == expected.to_dict()
    np.testing.assert_array_equal(X, Y)
    np.testing.assert_array_equal(expected.transform(nw.from_native(given)), X)


def test_cells_of_a_library_without_a_quick_way():
    class Slow:
        """What is asked of a series."""

        implementation = nw.Implementation.PYARROW

        def to_native(self):
            return self

        def to_list(self):
            return ["b", None, "a", "b"]

    cells = cells_of(Slow())
    assert cells.values == ["b", "a"]
    np.testing.assert_array_equal(cells.places, [0, -1, 1, 0])


def test_an_encoder_survives_json():
    frame = mixed()[0]
    frame.loc[3, "born"] = pd.NaT
    encoder, X = encode(frame)
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again.columns == encoder.columns and again.layout == encoder.layout
    np.testing.assert_array_equal(again.transform(nw.from_native(frame)), X)
    covered = sorted(place for column in encoder.kept for place in encoder.places(column.name))
    assert covered == list(range(encoder.layout.total))


def test_dates_become_the_parts_that_vary():
    days = pd.to_datetime(["2020-01-01", "2020-02-02", "2020-03-07", None])
    encoder, X = encode(pd.DataFrame({"d": days}))
    assert encoder.layout.names == ("d month", "d day", "d weekday", "d=<missing>")
    assert not X[3, :3].any() and X[3, 3] > 0


def test_nothing_to_learn_from_is_said():
    with pytest.raises(DataError, match="'a': dropped: every value is the same"):
        encode(pd.DataFrame({"a": [1.0, 1.0], "b": ["x", "y"]}))
    encoder, _ = encode(pd.DataFrame({"t": [True, False] * 2}))
    with pytest.raises(DataError, match=r"'t', row 2: 'maybe' is neither true nor false"):
        encoder.transform(nw.from_native(pd.DataFrame({"t": ["true", "maybe"]})))


# ---------------------------------------------------------------- parts of the rows


def test_members_take_turns_as_in_a_cross_validation(rng):
    groups = np.repeat([0, 1, 2], [100, 60, 40])
    found = lots(groups, 7, 0.2, 0, None)
    first = np.concatenate([lot.validation for lot in found[:5]])
    np.testing.assert_array_equal(np.sort(first), np.arange(200))
    for lot in found:
        assert not set(lot.training) & set(lot.validation)
        assert len(lot.training) + len(lot.validation) == 200
        shares = np.bincount(groups[lot.validation], minlength=3) / [100, 60, 40]
        assert (np.abs(shares - 0.2) <= 0.06).all()
    assert len({lot.seed for lot in found}) == 7
    assert not np.array_equal(found[0].validation, found[5].validation)


def test_every_class_keeps_a_row_to_train_on():
    groups = np.r_[np.zeros(40, dtype=int), 1, 2, 2]
    for seed in range(20):
        for lot in lots(groups, 2, 0.5, seed, None):
            assert set(groups[lot.training]) == {0, 1, 2}


def test_few_rows_are_all_trained_on():
    assert len(lots(np.zeros(20, dtype=int), 1, 0.2, 0, None)[0].validation) == 0
    assert len(lots(np.zeros(20, dtype=int), 1, 0.2, 0, 7)[0].validation) == 7


# ---------------------------------------------------------------- metrics


def test_metrics_are_scikit_learns(rng):
    P = np.maximum(rng.dirichlet(np.ones(3), 60).round(1), 0.01)  # with ties
    P /= P.sum(axis=1, keepdims=True)
    y, w, table = rng.integers(0, 3, 60), rng.random(60), tabular_metrics.METRICS
    assert table["log_loss"](y, P, w) == pytest.approx(theirs.log_loss(y, P, sample_weight=w))
    assert table["accuracy"](y, P, w) == pytest.approx(
        theirs.accuracy_score(y, P.argmax(axis=1), sample_weight=w)
    )
    assert table["auc"](y, P) == pytest.approx(theirs.roc_auc_score(y, P, multi_class="ovr"))
    two, q = y % 2, P[:, :2] / P[:, :2].sum(axis=1, keepdims=True)
    assert table["auc"](two, q, w) == pytest.approx(theirs.roc_auc_score(two, q[:, 1], sample_weight=w))
    a, b = rng.normal(size=(2, 60))
    assert table["rmse"](a, b, w) == pytest.approx(theirs.root_mean_squared_error(a, b, sample_weight=w))
    assert table["mae"](a, b, w) == pytest.approx(theirs.mean_absolute_error(a, b, sample_weight=w))
    assert table["r2"](a, b, w) == pytest.approx(theirs.r2_score(a, b, sample_weight=w))
    assert math.isnan(table["auc"](np.zeros(60, dtype=int), P)) and math.isnan(table["rmse"](a, b * np.nan))


# ---------------------------------------------------------------- temperature


def judged(rng, members=3, classes=4, rows=50):
    Z = rng.normal(0, 3, (members * rows, classes))
    return temperature.Judged(
        Z, np.tile(rng.integers(0, classes, rows), members),
        np.tile(np.arange(rows) * 7, members), np.tile(rng.random(rows), members)
    )  # fmt: skip


def loss(lines, T):
    """The loss by its definition, in plain loops over the rows."""
    P = temperature.probabilities(lines.Z, T)
    total = weight = 0.0
    for row in np.unique(lines.row):
        mine = lines.row == row
        w, own = lines.w[mine][0], P[mine, lines.y[mine]]
        total, weight = total - w * np.log(own.mean()), weight + w
    return total / weight


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("beta", [0.2, 1.0, 1.7])
def test_the_derivatives_of_the_temperature_are_those_of_its_loss(rng, members, beta):
    lines, h = judged(rng, members), 1e-5
    value, slope, curvature = lines.derivatives(beta)
    assert value == pytest.approx(loss(lines, 1 / beta), rel=1e-12)
    up, down = lines.derivatives(beta + h), lines.derivatives(beta - h)
    assert slope == pytest.approx((up[0] - down[0]) / (2 * h), rel=1e-7)
    assert curvature == pytest.approx((up[1] - down[1]) / (2 * h), rel=1e-6)

    priced = temperature.penalised(lines, beta)
    up, down = temperature.penalised(lines, beta + h), temperature.penalised(lines, beta - h)
    assert priced[0] == pytest.approx(value + np.log(beta) ** 2 / (2 * temperature.PRIOR**2 * 50), rel=1e-12)
    assert priced[1] == pytest.approx((up[0] - down[0]) / (2 * h), rel=1e-7)
    assert priced[2] == pytest.approx((up[1] - down[1]) / (2 * h), rel=1e-6)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("true", [0.7, 2.5])
def test_the_temperature_is_the_one_of_least_loss(rng, members, true):
    Z = rng.normal(0, 2, (2000, 3))
    P = temperature.probabilities(Z)
    y = (P.cumsum(axis=1) > rng.random((2000, 1))).argmax(axis=1)
    noise = rng.normal(0, 0.1, (members, 2000, 3))
    lines = temperature.Judged(
        ((Z + noise) * true).reshape(-1, 3), np.tile(y, members), np.tile(np.arange(2000), members),
        np.ones(2000 * members)
    )  # fmt: skip
    T = temperature.fitted(lines, members)
    assert pytest.approx(true, rel=0.15) == T
    assert abs(temperature.penalised(lines, 1 / T)[1]) < 1e-9
    assert loss(lines, T) < min(loss(lines, T * 1.05), loss(lines, T / 1.05), loss(lines, 1.0))
    of_more = temperature.fitted(lines, 4 * members)
    assert of_more == pytest.approx(math.sqrt(1 + (T**2 - 1) / 4) if true > 1 else T)


def test_a_temperature_never_makes_validation_rows_worse(rng):
    for classes in (2, 5):
        for _ in range(20):
            lines = judged(rng, 2, classes, rows=8)
            for members in (1, 2, 6):
                assert loss(lines, temperature.fitted(lines, members)) <= loss(lines, 1.0)


def test_few_rows_change_little():
    """Two rows, both right: without a prior the temperature would go to 0."""
    lines = temperature.Judged(np.array([[3.0, 0.0], [0.0, 3.0]]), np.array([0, 1]), np.arange(2), np.ones(2))
    assert 0.9 < temperature.fitted(lines, 1) < 1
    wrong = temperature.Judged(lines.Z * 1e3, 1 - lines.y, lines.row, lines.w)
    assert temperature.fitted(wrong, 1) <= temperature.HOTTEST * (1 + 1e-12)


def test_one_value_is_the_logit_of_the_second_class():
    P = temperature.probabilities(np.array([[2.0], [-800.0]]), 2.0)
    np.testing.assert_allclose(P, [[1 / (1 + np.e), np.e / (1 + np.e)], [1, 0]], atol=1e-15)


# ---------------------------------------------------------------- intervals


def simulated(rng, n, noise):
    X = rng.normal(size=(n, 2))
    return X, X[:, 0] ** 2, noise(X) * rng.normal(size=n)


@pytest.mark.parametrize("networks", [1, 4])
def test_intervals_cover_as_they_promise(rng, networks):
    """Over simulations, 88 to 92 % on average for 90 %, also where the errors depend on the row."""
    covered = []
    for noise in (lambda X: np.ones(len(X)), lambda X: np.exp(X[:, 1])) * 15:
        off = rng.normal(0, 0.2, networks)
        parts = []
        for member in range(networks):
            X, f, errors = simulated(rng, 400 // networks, noise)
            parts.append(conformal.Part((member,), X, f + off[member], errors - off[member]))
        X, f, errors = simulated(rng, 1000, noise)
        ends = conformal.intervals(
            conformal.calibrated(parts, 0), X, np.array([f + shift for shift in off]), 0.9
        )
        covered.append(np.mean((ends[:, 0] <= f + errors) & (f + errors <= ends[:, 1])))
    assert 0.88 <= np.mean(covered) <= 0.92


def test_the_width_follows_the_size_of_the_errors(rng):
    X, f, errors = simulated(rng, 2000, lambda X: np.exp(X[:, 1]))
    spread = conformal.Spread.learn(X, f, errors)
    expected = np.exp(X[:, 1])
    assert np.corrcoef(np.log(spread(X, f)), np.log(expected))[0, 1] > 0.95
    flat = conformal.Spread.learn(X, f, rng.normal(size=2000))
    assert flat(X, f).std() < 0.1 * flat(X, f).mean()


def test_an_interval_ends_at_the_scores_of_its_rank(rng):
    """The ends by the definition, for two networks: every candidate, sorted."""
    parts = []
    for member in range(2):
        X, f, errors = simulated(rng, 60, lambda X: np.ones(len(X)))
        parts.append(conformal.Part((member,), X, f, errors))
    groups = conformal.calibrated(parts, 0)
    X, f, _ = simulated(rng, 5, lambda X: np.ones(len(X)))
    predictions = np.array([f, f + 0.3])
    ends = conformal.intervals(groups, X, predictions, 0.8)
    rank = math.ceil(0.8 * 121)
    for row in range(5):
        up, down = [], []
        for member, group in enumerate(groups):
            size = group.spread(X[[row]], predictions[member, [row]])[0]
            up += list(predictions[member, row] + group.scores * size)
            down += list(predictions[member, row] - group.scores * size)
        assert ends[row, 1] == pytest.approx(sorted(up)[rank - 1], rel=1e-12)
        assert ends[row, 0] == pytest.approx(sorted(down, reverse=True)[rank - 1], rel=1e-12)


def test_too_high_a_coverage_is_refused(rng):
    X, f, errors = simulated(rng, 40, lambda X: np.ones(len(X)))
    groups = conformal.calibrated([conformal.Part((0,), X, f, errors)], 0)
    with pytest.raises(OptionError, match="at least 99 validation rows, but this model has 40"):
        conformal.intervals(groups, X, f[None], 0.99)


# ---------------------------------------------------------------- time


class Still(Clock):
    """A clock that goes on only when it is told to."""

    def __init__(self, limit):
        super().__init__(limit)
        self.now = 0.0

    def spent(self):
        return self.now


@pytest.mark.parametrize(
    ("limit", "members", "epochs"),
    [(1000, 8, 100), (150, 8, 33), (60, 4, 27), (16, 2, 14), (0.1, 2, 1)],
)
def test_networks_and_epochs_fit_into_the_time(limit, members, epochs):
    """Eight networks of 100 epochs of a second, two at a time."""
    clock = Still(limit)
    budget = Budget(clock, 8, 100, 2, seconds=1.0)
    begun = []
    for number in range(8):
        begun.append(budget.begin(needed=number == 0))
        clock.now += begun[-1] / 2
    assert sum(map(bool, begun)) == members if limit > 1 else begun[0] == 1
    assert begun[0] == epochs and (limit < 1 or clock.now <= limit)


def test_slower_epochs_are_taken_into_account():
    clock = Still(100.0)
    budget = Budget(clock, 2, 50, 1, seconds=0.5)
    assert budget.begin(needed=True) == 50
    clock.now = 50.0
    budget.measured(1.0)
    assert budget.begin(needed=False) == 45


def test_without_a_limit_nothing_is_cut():
    budget = Budget(Clock(None), 3, 50, 1, seconds=0.0)
    assert [budget.begin(needed=False) for _ in range(3)] == [50, 50, 50]
