"""What a trace says around a network for tables: from raw cells to inputs, and from values to the outcome."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule import temperature
from chainrule.column_values import Frame
from chainrule.robust_scaling import Scaling
from chainrule.tabular_base import BaseTabular
from chainrule.tabular_columns import Categorical, Matrix, Numeric, indicators
from chainrule.trace_equation import Equation, factor, number
from chainrule.trace_step import Step

MOST_CLASSES = 10


def cells(model: BaseTabular, frame: Frame, x: Any, digits: int) -> Iterator[Equation]:
    """How each cell of a row becomes inputs of the networks, in the order of the inputs."""
    found = {}
    for column in model.encoder_.kept:
        places, cell = model.encoder_.places(column.name), frame[column.name]
        raw: Any = column.read(cell)
        words = (
            _of_numbers(column, raw[0], digits)
            if isinstance(column, Numeric)
            else _of_category(column, int(raw[0]), digits)
        )
        for place, numbers in zip(places, words, strict=True):
            found[place] = Equation(
                "input",
                None,
                f"x_{place}",
                model.encoder_.layout.names[place],
                numbers,
                float(x[place]),
                because=_shown(column.name, cell.to_list()[0], digits),
            )
    return iter(found[place] for place in sorted(found))


def _shown(name: str, value: Any, digits: int) -> str:
    if value is None or value != value:
        return f"{name} is missing"
    if isinstance(value, str):
        return f"{name} is {value!r}"
    return f"{name} is {number(value, digits) if isinstance(value, float) else value}"


def _scaled(value: float, scaling: Scaling, digits: int) -> str:
    if not scaling.clipped:
        return number(value, digits)
    u = f"({number(value, digits)} − {factor(scaling.centre, digits)}) / {number(scaling.spread, digits)}"
    return f"u / √(1 + (u / 3)²) with u = {u}"


def _of_numbers(column: Numeric, raw: Any, digits: int) -> Iterator[str]:
    for value, scaling in zip(raw, column.scalings, strict=False):
        gone = bool(np.isnan(value))
        yield "0, which is the median" if gone else _scaled(float(value), scaling, digits)
    if column.flag is not None:
        yield _scaled(1.0 if np.isnan(raw[0]) else -1.0, column.flag, digits)


def _of_category(column: Categorical, code: int, digits: int) -> Iterator[str]:
    if not column.one_hot:
        yield f"the code of {column.levels[code - 1]!r}" if code else "the code of a value that is not known"
    for value, scaling in zip(indicators(len(column.levels))[code], column.one_hot, strict=False):
        yield _scaled(float(value), scaling, digits)


def outcome(model: BaseTabular, step: Step, X: Matrix, member: int) -> list[Equation]:
    """From the values of a network to the outcome, over the temperature and the mean of all networks."""
    values = np.asarray(model._values(X[:1])[:, 0], dtype=np.float64)
    if model.task == "classification":
        return _of_classes(model, values, member, step.digits)
    return _of_number(model, values[:, 0], step.digits)


def _mean(values: Any, digits: int) -> str:
    return f"({' + '.join(factor(float(v), digits) for v in values)}) / {len(values)}"


def _of_classes(model: Any, values: Any, member: int, digits: int) -> list[Equation]:
    P, T = temperature.probabilities(values, model.temperature_), model.temperature_
    mean = P.mean(axis=0)
    labels = model.classes_.tolist()
    chosen = [1] if len(labels) == 2 else sorted(np.argsort(-mean, kind="stable")[:MOST_CLASSES].tolist())
    own = f" by network {member + 1}" if len(P) > 1 else ""
    found = []
    for k in chosen:
        name = f"probability of {labels[k]}"
        formula, numbers = _probability(values[member], k, T, digits)
        because = f"the temperature T = {number(T, digits)} makes probabilities honest"
        found.append(
            Equation("forward", None, name + own, formula, numbers, float(P[member, k]), because=because)
        )
        if len(P) > 1:
            text = "the mean over the networks"
            found.append(Equation("forward", None, name, text, _mean(P[:, k], digits), float(mean[k])))
    label = str(labels[int(mean.argmax())])
    return [*found, Equation("forward", None, "class", label, because="the most probable class")]


def _probability(z: Any, k: int, T: float, digits: int) -> tuple[str, str]:
    if len(z) == 1:
        return "1 / (1 + exp(−z / T))", f"1 / (1 + exp(−{factor(float(z[0]), digits)} / {number(T, digits)}))"
    # Less the largest, as it is computed: exp of any logit stays finite.
    shifted = z - z.max()
    total = float(np.exp(shifted / T).sum())
    return (
        "exp((z_k − max z) / T) / Σ_j exp((z_j − max z) / T)",
        f"exp({number(float(shifted[k]), digits)} / {number(T, digits)}) / {number(total, digits)}",
    )


def _of_number(model: Any, values: Any, digits: int) -> list[Equation]:
    mean = float(values.mean())
    found = []
    if len(values) > 1:
        text = "the mean over the networks"
        found.append(Equation("forward", None, "scaled prediction", text, _mean(values, digits), mean))
    value = mean * model.scale_ + model.centre_
    numbers = f"{factor(mean, digits)} · {number(model.scale_, digits)} + {factor(model.centre_, digits)}"
    formula, why = "ŷ · standard deviation + mean", "back to the target's own unit"
    found.append(Equation("forward", None, "prediction", formula, numbers, value, because=why))
    kept = float(np.clip(value, *model.range_))
    if model.clip and kept != value:
        low, high = (number(end, digits) for end in model.range_)
        why = f"the target of the training rows was between {low} and {high}"
        found.append(
            Equation("forward", None, "prediction", "kept within the range", value=kept, because=why)
        )
    return found
