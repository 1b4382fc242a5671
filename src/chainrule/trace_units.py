"""The equations of a step, unit by unit, as a textbook writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.equations import ACTIVATIONS
from chainrule.parameters import Layout
from chainrule.reference import Pass, values
from chainrule.trace_equation import Equation, factor, largest, number, plain
from chainrule.trace_step import Step, constants

Pair = tuple[str, str, float, float]  # two symbols, two numbers


def equations(step: Step) -> Iterator[Equation]:
    """All equations of one row's step, in the order in which they are computed."""
    run = step.run
    chosen = [_units(step, run, index) for index in range(len(step.objective.network.layers))]
    yield from _forward(step, run, chosen)
    if step.known:
        yield from _loss(step, run, chosen[-1])
        yield from _backward(step, run, chosen)
        yield from _update(step, run, chosen)


def _units(step: Step, run: Pass, index: int) -> list[int]:
    """The units of a layer that are written out: those that move the loss (or, without targets, the
    next layer) most.
    """
    a = run.A[index][0]
    if index == len(run.A) - 1:
        weight: Any = step.prediction(run)[0]
    elif step.known:
        weight = a * run.dA[index][0]
    else:
        layout = Layout(step.objective.network)
        weight = a * np.abs(layout.view(step.theta, index + 1, "W")).sum(axis=1)
    return largest(weight, step.units)[0]


def _left_out(part: str, layer: int, shown: Sequence[int], total: int) -> Iterator[Equation]:
    if len(shown) < total:
        text = f"{len(shown)} of {total} units are written out, those that matter most for this row"
        yield Equation(part, layer, "", text)


def _sum(step: Step, pairs: Sequence[Pair], bias: tuple[str, float] | None = None) -> tuple[str, str]:
    """A sum of products as a formula and with its numbers; the smaller terms of a long one together."""
    shown, hidden = largest([a * b for _, _, a, b in pairs], step.terms)
    formula = [f"{pairs[i][0]} {pairs[i][1]}" for i in shown]
    numbers = [f"{factor(pairs[i][2], step.digits)} · {factor(pairs[i][3], step.digits)}" for i in shown]
    if hidden:
        formula.append(f"({len(hidden)} smaller terms)")
        numbers.append(factor(sum(pairs[i][2] * pairs[i][3] for i in hidden), step.digits))
    if bias is not None:
        formula.append(bias[0])
        numbers.append(factor(bias[1], step.digits))
    return " + ".join(formula), " + ".join(numbers)


def _input_name(step: Step, layer: int, i: int) -> str:
    return f"x_{i}" if layer == 1 else f"a_{i}^[{layer - 1}]"


# ------------------------------------------------------------------ forward


def _forward(step: Step, run: Pass, chosen: Sequence[list[int]]) -> Iterator[Equation]:
    network, layout = step.objective.network, Layout(step.objective.network)
    for index, row in enumerate(network.activations):
        layer, x = index + 1, run.input_of(index)[0]
        W, b = layout.view(step.theta, index, "W"), layout.view(step.theta, index, "b")
        yield from _left_out("forward", layer, chosen[index], len(b))
        for j in chosen[index]:
            pairs: list[Pair] = [
                (f"w_{{{i},{j}}}^[{layer}]", _input_name(step, layer, i), float(W[i, j]), float(x[i]))
                for i in range(len(x))
            ]
            formula, numbers = _sum(step, pairs, (f"b_{j}^[{layer}]", float(b[j])))
            yield Equation("forward", layer, f"z_{j}^[{layer}]", formula, numbers, float(run.Z[index][0, j]))
            yield _activation(step, run, index, j, row)
    yield from _prediction(step, run, chosen[-1])


def _activation(step: Step, run: Pass, index: int, j: int, row: Any) -> Equation:
    layer, z = index + 1, number(float(run.Z[index][0, j]), step.digits)
    given, value = constants(row), float(run.A[index][0, j])
    if row.name == "identity":
        symbol = f"a_{j}^[{layer}]"
        return Equation("forward", layer, symbol, f"z_{j}^[{layer}]", "", value, because="no activation")
    why = f"{row.name}(z) = {plain(row.latex)}"
    return Equation(
        "forward",
        layer,
        f"a_{j}^[{layer}]",
        f"{row.name}(z_{j}^[{layer}])",
        f"{row.name}({z})",
        value,
        because=f"{why}{', ' if given else ''}{given}",
    )


def _prediction(step: Step, run: Pass, shown: Sequence[int]) -> Iterator[Equation]:
    link, depth = ACTIVATIONS[step.objective.network.loss_row.link], len(run.A)
    predicted = step.prediction(run)[0]
    for k in shown:
        z = number(float(run.A[-1][0, k]), step.digits)
        numbers = f"{link.name}({z})" if not link.coupled else ""
        why = f"{step.outputs[k]}: {link.name}, {plain(link.latex)}"
        formula = f"{link.name}(a_{'j' if link.coupled else k}^[{depth}])"
        formula = f"softmax_{k}(a^[{depth}])" if link.coupled else formula
        yield Equation("forward", None, f"ŷ_{k}", formula, numbers, float(predicted[k]), because=why)


# ------------------------------------------------------------------ the loss


def _loss(step: Step, run: Pass, shown: Sequence[int]) -> Iterator[Equation]:
    row, losses = step.objective.network.loss_row, step.losses(run)[0]
    given = constants(row)
    yield Equation("loss", None, row.name, plain(row.latex), because=row.source)
    if given:
        yield Equation("loss", None, "", given)
    yield from _left_out("loss", len(run.A), shown, len(losses))
    for k in shown:
        z, y = float(run.A[-1][0, k]), float(step.batch.Y[0, k])
        numbers = f"l({number(z, step.digits)}, {number(y, step.digits)})"
        yield Equation("loss", None, f"l_{k}", f"l(z_{k}, y_{k})", numbers, float(losses[k]))
    parts = " + ".join(f"l_{k}" for k in shown)
    rest = float(np.sum(losses) - sum(losses[k] for k in shown))
    numbers = " + ".join(factor(float(losses[k]), step.digits) for k in shown)
    if len(shown) < len(losses):
        parts, numbers = f"{parts} + (the other outputs)", f"{numbers} + {factor(rest, step.digits)}"
    yield Equation("loss", None, "L", parts, numbers, float(np.sum(losses)))


# ------------------------------------------------------------------ backward


def _backward(step: Step, run: Pass, chosen: Sequence[list[int]]) -> Iterator[Equation]:
    depth = len(run.A)
    for index in range(depth - 1, -1, -1):
        layer = index + 1
        yield from _left_out("backward", layer, chosen[index], run.A[index].shape[1])
        for j in chosen[index]:
            last = index == depth - 1
            yield _loss_slope(step, run, j) if last else _value_slope(step, run, index, j)
            yield _slope(step, run, index, j)
            yield from _weight_slopes(step, run, index, j)


def _loss_slope(step: Step, run: Pass, k: int) -> Equation:
    row, layer = step.objective.network.loss_row, len(run.A)
    z, y = float(run.A[-1][0, k]), float(step.batch.Y[0, k])
    numbers = f"z = {number(z, step.digits)}, y = {number(y, step.digits)}"
    if row.slope_latex.startswith(("a_k - y_k", r"\sigma(z) - y")):
        predicted = float(step.prediction(run)[0, k])
        numbers = f"{factor(predicted, step.digits)} − {number(y, step.digits)}"
    formula, value = plain(row.slope_latex), float(run.dA[-1][0, k])
    why = f"∂L/∂a_{k}^[{layer}], the loss and its link in one"
    return Equation("backward", layer, f"da_{k}^[{layer}]", formula, numbers, value, because=why)


def _value_slope(step: Step, run: Pass, index: int, i: int) -> Equation:
    layer, after = index + 1, index + 2
    W = Layout(step.objective.network).view(step.theta, index + 1, "W")
    pairs: list[Pair] = [
        (f"w_{{{i},{j}}}^[{after}]", f"dz_{j}^[{after}]", float(W[i, j]), float(run.dZ[index + 1][0, j]))
        for j in range(W.shape[1])
    ]
    formula, numbers = _sum(step, pairs)
    why = f"Σ_j ∂z_j^[{after}]/∂a_{i}^[{layer}] × ∂L/∂z_j^[{after}]"
    value = float(run.dA[index][0, i])
    return Equation("backward", layer, f"da_{i}^[{layer}]", formula, numbers, value, because=why)


def _slope(step: Step, run: Pass, index: int, j: int) -> Equation:
    layer, row = index + 1, step.objective.network.activations[index]
    dA, dZ = run.dA[index][0], float(run.dZ[index][0, j])
    a, da = f"a_{j}^[{layer}]", f"da_{j}^[{layer}]"
    if row.coupled:
        pairs: list[Pair] = [
            (f"∂a_{k}/∂z_{j}", f"da_{k}^[{layer}]", float(v), float(dA[k]))
            for k, v in enumerate(row.jacobian(run.A[index][0])[:, j])  # type: ignore[misc]
        ]
        formula, numbers = _sum(step, pairs)
        why = f"Σ_k ∂a_k/∂z_{j} × ∂L/∂a_k, {plain(row.slope_latex)}"
    else:
        slope = _slope_of(row, run.Z[index][0, j], run.A[index][0, j])
        formula = f"{da} {row.name}'(z_{j}^[{layer}])"
        numbers = f"{factor(float(dA[j]), step.digits)} · {factor(slope, step.digits)}"
        why = f"∂L/∂{a} × ∂{a}/∂z_{j}^[{layer}], {row.name}'(z) = {plain(row.slope_latex)}"
    return Equation("backward", layer, f"dz_{j}^[{layer}]", formula, numbers, dZ, because=why)


def _slope_of(row: Any, z: Any, a: Any) -> float:
    with np.errstate(all="ignore"):
        return float(row.slope(z, a, *values(row)))


def _weight_slopes(step: Step, run: Pass, index: int, j: int) -> Iterator[Equation]:
    layer, x, dz = index + 1, run.input_of(index)[0], float(run.dZ[index][0, j])
    dW = Layout(step.objective.network).view(run.gradient, index, "W")[:, j]
    shown, hidden = largest(dW, step.terms)
    for i in shown:
        name = _input_name(step, layer, i)
        weight = f"w_{{{i},{j}}}^[{layer}]"
        numbers = f"{factor(dz, step.digits)} · {factor(float(x[i]), step.digits)}"
        why = f"∂L/∂z_{j}^[{layer}] × ∂z_{j}^[{layer}]/∂{weight}"
        formula = f"dz_{j}^[{layer}] {name}"
        yield Equation("backward", layer, f"d{weight}", formula, numbers, float(dW[i]), because=why)
    if hidden:
        most = number(float(np.max(np.abs(dW[hidden]))), step.digits)
        text = f"the other {len(hidden)} weights of this unit likewise; none has more than {most} in size"
        yield Equation("backward", layer, "", text)
    formula, why = f"dz_{j}^[{layer}]", f"∂z_{j}^[{layer}]/∂b_{j}^[{layer}] = 1"
    yield Equation("backward", layer, f"db_{j}^[{layer}]", formula, "", dz, because=why)


# ------------------------------------------------------------------ the update


def _update(step: Step, run: Pass, chosen: Sequence[list[int]]) -> Iterator[Equation]:
    yield from step.update_remarks()
    if step.optimiser.full_batch:
        return
    layout = Layout(step.objective.network)
    gradient = step.gradient(run)
    moved = step.moved(gradient)
    for index, units in enumerate(chosen):
        layer = index + 1
        yield from _left_out("update", layer, units, run.A[index].shape[1])
        W, g, new = (layout.view(v, index, "W") for v in (step.theta, gradient, moved))
        b, gb, new_b = (layout.view(v, index, "b") for v in (step.theta, gradient, moved))
        for j in units:
            shown, hidden = largest(g[:, j], step.terms)
            for i in shown:
                name = f"w_{{{i},{j}}}^[{layer}]"
                yield _moved(step, layer, name, float(W[i, j]), float(g[i, j]), float(new[i, j]))
            if hidden:
                text = f"the other {len(hidden)} weights of this unit likewise"
                yield Equation("update", layer, "", text)
            name = f"b_{j}^[{layer}]"
            yield _moved(step, layer, name, float(b[j]), float(gb[j]), float(new_b[j]))


def _moved(step: Step, layer: int, name: str, w: float, g: float, new: float) -> Equation:
    change, size = ("+", new - w) if new >= w else ("−", w - new)
    numbers = f"{number(w, step.digits)} {change} {number(size, step.digits)}"
    why = f"{step.optimiser.name} with g = {number(g, step.digits)}"
    return Equation("update", layer, name, f"{name} {change} its step", numbers, new, because=why)
