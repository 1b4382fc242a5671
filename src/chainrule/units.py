"""The textbook run: one unit, one weight and one row at a time, in plain Python numbers.

It is the slow, obvious form of the equations, built from the rows' per-unit functions. It serves as an
oracle for the other two runs, and as what a derivation by hand is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.equations.layer_kinds import LayerKind, Wire
from chainrule.parameters import Array, Layout
from chainrule.problem import Batch
from chainrule.reference import activate, data_loss, deactivate, split
from chainrule.spec import Network


@dataclass
class Unit:
    """One unit's numbers for one row of data.

    Attributes
    ----------
    wire : Wire
        What it is made of.
    x, theta : list of float
        Its inputs and its parameters; of a sum the bias comes last.
    z, a : float
        Pre-activation and activation.
    dx, dtheta : list of float
        Derivatives of this row's share of the loss with respect to the inputs and parameters.
    dz, da : float
        The same for the pre-activation and the activation.
    """

    wire: Wire
    x: list[float]
    theta: list[float]
    z: float = 0.0
    a: float = 0.0
    da: float = 0.0
    dz: float = 0.0
    dx: list[float] = field(default_factory=list)
    dtheta: list[float] = field(default_factory=list)

    @property
    def places(self) -> list[int]:
        """Places of its parameters among the layer's."""
        return [place for places in self.wire.parameters for place in places]

    @property
    def row_number(self) -> int:
        """The row of a table that its input names; the nearest one, if there is no such row."""
        code = self.x[0]
        return int(min(max(code, 0.0), len(self.theta) - 1)) if code == code else 0

    def go_forward(self, kind: LayerKind) -> None:
        """Fill z."""
        match self.wire.sort:
            case "sum":
                assert kind.unit_forward is not None
                self.z = kind.unit_forward(self.x, self.theta[:-1], self.theta[-1])
            case "entry":
                assert kind.entry is not None
                self.z = float(kind.entry(self.x[0], *self.theta))
            case "row":
                self.z = self.theta[self.row_number]
            case _:
                (self.z,) = self.x

    def go_back(self, kind: LayerKind) -> None:
        """Fill dx and dtheta from dz."""
        match self.wire.sort:
            case "sum":
                assert kind.unit_backward is not None
                dw, db, self.dx = kind.unit_backward(self.dz, self.x, self.theta[:-1])
                self.dtheta = [*dw, db]
            case "entry":
                assert kind.slopes is not None
                slopes = [float(slope) * self.dz for slope in kind.slopes(self.x[0], *self.theta)]
                self.dx, self.dtheta = slopes[:1], slopes[1:] or [0.0] * len(self.theta)
            case "row":
                self.dx, self.dtheta = [0.0], [0.0] * len(self.theta)
                self.dtheta[self.row_number] = self.dz
            case _:
                self.dx = [self.dz]


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
        p, units = theta[layout.layer_slice(index)], []
        for j in range(network.widths[index + 1]):
            unit = Unit(layer.wire(j, len(values)), [], [])
            unit.x = [values[i] for i in unit.wire.inputs]
            unit.theta = [float(p[place]) for place in unit.places]
            unit.go_forward(layer.row)
            units.append(unit)
        Z = np.array([[unit.z for unit in units]])
        A = activate(network.activations[index], split(Z, layer.members)).reshape(Z.shape)
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
        units, row, layer = layers[index], network.activations[index], network.layers[index]
        arrays = ([u.z for u in units], [u.a for u in units], da)
        Z, A, dA = (split(np.array([values]), layer.members) for values in arrays)
        dZ = deactivate(row, Z, A, dA).ravel()
        dx = [0.0] * network.widths[index]
        for unit, value, slope in zip(units, da, dZ, strict=True):
            unit.da, unit.dz = value, float(slope)
            unit.go_back(layer.row)
            for i, part in zip(unit.wire.inputs, unit.dx, strict=True):
                dx[i] += part
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
            into = total[layout.layer_slice(index)]
            for unit in units:
                for place, part in zip(unit.places, unit.dtheta, strict=True):
                    into[place] += part
    return total
