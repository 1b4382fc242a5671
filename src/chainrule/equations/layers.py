"""Layers that are matrix products, and layers that rearrange: see `chainrule.equations.layer_kinds`."""

from __future__ import annotations

import numpy as np

from chainrule.equation import (
    add_at_rows,
    add_to_rows,
    column_sums,
    dot,
    matrix,
    multiply,
    sqrt,
    take_rows,
)
from chainrule.equations.layer_kinds import GORISHNIY_2022, GORISHNIY_2024, WHOLE, Wire, layer

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

    def wire(j, inputs, units):
        end = inputs * units
        return Wire("sum", range(inputs), (range(j, end, units), range(end + j, end + j + 1)))

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
    """A dense layer with weights of order 1 at any number d of inputs (neural tangent parametrisation)."""

    def shapes(inputs, units):
        return {"W": (inputs, units), "b": (units,)}

    def draw(rng, spread, W, b):
        return rng.standard_normal(W), np.zeros(b)

    def forward(X, p, Z):
        inputs, units = X.shape[1], Z.shape[1]
        W = weights(p, inputs, units)
        b = biases(p, inputs, units)
        dot(X, W, Z)
        multiply(Z, 1 / sqrt(inputs))
        add_to_rows(Z, b)

    def backward(dZ, X, p, dX, dp):
        inputs, units = X.shape[1], dZ.shape[1]
        d = (p.shape[0] - units) // units  # X may be some of the inputs
        W = weights(p, inputs, units)
        if dp.shape[0] > 0:
            dot(X.T, dZ, weights(dp, inputs, units))
            multiply(weights(dp, inputs, units), 1 / sqrt(d))
            column_sums(dZ, biases(dp, inputs, units))
        if dX.shape[0] > 0:
            dot(dZ, W.T, dX)
            multiply(dX, 1 / sqrt(d))

    def wire(j, inputs, units):
        end = inputs * units
        return Wire("sum", range(inputs), (range(j, end, units), range(end + j, end + j + 1)), root=inputs)

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

    def draw(rng, spread, W, b):
        bound = 1 / np.sqrt(W[1])
        return rng.uniform(-bound, bound, W), rng.uniform(-bound, bound, b)

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

    def wire(j, inputs, width, groups, size, units):
        g, k = divmod(j, units)
        if g >= groups:
            i = j - groups * units + groups * size
            return Wire("input", range(i, i + 1))
        first, last, end = g * size * units, (g + 1) * size * units, groups * size * units
        weights, bias = range(first + k, last, units), range(end + j, end + j + 1)
        return Wire("sum", range(g * size, (g + 1) * size), (weights, bias))

    unit_forward, unit_backward = dense.unit_forward, dense.unit_backward


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

    def draw(rng, spread):
        return ()

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

    def wire(j, inputs, units, times):
        return Wire("input", range(j % inputs, j % inputs + 1))


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

    def draw(rng, spread, E):
        return (rng.standard_normal(E),)

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

    def wire(j, inputs, units, columns, rows, size):
        first = inputs - columns
        if j < first:
            return Wire("input", range(j, j + 1))
        column, k = divmod(j - first, size)
        return Wire("row", range(first + column, first + column + 1), (range(k, rows * size, size),))
