"""What a model file keeps of an estimator, and what it leaves out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from chainrule import MLPClassifier
from chainrule.errors import FileError
from chainrule.estimator_file import LIVE

pytestmark = [pytest.mark.compiled, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=["age", "height", "weight"])
    told = [lambda epoch: None]
    return MLPClassifier((3,), max_iter=2, random_state=0, callbacks=told).fit(frame, frame["age"] > 0)


def test_names_of_features_are_kept_and_counted(model):
    metadata, arrays = model.to_contents()
    again = MLPClassifier.from_contents(metadata, arrays)
    assert again.feature_names_in_.tolist() == ["age", "height", "weight"]
    for names in (["age"], ["age", "height", "weight", "shoe"]):
        with pytest.raises(FileError, match="its features have too many names, or too few"):
            MLPClassifier.from_contents({**metadata, "feature_names": names}, arrays)


def test_what_lives_in_one_process_is_left_out(model):
    metadata, arrays = model.to_contents()
    assert not metadata["options"].keys() & set(LIVE)
    for name in LIVE:
        with pytest.raises(FileError, match="options that no file holds"):
            MLPClassifier.from_contents({**metadata, "options": {**metadata["options"], name: None}}, arrays)


@pytest.mark.parametrize(
    "kind", [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)] + ["float32", "float64"]
)
def test_labels_keep_their_type(model, kind):
    metadata, arrays = model.to_contents()
    arrays = {**arrays, "classes": np.array([0, 1], "f8" if "float" in kind else "i8")}
    again = MLPClassifier.from_contents({**metadata, "classes": kind}, arrays)
    assert again.classes_.dtype == kind
    assert again.predict(np.zeros((1, 3))).dtype == kind


def test_an_unknown_type_of_labels_is_refused(model):
    metadata, arrays = model.to_contents()
    arrays = {**arrays, "classes": np.arange(2)}
    for kind in ("int33", "object", "complex128"):
        with pytest.raises(FileError, match="its labels are of an unknown type"):
            MLPClassifier.from_contents({**metadata, "classes": kind}, arrays)
