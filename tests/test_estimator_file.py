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
