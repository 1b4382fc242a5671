"""The short ways to predictions give what the long ones give, and check as much."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from chainrule import MLPClassifier, MLPRegressor
from chainrule.errors import DataError
from chainrule.predictor import SMALL, is_plain

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 5))
TARGETS = {
    "binary": np.array(["no", "yes"] * 30),
    "multiclass": np.arange(60) % 3,
    "multilabel": (rng.random((60, 3)) < 0.5).astype(int),
    "number": X[:, 0],
    "numbers": X[:, :2],
}
pytestmark = pytest.mark.filterwarnings("ignore:.*Maximum iterations")


def fitted(kind, dtype="float64"):
    rows, y = X.astype(dtype), TARGETS[kind]
    if kind.startswith("number"):
        model = MLPRegressor(hidden_layer_sizes=(7, 4), max_iter=3, random_state=0)
        return model.fit(rows, y), model.predict
    model = MLPClassifier((7, 4), max_iter=3, random_state=0).fit(rows, y)
    return model, model.predict_proba


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", TARGETS)
def test_a_predictor_gives_what_the_model_gives(kind, dtype):
    model, method = fitted(kind, dtype)
    predict, rows = model.predictor(), X.astype(dtype)
    long_way = method(np.asfortranarray(rows))  # not contiguous: validated by scikit-learn
    tolerance = {"rtol": 1e-12 if dtype == "float64" else 1e-5, "atol": 1e-7 if dtype == "float32" else 0}
    np.testing.assert_allclose(method(rows), long_way, **tolerance)
    np.testing.assert_allclose(predict(rows), long_way, **tolerance)
    np.testing.assert_allclose(predict(rows[:3]), long_way[:3], **tolerance)
    for i in range(3):
        one = predict(rows[i])
        assert np.shape(one) == np.shape(long_way[i])
        np.testing.assert_allclose(one, long_way[i], **tolerance)
        np.testing.assert_allclose(method(rows[i : i + 1])[0], long_way[i], **tolerance)
    np.testing.assert_allclose(predict(rows[0].tolist()), long_way[0], **tolerance)


def test_rows_that_cannot_be_written_to_or_are_not_contiguous():
    model, method = fitted("binary")
    frozen = X[:1].copy()
    frozen.flags.writeable = False
    strided = np.repeat(X, 2, axis=1)[:1, ::2]
    swapped = X[:1].astype(X.dtype.newbyteorder())
    for rows in (frozen, strided, swapped):
        assert (method(rows) == method(X[:1].copy())).all()
        assert (model.predictor()(rows) == method(X[:1].copy())).all()


def test_a_predictor_follows_partial_fit():
    model, _ = fitted("binary")
    predict = model.predictor()
    before = predict(X[0])
    model.partial_fit(X, TARGETS["binary"])
    assert (predict(X[:1]) == model.predict_proba(X[:1])).all() and (predict(X[0]) != before).all()


def test_parameters_that_were_put_into_a_model_count():
    model, method = fitted("binary")
    model.coefs_[0] = model.coefs_[0] * 2
    doubled = method(X[:2].copy())
    other, _ = fitted("binary")
    other.coefs_[0][...] *= 2
    assert (doubled == other.predict_proba(X[:2].copy())).all()
    assert (model.predictor()(X[:2]) == doubled).all()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (np.zeros(4), r"A row must have 5 numbers, but the shape is \(1, 4\)."),
        (np.zeros((1, 1, 5)), "A row must have 5 numbers"),
        (np.array([0, 0, np.nan, 0, 0]), "Row 0 holds nan in column 2"),
        (np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, -np.inf]]), "Row 1 holds -inf in column 4"),
    ],
)
def test_bad_rows_get_a_sentence(row, said):
    predict = fitted("binary")[0].predictor()
    with pytest.raises(DataError, match=said):
        predict(row)


def test_huge_numbers_are_no_fault():
    model, method = fitted("binary")
    huge = np.full((1, 5), 1e200)
    assert (model.predictor()(huge) == method(huge)).all()


def test_the_short_way_of_the_model_checks_what_the_long_one_checks():
    model, method = fitted("binary")
    assert is_plain(model, X[:1].copy()) and is_plain(model, X)
    with pytest.raises(ValueError, match="NaN"):
        method(np.full((1, 5), np.nan))
    with pytest.raises(ValueError, match="5 features"):
        method(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="2D array"):
        method(np.zeros(5))
    assert not is_plain(model, np.zeros((SMALL, 5))) and not is_plain(model, np.zeros((0, 5)))
    named = MLPClassifier((4,), max_iter=2, random_state=0)
    named.fit(pd.DataFrame(X, columns=list("abcde")), TARGETS["binary"])
    with pytest.warns(UserWarning, match="feature names"):
        named.predict_proba(X[:1])


def test_what_is_not_fitted_has_no_predictor():
    with pytest.raises(NotFittedError):
        MLPClassifier().predictor()
    with pytest.raises(NotFittedError):
        MLPClassifier().predict_proba(X)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_probabilities_that_are_not_finite_are_refused(kind):
    model, method = fitted(kind)
    model.coefs_[-1][...] = np.nan
    with pytest.raises(DataError, match="The prediction is not finite"):
        method(X[:1].copy())
