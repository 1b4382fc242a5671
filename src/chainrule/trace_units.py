"""The equations of a step, unit by unit, as a textbook writes them.

Of several rows each goes forward and back by itself, its number raised as in a_0^[1](7); the derivatives of
the weights are then sums over the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule import trace_layers, trace_update
from chainrule.equations import ACTIVATIONS
from chainrule.reference import values
from chainrule.trace_equation import Equation, factor, largest, number, plain
from chainrule.trace_numbers import constants, parameters, put_in, where
from chainrule.trace_step import Step, not_all_units
from chainrule.trace_terms import added, mark, name, of_output, product, single, wires_of


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
        weight: Any = np.abs(step.each)
    elif step.known:
        weight = a * np.abs(run.dA[index])
    else:
        weight = a * _outgoing(step, index + 1)
    return largest(weight.sum(axis=0), step.units)[0]


def _outgoing(step: Step, index: int) -> Any:
    """How much goes from each input of a layer on: the sizes of its weights, 1 where there are none."""
    network = step.objective.network
    p, total = step.theta[step.objective.layout.layer_slice(index)], np.zeros(network.widths[index])
    for wire in wires_of(step, index):
        places = wire.inputs.start, wire.inputs.stop
        total[slice(*places)] += np.abs(p[list(wire.parameters[0])]) if wire.sort == "sum" else 1.0
    return total


# ------------------------------------------------------------------ forward


def _forward(step: Step, chosen: Sequence[list[int]], row: int) -> Iterator[Equation]:
    for index, width in enumerate(step.objective.network.widths[1:]):
        yield from not_all_units("forward", index + 1, chosen[index], width)
        for j in chosen[index]:
            yield from trace_layers.values(step, index, j, row)
            yield _activation(step, index, j, row)
            yield from _dropped(step, index, j, row)
    yield from _prediction(step, chosen[-1], row)


def _activation(step: Step, index: int, j: int, row: int) -> Equation:
    kind = step.objective.network.activations[index]
    symbol, z = name(step, "a", index, j, row), name(step, "z", index, j, row)
    value = float(step.run.A[index][row, j])
    if kind.name == "identity":
        return Equation("forward", index + 1, symbol, z, value=value, because="no activation")
    given = constants(kind)
    why = f"{kind.name}(z) = {plain(kind.latex)}{', ' if given else ''}{given}"
    numbers = _activated(step, kind, *_of_member(step, index, step.run.Z[index][row], j))
    formula = f"{kind.name}({z})"
    if kind.coupled:
        formula = f"{kind.name}_{j}({name(step, 'z', index, j, row).replace(f'_{j}', '', 1)})"
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


def _of_member(step: Step, index: int, z: Any, j: int) -> tuple[Any, int]:
    """Of a layer's values those of the member that unit j belongs to, and its place among these."""
    own = len(z) // step.objective.network.layers[index].members
    member, place = divmod(j, own)
    return z[member * own : (member + 1) * own], place


def _dropped(step: Step, index: int, j: int, row: int) -> Iterator[Equation]:
    """What dropout makes of a unit's value."""
    mask = step.run.kept[index]
    if mask is None:
        return
    rate, a = step.rate_of_dropout(index), float(step.run.A[index][row, j])
    kept, less = int(mask[row, j]), number(1 - rate, step.digits)
    formula = f"{name(step, 'a', index, j, row)} m / (1 − p)"
    numbers = f"{factor(a, step.digits)} · {kept} / {less}"
    why = f"dropout {'keeps' if kept else 'drops'} this unit, m = {kept}, p = {rate:g}"
    symbol, value = name(step, "ã", index, j, row), float(step.run.D[index][row, j])
    yield Equation("forward", index + 1, symbol, formula, numbers, value=value, because=why)


def _prediction(step: Step, shown: Sequence[int], row: int) -> Iterator[Equation]:
    network, depth = step.objective.network, len(step.run.A)
    link, K = ACTIVATIONS[network.loss_row.link], network.outputs
    z, letter = step.run.A[-1][row], "ŷ" if network.members == 1 else "p"
    for j in shown:
        m, k = divmod(j, K)
        member = f"member {m}, " if network.members > 1 else ""
        why = f"{member}{step.outputs[k]}: {link.name}, {plain(link.latex)}"
        value = name(step, "a", depth - 1, j, row)
        formula = f"{link.name}({value})"
        if link.coupled:
            formula = f"{link.name}_{k}({value.replace(f'_{j}', '', 1)})"
        numbers = "" if link.name == "identity" else _activated(step, link, z[m * K : (m + 1) * K], k)
        symbol, predicted = of_output(step, letter, j, row), float(step.each[row, j])
        yield Equation("forward", None, symbol, formula, numbers, value=predicted, because=why)
    if network.members > 1:
        yield from _mean_prediction(step, row)


def _mean_prediction(step: Step, row: int) -> Iterator[Equation]:
    """The mean of the members' predictions, of each output."""
    network = step.objective.network
    for k in range(min(network.outputs, step.units)):
        places = range(k, network.members * network.outputs, network.outputs)
        terms = [single(step, of_output(step, "p", j, row), float(step.each[row, j])) for j in places]
        formula, numbers = (f"({text}) / {network.members}" for text in added(step, terms))
        why, value = f"{step.outputs[k]}: the mean of the members", float(step.prediction[row, k])
        yield Equation(
            "forward", None, of_output(step, "ŷ", k, row), formula, numbers, value=value, because=why
        )


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
    z, y = float(step.run.A[-1][row, k]), float(step.batch.Y[row, k % step.objective.network.outputs])
    both = {"y_k": y, "a_k": float(step.each[row, k])} if kind.coupled else {"z": z, "y": y}
    return {**both, **parameters(kind)}


def _output_loss(step: Step, k: int, row: int) -> Equation:
    kind = step.objective.network.loss_row
    formula = plain(kind.latex).partition(" = ")[0] if kind.coupled else plain(kind.latex)
    numbers = put_in(formula.replace("Σ_k ", ""), _letters(step, k, row), step.digits)
    z = name(step, "a", len(step.run.A) - 1, k, row)
    target = of_output(step, "y", k % step.objective.network.outputs, row)
    symbol, right = of_output(step, "l", k, row), f"l({z}, {target})"
    return Equation("loss", None, symbol, right, numbers, value=float(step.losses[row, k]))


def _row_loss(step: Step, shown: Sequence[int], row: int) -> Equation:
    losses, raised, members = step.losses[row], mark(step, row), step.objective.network.members
    total = float(np.sum(losses))
    parts = " + ".join(of_output(step, "l", k, row) for k in shown)
    numbers = " + ".join(factor(float(losses[k]), step.digits) for k in shown)
    if len(shown) < len(losses):
        rest = float(total - sum(losses[k] for k in shown))
        parts, numbers = f"{parts} + (the other outputs)", f"{numbers} + {factor(rest, step.digits)}"
    why = ""
    if members > 1:
        parts, numbers = (f"({text}) / {members}" for text in (parts, numbers))
        why = f"the mean over the {members} members"
    symbol = f"l^{raised}" if raised else "L"
    return Equation("loss", None, symbol, parts, numbers, value=total / members, because=why)


def _mean_loss(step: Step) -> Equation:
    totals = step.losses.sum(axis=1) / step.objective.network.members
    whole = float(step.weights.sum())
    terms = [
        product(step, f"w^{mark(step, r)}", f"l^{mark(step, r)}", float(step.weights[r]), float(totals[r]))
        for r in _rows(step)
    ]
    formula, numbers = added(step, terms)
    value = float(totals @ step.weights / whole)
    numbers = f"({numbers}) / {number(whole, step.digits)}"
    why = "the mean over the rows, w their weights"
    return Equation("loss", None, "L", f"({formula}) / Σ w", numbers, value=value, because=why)


# ------------------------------------------------------------------ backward


def _backward(step: Step, chosen: Sequence[list[int]]) -> Iterator[Equation]:
    """Of one row a unit's weights follow the unit; of several rows all weights come last."""
    layers = range(len(step.run.A) - 1, -1, -1)
    alone = len(step.batch) == 1
    seen: list[set[int]] = [set() for _ in layers]
    for row in _rows(step):
        yield from _said(step, row, "backward")
        for index in layers:
            yield from not_all_units("backward", index + 1, chosen[index], step.run.A[index].shape[1])
            for j in chosen[index]:
                yield from _value_slope(step, row, index, j)
                yield _slope(step, row, index, j)
                if alone and not _shared(step, index):
                    yield from trace_layers.parameter_slopes(step, index, j, seen[index])
            if alone and _shared(step, index):  # sums over units: all of these come first
                for j in chosen[index]:
                    yield from trace_layers.parameter_slopes(step, index, j, seen[index])
    if not alone:
        yield Equation("backward", None, "", "the derivatives of the weights: sums over the rows")
        for index in layers:
            for j in chosen[index]:
                yield from trace_layers.parameter_slopes(step, index, j, seen[index])


def _shared(step: Step, index: int) -> bool:
    """Whether several units of a layer may have the same parameters."""
    layer = step.objective.network.layers[index]
    return layer.members > 1 or "E" in layer.row.weights


def _value_slope(step: Step, row: int, index: int, j: int) -> Iterator[Equation]:
    """∂L/∂a of a unit; where dropout is on, ∂L/∂ã comes first."""
    if index == len(step.run.A) - 1:
        yield _loss_slope(step, row, j)
        return
    mask, layer = step.run.kept[index], index + 1
    symbol = name(step, "da" if mask is None else "dã", index, j, row)
    *before, equation = trace_layers.input_slope(step, layer, j, row, symbol)
    yield from (*before, equation)
    if mask is not None:
        rate, kept = step.rate_of_dropout(index), int(mask[row, j])
        numbers = f"{factor(equation.value, step.digits)} · {kept} / {number(1 - rate, step.digits)}"
        why, formula = "∂L/∂ã × ∂ã/∂a, dropout", f"{symbol} m / (1 − p)"
        da = float(step.run.dA[index][row, j])
        yield Equation(
            "backward", layer, name(step, "da", index, j, row), formula, numbers, value=da, because=why
        )


def _loss_slope(step: Step, row: int, k: int) -> Equation:
    kind, index = step.objective.network.loss_row, len(step.run.A) - 1
    slope = plain(kind.slope_latex)
    numbers = put_in(slope, _letters(step, k, row), step.digits)
    members = step.objective.network.members
    if len(step.batch) > 1 or members > 1:
        share = float(step.weights[row] / step.weights.sum()) / members
        (slope, said), (numbers, also) = where(slope), where(numbers)
        rows = "w / Σ w" if len(step.batch) > 1 else "1"
        rows += f" / {members}" if members > 1 else ""
        slope, numbers = f"({rows}) ({slope}){said}", f"{number(share, step.digits)} · ({numbers}){also}"
    why = f"∂L/∂a_{k}^[{index + 1}], the loss and its link in one"
    symbol, value = name(step, "da", index, k, row), float(step.run.dA[-1][row, k])
    return Equation("backward", index + 1, symbol, slope, numbers, value=value, because=why)


def _slope(step: Step, row: int, index: int, j: int) -> Equation:
    layer, kind = index + 1, step.objective.network.activations[index]
    dA, dz = step.run.dA[index][row], float(step.run.dZ[index][row, j])
    da = name(step, "da", index, j, row)
    if kind.coupled:
        own, place = _of_member(step, index, step.run.A[index][row], j)
        first = j - place
        terms = [
            product(step, f"∂a_{first + k}/∂z_{j}", name(step, "da", index, first + k, row), v, dA[first + k])
            for k, v in enumerate(kind.jacobian(own)[:, place])  # type: ignore[misc]
        ]
        formula, numbers = added(step, terms)
        why = f"Σ_k ∂a_k/∂z_{j} × ∂L/∂a_k, {plain(kind.slope_latex)}"
    else:
        z, a = float(step.run.Z[index][row, j]), float(step.run.A[index][row, j])
        formula = f"{da} {kind.name}'({name(step, 'z', index, j, row)})"
        numbers = f"{factor(float(dA[j]), step.digits)} · {factor(_slope_of(kind, z, a), step.digits)}"
        slope = plain(kind.slope_latex)
        filled = put_in(slope, {"z": z, "a": a, **parameters(kind)}, step.digits)
        why = f"∂L/∂a_{j}^[{layer}] × ∂a_{j}^[{layer}]/∂z_{j}^[{layer}], {kind.name}'(z) = {slope}"
        why += f" = {filled}" if filled != slope else ""
    symbol = name(step, "dz", index, j, row)
    return Equation("backward", layer, symbol, formula, numbers, value=dz, because=why)


def _slope_of(row: Any, z: Any, a: Any) -> float:
    with np.errstate(all="ignore"):
        return float(row.slope(np.float64(z), np.float64(a), *values(row)))
