"""The equations of a step as matrices: a row of data is a row of X, so Z = X W + b."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule import trace_layer_matrices, trace_update
from chainrule.equations import ACTIVATIONS
from chainrule.parameters import Array
from chainrule.reference import values
from chainrule.trace_equation import Equation, number, plain
from chainrule.trace_layer_matrices import matrix, shape_of
from chainrule.trace_numbers import constants, parameters, put_in, where, with_matrices
from chainrule.trace_step import Step


def equations(step: Step) -> Iterator[Equation]:
    """All equations of a batch's step, in the order in which they are computed."""
    yield from _forward(step)
    if step.known:
        yield from _loss(step)
        yield from _backward(step)
        yield from trace_update.matrices(step)


# ------------------------------------------------------------------ forward


def _forward(step: Step) -> Iterator[Equation]:
    run, network = step.run, step.objective.network
    yield matrix("forward", None, "X", ", ".join(step.features), run.X, shape=shape_of(run.X))
    for index, row in enumerate(network.activations):
        layer, Z, A = index + 1, run.Z[index], run.A[index]
        yield from trace_layer_matrices.values(step, index)
        given = constants(row)
        why = f"entry by entry, {row.name}(z) = {plain(row.latex)}{', ' if given else ''}{given}"
        operands = _applied(step, row, Z)
        formula = f"{row.name}(Z^[{layer}])"
        yield matrix("forward", layer, f"A^[{layer}]", formula, A, because=why, operands=operands)
        yield from _dropped(step, index)
    yield from _prediction(step)


def _prediction(step: Step) -> Iterator[Equation]:
    """The predictions; of several members first theirs, and then the mean."""
    network, Z, why = step.objective.network, step.run.A[-1], ", ".join(step.outputs)
    link, members = ACTIVATIONS[network.loss_row.link], network.members
    formula, operands = f"{link.name}(A^[{len(step.run.A)}])", _applied(step, link, Z)
    if members > 1:
        said = f"of each of the {members} members, side by side"
        yield matrix("forward", None, "P", formula, step.each, because=said, operands=operands)
        parts = np.split(step.each, members, axis=1)
        formula, why = f"(P_0 + … + P_{members - 1}) / {members}", f"{why}: the mean of the members"
        operands = (*(piece for part in parts for piece in (part, "+")),)[:-1]
        operands = ("(", *operands, f") / {members}")
    yield matrix("forward", None, "Ŷ", formula, step.prediction, because=why, operands=operands)


def _applied(step: Step, row: Any, Z: Array) -> tuple[Any, ...]:
    """A function of a matrix with its numbers: its formula, where z stands in it once."""
    formula = put_in(plain(row.latex), parameters(row), step.digits)
    filled = with_matrices(formula, {"z": Z})
    if row.name == "identity":
        return ()
    plainly = sum(isinstance(p, np.ndarray) for p in filled) == 1 and "^" not in formula
    return filled if plainly and not row.coupled else (row.name, Z)


def _dropped(step: Step, index: int) -> Iterator[Equation]:
    """What dropout makes of a layer's values."""
    mask, layer = step.run.kept[index], index + 1
    if mask is None:
        return
    rate, A, kept = step.rate_of_dropout(index), step.run.A[index], np.asarray(mask, float)
    why = f"1 with probability 1 − p, p = {rate:g}"
    yield matrix("forward", layer, f"M^[{layer}]", "what dropout keeps", kept, because=why)
    operands, formula = (
        (A, "⊙", kept, f"/ {number(1 - rate, step.digits)}"),
        f"A^[{layer}] ⊙ M^[{layer}] / (1 − p)",
    )
    yield matrix("forward", layer, f"Ã^[{layer}]", formula, step.run.D[index], operands=operands)


# ------------------------------------------------------------------ the loss


def _loss(step: Step) -> Iterator[Equation]:
    row, depth, Y = step.objective.network.loss_row, len(step.run.A), step.batch.Y
    yield matrix("loss", None, "Y", "the targets", Y, shape=shape_of(Y))
    why = f"{row.name}, {plain(row.latex)}"
    Y = np.tile(Y, step.objective.network.members)  # the same for each member
    operands: tuple[Any, ...] = ("l (", step.run.A[-1], ",", Y, ")")
    formula = f"l(A^[{depth}], Y)"
    yield matrix("loss", None, "l", formula, step.losses, because=why, operands=operands)
    members = step.objective.network.members
    totals, weights = step.losses.sum(axis=1) / members, step.weights
    if step.alike:
        formula, why = "Σ_i Σ_k l_{i,k} / n", "the mean over the rows"
        operands = ("Σ", step.losses, f"/ {len(totals) * members}")
        if members > 1:
            formula, why = f"Σ_i Σ_k l_{{i,k}} / ({members} n)", "the mean over the rows and the members"
    else:
        formula, why = "Σ_i w_i Σ_k l_{i,k} / Σ_i w_i", "w are the weights of rows"
        whole = number(float(weights.sum()), step.digits)
        operands = (weights[None, :], totals[:, None], f"/ {whole}")
    value = float(totals @ weights / weights.sum())
    yield Equation("loss", None, "L", formula, operands=operands, value=value, because=why)


# ------------------------------------------------------------------ backward


def _backward(step: Step) -> Iterator[Equation]:
    for index in range(len(step.run.A) - 1, -1, -1):
        if index == len(step.run.A) - 1:
            yield _loss_slope(step)
        else:
            yield from _value_slopes(step, index)
        yield _slopes(step, index)
        yield from trace_layer_matrices.parameter_slopes(step, index)


def _loss_slope(step: Step) -> Equation:
    network, layer, n = step.objective.network, len(step.run.A), len(step.batch)
    row, members = network.loss_row, network.members
    slope, said = where(plain(row.slope_latex))
    Y = np.tile(step.batch.Y, members)
    letters = {"a_k": step.each, "z": step.run.A[-1], "y": Y, "y_k": Y}
    filled = with_matrices(put_in(slope, parameters(row), step.digits), letters)
    weights = step.weights
    if step.alike:
        alone, share = n * members == 1, "1 / n" if members == 1 else f"1 / ({members} n)"
        formula = f"{slope}{said}" if alone else f"({share}) ({slope}){said}"
        operands = filled if alone else (f"1 / {n * members} (", *filled, ")")
    else:
        share = "w / Σ w" if members == 1 else f"w / ({members} Σ w)"
        formula, shares = f"({share}) ⊙ ({slope}){said}", (weights / weights.sum() / members)[:, None]
        operands = (shares, "⊙ (", *filled, ")")
    value, why = step.run.dA[-1], f"∂L/∂A^[{layer}], the loss and its link in one"
    more: dict[str, Any] = {"shape": shape_of(value), "because": why, "operands": operands}
    return matrix("backward", layer, f"dA^[{layer}]", formula, value, **more)


def _value_slopes(step: Step, index: int) -> Iterator[Equation]:
    """∂L/∂A of a layer; where dropout is on, ∂L/∂Ã comes first."""
    layer, mask, dA = index + 1, step.run.kept[index], step.run.dA[index]
    letter = "A" if mask is None else "Ã"
    *before, equation = trace_layer_matrices.input_slopes(step, index + 1, f"d{letter}^[{layer}]")
    yield from (*before, equation)
    if mask is not None:
        formula = f"dÃ^[{layer}] ⊙ M^[{layer}] / (1 − p)"
        left = f"/ {number(1 - step.rate_of_dropout(index), step.digits)}"
        operands = (np.array(equation.value), "⊙", np.asarray(mask, float), left)
        why = f"∂L/∂Ã^[{layer}] × ∂Ã^[{layer}]/∂A^[{layer}]"
        more = {"because": why, "operands": operands}
        yield matrix("backward", layer, f"dA^[{layer}]", formula, dA, **more)


def _slopes(step: Step, index: int) -> Equation:
    layer, row, run = index + 1, step.objective.network.activations[index], step.run
    dA, dZ = run.dA[index], run.dZ[index]
    operands: tuple[Any, ...] = ()
    if row.jacobian is not None:
        formula = f"J dA^[{layer}], row by row, J the Jacobian of {row.name}"
        alone = len(dA) == 1 and step.objective.network.layers[index].members == 1
        operands = (row.jacobian(run.A[index][0]), dA.T) if alone else ()
    elif row.slope is not None:
        formula = f"dA^[{layer}] ⊙ {row.name}'(Z^[{layer}])"
        with np.errstate(all="ignore"):
            slope = np.broadcast_to(row.slope(run.Z[index], run.A[index], *values(row)), dA.shape)
        operands = (dA, "⊙", slope)
    why = f"∂L/∂A^[{layer}] × ∂A^[{layer}]/∂Z^[{layer}], {plain(row.slope_latex)}"
    more: dict[str, Any] = {"shape": shape_of(dZ), "because": why, "operands": operands}
    return matrix("backward", layer, f"dZ^[{layer}]", formula, dZ, **more)
