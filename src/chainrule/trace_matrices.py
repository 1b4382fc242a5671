"""The equations of a step as matrices: a row of data is a row of X, so Z = X W + b."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.equations import ACTIVATIONS, LAYERS
from chainrule.parameters import Array, Layout
from chainrule.reference import Pass
from chainrule.trace_equation import Equation, plain
from chainrule.trace_step import Step, constants


def equations(step: Step) -> Iterator[Equation]:
    """All equations of a batch's step, in the order in which they are computed."""
    run = step.run
    yield from _forward(step, run)
    if step.known:
        yield from _loss(step, run)
        yield from _backward(step, run)
        yield from _update(step, run)


def _matrix(part: str, layer: int | None, symbol: str, formula: str, value: Array, **more: Any) -> Equation:
    return Equation(part, layer, symbol, formula, value=np.atleast_2d(value).tolist(), **more)


def _shape(array: Array) -> str:
    return " × ".join(str(n) for n in np.atleast_2d(array).shape)


def _before(layer: int) -> str:
    return "X" if layer == 1 else f"A^[{layer - 1}]"


def _forward(step: Step, run: Pass) -> Iterator[Equation]:
    network, layout = step.objective.network, Layout(step.objective.network)
    yield _matrix("forward", None, "X", ", ".join(step.features), run.X, shape=_shape(run.X))
    for index, row in enumerate(network.activations):
        layer, X = index + 1, run.input_of(index)
        W, b = layout.view(step.theta, index, "W"), layout.view(step.theta, index, "b")
        Z, A = run.Z[index], run.A[index]
        yield _matrix("forward", layer, f"W^[{layer}]", "its weights", W, shape=_shape(W))
        yield _matrix("forward", layer, f"b^[{layer}]", "its biases", b, shape=_shape(b))
        shapes = f"({_shape(X)}) ({_shape(W)}) + ({_shape(b)}) → ({_shape(Z)})"
        formula = f"{_before(layer)} W^[{layer}] + b^[{layer}]"
        source = LAYERS[network.layers[index].kind].source
        yield _matrix("forward", layer, f"Z^[{layer}]", formula, Z, shape=shapes, because=source)
        given = constants(row)
        why = f"entry by entry, {row.name}(z) = {plain(row.latex)}{', ' if given else ''}{given}"
        yield _matrix("forward", layer, f"A^[{layer}]", f"{row.name}(Z^[{layer}])", A, because=why)
    link = ACTIVATIONS[network.loss_row.link]
    formula = f"{link.name}(A^[{len(run.A)}])"
    yield _matrix("forward", None, "Ŷ", formula, step.prediction(run), because=", ".join(step.outputs))


def _loss(step: Step, run: Pass) -> Iterator[Equation]:
    row, losses = step.objective.network.loss_row, step.losses(run)
    weights = np.ones(len(losses)) if step.batch.weights is None else step.batch.weights
    yield _matrix("loss", None, "Y", "the targets", step.batch.Y, shape=_shape(step.batch.Y))
    why = f"{row.name}, {plain(row.latex)}"
    yield _matrix("loss", None, "l", f"l(A^[{len(run.A)}], Y)", losses, because=why)
    total = float(np.sum(losses * weights[:, None]) / weights.sum())
    yield Equation("loss", None, "L", "Σ_i w_i Σ_k l_{i,k} / Σ_i w_i", "", total, because="w are row weights")


def _backward(step: Step, run: Pass) -> Iterator[Equation]:
    network, layout, depth = step.objective.network, Layout(step.objective.network), len(run.A)
    for index in range(depth - 1, -1, -1):
        layer, row = index + 1, network.activations[index]
        dA, dZ, X = run.dA[index], run.dZ[index], run.input_of(index)
        if index == depth - 1:
            formula = f"(w / Σ w) ({plain(network.loss_row.slope_latex)})"
            why = f"∂L/∂A^[{layer}], the loss and its link in one"
        else:
            formula = f"dZ^[{layer + 1}] W^[{layer + 1}]ᵀ"
            why = f"∂L/∂Z^[{layer + 1}] × ∂Z^[{layer + 1}]/∂A^[{layer}]"
        yield _matrix("backward", layer, f"dA^[{layer}]", formula, dA, shape=_shape(dA), because=why)
        formula = f"dA^[{layer}] ⊙ {row.name}'(Z^[{layer}])"
        if row.coupled:
            formula = f"J dA^[{layer}], row by row, J the Jacobian of {row.name}"
        why = f"∂L/∂A^[{layer}] × ∂A^[{layer}]/∂Z^[{layer}], {plain(row.slope_latex)}"
        yield _matrix("backward", layer, f"dZ^[{layer}]", formula, dZ, shape=_shape(dZ), because=why)
        dW, db = layout.view(run.gradient, index, "W"), layout.view(run.gradient, index, "b")
        shapes = f"({_shape(X.T)}) ({_shape(dZ)}) → ({_shape(dW)})"
        formula, why = f"{_before(layer)}ᵀ dZ^[{layer}]", f"∂L/∂Z^[{layer}] × ∂Z^[{layer}]/∂W^[{layer}]"
        yield _matrix("backward", layer, f"dW^[{layer}]", formula, dW, shape=shapes, because=why)
        why = f"∂L/∂Z^[{layer}] × ∂Z^[{layer}]/∂b^[{layer}]"
        yield _matrix("backward", layer, f"db^[{layer}]", f"Σ_i dZ_i^[{layer}]", db, because=why)


def _update(step: Step, run: Pass) -> Iterator[Equation]:
    yield from step.update_remarks()
    if step.optimiser.full_batch:
        return
    layout, moved = Layout(step.objective.network), step.moved(step.gradient(run))
    for index in range(len(run.A)):
        for name in ("W", "b"):
            symbol = f"{name}^[{index + 1}]"
            yield _matrix("update", index + 1, symbol, "moved", layout.view(moved, index, name))
