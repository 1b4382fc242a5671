"""The update of a step: how the optimiser moves each parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.parameters import Array, Layout
from chainrule.problem import decayed
from chainrule.trace_equation import Equation, factor, largest, number
from chainrule.trace_numbers import assignments, parameters, put_in, renamed, with_matrices
from chainrule.trace_step import Step, not_all_units


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
    """

    name: str
    before: float
    dw: float
    g: float
    after: float
    old: list[float]
    new: list[float]

    @property
    def bias(self) -> bool:
        """Whether it is one; biases know no penalty and no decay."""
        return self.name.startswith("b")

    def called(self, letter: str) -> str:
        """Another quantity of the same place: m_{0,1}^[2] of w_{0,1}^[2]."""
        return letter + self.name[1:]


# ------------------------------------------------------------------ unit by unit


def units(step: Step, chosen: Sequence[list[int]]) -> Iterator[Equation]:
    """The new parameters of the chosen units of each layer."""
    yield from step.update_remarks()
    layout = Layout(step.objective.network)
    for index, picked in enumerate(chosen):
        layer = index + 1
        yield from not_all_units("update", layer, picked, step.run.A[index].shape[1])
        W, b = _layer(step, layout, index, "W"), _layer(step, layout, index, "b")
        for j in picked:
            shown, hidden = largest(W[2][:, j], step.moves)
            for i in shown:
                yield from _entry(step, layer, _picked(W, f"w_{{{i},{j}}}^[{layer}]", (i, j)))
            if len(shown) == 1 and hidden:
                text = f"the other {len(hidden)} weights and the bias of this unit likewise"
                yield Equation("update", layer, "", text)
                continue
            if hidden:
                text = f"the other {len(hidden)} weights of this unit likewise"
                yield Equation("update", layer, "", text)
            yield from _entry(step, layer, _picked(b, f"b_{j}^[{layer}]", (j,)))


Arrays = tuple[Array, Array, Array, Array, list[Array], list[Array]]


def _layer(step: Step, layout: Layout, index: int, name: str) -> Arrays:
    """A layer's parameters before, their derivatives without and with penalties, and after; the memory."""
    theta, slots = step.moved
    vectors = (step.theta, step.run.gradient, step.gradient, theta)
    before, dw, g, after = (layout.view(v, index, name) for v in vectors)
    memories = ([layout.view(row, index, name) for row in rows] for rows in (step.memory, slots))
    old, new = memories
    return before, dw, g, after, old, new


def _picked(arrays: Arrays, name: str, place: tuple[int, ...]) -> Entry:
    before, dw, g, after, old, new = arrays
    was, now = ([float(row[place]) for row in rows] for rows in (old, new))
    return Entry(name, float(before[place]), float(dw[place]), float(g[place]), float(after[place]), was, now)


def _entry(step: Step, layer: int, entry: Entry) -> Iterator[Equation]:
    """The equations of one parameter: its gradient with penalties, the memory, the step."""
    if step.penalties() and not entry.bias and not step.optimiser.full_batch:
        values = {"dw": entry.dw, "w": entry.before}
        formula = step.gradient_formula()
        numbers = put_in(formula, values, step.digits)
        yield Equation("update", layer, entry.called("g"), formula, numbers, value=entry.g)
    steps = assignments(step.optimiser.latex)
    if step.optimiser.full_batch or not _covered(step, steps):
        yield _change(step, layer, entry)
        return
    memory = dict(zip(step.optimiser.slots, entry.old, strict=True))
    values = _letters(step, entry.bias) | {"w": entry.before, "g": entry.g} | memory
    for letter, formula in steps:
        value = entry.after if letter == "w" else entry.new[step.optimiser.slots.index(letter)]
        numbers = put_in(formula, values, step.digits)
        symbol = entry.name if letter == "w" else entry.called(letter)
        right = formula.replace("w", "b") if entry.bias else formula
        yield Equation("update", layer, symbol, right, numbers, value=value, because=step.optimiser.name)
        values[letter] = value


def _covered(step: Step, steps: Sequence[tuple[str, str]]) -> bool:
    """Whether an optimiser's formula says how it moves a parameter and each of its slots."""
    return [letter for letter, _ in steps] == [*step.optimiser.slots, "w"]


def _letters(step: Step, bias: bool) -> dict[str, Any]:
    """What the letters of an optimiser's formula stand for that are the same for all parameters."""
    values = parameters(step.optimiser)
    if bias:
        values = dict(zip(values, decayed(step.optimiser, 0.0), strict=True))
    return {**values, "η": step.rate, "t": step.t + 1}


def _change(step: Step, layer: int, entry: Entry) -> Equation:
    """A step whose formula is not one of this parameter alone."""
    change = entry.after - entry.before
    letter = "b" if entry.bias else "w"
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
    layout = Layout(step.objective.network)
    for index in range(len(step.run.A)):
        for name in ("W", "b"):
            yield from _matrix(step, index + 1, name, _layer(step, layout, index, name))


def _matrix(step: Step, layer: int, name: str, arrays: Arrays) -> Iterator[Equation]:
    row, mark = step.optimiser, f"^[{layer}]"
    before, dw, g, after = (np.atleast_2d(a) for a in arrays[:4])
    gradient = f"d{name}{mark}"
    if step.penalties() and name == "W" and not row.full_batch:
        formula = renamed(step.gradient_formula(), {"dw": gradient, "w": f"W{mark}"})
        yield _result(layer, f"G{mark}", formula, g, (dw, "+", g - dw), "with the penalties")
        gradient = f"G{mark}"
    steps = assignments(row.latex)
    if row.full_batch or not _covered(step, steps):
        formula, operands = f"{name}{mark} + Δ{name}{mark}", (before, "+", after - before)
        yield _result(layer, f"{name}{mark}", formula, after, operands, row.name)
        return
    names = {"w": f"{name}{mark}", "g": gradient} | {s: f"{s.upper()}_{name}{mark}" for s in row.slots}
    memory = dict(zip(row.slots, map(np.atleast_2d, arrays[4]), strict=True))
    values = {"w": before, "g": g} | memory
    results = {"w": after} | dict(zip(row.slots, map(np.atleast_2d, arrays[5]), strict=True))
    for letter, formula in steps:
        filled = put_in(formula, _letters(step, name == "b"), step.digits)
        why = f"{row.name}, entry by entry"
        operands = with_matrices(filled, values)
        yield _result(layer, names[letter], renamed(formula, names), results[letter], operands, why)
        values[letter] = results[letter]


def _result(layer: int, symbol: str, formula: str, value: Any, operands: Any, why: str) -> Equation:
    matrix = value.tolist()
    return Equation("update", layer, symbol, formula, operands=operands, value=matrix, because=why)
