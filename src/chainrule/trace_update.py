"""The update of a step: how the optimiser moves each parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.parameters import Array, Block
from chainrule.problem import decayed
from chainrule.trace_equation import Equation, factor, largest, number
from chainrule.trace_layers import rows_taken, touched
from chainrule.trace_numbers import assignments, parameters, put_in, renamed, symbol_of, with_matrices
from chainrule.trace_step import Step, not_all_units
from chainrule.trace_terms import parameter_name, wires_of


@dataclass(frozen=True)
class Entry:
    """A parameter's place and what is known of it, as views of a layer's arrays.

    Attributes
    ----------
    name : str
        As in "w_{0,1}^[2]".
    before, dw, g, after : float
        The parameter before and after the step; its derivative without and with penalties.
    old, new : list of float
        The optimiser's memory of it, before and after.
    weight : bool
        Whether penalties apply to it.
    quicker, decay : float
        Factors on its learning rate and on its weight decay.
    """

    name: str
    before: float
    dw: float
    g: float
    after: float
    old: list[float]
    new: list[float]

    weight: bool
    quicker: float
    decay: float

    def called(self, letter: str) -> str:
        """Another quantity of the same place: m_{0,1}^[2] of w_{0,1}^[2]."""
        return letter + self.name[1:]


# ------------------------------------------------------------------ unit by unit


def units(step: Step, chosen: Sequence[list[int]]) -> Iterator[Equation]:
    """The new parameters of the chosen units of each layer."""
    yield from step.update_remarks()
    for index, picked in enumerate(chosen):
        layer = index + 1
        seen: set[int] = set()
        yield from not_all_units("update", layer, picked, step.run.A[index].shape[1])
        for j in picked:
            places, left = _places(step, index, j)
            places = [place for place in places if place not in seen]
            seen.update(places)
            for number_of, place in enumerate(places):
                if left and number_of == len(places) - 1:  # the bias
                    yield Equation("update", layer, "", f"the other {left} weights of this unit likewise")
                yield from _entry(step, layer, _picked(step, index, place))


def _places(step: Step, index: int, j: int) -> tuple[list[int], int]:
    """The places of a unit's parameters that are written out, and how many of its weights are not."""
    wire = wires_of(step, index)[j]
    if wire.sort == "row":
        return touched(step, index, j), 0
    if step.objective.network.layers[index].row.frozen:
        return [], 0
    if wire.sort != "sum":
        return [place for places in wire.parameters for place in places], 0
    weights, (bias,) = wire.parameters
    g = step.gradient[step.objective.layout.layer_slice(index)]
    shown, hidden = largest(g[list(weights)], step.moves)
    return [*(weights[i] for i in shown), bias], len(hidden)


Arrays = tuple[Array, Array, Array, Array, list[Array], list[Array]]


def _picked(step: Step, index: int, place: int) -> Entry:
    layout, (theta, slots) = step.objective.layout, step.moved
    at = layout.layer_slice(index).start + place
    weight = next(block.is_weight for block in layout.blocks if block.start <= at < block.stop)
    quicker, decay = step.factors(at)
    return Entry(
        name=parameter_name(step, index, place),
        before=float(step.theta[at]),
        dw=float(step.run.gradient[at]),
        g=float(step.shortening * step.gradient[at]),
        after=float(theta[at]),
        old=[float(row[at]) for row in step.memory],
        new=[float(row[at]) for row in slots],
        weight=weight,
        quicker=quicker,
        decay=decay,
    )


def _entry(step: Step, layer: int, entry: Entry) -> Iterator[Equation]:
    """The equations of one parameter: its gradient with penalties, the memory, the step."""
    formula = step.gradient_formula(entry.weight)
    if formula != "dw" and not step.optimiser.full_batch:
        values = {"dw": entry.dw, "w": entry.before, "κ": step.shortening}
        numbers = put_in(formula, values, step.digits)
        yield Equation("update", layer, entry.called("g"), formula, numbers, value=entry.g)
    steps = assignments(step.optimiser.latex)
    if step.optimiser.full_batch or not _covered(step, steps):
        yield _change(step, layer, entry)
        return
    memory = dict(zip(step.optimiser.slots, entry.old, strict=True))
    values = _letters(step, entry.quicker, entry.decay) | {"w": entry.before, "g": entry.g} | memory
    for letter, formula in steps:
        value = entry.after if letter == "w" else entry.new[step.optimiser.slots.index(letter)]
        numbers = put_in(formula, values, step.digits)
        symbol = entry.name if letter == "w" else entry.called(letter)
        right = formula.replace("w", entry.name[0])
        yield Equation("update", layer, symbol, right, numbers, value=value, because=step.optimiser.name)
        values[letter] = value


def _covered(step: Step, steps: Sequence[tuple[str, str]]) -> bool:
    """Whether an optimiser's formula says how it moves a parameter and each of its slots."""
    return [letter for letter, _ in steps] == [*step.optimiser.slots, "w"]


def _letters(step: Step, quicker: float, decay: float) -> dict[str, Any]:
    """What the letters of an optimiser's formula stand for that are the same for parameters of one pace."""
    values = dict(zip(parameters(step.optimiser), decayed(step.optimiser, decay), strict=True))
    return {**values, "η": step.rate * quicker, "t": step.t + 1}


def _change(step: Step, layer: int, entry: Entry) -> Equation:
    """A step whose formula is not one of this parameter alone."""
    change = entry.after - entry.before
    letter = entry.name[0]
    numbers = f"{number(entry.before, step.digits)} + {factor(change, step.digits)}"
    why = (
        f"{step.optimiser.name}: the step of all parameters together; here g = {number(entry.g, step.digits)}"
    )
    return Equation(
        "update", layer, entry.name, f"{letter} + Δ{letter}", numbers, value=entry.after, because=why
    )


# ------------------------------------------------------------------ in matrices


def matrices(step: Step) -> Iterator[Equation]:
    """The new parameters of each layer, and what the optimiser remembers of them."""
    yield from step.update_remarks()
    for block in step.objective.layout.blocks:
        if not block.frozen:
            yield from _matrix(step, block, _arrays(step, block))


def _arrays(step: Step, block: Block) -> Arrays:
    """A parameter before, its derivative without and with penalties, and after; the memory; as matrices.

    Of a table only the rows that the batch takes.
    """
    theta, slots = step.moved
    at = slice(block.start, block.stop)
    taken = rows_taken(step, block.layer) if block.name == "E" else slice(None)

    def shaped(vector: Any) -> Any:
        return np.atleast_2d(vector[at].reshape(-1, block.shape[-1]))[taken]

    vectors = (step.theta, step.run.gradient, step.shortening * step.gradient, theta)
    before, dw, g, after = map(shaped, vectors)
    return before, dw, g, after, list(map(shaped, step.memory)), list(map(shaped, slots))


def _matrix(step: Step, block: Block, arrays: Arrays) -> Iterator[Equation]:
    name, layer = symbol_of(block.name), block.layer + 1
    row, mark = step.optimiser, f"^[{layer}]"
    before, dw, g, after = arrays[:4]
    gradient = f"d{name}{mark}"
    formula = step.gradient_formula(block.is_weight)
    if formula != "dw" and not row.full_batch:
        symbol = f"G{mark}" if block.is_weight else f"g_{name}{mark}"
        operands = (dw, "+", g - dw) if step.shortening == 1 else ()
        why = "with the penalties" if step.shortening == 1 else "with the penalties, and shortened by κ"
        yield _result(
            layer, symbol, renamed(formula, {"dw": gradient, "w": f"{name}{mark}"}), g, operands, why
        )
        gradient = symbol
    steps = assignments(row.latex)
    if row.full_batch or not _covered(step, steps):
        formula, operands = f"{name}{mark} + Δ{name}{mark}", (before, "+", after - before)
        yield _result(layer, f"{name}{mark}", formula, after, operands, row.name)
        return
    names = {"w": f"{name}{mark}", "g": gradient} | {s: f"{s.upper()}_{name}{mark}" for s in row.slots}
    memory = dict(zip(row.slots, arrays[4], strict=True))
    values = {"w": before, "g": g} | memory
    results = {"w": after} | dict(zip(row.slots, arrays[5], strict=True))
    for letter, formula in steps:
        filled = put_in(formula, _letters(step, *step.factors(block.start)), step.digits)
        why = f"{row.name}, entry by entry"
        operands = with_matrices(filled, values)
        yield _result(layer, names[letter], renamed(formula, names), results[letter], operands, why)
        values[letter] = results[letter]


def _result(layer: int, symbol: str, formula: str, value: Any, operands: Any, why: str) -> Equation:
    matrix = value.tolist()
    return Equation("update", layer, symbol, formula, operands=operands, value=matrix, because=why)
