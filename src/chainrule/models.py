"""Models from files. What a file may hold is a closed table: a file names a kind, never code."""

from __future__ import annotations

import os
from typing import Any

from chainrule import checkpoint, store
from chainrule.errors import FileError
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.table_model import TableModel
from chainrule.tabular_classifier import TabularClassifier
from chainrule.tabular_regressor import TabularRegressor

KINDS: dict[str, Any] = {
    "MLPClassifier": MLPClassifier,
    "MLPRegressor": MLPRegressor,
    "TableModel": TableModel,
    "TabularClassifier": TabularClassifier,
    "TabularRegressor": TabularRegressor,
}


def load(path: str | os.PathLike[str]) -> Any:
    """Load a model from a file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    MLPClassifier, MLPRegressor, TableModel, TabularClassifier or TabularRegressor

    Raises
    ------
    FileError
        If the file is damaged, or holds no model that is known here.
    OSError
        If there is no such file, or if it cannot be read.
    """
    contents = store.read(path)
    if contents.kind == checkpoint.KIND:
        raise FileError(
            f"{os.fspath(path)} is a checkpoint of a fit, not a model: repeat that fit with it, and save the "
            "model that comes out."
        )
    if contents.kind not in KINDS:
        raise FileError(
            f"{os.fspath(path)} holds a {contents.kind!r}, which is not known here; known are: "
            f"{', '.join(KINDS)}."
        )
    return KINDS[contents.kind].from_contents(contents.metadata, contents.arrays)
