"""The textbook run: one unit, one weight and one row at a time, in plain Python numbers.

It is the slow, obvious form of the equations, built from the rows' per-unit functions. It serves as an
oracle for the other two runs, and as what a derivation by hand is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.equations import LAYERS
from chainrule.parameters import Array, Layout
from chainrule.problem import Batch
from chainrule.reference import activate, data_loss, deactivate
from chainrule.spec import Network


@dataclass
class Unit:
    """One unit's numbers for one row of data.

    Attributes
    ----------
    x, w : list of float
        Inputs and weights.
    b, z, a : float
        Bias, pre-activation and activation.
    dw : list of float
        Derivatives of this row's share of the loss with respect to the weights.
    db, dz, da : float
        The same for the bias, the pre-activation and the activation.
    """

    x: list[float]
    w: list[float]
    b: float
    z: float
    a: float = 0.0
    da: float = 0.0
    dz: float = 0.0
    db: float = 0.0
    dw: list[float] = field(default_factory=list)


Layers = list[list[Unit]]


def forward(network: Network, theta: Array, x: Array) -> Layers:
    """Forward propagation of one row, unit by unit.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (parameters,)
    x : ndarray of shape (inputs,)

    Returns
    -------
    list of list of Unit
        The units of each layer.
    """
    layout, layers = Layout(network), []
    values = [float(v) for v in x]
    for index, layer in enumerate(network.layers):
        W, b = layout.view(theta, index, "W"), layout.view(theta, index, "b")
        units = []
        for j in range(layer.units):
            w = [float(v) for v in W[:, j]]
            z = LAYERS[layer.kind].unit_forward(values, w, float(b[j]))
            units.append(Unit(values, w, float(b[j]), z))
        A = activate(network.activations[index], np.array([[u.z for u in units]]))
        for unit, a in zip(units, A[0], strict=True):
            unit.a = float(a)
        values = [u.a for u in units]
        layers.append(units)
    return layers


def backward(network: Network, layers: Layers, y: Array, share: float) -> None:
    """Back propagation of one row, unit by unit; fills the units' derivatives.

    Parameters
    ----------
    network : Network
    layers : list of list of Unit
        As returned by `forward`.
    y : ndarray of shape (outputs,)
    share : float
        This row's weight in the loss: 1 / n in a batch of n rows.
    """
    z = np.array([[u.a for u in layers[-1]]])
    dz = data_loss(network, z, y[None, :], None, slope=True)[0] * share
    da = [float(v) for v in dz]
    for index in range(len(layers) - 1, -1, -1):
        units, row = layers[index], network.activations[index]
        Z, A = np.array([[u.z for u in units]]), np.array([[u.a for u in units]])
        dZ = deactivate(row, Z, A, np.array([da]))[0]
        dx = [0.0] * len(units[0].x)
        for unit, value, slope in zip(units, da, dZ, strict=True):
            unit.da, unit.dz = value, float(slope)
            backward_of_unit = LAYERS[network.layers[index].kind].unit_backward
            unit.dw, unit.db, share_of_dx = backward_of_unit(unit.dz, unit.x, unit.w)
            dx = [total + part for total, part in zip(dx, share_of_dx, strict=True)]
        da = dx


def gradient(network: Network, theta: Array, batch: Batch) -> Array:
    """The gradient of a batch's loss (no penalties), row by row and unit by unit.

    Returns
    -------
    ndarray of shape (parameters,)
    """
    layout, total = Layout(network), np.zeros(Layout(network).size)
    weights: Any = np.ones(len(batch)) if batch.weights is None else batch.weights
    for x, y, weight in zip(batch.X, batch.Y, weights, strict=True):
        layers = forward(network, theta, x)
        backward(network, layers, y, float(weight / weights.sum()))
        for index, units in enumerate(layers):
            for j, unit in enumerate(units):
                layout.view(total, index, "W")[:, j] += unit.dw
                layout.view(total, index, "b")[j] += unit.db
    return total
