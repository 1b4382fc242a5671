"""Full-batch training: the objective in the form that L-BFGS and Levenberg-Marquardt ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np

from chainrule import second_order
from chainrule.errors import OptionError
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.second_order import Iterate
from chainrule.spec import Training
from chainrule.team import QUIET


def iterations(
    run: Any,
    objective: Objective,
    training: Training,
    batch: Batch,
    theta: Array,
    start: Iterate | None = None,
) -> Iterator[Iterate]:
    """The iterations of a full-batch optimiser, from theta, or from where it stood before."""
    name = training.optimiser_row.name
    found = METHODS[name](run, objective, training, batch, theta, start)
    blas = QUIET if name in SUMMED_IN_ORDER else nullcontext()
    while True:
        with np.errstate(over="ignore", invalid="ignore"), blas:  # what overflows shows in the value
            iterate = next(found, None)
        if iterate is None:
            return
        yield iterate


def _lbfgs(
    run: Any, objective: Objective, training: Training, batch: Batch, theta: Array, start: Iterate | None
) -> Iterator[Iterate]:
    def f(at: Array) -> tuple[float, Array]:
        return run.loss_and_gradient(  # type: ignore[no-any-return]
            at.astype(objective.network.dtype), batch
        )

    memory = int(training.optimiser_row.parameters["memory"])
    return second_order.lbfgs(f, theta, memory, training.tol, start=start)


def _levenberg_marquardt(
    run: Any, objective: Objective, training: Training, batch: Batch, theta: Array, start: Iterate | None
) -> Iterator[Iterate]:
    network, dtype = objective.network, objective.network.dtype
    if network.loss != "squared_error":
        raise OptionError(
            f"levenberg_marquardt minimises a sum of squares: use the loss 'squared_error', not "
            f"{network.loss!r}, or another optimiser."
        )
    if set(objective.strengths) - {"l2"} and any(
        s for name, s in objective.strengths.items() if name != "l2"
    ):
        raise OptionError("levenberg_marquardt takes no penalty but l2.")

    def f(at: Array) -> float:
        return float(run.loss(at.astype(dtype), batch))

    return second_order.levenberg_marquardt(
        f,
        lambda at: normal_equations(run, objective, at, batch),
        theta,
        tol=training.tol,
        start=start,
        **training.optimiser_row.parameters,
    )


METHODS = {"lbfgs": _lbfgs, "levenberg_marquardt": _levenberg_marquardt}
SUMMED_IN_ORDER = {"lbfgs"}  # BLAS would add up its long inner products in another order with more threads
JACOBIAN_CELLS = 4_000_000  # most entries of the Jacobian that are in memory at once


def normal_equations(
    run: Any, objective: Objective, theta: Array, batch: Batch
) -> tuple[float, Array, Array]:
    """Value, gradient J'e and Gauss-Newton matrix J'J of half the mean squared error, with L2.

    Returns
    -------
    value : float
    g : ndarray of shape (parameters,)
    H : ndarray of shape (parameters, parameters)
    """
    size, outputs = objective.layout.size, objective.network.outputs
    weights = np.ones(len(batch)) if batch.weights is None else batch.weights.astype(np.float64)
    weights = weights / weights.sum()
    g, H, value = np.zeros(size), np.zeros((size, size)), 0.0
    chunk = max(1, JACOBIAN_CELLS // (size * outputs))
    small = theta.astype(objective.network.dtype)
    for first in range(0, len(batch), chunk):
        rows = slice(first, first + chunk)
        Z, J = run.jacobian(small, batch.X[rows])
        root = np.sqrt(weights[rows])[:, None]
        e = ((Z - batch.Y[rows]) * root).ravel()
        J = (J * root[:, :, None]).reshape(-1, size).astype(np.float64, copy=False)
        value += 0.5 * float(e @ e)
        g += J.T @ e
        H += J.T @ J
    strength = objective.strengths.get("l2", 0.0) * objective.scale(batch)
    for block in objective.layout.blocks:
        if block.is_weight and strength:
            part = np.arange(block.start, block.stop)
            value += 0.5 * strength * float(theta[part] @ theta[part])
            g[part] += strength * theta[part]
            H[part, part] += strength
    return value, g, H
