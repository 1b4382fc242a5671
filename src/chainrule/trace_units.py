"""The equations of a step, unit by unit, as a textbook writes them.

Of several rows each goes forward and back by itself, its number raised as in a_0^[1](7); the derivatives of
the weights are then sums over the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule import trace_update
from chainrule.equations import ACTIVATIONS
from chainrule.parameters import Layout
from chainrule.reference import values
from chainrule.trace_equation import Equation, factor, largest, number, plain
from chainrule.trace_numbers import constants, parameters, put_in, where
from chainrule.trace_step import Step, not_all_units

Pair = tuple[str, str, float, float]  # two symbols, two numbers


def equations(step: Step) -> Iterator[Equation]:
    """All equations of a step, in the order in which they are computed."""
    chosen = [_units(step, index) for index in range(len(step.objective.network.layers))]
    for row in _rows(step):
        yield from _said(step, row, "forward")
        yield from _forward(step, chosen, row)
    if step.known:
        yield from _loss(step, chosen[-1])
        yield from _backward(step, chosen)
        yield from trace_update.units(step, chosen)


def _rows(step: Step) -> range:
    return range(len(step.batch))


def _said(step: Step, row: int, part: str) -> Iterator[Equation]:
    if len(step.batch) > 1:
        yield Equation(part, None, "", f"row {step.rows[row]}")


def _units(step: Step, index: int) -> list[int]:
    """The units of a layer that are written out: those that move the loss (or, without targets, the
    next layer) most.
    """
    run = step.run
    a = np.abs(run.A[index])
    if index == len(run.A) - 1:
        weight: Any = np.abs(step.prediction)
    elif step.known:
        weight = a * np.abs(run.dA[index])
    else:
        layout = Layout(step.objective.network)
        weight = a * np.abs(layout.view(step.theta, index + 1, "W")).sum(axis=1)
    return largest(weight.sum(axis=0), step.units)[0]


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


# ------------------------------------------------------------------ names


def _mark(step: Step, row: int) -> str:
    """The number of a row as it is raised; of one row alone nothing is said."""
    return f"({step.rows[row]})" if len(step.batch) > 1 else ""


def _name(step: Step, letter: str, index: int, j: int, row: int) -> str:
    """A unit's value, as in a_0^[1]; of several rows a_0^[1](7)."""
    return f"{letter}_{j}^[{index + 1}]{_mark(step, row)}"


def _of_output(step: Step, letter: str, k: int, row: int) -> str:
    mark = _mark(step, row)
    return f"{letter}_{k}^{mark}" if mark else f"{letter}_{k}"


def _received(step: Step, index: int, i: int, row: int) -> str:
    """What a layer receives from place i below it."""
    if index == 0:
        return _of_output(step, "x", i, row)
    return _name(step, "a" if step.run.kept[index - 1] is None else "ã", index - 1, i, row)


# ------------------------------------------------------------------ forward


def _forward(step: Step, chosen: Sequence[list[int]], row: int) -> Iterator[Equation]:
    run, layout = step.run, Layout(step.objective.network)
    for index in range(len(run.A)):
        x = run.input_of(index)[row]
        W, b = layout.view(step.theta, index, "W"), layout.view(step.theta, index, "b")
        yield from not_all_units("forward", index + 1, chosen[index], len(b))
        for j in chosen[index]:
            pairs: list[Pair] = [
                (f"w_{{{i},{j}}}^[{index + 1}]", _received(step, index, i, row), float(W[i, j]), float(x[i]))
                for i in range(len(x))
            ]
            formula, numbers = _sum(step, pairs, (f"b_{j}^[{index + 1}]", float(b[j])))
            symbol, z = _name(step, "z", index, j, row), float(run.Z[index][row, j])
            yield Equation("forward", index + 1, symbol, formula, numbers, value=z)
            yield _activation(step, index, j, row)
            yield from _dropped(step, index, j, row)
    yield from _prediction(step, chosen[-1], row)


def _activation(step: Step, index: int, j: int, row: int) -> Equation:
    kind = step.objective.network.activations[index]
    symbol, z = _name(step, "a", index, j, row), _name(step, "z", index, j, row)
    value = float(step.run.A[index][row, j])
    if kind.name == "identity":
        return Equation("forward", index + 1, symbol, z, value=value, because="no activation")
    given = constants(kind)
    why = f"{kind.name}(z) = {plain(kind.latex)}{', ' if given else ''}{given}"
    numbers = _activated(step, kind, step.run.Z[index][row], j)
    formula = f"{kind.name}({z})"
    if kind.coupled:
        formula = f"{kind.name}_{j}({_name(step, 'z', index, j, row).replace(f'_{j}', '', 1)})"
    return Equation("forward", index + 1, symbol, formula, numbers, value=value, because=why)


def _activated(step: Step, kind: Any, z: Any, j: int) -> str:
    """An activation's formula with its numbers."""
    own = float(z[j])
    if not kind.coupled:
        formula = plain(kind.latex) or f"{kind.name}(z)"
        return put_in(formula, {"z": own, **parameters(kind)}, step.digits)
    powers = [(f"e^{factor(float(v), step.digits)}", float(np.exp(v))) for v in z]
    shown, hidden = largest([size for _, size in powers], step.terms)
    terms = [powers[k][0] for k in shown]
    if hidden:
        terms.append(number(sum(powers[k][1] for k in hidden), step.digits))
    return f"{powers[j][0]} / ({' + '.join(terms)})"


def _dropped(step: Step, index: int, j: int, row: int) -> Iterator[Equation]:
    """What dropout makes of a unit's value."""
    mask = step.run.kept[index]
    if mask is None:
        return
    rate, a = step.objective.network.layers[index].dropout, float(step.run.A[index][row, j])
    kept, less = int(mask[row, j]), number(1 - rate, step.digits)
    formula = f"{_name(step, 'a', index, j, row)} m / (1 − p)"
    numbers = f"{factor(a, step.digits)} · {kept} / {less}"
    why = f"dropout {'keeps' if kept else 'drops'} this unit, m = {kept}, p = {rate:g}"
    symbol, value = _name(step, "ã", index, j, row), float(step.run.D[index][row, j])
    yield Equation("forward", index + 1, symbol, formula, numbers, value=value, because=why)


def _prediction(step: Step, shown: Sequence[int], row: int) -> Iterator[Equation]:
    link, depth = ACTIVATIONS[step.objective.network.loss_row.link], len(step.run.A)
    z = step.run.A[-1][row]
    for k in shown:
        why = f"{step.outputs[k]}: {link.name}, {plain(link.latex)}"
        value = _name(step, "a", depth - 1, k, row)
        formula = f"{link.name}({value})"
        if link.coupled:
            formula = f"{link.name}_{k}({value.replace(f'_{k}', '', 1)})"
        predicted = float(step.prediction[row, k])
        numbers = "" if link.name == "identity" else _activated(step, link, z, k)
        symbol = _of_output(step, "ŷ", k, row)
        yield Equation("forward", None, symbol, formula, numbers, value=predicted, because=why)


# ------------------------------------------------------------------ the loss


def _loss(step: Step, shown: Sequence[int]) -> Iterator[Equation]:
    row = step.objective.network.loss_row
    yield Equation("loss", None, row.name, plain(row.latex), because=row.source)
    if constants(row):
        yield Equation("loss", None, "", constants(row))
    yield from not_all_units("loss", len(step.run.A), shown, step.losses.shape[1])
    for place in _rows(step):
        yield from _said(step, place, "loss")
        for k in shown:
            yield _output_loss(step, k, place)
        yield _row_loss(step, shown, place)
    if len(step.batch) > 1:
        yield _mean_loss(step)


def _letters(step: Step, k: int, row: int) -> dict[str, float]:
    """What the letters of a loss's formula stand for."""
    kind = step.objective.network.loss_row
    z, y = float(step.run.A[-1][row, k]), float(step.batch.Y[row, k])
    both = {"y_k": y, "a_k": float(step.prediction[row, k])} if kind.coupled else {"z": z, "y": y}
    return {**both, **parameters(kind)}


def _output_loss(step: Step, k: int, row: int) -> Equation:
    kind = step.objective.network.loss_row
    formula = plain(kind.latex).partition(" = ")[0] if kind.coupled else plain(kind.latex)
    numbers = put_in(formula.replace("Σ_k ", ""), _letters(step, k, row), step.digits)
    z = _name(step, "a", len(step.run.A) - 1, k, row)
    symbol, right = _of_output(step, "l", k, row), f"l({z}, {_of_output(step, 'y', k, row)})"
    return Equation("loss", None, symbol, right, numbers, value=float(step.losses[row, k]))


def _row_loss(step: Step, shown: Sequence[int], row: int) -> Equation:
    losses = step.losses[row]
    total, mark = float(np.sum(losses)), _mark(step, row)
    parts = " + ".join(_of_output(step, "l", k, row) for k in shown)
    numbers = " + ".join(factor(float(losses[k]), step.digits) for k in shown)
    if len(shown) < len(losses):
        rest = float(total - sum(losses[k] for k in shown))
        parts, numbers = f"{parts} + (the other outputs)", f"{numbers} + {factor(rest, step.digits)}"
    return Equation("loss", None, f"l^{mark}" if mark else "L", parts, numbers, value=total)


def _mean_loss(step: Step) -> Equation:
    totals, whole = step.losses.sum(axis=1), float(step.weights.sum())
    pairs: list[Pair] = [
        (f"w^{_mark(step, r)}", f"l^{_mark(step, r)}", float(step.weights[r]), float(totals[r]))
        for r in _rows(step)
    ]
    formula, numbers = _sum(step, pairs)
    value = float(totals @ step.weights / whole)
    numbers = f"({numbers}) / {number(whole, step.digits)}"
    why = "the mean over the rows, w their weights"
    return Equation("loss", None, "L", f"({formula}) / Σ w", numbers, value=value, because=why)


# ------------------------------------------------------------------ backward


def _backward(step: Step, chosen: Sequence[list[int]]) -> Iterator[Equation]:
    """Of one row a unit's weights follow the unit; of several rows all weights come last."""
    layers = range(len(step.run.A) - 1, -1, -1)
    alone = len(step.batch) == 1
    for row in _rows(step):
        yield from _said(step, row, "backward")
        for index in layers:
            yield from not_all_units("backward", index + 1, chosen[index], step.run.A[index].shape[1])
            for j in chosen[index]:
                yield from _value_slope(step, row, index, j)
                yield _slope(step, row, index, j)
                if alone:
                    yield from _weight_slopes(step, index, j)
    if not alone:
        yield Equation("backward", None, "", "the derivatives of the weights: sums over the rows")
        for index in layers:
            for j in chosen[index]:
                yield from _weight_slopes(step, index, j)


def _value_slope(step: Step, row: int, index: int, j: int) -> Iterator[Equation]:
    """∂L/∂a of a unit; where dropout is on, ∂L/∂ã comes first."""
    if index == len(step.run.A) - 1:
        yield _loss_slope(step, row, j)
        return
    mask = step.run.kept[index]
    letter = "a" if mask is None else "ã"
    W = Layout(step.objective.network).view(step.theta, index + 1, "W")
    above = step.run.dZ[index + 1][row]
    pairs: list[Pair] = [
        (
            f"w_{{{j},{k}}}^[{index + 2}]",
            _name(step, "dz", index + 1, k, row),
            float(W[j, k]),
            float(above[k]),
        )
        for k in range(W.shape[1])
    ]
    formula, numbers = _sum(step, pairs)
    symbol, layer = _name(step, f"d{letter}", index, j, row), index + 1
    why = f"Σ_j ∂z_j^[{layer + 1}]/∂{letter}_{j}^[{layer}] × ∂L/∂z_j^[{layer + 1}]"
    da = float(step.run.dA[index][row, j])
    value = da if mask is None else float(W[j] @ above)
    yield Equation("backward", layer, symbol, formula, numbers, value=value, because=why)
    if mask is not None:
        rate, kept = step.objective.network.layers[index].dropout, int(mask[row, j])
        numbers = f"{factor(value, step.digits)} · {kept} / {number(1 - rate, step.digits)}"
        why, formula = "∂L/∂ã × ∂ã/∂a, dropout", f"{symbol} m / (1 − p)"
        name = _name(step, "da", index, j, row)
        yield Equation("backward", layer, name, formula, numbers, value=da, because=why)


def _loss_slope(step: Step, row: int, k: int) -> Equation:
    kind, index = step.objective.network.loss_row, len(step.run.A) - 1
    slope = plain(kind.slope_latex)
    numbers = put_in(slope, _letters(step, k, row), step.digits)
    if len(step.batch) > 1:
        share = float(step.weights[row] / step.weights.sum())
        (slope, said), (numbers, also) = where(slope), where(numbers)
        slope, numbers = f"(w / Σ w) ({slope}){said}", f"{number(share, step.digits)} · ({numbers}){also}"
    why = f"∂L/∂a_{k}^[{index + 1}], the loss and its link in one"
    symbol, value = _name(step, "da", index, k, row), float(step.run.dA[-1][row, k])
    return Equation("backward", index + 1, symbol, slope, numbers, value=value, because=why)


def _slope(step: Step, row: int, index: int, j: int) -> Equation:
    layer, kind = index + 1, step.objective.network.activations[index]
    dA, dz = step.run.dA[index][row], float(step.run.dZ[index][row, j])
    da = _name(step, "da", index, j, row)
    if kind.coupled:
        pairs: list[Pair] = [
            (f"∂a_{k}/∂z_{j}", _name(step, "da", index, k, row), float(v), float(dA[k]))
            for k, v in enumerate(kind.jacobian(step.run.A[index][row])[:, j])  # type: ignore[misc]
        ]
        formula, numbers = _sum(step, pairs)
        why = f"Σ_k ∂a_k/∂z_{j} × ∂L/∂a_k, {plain(kind.slope_latex)}"
    else:
        z, a = float(step.run.Z[index][row, j]), float(step.run.A[index][row, j])
        formula = f"{da} {kind.name}'({_name(step, 'z', index, j, row)})"
        numbers = f"{factor(float(dA[j]), step.digits)} · {factor(_slope_of(kind, z, a), step.digits)}"
        slope = plain(kind.slope_latex)
        filled = put_in(slope, {"z": z, "a": a, **parameters(kind)}, step.digits)
        why = f"∂L/∂a_{j}^[{layer}] × ∂a_{j}^[{layer}]/∂z_{j}^[{layer}], {kind.name}'(z) = {slope}"
        why += f" = {filled}" if filled != slope else ""
    symbol = _name(step, "dz", index, j, row)
    return Equation("backward", layer, symbol, formula, numbers, value=dz, because=why)


def _slope_of(row: Any, z: Any, a: Any) -> float:
    with np.errstate(all="ignore"):
        return float(row.slope(np.float64(z), np.float64(a), *values(row)))


def _weight_slopes(step: Step, index: int, j: int) -> Iterator[Equation]:
    layer, run = index + 1, step.run
    dW = Layout(step.objective.network).view(run.gradient, index, "W")[:, j]
    shown, hidden = largest(dW, step.terms)
    rows = _rows(step)
    dz = [(_name(step, "dz", index, j, r), float(run.dZ[index][r, j])) for r in rows]
    for i in shown:
        weight = f"w_{{{i},{j}}}^[{layer}]"
        pairs: list[Pair] = [
            (dz[r][0], _received(step, index, i, r), dz[r][1], float(run.input_of(index)[r, i])) for r in rows
        ]
        formula, numbers = _sum(step, pairs)
        why = f"∂L/∂z_{j}^[{layer}] × ∂z_{j}^[{layer}]/∂{weight}"
        yield Equation("backward", layer, f"d{weight}", formula, numbers, value=float(dW[i]), because=why)
    if hidden:
        most = number(float(np.max(np.abs(dW[hidden]))), step.digits)
        text = f"the other {len(hidden)} weights of this unit likewise; none has more than {most} in size"
        yield Equation("backward", layer, "", text)
    db = float(Layout(step.objective.network).view(run.gradient, index, "b")[j])
    why = f"∂z_{j}^[{layer}]/∂b_{j}^[{layer}] = 1"
    formula, numbers = " + ".join(name for name, _ in dz[: step.terms]), ""
    if len(dz) > 1:
        numbers = " + ".join(factor(v, step.digits) for _, v in dz[: step.terms])
    if len(dz) > step.terms:
        rest = sum(v for _, v in dz[step.terms :])
        formula += f" + ({len(dz) - step.terms} more terms)"
        numbers += f" + {factor(rest, step.digits)}"
    yield Equation("backward", layer, f"db_{j}^[{layer}]", formula, numbers, value=db, because=why)
