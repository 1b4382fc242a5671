r"""Layer kinds: Z = layer(X), and its backward equations.

Every kind has one signature over flat parameters, so that the training loop knows no kind:

    forward(X, p, Z, *sizes)            fills Z from the input X and the layer's parameters p
    backward(dZ, X, p, dX, dp, *sizes)  fills dp unless it is empty, and dX unless it has no rows

with X of shape (n, inputs), Z and dZ (n, units), p and dp flat; `sizes` are the kind's own parameters,
whole numbers. ``shapes(inputs, units, *sizes)`` names the pieces of p. The per-unit forms say the same
one neuron at a time; they are what a textbook prints.

A kind whose values each depend on one number of the input, such as `scale`, is written as that function:

    entry(x, *theta)       the value, from x and from one number of each piece of p
    slopes(x, *theta)      its derivatives with respect to x and to each theta

and `entries_forward` and `entries_backward` say what this means for matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from chainrule.equation import Function, Row, Table
from chainrule.equations.activations import Activation

Shapes = Callable[..., dict[str, tuple[int, ...]]]
WHOLE = (1.0, 2.0**31)  # what the sizes of a kind may be
GORISHNIY_2022 = "Gorishniy, Rubachev & Babenko 2022, arXiv:2203.05556"
HOLZMUELLER_2024 = "Holzmueller, Grinsztajn & Steinwart 2024, arXiv:2407.04491"
GORISHNIY_2024 = "Gorishniy, Kotelnikov & Babenko 2024, arXiv:2410.24210"


@dataclass(frozen=True)
class Wire:
    """What one of a layer's values is made of.

    Attributes
    ----------
    sort : {"sum", "entry", "input", "row"}
        A weighted sum of inputs plus a bias; the kind's function of one input; an input itself; or an entry
        of that row of a table which an input names.
    inputs : range
        Places among the layer's inputs.
    parameters : tuple of range
        Places among the layer's parameters. Of a sum: the weights, one for each input, and the bias; of an
        entry: one for each of the function's parameters; of a row: a column of the table.
    root : int
        A weighted sum is divided by the square root of this.
    """

    sort: str
    inputs: range
    parameters: tuple[range, ...] = ()
    root: int = 1


@dataclass(frozen=True)
class LayerKind(Row):
    """A kind of layer.

    Attributes
    ----------
    shapes : callable
        ``shapes(inputs, units, *sizes) -> {parameter: shape}``, in the order in which they lie in p.
    width : callable or None
        ``width(inputs, *sizes)``, the number of units, where the input settles it.
    forward, backward : callable
        The matrix equations, in place.
    entry, slopes : callable or None
        The equations of one value, where it depends on one number of the input.
    parts_latex : tuple of str
        The formulas of `slopes`.
    activation : Activation or None
        Of a parametric activation: the one that it is made of, f in these formulas.
    unit_forward, unit_backward : callable or None
        Of a kind with weighted sums: the equations of one unit and one row of data.
    wire : callable
        ``wire(j, inputs, units, *sizes) -> Wire``: what value j is made of.
    sliced : bool
        Whether the kind, restricted to some of its inputs, is itself with these rows of its first
        parameter: then the gradient can be had a few rows at a time.
    draw : callable or None
        The first parameters: ``draw(rng, spread, *shapes) -> arrays``, one for each piece of p; `spread` is
        what a caller asks of frequencies. Without one, weights and biases are an initialiser's.
    weights : tuple of str
        The parameters that penalties and weight decay apply to.
    frozen : bool
        Whether its parameters are given and never learnt: their derivatives are not taken.
    """

    shapes: Shapes = lambda inputs, units: {}
    width: Function | None = None
    forward: Function = lambda X, p, Z: None
    backward: Function = lambda dZ, X, p, dX, dp: None
    entry: Function | None = None
    slopes: Function | None = None
    parts_latex: tuple[str, ...] = ()
    activation: Activation | None = None
    unit_forward: Function | None = None
    unit_backward: Function | None = None
    wire: Function = lambda j, inputs, units: Wire("input", range(j, j + 1))
    sliced: bool = False
    draw: Function | None = None
    weights: tuple[str, ...] = ("W",)
    frozen: bool = False

    def __post_init__(self) -> None:
        if self.entry is not None:
            object.__setattr__(self, "forward", partial(entries_forward, self))
            object.__setattr__(self, "backward", partial(entries_backward, self))
            object.__setattr__(self, "wire", partial(entries_wire, self))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The values of its own parameters."""
        return tuple(int(value) for value in self.parameters.values())

    @property
    def taken(self) -> int:
        """Number of inputs, first or last ones, that its sizes speak of; others pass."""
        sizes = self.parameters
        return int(sizes.get("columns", sizes.get("groups", 0) * sizes.get("size", 0)))


def entries_forward(row, X, p, Z, columns=0, fan=1):
    """Z[i, j fan + m] = entry(X[i, j], theta[j, m]) for the first `columns` inputs, then X itself.

    Without `columns`, for all inputs, and nothing follows. Each piece of p has the shape (columns, fan).
    """
    n, taken = len(X), columns or X.shape[1]
    values = row.entry(X[:, :taken, None], *_pieces(row, p, taken, fan))
    Z[:, : taken * fan] = values.reshape(n, taken * fan)
    if columns:
        Z[:, taken * fan :] = X


def entries_backward(row, dZ, X, p, dX, dp, columns=0, fan=1):
    """Back propagation through `entries_forward`: each derivative is summed over what it went into."""
    n, taken = len(X), columns or X.shape[1]
    G = dZ[:, : taken * fan].reshape(n, taken, fan)
    dx, *dtheta = row.slopes(X[:, :taken, None], *_pieces(row, p, taken, fan))
    if dp.shape[0] > 0:
        for piece, slope in zip(_pieces(row, dp, taken, fan), dtheta, strict=True):
            piece[...] = (G * slope).sum(axis=0)
    if dX.shape[0] > 0:
        dX[...] = dZ[:, taken * fan :] if columns else 0
        dX[:, :taken] += (G * dx).sum(axis=2)


def entries_wire(row, j, inputs, units, columns=0, fan=1):
    """What value j is made of: see `entries_forward`."""
    size = (columns or inputs) * fan
    if j >= size:
        return Wire("input", range(j - size, j - size + 1))
    count = len(row.shapes(1, 1, *row.sizes))
    return Wire(
        "entry", range(j // fan, j // fan + 1), tuple(range(p, p + 1) for p in range(j, count * size, size))
    )


def _pieces(row: LayerKind, p: Any, columns: int, fan: int) -> list[Any]:
    """The pieces of p, each of shape (columns, fan)."""
    size = columns * fan
    return [p[k * size : (k + 1) * size].reshape(columns, fan) for k in range(len(p) // size)]


LAYERS: Table[LayerKind] = Table("layer kind", LayerKind)
layer = LAYERS.define
