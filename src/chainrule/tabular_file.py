"""A fitted estimator for tables as the contents of a model file, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.conformal import Group, Spread
from chainrule.errors import OptionError
from chainrule.estimator_file import fitting_together, read_labels, spell_labels
from chainrule.parameters import Array, Layout
from chainrule.problem import Objective
from chainrule.spec import Network, Training
from chainrule.tabular_encoder import TableEncoder
from chainrule.tabular_member import Member

PLAIN_OPTIONS = (bool, int, float, str)
LARGEST = 700.0  # exp of it is still finite


def to_contents(model: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """The fitted model as metadata and arrays, for a model file.

    Returns
    -------
    metadata : dict
        What JSON can hold.
    arrays : dict of str to ndarray
    """
    if not hasattr(model, "report_"):
        raise OptionError(f"This {type(model).__name__} is not fitted yet: call fit before save.")
    arrays: dict[str, Any] = {"theta": np.stack([member.theta for member in model.members_])}
    metadata: dict[str, Any] = {
        "options": _options(model),
        "network": model.network_.as_dict(),
        "penalties": dict(model._objective.strengths),
        "training": model._training.as_dict(),
        "encoder": model.encoder_.to_dict(),
        "report": model.report_,
        "histories": [member.history for member in model.members_],
        "n_features_in": model.n_features_in_,
    }
    if hasattr(model, "feature_names_in_"):
        metadata["feature_names"] = [str(name) for name in model.feature_names_in_]
    if model.task == "classification":
        metadata["temperature"] = model.temperature_
        metadata["classes"] = spell_labels(model.classes_, arrays)
    else:
        metadata["target"] = [model.centre_, model.scale_, *model.range_]
        metadata["intervals"] = [_group_facts(g, group, arrays) for g, group in enumerate(model.intervals_)]
    return metadata, arrays


def _options(model: Any) -> dict[str, Any]:
    """The options that a file can hold; a loaded model has the defaults of the others."""
    kept = {}
    for name, given in model.get_params(deep=False).items():
        value = given.tolist() if isinstance(given, np.generic | np.ndarray) else given
        listed = isinstance(value, (list, tuple)) and all(isinstance(v, PLAIN_OPTIONS) for v in value)
        if value is None or isinstance(value, PLAIN_OPTIONS) or listed:
            kept[name] = list(value) if listed else value
    return kept


def _group_facts(number: int, group: Group, arrays: dict[str, Any]) -> dict[str, Any]:
    spread = group.spread
    arrays[f"scores{number}"] = group.scores
    arrays[f"spread{number}"] = np.stack([spread.weights, spread.means, spread.deviations])
    return {
        "members": list(group.members),
        "constant": spread.constant,
        "low": spread.low,
        "high": spread.high,
    }


def from_contents(cls: Any, metadata: dict[str, Any], arrays: dict[str, Array]) -> Any:
    """The inverse of `to_contents`.

    Parameters
    ----------
    metadata : dict
    arrays : dict of str to ndarray

    Returns
    -------
    TabularClassifier or TabularRegressor
        It predicts with the same bits as the model that was saved.

    Raises
    ------
    FileError
        If something is missing or does not fit together.
    """
    with fitting_together(cls):
        return _restore(cls, metadata, arrays)


def _restore(cls: Any, metadata: dict[str, Any], arrays: dict[str, Array]) -> Any:
    model = cls(**metadata["options"])
    model._validate_params()
    network = Network.from_dict(metadata["network"])
    encoder = TableEncoder.from_dict(metadata["encoder"])
    thetas = arrays["theta"]
    if thetas.ndim != 2 or not len(thetas) or thetas.shape[1] != Layout(network).size:
        raise ValueError("its parameters do not fit its network")
    if thetas.dtype != network.dtype or network.inputs != encoder.layout.total:
        raise ValueError("its columns do not fit its network")
    penalties = {name: float(strength) for name, strength in metadata["penalties"].items()}
    model._expose(network, Objective(network, penalties), Training(**metadata["training"]))
    model.encoder_, model.report_ = encoder, dict(metadata["report"])
    facts, histories = metadata["report"]["members"], metadata["histories"]
    model.members_ = [
        Member(np.ascontiguousarray(theta), fact, history)
        for theta, fact, history in zip(thetas, facts, histories, strict=True)
    ]
    _restore_columns(model, metadata)
    if model.task == "classification":
        _restore_classes(model, metadata, arrays)
    else:
        _restore_target(model, metadata, arrays)
    return model


def _restore_columns(model: Any, metadata: dict[str, Any]) -> None:
    model.n_features_in_ = int(metadata["n_features_in"])
    if len(model.encoder_.columns) != model.n_features_in_:
        raise ValueError("it has too many columns, or too few")
    if "feature_names" in metadata:
        names = list(map(str, metadata["feature_names"]))
        if names != [column.name for column in model.encoder_.columns]:
            raise ValueError("the names of its columns are not those that are encoded")
        model.feature_names_in_ = np.array(names, dtype=object)


def _restore_classes(model: Any, metadata: dict[str, Any], arrays: dict[str, Array]) -> None:
    model.classes_ = read_labels(metadata["classes"], arrays)
    model.temperature_ = float(metadata["temperature"])
    count, outputs = len(model.classes_), model.network_.outputs
    if count < 2 or outputs not in ((1, 2) if count == 2 else (count,)):
        raise ValueError("its classes are not those of its outputs")
    if not 0 < model.temperature_ < math.inf:
        raise ValueError("its temperature makes no sense")


def _restore_target(model: Any, metadata: dict[str, Any], arrays: dict[str, Array]) -> None:
    model.centre_, model.scale_, least, most = map(float, metadata["target"])
    model.range_ = least, most
    if not (model.scale_ > 0 and np.isfinite([model.centre_, model.scale_, least, most]).all()):
        raise ValueError("its target makes no sense")
    if model.network_.outputs != 1 or least > most:
        raise ValueError("its target is not that of its output")
    model.intervals_ = [_group(n, facts, arrays, model) for n, facts in enumerate(metadata["intervals"])]


def _group(number: int, facts: dict[str, Any], arrays: dict[str, Any], model: Any) -> Group:
    scores, terms = arrays[f"scores{number}"], arrays[f"spread{number}"]
    layout, members = model.encoder_.layout, tuple(facts["members"])
    fitting = (0, 2, 2 * (layout.numbers + layout.one_hot + 1))
    if terms.ndim != 2 or len(terms) != 3 or terms.shape[1] not in fitting or scores.ndim != 1:
        raise ValueError("its intervals do not fit its columns")
    if not members or any(type(m) is not int or not 0 <= m < len(model.members_) for m in members):
        raise ValueError("its intervals are of other networks")
    if not (np.diff(scores) >= 0).all() or not (scores >= 0).all():
        raise ValueError("its scores are out of order")
    constant, low, high = (float(facts[key]) for key in ("constant", "low", "high"))
    if not -LARGEST <= low <= constant <= high <= LARGEST:
        raise ValueError("the size of its errors makes no sense")
    weights, means, deviations = terms
    spread = Spread(weights, means, deviations, constant, low, high)
    return Group(members, spread, scores)
