"""Names of the quantities of a trace, and sums of them with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from chainrule.equations.layer_kinds import Wire
from chainrule.spec import Layer
from chainrule.trace_equation import factor, largest
from chainrule.trace_numbers import letter_of
from chainrule.trace_step import Step

# ------------------------------------------------------------------ names


def mark(step: Step, row: int) -> str:
    """The number of a row as it is raised; of one row alone nothing is said."""
    return f"({step.rows[row]})" if len(step.batch) > 1 else ""


def name(step: Step, letter: str, index: int, j: int, row: int) -> str:
    """A unit's value, as in a_0^[1]; of several rows a_0^[1](7)."""
    return f"{letter}_{j}^[{index + 1}]{mark(step, row)}"


def of_output(step: Step, letter: str, k: int, row: int) -> str:
    """A value of an output, as in ŷ_0; of several rows ŷ_0^(7)."""
    raised = mark(step, row)
    return f"{letter}_{k}^{raised}" if raised else f"{letter}_{k}"


def received(step: Step, index: int, i: int, row: int) -> str:
    """What a layer receives from place i below it."""
    if index == 0:
        return of_output(step, "x", i, row)
    return name(step, "a" if step.run.kept[index - 1] is None else "ã", index - 1, i, row)


def parameter_name(step: Step, index: int, place: int) -> str:
    """A parameter of a layer, by its place among them: w_{0,1}^[2]."""
    start = step.objective.layout.layer_slice(index).start + place
    block = next(b for b in step.objective.layout.blocks if b.start <= start < b.stop)
    at = ",".join(map(str, np.unravel_index(start - block.start, block.shape)))
    return f"{letter_of(block.name)}_{{{at}}}^[{index + 1}]" if "," in at else (
        f"{letter_of(block.name)}_{at}^[{index + 1}]"
    )  # fmt: skip


@lru_cache(maxsize=64)
def wires(layer: Layer, inputs: int) -> tuple[Wire, ...]:
    """What each value of a layer is made of."""
    assert layer.units is not None
    return tuple(layer.wire(j, inputs) for j in range(layer.units))


def wires_of(step: Step, index: int) -> tuple[Wire, ...]:
    """The same for a layer of a step's network."""
    network = step.objective.network
    return wires(network.layers[index], network.widths[index])


# ------------------------------------------------------------------ sums


@dataclass(frozen=True)
class Term:
    """A term of a sum: as a formula, with its numbers, and what it comes to."""

    formula: str
    numbers: str
    value: float


def single(step: Step, symbol: str, value: float) -> Term:
    """A quantity by itself."""
    return Term(symbol, factor(value, step.digits), value)


def product(step: Step, a: str, b: str, x: float, y: float) -> Term:
    """A product of two quantities."""
    return Term(f"{a} {b}", f"{factor(x, step.digits)} · {factor(y, step.digits)}", x * y)


def added(step: Step, terms: Sequence[Term], root: int = 1) -> tuple[str, str]:
    """A sum as a formula and with its numbers, over a root; the smaller terms of a long one together."""
    shown, hidden = largest([term.value for term in terms], step.terms)
    formula, numbers = [terms[i].formula for i in shown], [terms[i].numbers for i in shown]
    if hidden:
        formula.append(f"({len(hidden)} smaller terms)")
        numbers.append(factor(sum(terms[i].value for i in hidden), step.digits))
    both = " + ".join(formula), " + ".join(numbers)
    return both if root == 1 else (f"({both[0]}) / √({root})", f"({both[1]}) / √({root})")


def total(terms: Sequence[Term], root: int = 1) -> float:
    """What a sum comes to."""
    return sum(term.value for term in terms) / float(np.sqrt(root))
