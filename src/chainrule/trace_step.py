"""One training step of a network in arrays: what both forms of a trace write down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from chainrule import full_batch, reference
from chainrule.equations import ACTIVATIONS, OPTIMISERS, PENALTIES
from chainrule.equations.optimisers import Optimiser
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective, Pace, paces
from chainrule.spec import Training
from chainrule.trace_equation import Equation, factor, number, plain
from chainrule.trace_numbers import letter_of


def not_all_units(part: str, layer: int, shown: Sequence[int], total: int) -> Iterator[Equation]:
    """A remark, where only some units of a layer are written out."""
    if len(shown) < total:
        text = f"{len(shown)} of {total} units are written out, those that matter most for this row"
        yield Equation(part, layer, "", text)


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
    rate, decaying, dropping : float
        The learning rate, and factors on the optimiser's weight decay and on the rates of dropout.
    known : bool
        Whether the targets are known; without them there is only the forward part.
    rows : sequence of int
        The numbers of the batch's rows in the data.
    slots : ndarray of shape (slots, parameters), optional
        The optimiser's memory; by default empty.
    t : int
        Steps that were done before.
    seed : int
        Of dropout; a negative one switches it off.
    terms, units, moves : int
        So many terms of a sum, units of a layer, and updates of a unit's weights, are written out.
    digits : int
    pace : Pace
        How fast each parameter moves beside the others.
    """

    objective: Objective
    theta: Array
    batch: Batch
    features: Sequence[str]
    outputs: Sequence[str]
    optimiser: Optimiser
    rate: float
    known: bool = True
    rows: Sequence[int] = (0,)
    slots: Array | None = None
    t: int = 0
    seed: int = -1
    terms: int = 8
    units: int = 8
    moves: int = 8
    digits: int = 4
    decaying: float = 1.0
    dropping: float = 1.0
    pace: Pace = field(default_factory=Pace)

    @cached_property
    def run(self) -> reference.Pass:
        """Forward propagation and, with targets, back propagation."""
        network = self.objective.network
        with np.errstate(all="ignore"):
            X = reference.dense(self.batch.X)
            run = reference.forward(network, self.theta, X, self.seed, self.t + 1, self.dropping)
            if self.known:
                reference.backward(network, self.theta, run, self.batch.Y, self.batch.weights, self.dropping)
        return run

    def rate_of_dropout(self, index: int) -> float:
        """The share of a layer's values that is dropped in this step."""
        return self.objective.network.layers[index].dropout * self.dropping

    @cached_property
    def each(self) -> Array:
        """The predictions of each member, of shape (n, members outputs)."""
        network, z = self.objective.network, self.run.A[-1]
        link = ACTIVATIONS[network.loss_row.link]
        return reference.activate(link, reference.split(z, network.members)).reshape(z.shape)

    @cached_property
    def prediction(self) -> Array:
        """The last layer's values through the loss's output link, the mean over the members: (n, outputs)."""
        return reference.predict(self.objective.network, self.run.A[-1])

    @cached_property
    def losses(self) -> Array:
        """The loss of each row and output, of shape (n, members outputs)."""
        network, z = self.objective.network, self.run.A[-1]
        Y = np.repeat(self.batch.Y, network.members, axis=0)
        return reference.losses(network.loss_row, reference.split(z, network.members), Y).reshape(z.shape)

    @cached_property
    def weights(self) -> Array:
        """The weight of each row, of shape (n,)."""
        n = len(self.batch)
        return np.ones(n) if self.batch.weights is None else self.batch.weights.astype(np.float64)

    @property
    def alike(self) -> bool:
        """Whether all rows count the same."""
        return bool(np.all(self.weights == self.weights[0]))

    @cached_property
    def gradient(self) -> Array:
        """The gradient with penalties, of shape (parameters,)."""
        total = self.run.gradient.copy()
        reference.penalise(self.objective, self.theta, self.objective.scale(self.batch), total)
        return total

    @cached_property
    def shortening(self) -> float:
        """By what the gradient is multiplied, so that it is not longer than is allowed."""
        whole = float(np.sqrt(np.sum(np.square(self.gradient, dtype=np.float64))))
        return self.pace.clip / whole if 0 < self.pace.clip < whole else 1.0

    def factors(self, place: int) -> tuple[float, float]:
        """Factors on the learning rate and on the weight decay of a parameter."""
        for start, stop, quicker, shrinking in paces(self.objective.layout, self.optimiser, self.pace):
            if start <= place < stop:
                return quicker, self.decaying * shrinking
        return 0.0, 0.0

    @cached_property
    def memory(self) -> Array:
        """What the optimiser remembers before the step, of shape (slots, parameters)."""
        if self.slots is not None:
            return self.slots
        return np.zeros((len(self.optimiser.slots), self.theta.size), self.theta.dtype)

    @cached_property
    def moved(self) -> tuple[Array, Array]:
        """The parameters after the optimiser's step, and what it then remembers."""
        if self.optimiser.full_batch:
            return self._iterated, self.memory
        theta, slots = self.theta.copy(), self.memory.copy()
        gradient = reference.shortened(self.gradient, self.pace.clip)
        for start, stop, quicker, shrinking in paces(self.objective.layout, self.optimiser, self.pace):
            part, rate, decay = slice(start, stop), self.rate * quicker, self.decaying * shrinking
            reference.update(
                self.optimiser, theta[part], gradient[part], slots[:, part], rate, self.t + 1, decay
            )
        return theta, slots

    @property
    def _iterated(self) -> Array:
        """The parameters after the first iteration of a full-batch method on these rows."""
        training = Training(optimiser=OPTIMISERS.spell(self.optimiser), batch_size=len(self.batch))
        run = reference.Run(self.objective, self.optimiser)
        found = next(full_batch.iterations(run, self.objective, training, self.batch, self.theta))
        return found.theta.astype(self.theta.dtype)

    def penalties(self) -> list[tuple[str, float]]:
        """Name and strength of each penalty that is in force."""
        scale = self.objective.scale(self.batch)
        return [(name, s * scale) for name, s in self.objective.strengths.items() if s * scale]

    def gradient_formula(self, weight: bool = True) -> str:
        """What the optimiser takes for g: the derivative of the loss, and of the penalties of weights."""
        parts = ["dw"]
        for name, strength in self.penalties() if weight else ():
            slope = plain(PENALTIES[name].slope_latex)
            parts.append(f"{factor(strength, self.digits)} · {slope}")
        formula = " + ".join(parts)
        if self.shortening == 1:
            return formula
        return f"κ ({formula})" if len(parts) > 1 else f"κ {formula}"

    def update_remarks(self) -> list[Equation]:
        """What the optimiser does to each parameter, in words and formulas."""
        row = self.optimiser
        remarks = [Equation("update", None, row.name, plain(row.latex), because=row.source)]
        if self.penalties():
            names = " and ".join(name for name, _ in self.penalties())
            others = self.gradient_formula(weight=False).replace("dw", "db")
            text = f"of weights, g = {self.gradient_formula()}, with the penalty {names}"
            remarks.append(Equation("update", None, "", f"{text}; of biases, g = {others}"))
        if self.shortening != 1:
            text = (
                f"the gradient is longer than {number(self.pace.clip, self.digits)}: it is multiplied by κ = "
            )
            remarks.append(Equation("update", None, "", text + number(self.shortening, self.digits)))
        if row.full_batch:
            text = "the method's first iteration, if the rows that are shown were all the data"
        elif row.slots and not self.t:
            text = f"the first step, t = 1, with {' and '.join(row.slots)} = 0 before"
        else:
            text = f"step t = {self.t + 1} of the optimiser"
        if not row.full_batch:
            text += f", at a learning rate η = {number(self.rate, self.digits)}"
        remarks.append(Equation("update", None, "", text))
        factors = [
            f"{number(factor, self.digits)} of {letter_of(name)}"
            for name, factor in self.pace.rates.items()
            if factor != 1 and any(block.name == name for block in self.objective.layout.blocks)
        ]
        if factors:
            remarks.append(Equation("update", None, "", f"with factors on η: {', '.join(factors)}"))
        return remarks
