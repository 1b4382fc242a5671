"""Checks that anyone can run: a model's own gradient against an independent one.

The second source is the complex step: for an analytic f, f'(x) = Im f(x + ih) / h without any
subtraction, so with h = 1e-30 it is exact to rounding (Squire & Trapp 1998, SIAM Review 40). It needs only
the forward equations, in the interpreted run; what is checked is the compiled run's back propagation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule import reference
from chainrule.equations import PENALTIES
from chainrule.errors import CheckError, OptionError
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective

STEP = 1e-30
TOLERANCE = 1e-13  # of a block of parameters: norm of the error / norm of the gradient
ENTRY_TOLERANCE = 1e-10  # of each entry by itself, beside what rounding of its terms explains
ROUNDING = 1e-14  # of the sum of the absolute terms of an entry
MOST_PARAMETERS = 2000


@dataclass(frozen=True)
class GradientReport:
    """What a gradient check found.

    Attributes
    ----------
    error : float
        The largest, over the blocks (W and b of each layer), of norm(g - c) / norm(c), with the gradient
        g of back propagation and the complex step's c.
    tolerance : float
        The largest error that passes.
    faults : tuple of str
        Entries that differ by more than rounding explains, the worst first, like ``W[2][3, 1]``.
    parameters, checked : int
        Number of parameters, and how many of them were compared.
    worst : str
        The entry with the largest excess.
    method : str
        The second source.
    """

    error: float
    tolerance: float
    faults: tuple[str, ...]
    parameters: int
    checked: int
    worst: str
    method: str = "complex step, h = 1e-30"

    @property
    def passed(self) -> bool:
        """Whether the gradient is right in every entry compared."""
        return self.error <= self.tolerance and not self.faults

    def __str__(self) -> str:
        verdict = "agrees" if self.passed else "DOES NOT agree"
        text = (
            f"The gradient {verdict} with the {self.method}: {self.checked} of {self.parameters} "
            f"parameters, relative error {self.error:.1e} (at most {self.tolerance:.0e})"
        )
        return f"{text}; wrong entries: {', '.join(self.faults[:5])}" if self.faults else text

    def raise_if_failed(self) -> None:
        """Raise a CheckError if the gradient is wrong."""
        if not self.passed:
            raise CheckError(str(self))


def complex_step(objective: Objective, theta: Array, batch: Batch, entries: Any) -> Array:
    """Derivatives of the loss with respect to some parameters, from the forward equations alone.

    Parameters
    ----------
    objective : Objective
        Of dtype float64.
    theta : ndarray of shape (parameters,)
    batch : Batch
    entries : sequence of int
        Which parameters.

    Returns
    -------
    ndarray of shape (len(entries),)
    """
    run, out = reference.Run(objective), np.empty(len(entries))
    moved = theta.astype(np.complex128)
    for place, entry in enumerate(entries):
        moved[entry] = complex(theta[entry], STEP)
        out[place] = np.imag(run.loss(moved, batch)) / STEP
        moved[entry] = theta[entry]
    return out


def term_sizes(objective: Objective, theta: Array, batch: Batch) -> Array:
    """For each entry of the gradient, the sum of the absolute values of the terms it is the sum of."""
    layout = objective.layout
    with np.errstate(all="ignore"):
        run = reference.forward(objective.network, theta, reference.dense(batch.X))
        reference.backward(objective.network, theta, run, batch.Y, batch.weights)
    sizes = np.zeros(layout.size)
    for index, layer in enumerate(objective.network.layers):
        stretch = layout.layer_slice(index)
        received, term = run.input_of(index), np.zeros(stretch.stop - stretch.start)
        for i in range(len(received)):
            X, dZ = received[i : i + 1], run.dZ[index][i : i + 1]
            reference.back(layer, dZ, X, theta[stretch], np.empty((0, X.shape[1])), term)
            sizes[stretch] += np.abs(term)
    for name, strength in objective.strengths.items():
        for block in layout.blocks:
            if block.is_weight:
                part = slice(block.start, block.stop)
                slope = PENALTIES[name].slope(theta[part])
                sizes[part] += np.abs(strength * objective.scale(batch) * slope)
    return sizes


def compare(
    objective: Objective, theta: Array, batch: Batch, gradient: Array, entries: Any
) -> GradientReport:
    """Compare a given gradient with the complex step's.

    Parameters
    ----------
    objective, theta, batch
        As for `complex_step`.
    gradient : ndarray of shape (parameters,)
    entries : sequence of int
        Which parameters to compare.

    Returns
    -------
    GradientReport
    """
    entries = np.asarray(entries)
    exact = complex_step(objective, theta, batch, entries)
    return judge(objective, exact, term_sizes(objective, theta, batch), gradient, entries)


def judge(objective: Objective, exact: Array, sizes: Array, gradient: Array, entries: Any) -> GradientReport:
    """Compare a gradient, entry by entry and block by block, with the exact values of some entries."""
    difference = np.abs(gradient[entries] - exact)
    allowed = ENTRY_TOLERANCE * np.abs(exact) + ROUNDING * sizes[entries]
    excess = np.where(difference > 0, difference / np.maximum(allowed, np.finfo(float).tiny), 0.0)
    excess = np.where(np.isfinite(difference), excess, np.inf)
    ranking = np.argsort(-excess, kind="stable")
    errors = [0.0]
    for block in objective.layout.blocks:
        mine = (entries >= block.start) & (entries < block.stop)
        norm = np.linalg.norm(exact[mine])
        if norm > 0:
            errors.append(float(np.linalg.norm(difference[mine]) / norm))
    return GradientReport(
        error=float(np.max(errors)),
        tolerance=TOLERANCE,
        faults=tuple(entry_name(objective, int(entries[k])) for k in ranking if excess[k] > 1),
        parameters=objective.layout.size,
        checked=len(entries),
        worst=entry_name(objective, int(entries[ranking[0]])),
    )


def entry_name(objective: Objective, entry: int) -> str:
    """The name of a parameter, like ``W[2][3, 1]``: layer 2, from its input 3 to its unit 1."""
    block = next(b for b in objective.layout.blocks if b.start <= entry < b.stop)
    place = np.unravel_index(entry - block.start, block.shape)
    return f"{block.name}[{block.layer + 1}][{', '.join(str(int(p)) for p in place)}]"


def in_double(objective: Objective, theta: Array, batch: Batch) -> tuple[Objective, Array, Batch]:
    """The same problem in double precision, where a check means most."""
    network = replace(objective.network, dtype="float64")
    X = reference.dense(batch.X).astype(np.float64)
    weights = None if batch.weights is None else batch.weights.astype(np.float64)
    double = Objective(network, objective.strengths, objective.per_batch)
    return double, theta.astype(np.float64), Batch(X, batch.Y.astype(np.float64), weights)


def check_objective(
    objective: Objective, theta: Array, batch: Batch, seed: int = 0, most: int = MOST_PARAMETERS
) -> GradientReport:
    """Check the compiled gradient of an objective at theta.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (parameters,)
    batch : Batch
    seed : int
        Chooses the parameters to compare where there are more than `most`.
    most : int
        The largest number of parameters that are compared.

    Returns
    -------
    GradientReport
    """
    from chainrule.compiled import Run

    objective, theta, batch = in_double(objective, theta, batch)
    _, gradient = Run(objective).loss_and_gradient(theta, batch)
    entries = objective.layout.learnt
    if len(entries) > most:
        entries = np.sort(np.random.default_rng(seed).choice(entries, most, replace=False))
    return compare(objective, theta, batch, gradient, entries)


def check_gradients(model: Any, X: Any, y: Any, rows: int = 64, seed: int = 0) -> GradientReport:
    """Check the gradient of a fitted model on data: back propagation against the complex step.

    Parameters
    ----------
    model : fitted MLPClassifier or MLPRegressor
    X : array-like of shape (n, features)
    y : array-like of shape (n,) or (n, outputs)
    rows : int
        The first so many rows are used, at least 1.
    seed : int
        Chooses the parameters to compare where a model has more than 2,000.

    Returns
    -------
    GradientReport

    Raises
    ------
    OptionError
        If the model is of another kind.
    """
    if not hasattr(model, "problem"):
        raise OptionError(f"A {type(model).__name__} has no gradient to check: give an MLP model.")
    objective, theta, batch = model.problem(X[:rows], y[:rows])
    return check_objective(objective, theta, batch, seed)
