"""What the units of a layer are made of, and what follows from that for the way back: for `trace_units`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.equations.layer_kinds import LayerKind, Wire
from chainrule.trace_equation import Equation, factor, largest, number, plain
from chainrule.trace_numbers import constants, letter_of, parameters, put_in, renamed
from chainrule.trace_step import Step
from chainrule.trace_terms import (
    Term,
    added,
    name,
    parameter_name,
    product,
    received,
    single,
    total,
    wires_of,
)


def _kind(step: Step, index: int) -> LayerKind:
    return step.objective.network.layers[index].row


def _parameters(step: Step, index: int, vector: Any) -> Any:
    """A layer's stretch of a flat vector."""
    return vector[step.objective.layout.layer_slice(index)]


def formula_of(kind: LayerKind) -> str:
    """The function of an entry, in plain characters."""
    return plain(kind.latex.partition(r", \quad")[0]).partition(" = ")[2]


def row_number(step: Step, index: int, wire: Wire, row: int) -> int:
    """The row of a table that a unit's input names; the nearest one, if there is no such row."""
    code, rows = float(step.run.input_of(index)[row, wire.inputs[0]]), len(wire.parameters[0])
    return int(min(max(code, 0.0), rows - 1)) if code == code else 0


# ------------------------------------------------------------------ forward


def values(step: Step, index: int, j: int, row: int) -> Iterator[Equation]:
    """The pre-activation z of a unit."""
    wire, kind, layer = wires_of(step, index)[j], _kind(step, index), index + 1
    symbol, z = name(step, "z", index, j, row), float(step.run.Z[index][row, j])
    if wire.sort == "sum":
        formula, numbers = _weighted(step, index, wire, row)
        yield Equation("forward", layer, symbol, formula, numbers, value=z)
    elif wire.sort == "entry":
        yield from _activation(step, index, j, row)
        names, given = _entry(step, index, j, row)
        right = formula_of(kind)
        formula, numbers = renamed(right, names), put_in(right, given, step.digits)
        yield Equation("forward", layer, symbol, formula, numbers, value=z, because=kind.name)
    elif wire.sort == "row":
        at = row_number(step, index, wire, row)
        formula = parameter_name(step, index, wire.parameters[0][at])
        why = f"row {at} of the table, which {received(step, index, wire.inputs[0], row)} names"
        yield Equation("forward", layer, symbol, formula, value=z, because=why)
    else:
        formula = received(step, index, wire.inputs[0], row)
        yield Equation("forward", layer, symbol, formula, value=z, because="passes")


def _weighted(step: Step, index: int, wire: Wire, row: int) -> tuple[str, str]:
    x, p = step.run.input_of(index)[row], _parameters(step, index, step.theta)
    weights, (bias,) = wire.parameters
    terms = [
        product(step, parameter_name(step, index, place), received(step, index, i, row), p[place], x[i])
        for i, place in zip(wire.inputs, weights, strict=True)
    ]
    formula, numbers = added(step, terms, wire.root)
    return (
        f"{formula} + {parameter_name(step, index, bias)}",
        f"{numbers} + {factor(float(p[bias]), step.digits)}",
    )


def _entry(step: Step, index: int, j: int, row: int) -> tuple[dict[str, str], dict[str, float]]:
    """What the letters of an entry's formula stand for: names, and numbers."""
    wire, kind = wires_of(step, index)[j], _kind(step, index)
    (i,), p = wire.inputs, _parameters(step, index, step.theta)
    x = float(step.run.input_of(index)[row, i])
    names, numbers = {"x": received(step, index, i, row)}, {"x": x}
    for parameter, (place,) in zip(kind.shapes(1, 1, *kind.sizes), wire.parameters, strict=True):
        letter = letter_of(parameter)
        names[letter], numbers[letter] = parameter_name(step, index, place), float(p[place])
    if kind.activation is not None:
        f, slope = _activated(kind, x)
        names |= {letter: name(step, letter, index, j, row) for letter in ("f", "f'")}
        numbers |= {"f": f, "f'": slope}
    return names, numbers


def _activated(kind: LayerKind, x: float) -> tuple[float, float]:
    """The value and the slope of the activation that a kind is made of."""
    row = kind.activation
    assert row is not None and row.slope is not None
    given = tuple(row.parameters.values())
    with np.errstate(all="ignore"):
        a = row.f(np.float64(x), *given)
        return float(a), float(row.slope(np.float64(x), a, *given))


def _activation(step: Step, index: int, j: int, row: int, slope: bool = False) -> Iterator[Equation]:
    """The activation's value, or its slope, in a parametric one."""
    kind = _kind(step, index)
    if kind.activation is None:
        return
    of, given = kind.activation, _entry(step, index, j, row)
    x, letter = given[0]["x"], "f'" if slope else "f"
    formula = plain(of.slope_latex if slope else of.latex)
    said = constants(of)
    prime, part = ("'", "backward") if slope else ("", "forward")
    letters = {"z": given[1]["x"], "a": given[1]["f"], **parameters(of)}
    why = f"{of.name}{prime}(z) = {formula}{', ' if said else ''}{said}"
    numbers = put_in(formula, letters, step.digits)
    value = given[1][letter]
    more: dict[str, Any] = {"value": value, "because": why}
    layer = index if slope else index + 1  # a slope is asked for by the layer below
    yield Equation(part, layer, given[0][letter], f"{of.name}{prime}({x})", numbers, **more)


# ------------------------------------------------------------------ backward, to what a layer receives


def input_slope(step: Step, index: int, i: int, row: int, symbol: str) -> Iterator[Equation]:
    """∂L/∂ of what layer `index` receives at place i, from its dz; what that needs comes first."""
    dz = step.run.dZ[index][row]
    p, terms, root = _parameters(step, index, step.theta), [], 1
    for k, wire in enumerate(wires_of(step, index)):
        if i not in wire.inputs or wire.sort == "row":
            continue
        into, slope = name(step, "dz", index, k, row), float(dz[k])
        if wire.sort == "sum":
            place, root = wire.parameters[0][i - wire.inputs.start], wire.root
            weight = parameter_name(step, index, place)
            terms.append(product(step, weight, into, float(p[place]), slope))
        elif wire.sort == "entry":
            symbol_of_slope = _slope_name(step, index, k, row)
            terms.append(product(step, symbol_of_slope, into, _slopes(step, index, k, row)[0], slope))
        else:
            terms.append(single(step, into, slope))
    yield from _entry_slopes(step, index, i, row, terms)
    letter, layer = received(step, index, i, row), index + 1
    if not terms:
        why = "the number of a row of a table has no derivative"
        yield Equation("backward", index, symbol, "0", value=0.0, because=why)
        return
    formula, numbers = added(step, terms, root)
    why = f"Σ_j ∂z_j^[{layer}]/∂{letter} × ∂L/∂z_j^[{layer}]"
    yield Equation("backward", index, symbol, formula, numbers, value=total(terms, root), because=why)


def _slope_name(step: Step, index: int, k: int, row: int) -> str:
    (i,) = wires_of(step, index)[k].inputs
    return f"∂{name(step, 'z', index, k, row)}/∂{received(step, index, i, row)}"


def _slopes(step: Step, index: int, k: int, row: int) -> list[float]:
    """The derivatives of an entry with respect to its input and its parameters."""
    kind, (_, numbers) = _kind(step, index), _entry(step, index, k, row)
    letters = ["x", *map(letter_of, kind.shapes(1, 1, *kind.sizes))]
    assert kind.slopes is not None
    with np.errstate(all="ignore"):
        return [float(slope) for slope in kind.slopes(*(np.float64(numbers[letter]) for letter in letters))]


def _entry_slopes(step: Step, index: int, i: int, row: int, terms: list[Term]) -> Iterator[Equation]:
    """∂z/∂x of the entries that are written out in a sum."""
    shown = {terms[place].formula for place in largest([t.value for t in terms], step.terms)[0]}
    kind = _kind(step, index)
    for k, wire in enumerate(wires_of(step, index)):
        symbol = _slope_name(step, index, k, row) if wire.sort == "entry" and i in wire.inputs else ""
        if not symbol or f"{symbol} {name(step, 'dz', index, k, row)}" not in shown:
            continue
        yield from _activation(step, index, k, row, slope=True)
        names, numbers = _entry(step, index, k, row)
        part = plain(kind.parts_latex[0])
        formula, filled = renamed(part, names), put_in(part, numbers, step.digits)
        value = _slopes(step, index, k, row)[0]
        yield Equation("backward", index, symbol, formula, filled, value=value, because=kind.name)


# ------------------------------------------------------------------ backward, to a layer's parameters


def parameter_slopes(step: Step, index: int, j: int, seen: set[int]) -> Iterator[Equation]:
    """∂L/∂ of the parameters of a unit that were not yet seen."""
    wire = wires_of(step, index)[j]
    if wire.sort == "sum":
        yield from _weight_slopes(step, index, j, seen)
    elif wire.sort == "entry" and not _kind(step, index).frozen:
        yield from _entry_parameter_slopes(step, index, j, seen)
    elif wire.sort == "row":
        yield from _table_slopes(step, index, j, seen)


def alike(step: Step, index: int, j: int) -> list[tuple[int, int]]:
    """The rows, and the units of all members, which share the parameters of a unit: (row, unit)."""
    network = step.objective.network
    members, width = network.layers[index].members, network.widths[index + 1]
    own = width // members
    return [(row, k) for row in range(len(step.batch)) for k in range(j % own, width, own)]


def _weight_slopes(step: Step, index: int, j: int, seen: set[int]) -> Iterator[Equation]:
    layer, all_wires = index + 1, wires_of(step, index)
    weights, (bias,) = all_wires[j].parameters
    if bias in seen:
        return
    seen.update(weights, (bias,))
    gradient, root = _parameters(step, index, step.run.gradient), all_wires[j].root
    dW = gradient[list(weights)]
    shown, hidden = largest(dW, step.terms)
    uses = [
        (r, k, name(step, "dz", index, k, r), float(step.run.dZ[index][r, k]))
        for r, k in alike(step, index, j)
    ]
    for m in shown:
        weight = parameter_name(step, index, weights[m])
        terms = []
        for r, k, symbol, dz in uses:
            i = all_wires[k].inputs[m]
            x = float(step.run.input_of(index)[r, i])
            terms.append(product(step, symbol, received(step, index, i, r), dz, x))
        formula, numbers = added(step, terms, root)
        why = f"∂L/∂z_{j}^[{layer}] × ∂z_{j}^[{layer}]/∂{weight}"
        more: dict[str, Any] = {"value": float(dW[m]), "because": why}
        yield Equation("backward", layer, f"d{weight}", formula, numbers, **more)
    if hidden:
        most = number(float(np.max(np.abs(dW[hidden]))), step.digits)
        text = f"the other {len(hidden)} weights of this unit likewise; none has more than {most} in size"
        yield Equation("backward", layer, "", text)
    symbol = parameter_name(step, index, bias)
    formula, numbers = added(step, [single(step, symbol, dz) for _, _, symbol, dz in uses])
    numbers = numbers if len(uses) > 1 else ""
    more = {"value": float(gradient[bias]), "because": f"∂z_{j}^[{layer}]/∂{symbol} = 1"}
    yield Equation("backward", layer, f"d{symbol}", formula, numbers, **more)


def _entry_parameter_slopes(step: Step, index: int, j: int, seen: set[int]) -> Iterator[Equation]:
    kind, layer = _kind(step, index), index + 1
    gradient = _parameters(step, index, step.run.gradient)
    for number_of, (place,) in enumerate(wires_of(step, index)[j].parameters, 1):
        if place in seen:
            continue
        seen.add(place)
        part = plain(kind.parts_latex[number_of])
        terms = []
        for r, k in alike(step, index, j):
            dz = float(step.run.dZ[index][r, k])
            slope, symbol = _slopes(step, index, k, r)[number_of], name(step, "dz", index, k, r)
            if part == "1":
                terms.append(single(step, symbol, dz))
                continue
            names, numbers = _entry(step, index, k, r)
            filled = put_in(part, numbers, step.digits)
            said = f"{symbol} ({renamed(part, names)})" if " " in part else f"{symbol} {renamed(part, names)}"
            terms.append(Term(said, f"{factor(dz, step.digits)} · ({filled})", dz * slope))
        parameter = parameter_name(step, index, place)
        formula, numbers_in = added(step, terms)
        why = f"∂L/∂z_{j}^[{layer}] × ∂z_{j}^[{layer}]/∂{parameter}"
        more: dict[str, Any] = {"value": float(gradient[place]), "because": why}
        yield Equation("backward", layer, f"d{parameter}", formula, numbers_in, **more)


def _table_slopes(step: Step, index: int, j: int, seen: set[int]) -> Iterator[Equation]:
    layer, gradient = index + 1, _parameters(step, index, step.run.gradient)
    for place in touched(step, index, j):
        if place in seen:
            continue
        seen.add(place)
        terms = [
            single(step, name(step, "dz", index, k, r), float(step.run.dZ[index][r, k]))
            for k, wire in enumerate(wires_of(step, index))
            if wire.sort == "row" and place in wire.parameters[0]
            for r in range(len(step.batch))
            if wire.parameters[0][row_number(step, index, wire, r)] == place
        ]
        parameter = parameter_name(step, index, place)
        formula, numbers = added(step, terms)
        more: dict[str, Any] = {"value": float(gradient[place]), "because": "wherever this row was taken"}
        yield Equation("backward", layer, f"d{parameter}", formula, numbers, **more)


def touched(step: Step, index: int, j: int) -> list[int]:
    """Places of the entries of a table that a unit takes, in any row of the batch."""
    wire = wires_of(step, index)[j]
    rows = (row_number(step, index, wire, r) for r in range(len(step.batch)))
    return [wire.parameters[0][at] for at in dict.fromkeys(rows)]


def rows_taken(step: Step, index: int) -> list[int]:
    """The rows of a layer's table that the batch takes, in ascending order."""
    found = {
        row_number(step, index, wire, r)
        for wire in wires_of(step, index)
        if wire.sort == "row"
        for r in range(len(step.batch))
    }
    return sorted(found)
