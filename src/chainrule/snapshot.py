"""A network at one moment, in a few figures: of each layer its values and gradients, and the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, TypeVar

import numpy as np

from chainrule import reference
from chainrule.equations import ACTIVATIONS
from chainrule.equations.activations import Activation
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.spec import Network
from chainrule.team import QUIET

FLAT = 1e-3  # a unit whose slope stays below this part of the steepest on all rows learns nothing
NEARLY_FLAT = 0.05  # a value where the slope is below this part of it is saturated: |tanh z| > 0.975
LARGEST_LOGIT = 700.0  # exp of it is still finite
INVERSE_LINKS: Mapping[str, Any] = {
    "identity": lambda mean: mean,
    "sigmoid": lambda mean: _logit(np.log(mean) - np.log1p(-mean)),
    "softmax": lambda mean: _logit(np.log(mean)),
    "exponential": lambda mean: _logit(np.log(mean)),
}


@dataclass(frozen=True)
class Layer:
    """One layer on a sample of rows.

    Attributes
    ----------
    units : int
    activation : str
    dead : int
        Units whose activation is flat on every row, so that no gradient passes.
    saturated : float
        Share of values at the flat ends of an activation that is bounded on both sides, in [0, 1].
    size : float
        Root mean square of the values.
    gradient : float or None
        Root mean square over rows of the length of the row's dZ; None without targets.
    """

    units: int
    activation: str
    dead: int
    saturated: float
    size: float
    gradient: float | None


@dataclass(frozen=True)
class Fit:
    """How well a network does on some rows.

    Attributes
    ----------
    rows : int
    loss : float
        Mean loss without penalties,
    error : float
        its standard error,
    baseline : float or None
        and the loss of always predicting the mean target; None where that is not known.
    """

    rows: int
    loss: float
    error: float
    baseline: float | None


@dataclass(frozen=True)
class Snapshot:
    """A network on a sample of rows.

    Attributes
    ----------
    rows : int
    layers : tuple of Layer
        From the first hidden layer to the output layer.
    fit : Fit or None
        None without targets.
    """

    rows: int
    layers: tuple[Layer, ...]
    fit: Fit | None

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Snapshot:
        """The inverse of `dataclasses.asdict`."""
        layers = tuple(rebuild(Layer, layer) for layer in facts["layers"])
        return cls(int(facts["rows"]), layers, rebuild(Fit, facts["fit"]) if facts["fit"] else None)


CASTS: Mapping[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "float | None": lambda value: None if value is None else float(value),
}
Kind = TypeVar("Kind")


def rebuild(kind: type[Kind], facts: Mapping[str, Any]) -> Kind:
    """A dataclass of numbers and texts from its dict; a file may hold anything, so types are made sure of.

    Raises
    ------
    TypeError, ValueError
        If a value is missing, is unknown, or is not of its type.
    """
    casts = {f.name: CASTS[f.type] for f in fields(kind)}  # type: ignore[arg-type, index]
    unknown = facts.keys() - casts.keys()
    if unknown:
        raise ValueError(f"{kind.__name__} knows no {sorted(unknown)}")
    return kind(**{name: casts[name](value) for name, value in facts.items()})


def sample(batch: Batch, most: int) -> Batch:
    """At most so many rows of a batch, evenly spaced, so that sorted rows are all represented."""
    if len(batch) <= most:
        return batch.loaded()
    return batch.take(np.linspace(0, len(batch) - 1, most).astype(np.int64))


def take(objective: Objective, theta: Array, batch: Batch, *, targets: bool = True) -> Snapshot:
    """The figures of one pass forward and, given targets, backward, without dropout and penalties.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (parameters,)
    batch : Batch
        Not many rows: every array of the pass is in memory at once.
    targets : bool
        Whether the batch's Y means something.
    """
    return figures(objective.network, propagate(objective.network, theta, batch, targets=targets), batch)


def figures(network: Network, run: reference.Pass, batch: Batch) -> Snapshot:
    """The figures of a pass; without those of gradients and the fit, if it went only forward."""
    with np.errstate(all="ignore"):
        layers = tuple(_layer(network, run, index) for index in range(len(run.A)))
        fit = measure(network, run.A[-1], batch) if run.dZ else None
    return Snapshot(len(batch), layers, fit)


def propagate(network: Network, theta: Array, batch: Batch, *, targets: bool = True) -> reference.Pass:
    """A pass with all its arrays; without targets only forward."""
    # The threads of NumPy's OpenBLAS spin for about 50 ms after a product that they took part in, and take
    # the cores from compiled training: one product cost a fit of 200 ms a quarter more, on two cores.
    with np.errstate(all="ignore"), QUIET:
        run = reference.forward(network, theta, reference.dense(batch.X))
        if targets:
            reference.backward(network, theta, run, batch.Y, batch.weights)
    return run


def measure(network: Network, z: Array, batch: Batch) -> Fit:
    """How well the last layer's values z fit the targets."""
    weights = np.ones(len(z)) if batch.weights is None else batch.weights.astype(np.float64)
    total = max(weights.sum(), np.finfo(np.float64).tiny)
    with np.errstate(all="ignore"):
        losses = _row_losses(network, z, batch.Y)
        loss = float(weights @ losses / total)
        error = float(np.sqrt(np.square(weights * (losses - loss)).sum()) / total)
        return Fit(len(z), loss, error, _baseline(network, batch.Y, weights / total))


def _row_losses(network: Network, z: Array, Y: Array) -> Any:
    return reference.losses(network.loss_row, z, Y).sum(axis=1, dtype=np.float64)


def _baseline(network: Network, Y: Array, shares: Any) -> float | None:
    """The loss of the best constant prediction, or near it: the mean target of the rows."""
    inverse = INVERSE_LINKS.get(network.loss_row.link)
    if inverse is None:
        return None
    wide = Y.astype(np.float64)
    constant = np.tile(inverse(shares @ wide), (len(Y), 1))
    return float(shares @ _row_losses(network, constant, wide))


def _logit(value: Any) -> Any:
    return np.clip(value, -LARGEST_LOGIT, LARGEST_LOGIT)


def _layer(network: Network, run: reference.Pass, index: int) -> Layer:
    row, A = network.activations[index], run.A[index]
    dead, saturated = _flatness(row, run.Z[index], A)
    gradient = _length(run.dZ[index]) * len(A) ** 0.5 if run.dZ else None
    size = _length(A) / max(A.size, 1) ** 0.5
    return Layer(A.shape[1], ACTIVATIONS.spell(row), dead, saturated, size, gradient)


def _length(array: Array) -> float:
    return float(np.sqrt(np.square(array, dtype=np.float64).sum()))


def _flatness(row: Activation, Z: Array, A: Array) -> tuple[int, float]:
    """How many units are dead, or which share of the values is saturated."""
    if row.slope is None:
        return 0, 0.0
    slope = np.broadcast_to(np.abs(row.slope(Z, A, *reference.values(row))), A.shape) / steepest(row)
    if all(map(isfinite, row.image)):
        return 0, float((slope < NEARLY_FLAT).mean())
    return int((slope < FLAT).all(axis=0).sum()), 0.0


def steepest(row: Activation) -> float:
    """The largest slope of an activation around 0, but at most 1."""
    z = np.linspace(-8.0, 8.0, 321)
    assert row.slope is not None
    slope = row.slope(z, row.f(z, *reference.values(row)), *reference.values(row))
    return min(1.0, float(np.abs(slope).max())) or 1.0
