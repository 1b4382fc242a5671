r"""Layer kinds: Z = layer(X), and its backward equations.

Every kind has one signature over flat parameters, so that the training loop knows no kind:

    forward(X, p, Z)            fills Z from the input X and the layer's parameters p
    backward(dZ, X, p, dX, dp)  fills dp unless it is empty, and dX unless it has no rows

with X of shape (n, inputs), Z and dZ (n, units), p and dp flat. `shapes(inputs, units)` names the
pieces of p. The per-unit forms say the same one neuron at a time; they are what a textbook prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.equation import Function, Row, Table, add_to_rows, column_sums, dot, matrix, outer

Shapes = Callable[[int, int], dict[str, tuple[int, ...]]]


@dataclass(frozen=True)
class LayerKind(Row):
    """A kind of layer.

    Attributes
    ----------
    shapes : callable
        ``shapes(inputs, units) -> {parameter: shape}``, in the order in which they lie in p.
    forward, backward : callable
        The matrix equations, in place.
    row_gradients : callable
        ``row_gradients(dZ, X, J)`` fills J, of shape (n, parameters), with the parameters' derivative
        of each row by itself: the Jacobian that Levenberg-Marquardt needs.
    unit_forward, unit_backward : callable
        The same for one unit and one row of data.
    sliced : bool
        Whether the kind, restricted to some of its inputs, is itself with these rows of its first
        parameter: then the gradient can be had a few rows at a time.
    """

    shapes: Shapes = lambda inputs, units: {}
    forward: Function = lambda X, p, Z: None
    backward: Function = lambda dZ, X, p, dX, dp: None
    row_gradients: Function = lambda dZ, X, J: None
    unit_forward: Function = lambda x, w, b: None
    unit_backward: Function = lambda dz, x, w: None
    sliced: bool = False


LAYERS: Table[LayerKind] = Table("layer kind", LayerKind)
layer = LAYERS.define


def weights(p, inputs, units):
    """The weight matrix in p, of shape (inputs, units)."""
    return matrix(p, 0, inputs, units)


def biases(p, inputs, units):
    """The bias vector in p, of shape (units,)."""
    return p[inputs * units : inputs * units + units]


@layer(
    latex=r"Z = X W + b",
    slope_latex=r"dW = X^{\mathsf T} dZ, \quad db = \sum_i dZ_{i}, \quad dX = dZ \, W^{\mathsf T}",
    source="Rumelhart, Hinton & Williams 1986, Nature 323",
    sliced=True,
)
class dense:
    """Every unit sees every input."""

    def shapes(inputs, units):
        return {"W": (inputs, units), "b": (units,)}

    def forward(X, p, Z):
        inputs, units = X.shape[1], Z.shape[1]
        W = weights(p, inputs, units)
        b = biases(p, inputs, units)
        dot(X, W, Z)
        add_to_rows(Z, b)

    def backward(dZ, X, p, dX, dp):
        inputs, units = X.shape[1], dZ.shape[1]
        W = weights(p, inputs, units)
        if dp.shape[0] > 0:
            dot(X.T, dZ, weights(dp, inputs, units))
            column_sums(dZ, biases(dp, inputs, units))
        if dX.shape[0] > 0:
            dot(dZ, W.T, dX)

    def row_gradients(dZ, X, J):
        n, inputs, units = X.shape[0], X.shape[1], dZ.shape[1]
        for i in range(n):
            outer(X[i], dZ[i], weights(J[i], inputs, units))
            biases(J[i], inputs, units)[:] = dZ[i]

    def unit_forward(x, w, b):
        return sum(w_i * x_i for w_i, x_i in zip(w, x, strict=True)) + b

    def unit_backward(dz, x, w):
        dw = [dz * x_i for x_i in x]
        db = dz
        dx = [dz * w_i for w_i in w]
        return dw, db, dx
