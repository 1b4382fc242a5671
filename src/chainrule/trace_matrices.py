"""The equations of a step as matrices: a row of data is a row of X, so Z = X W + b."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule import trace_update
from chainrule.equations import ACTIVATIONS, LAYERS
from chainrule.parameters import Array, Layout
from chainrule.reference import values
from chainrule.trace_equation import Equation, number, plain
from chainrule.trace_numbers import constants, parameters, put_in, where, with_matrices
from chainrule.trace_step import Step


def equations(step: Step) -> Iterator[Equation]:
    """All equations of a batch's step, in the order in which they are computed."""
    yield from _forward(step)
    if step.known:
        yield from _loss(step)
        yield from _backward(step)
        yield from trace_update.matrices(step)


def _matrix(part: str, layer: int | None, symbol: str, formula: str, value: Array, **more: Any) -> Equation:
    return Equation(part, layer, symbol, formula, value=np.atleast_2d(value).tolist(), **more)


def _shape(array: Array) -> str:
    return " × ".join(str(n) for n in np.atleast_2d(array).shape)


def _received(step: Step, index: int) -> str:
    """The symbol of what a layer receives."""
    if index == 0:
        return "X"
    return f"{'A' if step.run.kept[index - 1] is None else 'Ã'}^[{index}]"


# ------------------------------------------------------------------ forward


def _forward(step: Step) -> Iterator[Equation]:
    run, network, layout = step.run, step.objective.network, Layout(step.objective.network)
    yield _matrix("forward", None, "X", ", ".join(step.features), run.X, shape=_shape(run.X))
    for index, row in enumerate(network.activations):
        layer, X = index + 1, run.input_of(index)
        W, b = layout.view(step.theta, index, "W"), layout.view(step.theta, index, "b")
        Z, A = run.Z[index], run.A[index]
        yield _matrix("forward", layer, f"W^[{layer}]", "its weights", W, shape=_shape(W))
        yield _matrix("forward", layer, f"b^[{layer}]", "its biases", b, shape=_shape(b))
        more: dict[str, Any] = {
            "shape": f"({_shape(X)}) ({_shape(W)}) + ({_shape(b)}) → ({_shape(Z)})",
            "because": LAYERS[network.layers[index].kind].source,
            "operands": (X, W, "+", np.atleast_2d(b)),
        }
        formula = f"{_received(step, index)} W^[{layer}] + b^[{layer}]"
        yield _matrix("forward", layer, f"Z^[{layer}]", formula, Z, **more)
        given = constants(row)
        why = f"entry by entry, {row.name}(z) = {plain(row.latex)}{', ' if given else ''}{given}"
        operands = _applied(step, row, Z)
        formula = f"{row.name}(Z^[{layer}])"
        yield _matrix("forward", layer, f"A^[{layer}]", formula, A, because=why, operands=operands)
        yield from _dropped(step, index)
    link = ACTIVATIONS[network.loss_row.link]
    formula, operands = f"{link.name}(A^[{len(run.A)}])", _applied(step, link, run.A[-1])
    why = ", ".join(step.outputs)
    yield _matrix("forward", None, "Ŷ", formula, step.prediction, because=why, operands=operands)


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
    rate, A, kept = step.objective.network.layers[index].dropout, step.run.A[index], np.asarray(mask, float)
    why = f"1 with probability 1 − p, p = {rate:g}"
    yield _matrix("forward", layer, f"M^[{layer}]", "what dropout keeps", kept, because=why)
    operands, formula = (
        (A, "⊙", kept, f"/ {number(1 - rate, step.digits)}"),
        f"A^[{layer}] ⊙ M^[{layer}] / (1 − p)",
    )
    yield _matrix("forward", layer, f"Ã^[{layer}]", formula, step.run.D[index], operands=operands)


# ------------------------------------------------------------------ the loss


def _loss(step: Step) -> Iterator[Equation]:
    row, depth, Y = step.objective.network.loss_row, len(step.run.A), step.batch.Y
    yield _matrix("loss", None, "Y", "the targets", Y, shape=_shape(Y))
    why = f"{row.name}, {plain(row.latex)}"
    operands: tuple[Any, ...] = ("l (", step.run.A[-1], ",", Y, ")")
    formula = f"l(A^[{depth}], Y)"
    yield _matrix("loss", None, "l", formula, step.losses, because=why, operands=operands)
    totals, weights = step.losses.sum(axis=1), step.weights
    if step.alike:
        formula, why = "Σ_i Σ_k l_{i,k} / n", "the mean over the rows"
        operands = ("Σ", step.losses, f"/ {len(totals)}")
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
        yield from _parameter_slopes(step, index)


def _loss_slope(step: Step) -> Equation:
    row, layer, n = step.objective.network.loss_row, len(step.run.A), len(step.batch)
    slope, said = where(plain(row.slope_latex))
    letters = {"a_k": step.prediction, "z": step.run.A[-1], "y": step.batch.Y, "y_k": step.batch.Y}
    filled = with_matrices(put_in(slope, parameters(row), step.digits), letters)
    weights = step.weights
    if step.alike:
        formula = f"{slope}{said}" if n == 1 else f"(1 / n) ({slope}){said}"
        operands = filled if n == 1 else (f"1 / {n} (", *filled, ")")
    else:
        formula, shares = f"(w / Σ w) ⊙ ({slope}){said}", (weights / weights.sum())[:, None]
        operands = (shares, "⊙ (", *filled, ")")
    value, why = step.run.dA[-1], f"∂L/∂A^[{layer}], the loss and its link in one"
    more: dict[str, Any] = {"shape": _shape(value), "because": why, "operands": operands}
    return _matrix("backward", layer, f"dA^[{layer}]", formula, value, **more)


def _value_slopes(step: Step, index: int) -> Iterator[Equation]:
    """∂L/∂A of a layer; where dropout is on, ∂L/∂Ã comes first."""
    layer, mask = index + 1, step.run.kept[index]
    W = Layout(step.objective.network).view(step.theta, index + 1, "W")
    dZ, dA, letter = step.run.dZ[index + 1], step.run.dA[index], "A" if mask is None else "Ã"
    formula = f"dZ^[{layer + 1}] W^[{layer + 1}]ᵀ"
    why = f"∂L/∂Z^[{layer + 1}] × ∂Z^[{layer + 1}]/∂{letter}^[{layer}]"
    received = dA if mask is None else dZ @ W.T
    more: dict[str, Any] = {"shape": _shape(dA), "because": why, "operands": (dZ, W.T)}
    yield _matrix("backward", layer, f"d{letter}^[{layer}]", formula, received, **more)
    if mask is not None:
        rate = step.objective.network.layers[index].dropout
        formula = f"dÃ^[{layer}] ⊙ M^[{layer}] / (1 − p)"
        operands = (received, "⊙", np.asarray(mask, float), f"/ {number(1 - rate, step.digits)}")
        why = f"∂L/∂Ã^[{layer}] × ∂Ã^[{layer}]/∂A^[{layer}]"
        more = {"because": why, "operands": operands}
        yield _matrix("backward", layer, f"dA^[{layer}]", formula, dA, **more)


def _slopes(step: Step, index: int) -> Equation:
    layer, row, run = index + 1, step.objective.network.activations[index], step.run
    dA, dZ = run.dA[index], run.dZ[index]
    operands: tuple[Any, ...] = ()
    if row.jacobian is not None:
        formula = f"J dA^[{layer}], row by row, J the Jacobian of {row.name}"
        operands = (row.jacobian(run.A[index][0]), dA.T) if len(dA) == 1 else ()
    elif row.slope is not None:
        formula = f"dA^[{layer}] ⊙ {row.name}'(Z^[{layer}])"
        with np.errstate(all="ignore"):
            slope = np.broadcast_to(row.slope(run.Z[index], run.A[index], *values(row)), dA.shape)
        operands = (dA, "⊙", slope)
    why = f"∂L/∂A^[{layer}] × ∂A^[{layer}]/∂Z^[{layer}], {plain(row.slope_latex)}"
    more: dict[str, Any] = {"shape": _shape(dZ), "because": why, "operands": operands}
    return _matrix("backward", layer, f"dZ^[{layer}]", formula, dZ, **more)


def _parameter_slopes(step: Step, index: int) -> Iterator[Equation]:
    layer, run, layout = index + 1, step.run, Layout(step.objective.network)
    dZ, X = run.dZ[index], run.input_of(index)
    dW, db = layout.view(run.gradient, index, "W"), layout.view(run.gradient, index, "b")
    formula, why = f"{_received(step, index)}ᵀ dZ^[{layer}]", f"∂L/∂Z^[{layer}] × ∂Z^[{layer}]/∂W^[{layer}]"
    more: dict[str, Any] = {
        "shape": f"({_shape(X.T)}) ({_shape(dZ)}) → ({_shape(dW)})",
        "because": why,
        "operands": (X.T, dZ),
    }
    yield _matrix("backward", layer, f"dW^[{layer}]", formula, dW, **more)
    why = f"∂L/∂Z^[{layer}] × ∂Z^[{layer}]/∂b^[{layer}]"
    operands = () if len(dZ) == 1 else (np.ones((1, len(dZ))), dZ)
    more = {"because": why, "operands": operands}
    yield _matrix("backward", layer, f"db^[{layer}]", f"Σ_i dZ_i^[{layer}]", db, **more)
