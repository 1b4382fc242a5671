"""A fitted estimator as the contents of a model file, and back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from chainrule import estimator_random, store, train
from chainrule.checkpoint import (
    Remembered,
    check_alike,
    check_order,
    numbers_of,
    read_history,
    spell_history,
)
from chainrule.errors import FileError, OptionError
from chainrule.evidence import Notes
from chainrule.parameters import Array, Layout
from chainrule.snapshot import rebuild
from chainrule.spec import Network

# Live objects, which a file cannot hold, and what is of one fit only: a loaded model has their defaults.
LIVE = ("callbacks", "init_weights", "checkpoint", "checkpoint_every")
PLAIN = {
    "loss_": float,
    "best_loss_": float,
    "best_validation_score_": float,
    "n_iter_": int,
    "stop_reason_": str,
    "_stop_detail": str,
    "n_features_in_": int,
}
NUMERIC = {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)} | {
    "float16",
    "float32",
    "float64",
}
TARGETS = ("binary", "multiclass", "multilabel-indicator")


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write the fitted model to a file that `chainrule.load` reads.

    Parameters
    ----------
    path : path-like
        Where to. An existing file is replaced only once the new one is complete.

    Raises
    ------
    OptionError
        If the model is not fitted, or holds something that a file cannot.
    """
    store.write(path, type(model).__name__, *model.to_contents())


def to_contents(model: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """The fitted model as metadata and arrays, for a model file.

    Returns
    -------
    metadata : dict
        What JSON can hold.
    arrays : dict of str to ndarray
    """
    if not hasattr(model, "theta_"):
        raise OptionError(f"This {type(model).__name__} is not fitted yet: call fit before save.")
    arrays = {"theta": model._current()}
    state = model._state
    metadata: dict[str, Any] = {
        "network": model.network_.as_dict(),
        "options": {k: _plain(v) for k, v in model.get_params(deep=False).items() if _storable(k, v)},
        "fitted": {k: _plain(getattr(model, k)) for k in PLAIN if getattr(model, k, None) is not None},
        "dropout_seed": model._dropout_seed,
    }
    metadata["history"], histories = spell_history(getattr(model, "history_", {}))
    arrays.update(histories)
    if hasattr(model, "_notes"):
        metadata["notes"] = model._notes.as_dict()
    if hasattr(model, "feature_names_in_"):
        metadata["feature_names"] = [str(name) for name in model.feature_names_in_]
    if hasattr(model, "classes_"):
        metadata["target"] = model._label_binarizer.y_type_
        metadata["classes"] = spell_labels(model.classes_, arrays)
    if hasattr(model, "class_weight_"):
        arrays["class_weight"] = model.class_weight_
    if hasattr(model, "_order"):
        arrays["order"] = model._order
    if state is not None:
        metadata["state"] = numbers_of(state, Remembered)
        arrays["slots"] = state.slots
        if state.best_theta is not None and not np.array_equal(state.best_theta, arrays["theta"]):
            arrays["best"] = state.best_theta  # after early stopping they are the same
        metadata["has_best"] = state.best_theta is not None
    metadata["random_state"], arrays["random_state"] = estimator_random.spell(model._random_state)
    return metadata, arrays


def _storable(name: str, value: Any) -> bool:
    if name in LIVE:
        return False
    if name == "track":
        return all(isinstance(metric, str) for metric in value)
    kinds = {"random_state": (int, np.integer), "metric": (str,), "class_weight": (str,)}.get(name)
    return kinds is None or value is None or isinstance(value, kinds)


def _plain(value: Any) -> Any:
    """A value in Python's own types."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def spell_labels(classes: Any, arrays: dict[str, Array]) -> Any:
    """Class labels: numbers as an array (which keeps their type), text and truth values as a list."""
    if classes.dtype.kind in "iu":
        arrays["classes"] = classes.astype(np.int64)
        return classes.dtype.name
    if classes.dtype.kind == "f":
        arrays["classes"] = classes.astype(np.float64)
        return classes.dtype.name
    labels = classes.tolist()
    if classes.dtype.kind == "b" or all(isinstance(label, str) for label in labels):
        return labels
    raise OptionError(
        f"Labels of type {type(labels[0]).__name__} cannot be saved: use text, numbers or truth values."
    )


def read_labels(spelled: Any, arrays: dict[str, Array]) -> Any:
    """The inverse of `spell_labels`.

    Raises
    ------
    KeyError, ValueError
        If there are no such labels.
    """
    if isinstance(spelled, str) and spelled not in NUMERIC:
        raise ValueError(f"its labels are of an unknown type {spelled!r}")
    return arrays["classes"].astype(spelled) if isinstance(spelled, str) else np.array(spelled)


def from_contents(cls: Any, metadata: dict[str, Any], arrays: dict[str, Array]) -> Any:
    """The inverse of `to_contents`.

    Parameters
    ----------
    metadata : dict
    arrays : dict of str to ndarray

    Returns
    -------
    MLPClassifier or MLPRegressor
        It predicts with the same bits as the model that was saved, and `partial_fit` goes on with the
        same bits too.

    Raises
    ------
    FileError
        If something is missing or does not fit together.
    """
    with fitting_together(cls):
        return _restore(cls, metadata, arrays)


@contextmanager
def fitting_together(cls: Any) -> Iterator[None]:
    """Where contents that make no sense become an error of the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise FileError(f"The file's {cls.__name__} does not fit together: {error}") from error


def _restore(cls: Any, metadata: dict[str, Any], arrays: dict[str, Array]) -> Any:
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in metadata["options"].items()}
    if not all(_storable(k, v) for k, v in options.items()):
        raise ValueError("it has options that no file holds")
    model = cls(**{**options, **_lists(options)})
    network = Network.from_dict(metadata["network"])
    theta = arrays["theta"]
    if theta.shape != (Layout(network).size,) or theta.dtype != network.dtype:
        raise ValueError("its parameters do not fit its network")
    model.network_ = network
    model._expose(theta)
    for name, value in metadata["fitted"].items():
        if name not in PLAIN:
            raise ValueError(f"unknown attribute {name!r}")
        setattr(model, name, PLAIN[name](value))
    if model.n_features_in_ != network.inputs:  # the compiled run trusts it
        raise ValueError("its number of features is not that of its network")
    model.n_outputs_, model.n_layers_ = network.outputs, len(network.widths)
    model.out_activation_ = {"sigmoid": "logistic", "exponential": "exp"}.get(
        network.loss_row.link, network.loss_row.link
    )
    model.history_ = read_history(metadata["history"], arrays)
    model._dropout_seed, model._split = int(metadata["dropout_seed"]), None
    if "notes" in metadata:
        model._notes = Notes.from_dict(metadata["notes"])
    if "feature_names" in metadata:
        model.feature_names_in_ = np.array(list(map(str, metadata["feature_names"])), dtype=object)
        if len(model.feature_names_in_) != network.inputs:
            raise ValueError("its features have too many names, or too few")
    _restore_classes(model, metadata, arrays)
    _restore_state(model, metadata, arrays)
    return model


def _lists(options: dict[str, Any]) -> dict[str, Any]:
    return {k: list(options[k]) for k in ("activation", "init") if isinstance(options.get(k), tuple)}


def _restore_classes(model: Any, metadata: dict[str, Any], arrays: dict[str, Array]) -> None:
    if not hasattr(model, "class_weight"):  # a regressor
        return
    if metadata["target"] not in TARGETS:
        raise ValueError(f"its target is of an unknown type {metadata['target']!r}")
    classes = read_labels(metadata["classes"], arrays)
    target = metadata["target"]
    outputs = 1 if target == "binary" and len(classes) <= 2 else len(classes)
    if target not in TARGETS or outputs != model.n_outputs_:
        raise ValueError("its classes are not those of its outputs")
    binarizer = LabelBinarizer().fit(classes)
    binarizer.classes_, binarizer.y_type_ = classes, target
    # scikit-learn transforms indicator matrices as they are, but looks at how it was fitted.
    binarizer.sparse_input_ = False
    model._label_binarizer, model.classes_ = binarizer, classes
    if "class_weight" in arrays:
        factors = arrays["class_weight"]
        if factors.shape not in ((len(classes),), (len(classes), 2)):
            raise ValueError("its class weights do not fit its classes")
        model.class_weight_ = factors


def _restore_state(model: Any, metadata: dict[str, Any], arrays: dict[str, Array]) -> None:
    model._random_state = np.random.RandomState()
    estimator_random.restore(model._random_state, metadata["random_state"], arrays["random_state"])
    model._state = None
    if "order" in arrays:
        check_order(arrays["order"])
        model._order = arrays["order"]
    if "state" in metadata:
        numbers = asdict(rebuild(Remembered, metadata["state"]))
        theta, slots = model.theta_, arrays["slots"]
        best = arrays.get("best", theta.copy()) if metadata.get("has_best") else None
        check_alike(theta, *slots, *([] if best is None else [best]))
        model._state = train.State(theta, slots, history=model.history_, best_theta=best, **numbers)
        model.t_ = model._state.samples
        model.loss_curve_ = list(model.history_.get("loss", []))
        scores = [k for k in model.history_ if k.startswith("validation_")]
        model.validation_scores_ = model.history_[scores[-1]] if scores else None
