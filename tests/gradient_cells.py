"""Cells of the product of the tables, and gradients with one planted fault each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from conftest import make_network, make_problem

from chainrule import check, reference
from chainrule.equations import ACTIVATIONS, LOSSES
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective

PENALTIES: dict[str, dict[str, float]] = {
    "none": {},
    "l2": {"l2": 0.1},
    "l1": {"l1": 0.1},
    "both": {"l2": 0.1, "l1": 0.05},
}
HIDDEN: dict[int, tuple[int, ...]] = {1: (), 2: (5,), 3: (5, 4), 4: (5, 4, 3)}
Cell = tuple[Objective, Array, Batch]
LEAST_TERM = 1e-9  # of an entry: a term that is smaller is no fault when it is left out


def cells(activation: str, loss: str) -> Iterator[Cell]:
    """Every depth x penalty x weighting of an activation and a loss."""
    for depth, hidden in HIDDEN.items():
        network = make_network(loss, activation, hidden=hidden)
        for name, strengths in PENALTIES.items():
            for weighted in (False, True):
                objective = Objective(network, strengths, per_batch=name == "both")
                theta, batch = make_problem(network, rows=7, weighted=weighted, seed=depth)
                # Exponentials of exponentials leave the range of a double at usual weights.
                yield objective, theta * (0.2 if activation == "exponential" else 1.0), batch


def sample(count: int | None, seed: int = 0) -> list[Cell]:
    """So many cells of the whole product, drawn without replacement; all of them for None."""
    everything = [cell for activation in ACTIVATIONS for loss in LOSSES for cell in cells(activation, loss)]
    if count is None or count >= len(everything):
        return everything
    chosen = np.random.default_rng(seed).choice(len(everything), count, replace=False)
    return [everything[int(place)] for place in np.sort(chosen)]


def relative_error(run: Any, objective: Objective, theta: Array, batch: Batch) -> float:
    """norm(g - c) / norm(c) over all parameters, with the complex step's c."""
    _, gradient = run.loss_and_gradient(theta, batch)
    exact = check.complex_step(objective, theta, batch, np.arange(theta.size))
    norm = float(np.linalg.norm(exact))
    difference = float(np.linalg.norm(gradient - exact))
    return difference / norm if norm else difference


# ---------------------------------------------------------------- planted faults

Fault = Callable[[Objective, Array, Batch, Array, np.random.Generator], Array]


def scaled(objective: Objective, theta: Array, batch: Batch, gradient: Array, rng: Any) -> Array:
    """One entry is larger by a part in 10^9."""
    faulty = gradient.copy()
    faulty[_entry(gradient, rng)] *= 1 + 1e-9
    return faulty


def negated(objective: Objective, theta: Array, batch: Batch, gradient: Array, rng: Any) -> Array:
    """One entry has the other sign."""
    faulty = gradient.copy()
    faulty[_entry(gradient, rng)] *= -1
    return faulty


def dropped(objective: Objective, theta: Array, batch: Batch, gradient: Array, rng: Any) -> Array:
    """One row's term is missing in one entry."""
    return _with_term(objective, theta, batch, gradient, rng, -1.0)


def duplicated(objective: Objective, theta: Array, batch: Batch, gradient: Array, rng: Any) -> Array:
    """One row's term is added twice to one entry."""
    return _with_term(objective, theta, batch, gradient, rng, 1.0)


def transposed(objective: Objective, theta: Array, batch: Batch, gradient: Array, rng: Any) -> Array:
    """dX = dZ W in place of dZ W' in a square layer."""
    layout = objective.layout
    turned = theta.copy()
    W = layout.view(turned, 1, "W")
    W[...] = W.T.copy()
    run = reference.forward(objective.network, theta, batch.X)
    reference.backward(objective.network, turned, run, batch.Y, batch.weights)
    reference.penalise(objective, theta, objective.scale(batch), run.gradient)
    return run.gradient


FAULTS: tuple[Fault, ...] = (scaled, negated, dropped, duplicated, transposed)


def _entry(gradient: Array, rng: np.random.Generator) -> int:
    return int(rng.choice(np.flatnonzero(gradient)))


def _with_term(
    objective: Objective, theta: Array, batch: Batch, gradient: Array, rng: Any, sign: float
) -> Array:
    """The gradient with one term of one entry added once more, or taken away."""
    run = reference.forward(objective.network, theta, batch.X)
    reference.backward(objective.network, theta, run, batch.Y, batch.weights)
    layer = int(rng.integers(len(objective.network.layers)))
    terms = np.einsum("ij,ik->ijk", run.input_of(layer), run.dZ[layer])
    faulty = gradient.copy()
    block = objective.layout.view(faulty, layer, "W")
    places = np.argwhere(np.abs(terms) > LEAST_TERM * np.maximum(np.abs(block), 1e-12))
    i, j, k = places[rng.integers(len(places))]
    block[j, k] += sign * terms[i, j, k]
    return faulty


def planted(count: int, seed: int = 0) -> Iterator[tuple[str, bool]]:
    """So many faults, one at a time, in networks of all activations and losses; whether each is caught."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        fault = FAULTS[number % len(FAULTS)]
        loss = list(LOSSES)[number % len(LOSSES)]
        smooth = [name for name in ACTIVATIONS if name != "exponential"]
        names = [str(rng.choice(smooth)), str(rng.choice(smooth))]
        strengths = list(PENALTIES.values())[int(rng.integers(len(PENALTIES)))]
        objective = Objective(make_network(loss, names, hidden=(5, 5)), strengths)
        # An odd number of rows: signs must not cancel to a gradient of exactly 0, which has no fault.
        weighted = bool(rng.integers(2))
        theta, batch = make_problem(objective.network, rows=15, weighted=weighted, seed=number)
        _, gradient = reference.Run(objective).loss_and_gradient(theta, batch)
        faulty = fault(objective, theta, batch, gradient, rng)
        report = check.compare(objective, theta, batch, faulty, np.arange(theta.size))
        yield f"{fault.__name__} in {names[0]}, {names[1]}, {loss}", not report.passed
