"""Rows with one mistake each, as they are made by hand, and rows that are right but written otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.equation import (
    Row,
    absolute,
    add_to_rows,
    column_sums,
    dot,
    erfc,
    exp,
    expm1,
    log,
    log1p,
    matrix,
    maximum,
    minimum,
    multiply,
    sign,
    sin_turns,
    sqrt,
    tanh,
    where,
)
from chainrule.equations import (
    ACTIVATIONS,
    INITIALISERS,
    LAYERS,
    LOSSES,
    OPTIMISERS,
    PENALTIES,
    SCHEDULES,
)
from chainrule.equations.activations import GELU_SCALE, NORMAL_PEAK, SQRT_HALF
from chainrule.equations.layers import biases, weights

PLANTED: dict[str, Row] = {}
REWRITTEN: dict[str, Row] = {}


def other(kind: dict[str, Row], table: Any, name: str, what: str) -> Callable[[type], None]:
    """Class decorator: its functions take the place of those of a row."""

    def add(definition: type) -> None:
        functions = {key: value for key, value in vars(definition).items() if not key.startswith("_")}
        label = f"{name}: {what}"
        assert label not in kind
        kind[label] = replace(table[name], **functions)

    return add


def slope(kind: dict[str, Row], table: Any, name: str, what: str, function: Callable[..., Any]) -> None:
    """The same for a slope alone."""
    label = f"{name}: {what}"
    assert label not in kind
    kind[label] = replace(table[name], slope=function)


def wrong(table: Any, name: str, what: str, function: Callable[..., Any]) -> None:
    slope(PLANTED, table, name, what, function)


def right(table: Any, name: str, what: str, function: Callable[..., Any]) -> None:
    slope(REWRITTEN, table, name, what, function)


def sigmoid(z):
    return 1 / (1 + exp(-z))


def normal(z):
    return erfc(-z * SQRT_HALF) / 2


# ------------------------------------------------------------------ activations

wrong(ACTIVATIONS, "identity", "zero", lambda z, a: 0)
wrong(ACTIVATIONS, "sigmoid", "sign", lambda z, a: -a * (1 - a))
wrong(ACTIVATIONS, "sigmoid", "off by 1e-300", lambda z, a: a * (1 - a) + 1e-300)
wrong(ACTIVATIONS, "sigmoid", "of z in place of a", lambda z, a: z * (1 - z))
wrong(ACTIVATIONS, "tanh", "square missing", lambda z, a: 1 - a)
wrong(ACTIVATIONS, "relu", "wrong piece", lambda z, a: where(z < 0, 1, 0))
wrong(
    ACTIVATIONS, "relu", "beyond the one-sided derivatives at 0", lambda z, a: where(z >= 0, 1 + (z == 0), 0)
)
wrong(ACTIVATIONS, "leaky_relu", "alpha missing", lambda z, a, alpha: where(z > 0, 1, 1))
wrong(ACTIVATIONS, "leaky_relu", "alpha on the other piece", lambda z, a, alpha: where(z > 0, alpha, 1))
wrong(ACTIVATIONS, "elu", "alpha missing below", lambda z, a, alpha: where(z > 0, 1, exp(minimum(z, 0))))
wrong(ACTIVATIONS, "elu", "value in place of slope", lambda z, a, alpha: where(z > 0, 1, alpha * expm1(z)))
wrong(
    ACTIVATIONS,
    "selu",
    "scale missing above",
    lambda z, a, s, alpha: where(z > 0, 1, s * alpha * exp(minimum(z, 0))),
)
wrong(
    ACTIVATIONS,
    "gelu",
    "factor 1/2 missing",
    lambda z, a: erfc(-z * SQRT_HALF) + z * NORMAL_PEAK * exp(-z * z / 2),
)
wrong(
    ACTIVATIONS,
    "gelu",
    "wrong exponent",
    lambda z, a: erfc(-z * SQRT_HALF) / 2 + z * NORMAL_PEAK * exp(-z * z),
)
wrong(ACTIVATIONS, "gelu", "second term missing", lambda z, a: erfc(-z * SQRT_HALF) / 2)


def gelu_tanh_slope(cubic, square):
    def of(z, a):
        t = tanh(GELU_SCALE * (z + cubic * z * z * z))
        return (1 + t) / 2 + z * (1 - t * t) * GELU_SCALE * (1 + square * z * z) / 2

    return of


wrong(ACTIVATIONS, "gelu_tanh", "0.04471 for 0.044715", gelu_tanh_slope(0.04471, 0.134145))
wrong(ACTIVATIONS, "gelu_tanh", "0.13414 for 0.134145", gelu_tanh_slope(0.044715, 0.13414))
wrong(
    ACTIVATIONS,
    "gelu_tanh",
    "last digit of a double",
    gelu_tanh_slope(0.044715, float(np.nextafter(0.134145, 1))),
)
wrong(ACTIVATIONS, "silu", "product rule forgotten", lambda z, a: sigmoid(z) * (1 - sigmoid(z)))
wrong(ACTIVATIONS, "silu", "sign in the product rule", lambda z, a: sigmoid(z) * (1 - z * (1 - sigmoid(z))))
wrong(
    ACTIVATIONS,
    "mish",
    "inner derivative forgotten",
    lambda z, a: tanh(log(1 + exp(z))) + z * (1 - tanh(log(1 + exp(z))) ** 2),
)
wrong(ACTIVATIONS, "softplus", "its own value", lambda z, a: a)
wrong(ACTIVATIONS, "softplus", "sigmoid's slope", lambda z, a: sigmoid(z) * (1 - sigmoid(z)))
wrong(ACTIVATIONS, "softsign", "square missing", lambda z, a: 1 / (1 + absolute(z)))
wrong(ACTIVATIONS, "softsign", "absolute value missing", lambda z, a: 1 / ((1 + z) * (1 + z)))
wrong(ACTIVATIONS, "exponential", "the power rule", lambda z, a: z * exp(z - 1))


@other(PLANTED, ACTIVATIONS, "softplus", "value without its large part")
class _:
    def f(z):
        return log1p(exp(-absolute(z)))


@other(PLANTED, ACTIVATIONS, "relu", "a jump at 0")
class _:
    def f(z):
        return where(z > 0, z + 1, 0)

    def slope(z, a):
        return where(z > 0, 1, 0)


@other(PLANTED, ACTIVATIONS, "softmax", "sign of the outer product")
class _:
    def jacobian(a):
        return np.outer(a, a) - np.diag(a)


@other(PLANTED, ACTIVATIONS, "softmax", "off-diagonal entries missing")
class _:
    def jacobian(a):
        return np.diag(a) - np.diag(a * a)


@other(PLANTED, ACTIVATIONS, "softmax", "normaliser missing")
class _:
    def f(e, q):
        return e


@other(PLANTED, ACTIVATIONS, "softmax", "the largest left out of the normaliser")
class _:
    def f(e, q):
        return e / (1 / q - 1)


@other(PLANTED, ACTIVATIONS, "softmax", "sign in the pullback")
class _:
    def pullback(a, da, s):
        return a * (da + s)


@other(PLANTED, ACTIVATIONS, "softmax", "bracket in the pullback")
class _:
    def pullback(a, da, s):
        return a * da - s


# ------------------------------------------------------------------ losses and penalties

wrong(LOSSES, "binary_cross_entropy", "sign", lambda z, y: y - sigmoid(z))
wrong(LOSSES, "binary_cross_entropy", "derivative by the prediction", lambda z, y: (1 - y) / (1 - sigmoid(z)))
wrong(
    LOSSES,
    "binary_cross_entropy",
    "wrong piece",
    lambda z, y: ((1 - y) - y * exp(-absolute(z))) / (1 + exp(-absolute(z))),
)
wrong(LOSSES, "categorical_cross_entropy", "normaliser missing", lambda e, y, r, q: e - y)
wrong(
    LOSSES,
    "categorical_cross_entropy",
    "target divided",
    lambda e, y, r, q: (e - y) * q,
)
wrong(
    LOSSES,
    "categorical_cross_entropy",
    "own class only",
    lambda e, y, r, q: y * (e * q - 1),
)
wrong(LOSSES, "squared_error", "factor 2", lambda z, y: 2 * (z - y))
wrong(LOSSES, "absolute_error", "sign", lambda z, y: sign(y - z))
wrong(LOSSES, "huber", "not cut", lambda z, y, delta: z - y)
wrong(LOSSES, "huber", "cut at 1", lambda z, y, delta: maximum(-1, minimum(1, z - y)))
wrong(
    LOSSES,
    "huber",
    "delta missing outside",
    lambda z, y, delta: where(absolute(z - y) <= delta, z - y, sign(z - y)),
)
wrong(LOSSES, "log_cosh", "factor inside", lambda z, y: tanh(2 * (z - y)))
wrong(LOSSES, "quantile", "q and 1 - q exchanged", lambda z, y, q: where(z > y, q, where(z < y, q - 1, 0)))
wrong(LOSSES, "poisson", "target times logit", lambda z, y: exp(z) - y * z)
wrong(PENALTIES, "l2", "factor 2", lambda w: 2 * w)
wrong(PENALTIES, "l1", "the weight itself", lambda w: w)


# ------------------------------------------------------------------ layers


@other(PLANTED, LAYERS, "dense", "dW transposed")
class _:
    def backward(dZ, X, p, dX, dp):
        inputs, units = X.shape[1], dZ.shape[1]
        dot(dZ.T, X, weights(dp, units, inputs))
        column_sums(dZ, biases(dp, inputs, units))
        dot(dZ, weights(p, inputs, units).T, dX)


@other(PLANTED, LAYERS, "dense", "dX by W read in the wrong order")
class _:
    def backward(dZ, X, p, dX, dp):
        inputs, units = X.shape[1], dZ.shape[1]
        dot(X.T, dZ, weights(dp, inputs, units))
        column_sums(dZ, biases(dp, inputs, units))
        dot(dZ, weights(p, units, inputs), dX)


@other(PLANTED, LAYERS, "dense", "db of the input")
class _:
    def backward(dZ, X, p, dX, dp):
        inputs, units = X.shape[1], dZ.shape[1]
        dot(X.T, dZ, weights(dp, inputs, units))
        column_sums(X, biases(dp, inputs, units))
        dot(dZ, weights(p, inputs, units).T, dX)


@other(PLANTED, LAYERS, "dense", "db forgotten")
class _:
    def backward(dZ, X, p, dX, dp):
        inputs, units = X.shape[1], dZ.shape[1]
        dot(X.T, dZ, weights(dp, inputs, units))
        dot(dZ, weights(p, inputs, units).T, dX)


@other(PLANTED, LAYERS, "dense", "bias twice")
class _:
    def forward(X, p, Z):
        inputs, units = X.shape[1], Z.shape[1]
        dot(X, weights(p, inputs, units), Z)
        add_to_rows(Z, biases(p, inputs, units))
        add_to_rows(Z, biases(p, inputs, units))


@other(PLANTED, LAYERS, "dense", "x for w in one unit")
class _:
    def unit_backward(dz, x, w):
        return [dz * x_i for x_i in x], dz, [dz * x_i for x_i in x]


@other(PLANTED, LAYERS, "ntk_dense", "the root of the number of units")
class _:
    def forward(X, p, Z):
        inputs, units = X.shape[1], Z.shape[1]
        dot(X, weights(p, inputs, units), Z)
        multiply(Z, 1 / sqrt(units))
        add_to_rows(Z, biases(p, inputs, units))


@other(PLANTED, LAYERS, "ntk_dense", "dX as of a dense layer")
class _:
    def backward(dZ, X, p, dX, dp):
        inputs, units = X.shape[1], dZ.shape[1]
        if dp.shape[0] > 0:
            dot(X.T, dZ, weights(dp, inputs, units))
            multiply(weights(dp, inputs, units), 1 / sqrt((p.shape[0] - units) // units))
            column_sums(dZ, biases(dp, inputs, units))
        if dX.shape[0] > 0:
            dot(dZ, weights(p, inputs, units).T, dX)


@other(PLANTED, LAYERS, "ntk_dense", "scaled by the inputs at hand")
class _:
    def backward(dZ, X, p, dX, dp):
        inputs, units = X.shape[1], dZ.shape[1]
        if dp.shape[0] > 0:
            dot(X.T, dZ, weights(dp, inputs, units))
            multiply(weights(dp, inputs, units), 1 / sqrt(inputs))
            column_sums(dZ, biases(dp, inputs, units))
        if dX.shape[0] > 0:
            dot(dZ, weights(p, inputs, units).T, dX)
            multiply(dX, 1 / sqrt(inputs))


@other(PLANTED, LAYERS, "grouped", "what passes has no derivative")
class _:
    def backward(dZ, X, p, dX, dp, groups, size, units):
        LAYERS["grouped"].backward(dZ, X, p, dX, dp, groups, size, units)
        if dX.shape[0] > 0:
            dX[:, groups * size :] = 0


@other(PLANTED, LAYERS, "grouped", "the first group's weights for all")
class _:
    def backward(dZ, X, p, dX, dp, groups, size, units):
        LAYERS["grouped"].backward(dZ, X, p, dX, dp, groups, size, units)
        if dX.shape[0] > 0:
            for g in range(groups):
                part = dZ[:, g * units : (g + 1) * units]
                dot(part, matrix(p, 0, size, units).T, dX[:, g * size : (g + 1) * size])


@other(PLANTED, LAYERS, "repeat", "the last member alone")
class _:
    def backward(dZ, X, p, dX, dp, times):
        d = X.shape[1]
        if dX.shape[0] > 0:
            dX[:, :] = dZ[:, (times - 1) * d : times * d]


@other(PLANTED, LAYERS, "embedding", "a row that is met twice has one derivative")
class _:
    def backward(dZ, X, p, dX, dp, columns, rows, size):
        first = X.shape[1] - columns
        if dp.shape[0] > 0:
            dp[:] = 0
            for c in range(columns):
                dE, begin = matrix(dp, 0, rows, size), first + c * size
                for i, code in enumerate(X[:, first + c]):
                    dE[min(max(code, 0), rows - 1)] = dZ[i, begin : begin + size]
        if dX.shape[0] > 0:
            dX[:, :first] = dZ[:, :first]
            dX[:, first:] = 0


@other(PLANTED, LAYERS, "embedding", "codes have a derivative")
class _:
    def backward(dZ, X, p, dX, dp, columns, rows, size):
        LAYERS["embedding"].backward(dZ, X, p, dX, dp, columns, rows, size)
        if dX.shape[0] > 0:
            dX[:, X.shape[1] - columns :] = dZ[:, X.shape[1] - columns : X.shape[1]]


@other(PLANTED, LAYERS, "scale", "the slopes exchanged")
class _:
    def slopes(x, s):
        return x, s


@other(PLANTED, LAYERS, "affine", "no slope of b")
class _:
    def slopes(x, s, b):
        return s, x, 0.0


@other(PLANTED, LAYERS, "periodic", "the angle in radians")
class _:
    def slopes(x, w, phase):
        slope = -sin_turns(x * w + phase)
        return slope * w, slope * x, slope


@other(PLANTED, LAYERS, "periodic", "sign")
class _:
    def slopes(x, w, phase):
        slope = 6.283185307179586 * sin_turns(x * w + phase)
        return slope * w, slope * x, slope


@other(PLANTED, LAYERS, "periodic", "a turn of 6.28")
class _:
    def slopes(x, w, phase):
        slope = -6.28 * sin_turns(x * w + phase)
        return slope * w, slope * x, slope


@other(PLANTED, LAYERS, "piecewise", "a slope beyond the ceiling")
class _:
    def slopes(x, low, high, floor, ceiling):
        return (where((x - low) / (high - low) > floor, 1 / (high - low), 0.0),)


@other(PLANTED, LAYERS, "piecewise", "the bin's width forgotten")
class _:
    def slopes(x, low, high, floor, ceiling):
        value = (x - low) / (high - low)
        return (where((value > floor) & (value < ceiling), 1.0, 0.0),)


@other(PLANTED, LAYERS, "parametric_mish", "the share of the identity forgotten")
class _:
    def slopes(x, alpha):
        mish = ACTIVATIONS["mish"]
        a = mish.f(x)
        return alpha * mish.slope(x, a), a - x


@other(PLANTED, LAYERS, "parametric_mish", "the activation's value for its slope")
class _:
    def slopes(x, alpha):
        a = ACTIVATIONS["mish"].f(x)
        return 1 + alpha * (a - 1), a - x


def weighted_mean(f):
    def entry(x, alpha):
        return alpha * f(x) + (1 - alpha) * x

    return entry


@other(REWRITTEN, LAYERS, "parametric_mish", "as a weighted mean")
class _:
    entry = weighted_mean(ACTIVATIONS["mish"].f)


@other(REWRITTEN, LAYERS, "affine", "the other way round")
class _:
    def entry(x, s, b):
        return b + s * x


# ------------------------------------------------------------------ optimisers, schedules, initialisers


@other(PLANTED, OPTIMISERS, "gradient_descent", "uphill")
class _:
    def step(w, g, rate):
        return w + rate * g


@other(PLANTED, OPTIMISERS, "momentum", "rate forgotten")
class _:
    def step(w, g, v, rate, momentum):
        v = momentum * v - g
        return w + v, v


@other(PLANTED, OPTIMISERS, "nesterov", "plain momentum")
class _:
    def step(w, g, v, rate, momentum):
        v = momentum * v - rate * g
        return w + v, v


@other(PLANTED, OPTIMISERS, "rmsprop", "square missing")
class _:
    def step(w, g, v, rate, rho, one_less_rho, epsilon):
        v = rho * v + one_less_rho * g
        return w - rate * g / (sqrt(v) + epsilon), v


@other(PLANTED, OPTIMISERS, "adam", "no correction of the first moment")
class _:
    def scalars(rate, t, beta_1, beta_2, epsilon):
        return rate * sqrt(1 - beta_2**t), beta_1, 1 - beta_1, beta_2, 1 - beta_2, epsilon


@other(PLANTED, OPTIMISERS, "adam", "correction one step late")
class _:
    def scalars(rate, t, beta_1, beta_2, epsilon):
        corrected = rate * sqrt(1 - beta_2 ** (t + 1)) / (1 - beta_1 ** (t + 1))
        return corrected, beta_1, 1 - beta_1, beta_2, 1 - beta_2, epsilon


@other(PLANTED, OPTIMISERS, "adam", "epsilon under the root")
class _:
    def step(w, g, m, v, rate, beta_1, one_less_beta_1, beta_2, one_less_beta_2, epsilon):
        m = beta_1 * m + one_less_beta_1 * g
        v = beta_2 * v + one_less_beta_2 * (g * g)
        return w - rate * m / sqrt(v + epsilon), m, v


@other(PLANTED, OPTIMISERS, "adamw", "decay without the rate")
class _:
    def scalars(rate, t, beta_1, beta_2, epsilon, weight_decay):
        corrected = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return 1 - weight_decay, corrected, beta_1, 1 - beta_1, beta_2, 1 - beta_2, epsilon


@other(PLANTED, SCHEDULES, "cosine", "half missing")
class _:
    def factor(t, epoch, samples, floor):
        return floor + (1 - floor) * (1 + np.cos(np.pi * t))


@other(PLANTED, SCHEDULES, "step", "one stretch early")
class _:
    def factor(t, epoch, samples, every, gamma):
        return gamma ** (1 + np.floor(epoch / every))


@other(PLANTED, INITIALISERS, "he_uniform", "bound of a normal distribution")
class _:
    def draw(rng, inputs, units, gain):
        bound = np.sqrt(gain**2 * 2.0 / inputs)
        return rng.uniform(-bound, bound, (inputs, units))


@other(PLANTED, INITIALISERS, "glorot_normal", "units for inputs + units")
class _:
    def draw(rng, inputs, units, gain):
        return np.sqrt(gain**2 * 2.0 / units) * rng.standard_normal((inputs, units))


# ------------------------------------------------------------------ right, but written otherwise

right(ACTIVATIONS, "identity", "a fraction", lambda z, a: (1 + z) / (1 + a))
right(ACTIVATIONS, "sigmoid", "from z alone", lambda z, a: exp(-z) / ((1 + exp(-z)) * (1 + exp(-z))))
right(ACTIVATIONS, "tanh", "hyperbolic cosine", lambda z, a: 1 / np.cosh(z) ** 2)
right(ACTIVATIONS, "tanh", "two factors", lambda z, a: (1 - a) * (1 + a))
right(ACTIVATIONS, "relu", "by cases", lambda z, a: where(z > 0, 1, 0))
right(ACTIVATIONS, "relu", "the derivative from the right at 0", lambda z, a: where(z >= 0, 1, 0))
right(ACTIVATIONS, "elu", "from the value", lambda z, a, alpha: where(z > 0, 1, a + alpha))
right(ACTIVATIONS, "elu", "by the sign of the value", lambda z, a, alpha: where(a > 0, 1, a + alpha))
right(ACTIVATIONS, "softplus", "from the value", lambda z, a: -expm1(-a))
right(ACTIVATIONS, "softplus", "hyperbolic tangent", lambda z, a: (1 + np.tanh(z / 2)) / 2)
right(ACTIVATIONS, "softsign", "from the value", lambda z, a: (1 - np.abs(a)) ** 2)
right(ACTIVATIONS, "silu", "from the value", lambda z, a: a + sigmoid(z) * (1 - a))
right(ACTIVATIONS, "gelu_tanh", "in tanh", gelu_tanh_slope(0.044715, 3 * 0.044715))
right(
    ACTIVATIONS,
    "mish",
    "as in the paper",
    lambda z, a: (
        exp(z)
        * (4 * (z + 1) + 4 * exp(2 * z) + exp(3 * z) + exp(z) * (4 * z + 6))
        / (2 * exp(z) + exp(2 * z) + 2) ** 2
    ),
)
right(LOSSES, "binary_cross_entropy", "prediction minus target", lambda z, y: sigmoid(z) - y)
right(
    LOSSES,
    "categorical_cross_entropy",
    "prediction minus target",
    lambda e, y, r, q: e / (1 + r) - y,
)
right(LOSSES, "huber", "by cases", lambda z, y, d: where(absolute(z - y) <= d, z - y, d * sign(z - y)))
right(
    LOSSES, "log_cosh", "in exponentials", lambda z, y: (exp(z - y) - exp(y - z)) / (exp(z - y) + exp(y - z))
)
right(PENALTIES, "l2", "by cases", lambda w: absolute(w) * sign(w))


@other(REWRITTEN, ACTIVATIONS, "softmax", "the other bracket")
class _:
    def pullback(a, da, s):
        return a * da - a * s


@other(REWRITTEN, OPTIMISERS, "adam", "the paper's first form")
class _:
    def scalars(rate, t, beta_1, beta_2, epsilon):
        root = sqrt(1 - beta_2**t)
        return rate / (1 - beta_1**t), beta_1, beta_2, root, epsilon / root

    def step(w, g, m, v, rate, beta_1, beta_2, root, epsilon):
        m = m + (1 - beta_1) * (g - m)
        v = v + (1 - beta_2) * (g * g - v)
        return w - rate * m / (sqrt(v) / root + epsilon), m, v


@other(REWRITTEN, SCHEDULES, "cosine", "half angle")
class _:
    def factor(t, epoch, samples, floor):
        return 1 - (1 - floor) * np.sin(np.pi * t / 2) ** 2
