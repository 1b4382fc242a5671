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
from math import inf
from typing import Any

from chainrule.equation import (
    Function,
    Row,
    Table,
    add_at_rows,
    add_to_rows,
    column_sums,
    cos_turns,
    dot,
    matrix,
    maximum,
    minimum,
    multiply,
    sin_turns,
    sqrt,
    take_rows,
    where,
)
from chainrule.equations.activations import ACTIVATIONS, Activation

Shapes = Callable[..., dict[str, tuple[int, ...]]]
WHOLE = (1.0, inf)
TURN = 6.283185307179586
GORISHNIY_2022 = "Gorishniy, Rubachev & Babenko 2022, arXiv:2203.05556"
HOLZMUELLER_2024 = "Holzmueller, Grinsztajn & Steinwart 2024, arXiv:2407.04491"
GORISHNIY_2024 = "Gorishniy, Kotelnikov & Babenko 2024, arXiv:2410.24210"


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
    activation : Activation or None
        Of a parametric activation: the one that it is made of.
    unit_forward, unit_backward : callable or None
        The same for one unit and one row of data.
    sliced : bool
        Whether the kind, restricted to some of its inputs, is itself with these rows of its first
        parameter: then the gradient can be had a few rows at a time.
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
    activation: Activation | None = None
    unit_forward: Function | None = None
    unit_backward: Function | None = None
    sliced: bool = False
    weights: tuple[str, ...] = ("W",)
    frozen: bool = False

    def __post_init__(self) -> None:
        if self.entry is not None:
            object.__setattr__(self, "forward", partial(entries_forward, self))
            object.__setattr__(self, "backward", partial(entries_backward, self))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The values of its own parameters."""
        return tuple(int(value) for value in self.parameters.values())


LAYERS: Table[LayerKind] = Table("layer kind", LayerKind)
layer = LAYERS.define


# ------------------------------------------------------------------ matrix products


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

    def unit_forward(x, w, b):
        return sum(w_i * x_i for w_i, x_i in zip(w, x, strict=True)) + b

    def unit_backward(dz, x, w):
        dw = [dz * x_i for x_i in x]
        db = dz
        dx = [dz * w_i for w_i in w]
        return dw, db, dx


@layer(
    latex=r"Z = X W / \sqrt{d} + b",
    slope_latex=r"dW = X^{\mathsf T} dZ / \sqrt{d}, \quad db = \sum_i dZ_{i}, "
    r"\quad dX = dZ \, W^{\mathsf T} / \sqrt{d}",
    source="Jacot, Gabriel & Hongler 2018, arXiv:1806.07572",
    sliced=True,
)
class ntk_dense:
    """A dense layer whose weights are of order 1 at any number d of inputs (neural tangent parametrisation)."""

    def shapes(inputs, units):
        return {"W": (inputs, units), "b": (units,)}

    def forward(X, p, Z):
        inputs, units = X.shape[1], Z.shape[1]
        W = weights(p, inputs, units)
        b = biases(p, inputs, units)
        dot(X, W, Z)
        multiply(Z, 1 / sqrt(inputs))
        add_to_rows(Z, b)

    def backward(dZ, X, p, dX, dp):
        inputs, units = X.shape[1], dZ.shape[1]
        d = p.shape[0] // units - 1  # X may be some of the inputs
        W = weights(p, inputs, units)
        if dp.shape[0] > 0:
            dot(X.T, dZ, weights(dp, inputs, units))
            multiply(weights(dp, inputs, units), 1 / sqrt(d))
            column_sums(dZ, biases(dp, inputs, units))
        if dX.shape[0] > 0:
            dot(dZ, W.T, dX)
            multiply(dX, 1 / sqrt(d))

    def unit_forward(x, w, b):
        return sum(w_i * x_i for w_i, x_i in zip(w, x, strict=True)) / sqrt(len(x)) + b

    def unit_backward(dz, x, w):
        dw = [dz * x_i / sqrt(len(x)) for x_i in x]
        db = dz
        dx = [dz * w_i / sqrt(len(x)) for w_i in w]
        return dw, db, dx


@layer(
    latex=r"Z_g = X_g W_g + b_g, \text{ and what is left of } X",
    slope_latex=r"dW_g = X_g^{\mathsf T} dZ_g, \quad db_g = \sum_i dZ_{g, i}, "
    r"\quad dX_g = dZ_g \, W_g^{\mathsf T}",
    source=GORISHNIY_2022 + " (one for each feature), " + GORISHNIY_2024 + " (one for each member)",
    parameters={"groups": 1, "size": 1, "units": 1},
    ranges={"groups": WHOLE, "size": WHOLE, "units": WHOLE},
)
class grouped:
    """A dense layer for each group of inputs by itself; inputs after the last group pass unchanged."""

    def width(inputs, groups, size, units):
        return inputs + groups * (units - size)

    def shapes(inputs, width, groups, size, units):
        return {"W": (groups, size, units), "b": (groups, units)}

    def forward(X, p, Z, groups, size, units):
        for g in range(groups):
            W = matrix(p, g * size * units, size, units)
            b = p[groups * size * units + g * units : groups * size * units + (g + 1) * units]
            part = Z[:, g * units : (g + 1) * units]
            dot(X[:, g * size : (g + 1) * size], W, part)
            add_to_rows(part, b)
        Z[:, groups * units :] = X[:, groups * size :]

    def backward(dZ, X, p, dX, dp, groups, size, units):
        for g in range(groups):
            W = matrix(p, g * size * units, size, units)
            part = dZ[:, g * units : (g + 1) * units]
            if dp.shape[0] > 0:
                dot(X[:, g * size : (g + 1) * size].T, part, matrix(dp, g * size * units, size, units))
                first = groups * size * units + g * units
                column_sums(part, dp[first : first + units])
            if dX.shape[0] > 0:
                dot(part, W.T, dX[:, g * size : (g + 1) * size])
        if dX.shape[0] > 0:
            dX[:, groups * size :] = dZ[:, groups * units :]


# ------------------------------------------------------------------ rearrangements


@layer(
    latex=r"Z = (X, X, \dots, X)",
    slope_latex=r"dX = \sum_m dZ_m",
    source=GORISHNIY_2024,
    parameters={"times": 2},
    ranges={"times": WHOLE},
)
class repeat:
    """Its input side by side, once for each member of an ensemble."""

    def width(inputs, times):
        return inputs * times

    def shapes(inputs, units, times):
        return {}

    def forward(X, p, Z, times):
        d = X.shape[1]
        for m in range(times):
            Z[:, m * d : (m + 1) * d] = X

    def backward(dZ, X, p, dX, dp, times):
        d = X.shape[1]
        if dX.shape[0] > 0:
            dX[:, :] = dZ[:, 0:d]
            for m in range(1, times):
                dX[:, :] += dZ[:, m * d : (m + 1) * d]


@layer(
    latex=r"Z_i = (x_i, E_{c_{i1}}, \dots, E_{c_{iC}})",
    slope_latex=r"dE_k = \sum_{i, c: \, c_{ic} = k} dZ_{ic}",
    source="Guo & Berkhahn 2016, arXiv:1604.06737",
    weights=("E",),
    parameters={"columns": 1, "rows": 2, "size": 8},
    ranges={"columns": WHOLE, "rows": WHOLE, "size": WHOLE},
)
class embedding:
    """The last so many inputs are row numbers of a table E; each gives way to its row.

    Categories of several columns share one table, with rows of their own; other inputs pass unchanged.
    """

    def width(inputs, columns, rows, size):
        return inputs + columns * (size - 1)

    def shapes(inputs, units, columns, rows, size):
        return {"E": (rows, size)}

    def forward(X, p, Z, columns, rows, size):
        first = X.shape[1] - columns
        E = matrix(p, 0, rows, size)
        Z[:, :first] = X[:, :first]
        for c in range(columns):
            begin = first + c * size
            take_rows(E, X[:, first + c], Z[:, begin : begin + size])

    def backward(dZ, X, p, dX, dp, columns, rows, size):
        first = X.shape[1] - columns
        if dp.shape[0] > 0:
            dp[:] = 0
            for c in range(columns):
                begin = first + c * size
                add_at_rows(dZ[:, begin : begin + size], X[:, first + c], matrix(dp, 0, rows, size))
        if dX.shape[0] > 0:
            dX[:, :first] = dZ[:, :first]
            dX[:, first:] = 0


# ------------------------------------------------------------------ a function of each entry


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


def _pieces(row: LayerKind, p: Any, columns: int, fan: int) -> list[Any]:
    """The pieces of p, each of shape (columns, fan)."""
    size = columns * fan
    return [p[k * size : (k + 1) * size].reshape(columns, fan) for k in range(len(p) // size)]


@layer(
    latex=r"z = s x",
    slope_latex=r"ds = \sum_i x_i \, dz_i, \quad dx = s \, dz",
    source=HOLZMUELLER_2024 + "; " + GORISHNIY_2024,
)
class scale:
    """Each input times a factor of its own: a soft choice of features, or a member's adapter."""

    def width(inputs):
        return inputs

    def shapes(inputs, units):
        return {"s": (inputs,)}

    def entry(x, s):
        return x * s

    def slopes(x, s):
        return s, x


@layer(
    latex=r"z = s x + b",
    slope_latex=r"ds = \sum_i x_i \, dz_i, \quad db = \sum_i dz_i, \quad dx = s \, dz",
    source="Wen, Tran & Ba 2020, arXiv:2002.06715; " + GORISHNIY_2024,
)
class affine:
    """Each input times a factor, plus a bias, of its own: the output adapter of an ensemble's members."""

    def width(inputs):
        return inputs

    def shapes(inputs, units):
        return {"s": (inputs,), "b": (inputs,)}

    def entry(x, s, b):
        return x * s + b

    def slopes(x, s, b):
        return s, x, 1.0


@layer(
    latex=r"z_k = \cos 2 \pi (w_k x + \varphi_k)",
    slope_latex=r"dw_k = -2 \pi \sum_i x_i \sin(\cdot) \, dz_{ik}, \quad "
    r"d\varphi_k = -2 \pi \sum_i \sin(\cdot) \, dz_{ik}, \quad dx = -2 \pi \sum_k w_k \sin(\cdot) \, dz_k",
    source=GORISHNIY_2022 + "; " + HOLZMUELLER_2024,
    parameters={"columns": 1, "frequencies": 16},
    ranges={"columns": WHOLE, "frequencies": WHOLE},
)
class periodic:
    """Waves of the first so many inputs, with frequencies and phases (in turns) that are learnt; then all inputs."""

    def width(inputs, columns, frequencies):
        return inputs + columns * frequencies

    def shapes(inputs, units, columns, frequencies):
        return {"w": (columns, frequencies), "phase": (columns, frequencies)}

    def entry(x, w, phase):
        return cos_turns(x * w + phase)

    def slopes(x, w, phase):
        slope = -TURN * sin_turns(x * w + phase)
        return slope * w, slope * x, slope


@layer(
    latex=r"z_k = \min(\max(\frac{x - l_k}{h_k - l_k}, f_k), c_k)",
    slope_latex=r"dx = \sum_k \frac{dz_k}{h_k - l_k} \text{ where the value lies between } f_k \text{ and } c_k",
    source=GORISHNIY_2022,
    parameters={"columns": 1, "bins": 1},
    ranges={"columns": WHOLE, "bins": WHOLE},
    frozen=True,
)
class piecewise:
    """How far each of the first so many inputs has come through each of its bins; then all inputs.

    The bins are given: from low to high, with a floor (0, in the first bin none) and a ceiling (1, in the
    last bin none). A dense layer on them is a piecewise linear function of the input.
    """

    def width(inputs, columns, bins):
        return inputs + columns * bins

    def shapes(inputs, units, columns, bins):
        return dict.fromkeys(("low", "high", "floor", "ceiling"), (columns, bins))

    def entry(x, low, high, floor, ceiling):
        return minimum(maximum((x - low) / (high - low), floor), ceiling)

    def slopes(x, low, high, floor, ceiling):
        value = (x - low) / (high - low)
        return (where((value > floor) & (value < ceiling), 1 / (high - low), 0.0),)


# ------------------------------------------------------------------ parametric activations


def mixed(x, a, alpha):
    """Between x and the activation's value a: x for alpha = 0, a for alpha = 1."""
    return x + alpha * (a - x)


def mixed_slopes(x, a, slope, alpha):
    """Its derivatives with respect to x and alpha, given the activation's slope at x."""
    return 1 + alpha * (slope - 1), a - x


def parametric(row: Activation) -> LayerKind:
    """The kind that mixes an activation with the identity, in a share that each unit learns."""

    constants = tuple(row.parameters.values())

    def entry(x, alpha):
        return mixed(x, row.f(x, *constants), alpha)

    def slopes(x, alpha):
        assert row.slope is not None
        a = row.f(x, *constants)
        return mixed_slopes(x, a, row.slope(x, a, *constants), alpha)

    return LayerKind(
        name=f"parametric_{row.name}",
        latex=rf"z = x + \alpha (f(x) - x), \quad f(x) = {row.latex}",
        slope_latex=r"d\alpha = \sum_i (f(x_i) - x_i) \, dz_i, \quad dx = (1 + \alpha (f'(x) - 1)) \, dz",
        source=HOLZMUELLER_2024,
        doc=f"{row.name}, mixed with the identity in a share that each unit learns (1: {row.name} alone).",
        width=lambda inputs: inputs,
        shapes=lambda inputs, units: {"alpha": (inputs,)},
        entry=entry,
        slopes=slopes,
        activation=row,
    )


for _row in list(ACTIVATIONS.values()):
    if not (_row.coupled or _row.name == "identity"):
        LAYERS.add(parametric(_row))
