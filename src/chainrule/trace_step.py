"""One training step of a network in arrays: what both forms of a trace write down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule import reference
from chainrule.equations import PENALTIES
from chainrule.equations.optimisers import Optimiser
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.trace_equation import Equation, factor, plain


@dataclass(frozen=True)
class Step:
    """A step and its names.

    Attributes
    ----------
    objective : Objective
    theta : ndarray of shape (parameters,)
        Before the step.
    batch : Batch
    features, outputs : sequence of str
        Names of the inputs and of the outputs.
    optimiser : Optimiser
    rate : float
        The learning rate.
    known : bool
        Whether the targets are known; without them there is only the forward part.
    terms, units : int
        So many terms of a sum, and units of a layer, are written out.
    digits : int
    """

    objective: Objective
    theta: Array
    batch: Batch
    features: Sequence[str]
    outputs: Sequence[str]
    optimiser: Optimiser
    rate: float
    known: bool = True
    terms: int = 8
    units: int = 8
    digits: int = 4

    @cached_property
    def run(self) -> reference.Pass:
        """Forward propagation and, with targets, back propagation."""
        network = self.objective.network
        with np.errstate(all="ignore"):
            run = reference.forward(network, self.theta, reference.dense(self.batch.X))
            if self.known:
                reference.backward(network, self.theta, run, self.batch.Y, self.batch.weights)
        return run

    def prediction(self, run: reference.Pass) -> Array:
        """The last layer's values through the loss's output link, of shape (n, outputs)."""
        return reference.predict(self.objective.network, run.A[-1])

    def losses(self, run: reference.Pass) -> Array:
        """The loss of each row and output, of shape (n, outputs)."""
        row, z = self.objective.network.loss_row, run.A[-1]
        extra = reference.statistics(z) if row.coupled else reference.values(row)
        return np.asarray(row.value(z, self.batch.Y, *extra))

    def gradient(self, run: reference.Pass) -> Array:
        """The gradient with penalties, of shape (parameters,)."""
        total = run.gradient.copy()
        scale = self.objective.scale(self.batch)
        reference.penalise(self.objective, self.theta, scale, total)
        return total

    def moved(self, gradient: Array) -> Array:
        """The parameters after the optimiser's first step, its memory being empty."""
        theta = self.theta.copy()
        slots = np.zeros((len(self.optimiser.slots), theta.size), theta.dtype)
        for start, stop, free in self.objective.segments():
            part = slice(start, stop)
            reference.update(
                self.optimiser, theta[part], gradient[part], slots[:, part], self.rate, 1, free=free
            )
        return theta

    def penalties(self) -> list[tuple[str, float]]:
        """Name and strength of each penalty that is in force."""
        scale = self.objective.scale(self.batch)
        return [(name, s * scale) for name, s in self.objective.strengths.items() if s * scale]

    def update_remarks(self) -> list[Equation]:
        """What the optimiser does to each parameter, in words and formulas."""
        row = self.optimiser
        remarks = [Equation("update", None, row.name, plain(row.latex), because=row.source)]
        for name, strength in self.penalties():
            slope = plain(PENALTIES[name].slope_latex)
            text = f"of weights, g = dw + {factor(strength, self.digits)} · {slope}: the penalty {name}"
            remarks.append(Equation("update", None, "", text))
        if row.full_batch:
            text = "this method needs the gradient of all rows for a step; one row alone does not give it"
        else:
            state = f", {' and '.join(row.slots)} being 0 before" if row.slots else ""
            text = f"the first step, t = 1, at a learning rate η = {self.rate:g}{state}"
        return [*remarks, Equation("update", None, "", text)]


def constants(row: Any) -> str:
    """The values of a row's parameters, as in "alpha = 0.01"."""
    return ", ".join(f"{name} = {value:g}" for name, value in row.parameters.items())
