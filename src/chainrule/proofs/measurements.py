"""The rounding error of each row: of its slope, its matrix equations, its step, its factor, its spread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from chainrule import reference, second_order
from chainrule.equation import Row
from chainrule.equations.activations import Activation
from chainrule.equations.initialisers import Initialiser
from chainrule.equations.layer_kinds import LayerKind
from chainrule.equations.losses import Loss
from chainrule.equations.optimisers import Optimiser
from chainrule.equations.penalties import Penalty
from chainrule.equations.schedules import Schedule
from chainrule.proofs import entry_functions, initialisers, schedules, updates
from chainrule.proofs.curves import VALUE, A, Curve, Y, activation_curve, loss_curves, penalty_curve
from chainrule.proofs.entries import identity, symbols
from chainrule.proofs.layers import small_layers
from chainrule.proofs.readings import exactly, read
from chainrule.proofs.rounding import Computed, Errors, join, worst
from chainrule.proofs.symbolic import Region, in_region, symbolic

SAMPLES = 10
SHARES = (1.0, 0.25, -0.5)  # of an activation in its mixture with the identity
# Exact in both dtypes: close around 0, and in steps of 1/4.
GRID = sorted({s * 2.0**k for k in range(-24, 7, 2) for s in (-1, 1)} | {k / 4 for k in range(-80, 81)})
TARGETS = {
    "real": (-3.03125, 0.53125, 12.71875),
    "nonnegative": (0.0, 3.0, 17.0),
    "unit": (0.0, 0.28125, 1.0),
}


# ------------------------------------------------------------------ functions of one number


def _along(
    curve: Curve,
    inputs: Sequence[Any],
    points: Any,
    computed: Computed,
    rounded: Sequence[Any],
    also: Callable[[Region], Any] = lambda region: 0,
) -> Errors:
    """The errors of a slope inside of the pieces of a curve."""
    z = curve.region.variable
    errors = []
    for interval, values in curve.parts():
        ends = sp.lambdify(inputs, [interval.low, interval.high], "math")
        inside = [p for p in points if (e := ends(*p))[0] < p[0] < e[1]]
        if inside:
            true = [sp.diff(values[VALUE], z)]
            more = also(curve.region.within(interval.low, interval.high))
            errors.append(worst(true, inputs, inside, computed, rounded=rounded, also=[more]))
    return join(errors)


def _activation(row: Activation) -> Errors:
    if row.coupled:
        return _softmax(row)
    curve, constants = activation_curve(row), tuple(row.parameters.values())
    inputs = [curve.region.variable, *curve.region.intervals]
    points = [(z, *constants) for z in GRID]

    def slope(z: Any, *parameters: Any) -> Any:
        assert row.slope is not None
        return [row.slope(z, row.f(z, *parameters), *parameters)]

    return _along(curve, inputs, points, slope, inputs, lambda region: _through_value(row, region))


def _through_value(row: Activation, region: Region) -> Any:
    """|a dg/da|: what a relative change of a = f(z) would change of the slope g."""
    z, *parameters = region.variable, *(s for s in region.intervals if s != region.variable)
    a = in_region(row.f, region)(z, *parameters)
    assert row.slope is not None
    slope = read(row.slope, symbolic(lambda e: region.sign(e.subs(A, a))))(z, A, *parameters)
    return abs(A * sp.diff(exactly(slope), A)).subs(A, a)


def _loss(row: Loss) -> Errors:
    if row.coupled:
        return _cross_entropy(row)
    errors, ends = [], [y for y, _ in loss_curves(row) if y.is_number]
    for y, curve in loss_curves(row):
        parameters = [s for s in curve.region.intervals if s != Y]
        targets = [float(y)] if y.is_number else [t for t in TARGETS[row.targets] if t not in ends]
        points = [(z, t, *row.parameters.values()) for z in GRID for t in targets]
        inputs = [curve.region.variable, Y, *parameters]
        # A target is what it is: only z and the parameters may have been rounded.
        errors.append(_along(curve, inputs, points, lambda *at: [row.slope(*at)], [inputs[0], *parameters]))
    return join(errors)


def _penalty(row: Penalty) -> Errors:
    curve = penalty_curve(row)
    inputs = [curve.region.variable]
    return _along(curve, inputs, [(w,) for w in GRID], lambda w: [row.slope(w)], inputs)


# ------------------------------------------------------------------ coupled rows and matrices


def _random(*shape: int) -> Any:
    """Numbers that are exact in both dtypes."""
    return np.random.default_rng(0).normal(size=shape).astype("float32").astype("float64")


def _one_by_one(function: Callable[..., Any]) -> Computed:
    """A function of one point as a function of columns."""

    def over_columns(*columns: Any) -> Any:
        return np.array([np.ravel(function(np.array(point))) for point in zip(*columns, strict=True)]).T

    return over_columns


def _softmax(row: Activation) -> Errors:
    z, da = symbols("z", 3), symbols("da", 3)
    a = np.array([sp.exp(each) / sum(map(sp.exp, z)) for each in z], object)
    jacobian = np.array([[sp.diff(each, at) for at in z] for each in a], object)
    terms = np.diag(a) + 2 * np.outer(a, a)
    pulled = a * (np.abs(da) + np.dot(a, np.abs(da)))

    def computed(point: Any) -> Any:
        A, dA = reference.activate(row, point[None, :3]), point[None, 3:]
        assert row.jacobian is not None
        return np.concatenate([row.jacobian(A[0]).ravel(), reference.deactivate(row, A, A, dA)[0]])

    points = _random(SAMPLES, 6) * [8, 8, 8, 1, 1, 1]
    true, also = [*jacobian.flat, *(jacobian.T @ da)], [*terms.flat, *pulled]
    return worst(true, [*z, *da], points, _one_by_one(computed), also=also)


def _cross_entropy(row: Loss) -> Errors:
    z, y = symbols("z", 3), symbols("y", 3)
    true = [sp.exp(each) / sum(map(sp.exp, z)) - target for each, target in zip(z, y, strict=True)]

    def computed(point: Any) -> Any:
        return reference.slopes(row, point[None, :3], point[None, 3:])

    targets = np.vstack([np.eye(3), [[0.25, 0.5, 0.25]]])
    points = [(*logits, *t) for logits in _random(SAMPLES, 3) * 8 for t in targets]
    return worst(true, [*z, *y], points, _one_by_one(computed), rounded=z)


def _layer(row: LayerKind) -> Errors:
    if row.activation is not None:
        return _mixture(row, row.activation)
    return _matrices(row) if row.entry is None else _entry(row)


def _matrices(row: LayerKind) -> Errors:
    """Of the derivatives of a small layer."""
    small = list(small_layers(row))[5 if row.parameters else 1]
    loss = (small.dZ * small.forward()).sum()
    moving = np.array([[isinstance(x, sp.Symbol) for x in line] for line in small.X])
    codes = np.where(moving, 0, small.X)
    names = [*small.X[moving], *small.p, *small.dZ.flat]

    def computed(point: Any) -> Any:
        x, theta, dz = np.split(point, np.cumsum([moving.sum(), len(small.p)]))
        X, dX, dp = codes.astype(point.dtype), np.empty(moving.shape, point.dtype), np.empty_like(theta)
        X[moving] = x
        row.backward(dz.reshape(small.dZ.shape), X, theta, dX, dp, *small.row.sizes)
        return np.concatenate([dX[moving], dp])

    true = [sp.diff(loss, at) for at in [*small.X[moving], *small.p]]
    return worst(true, names, _random(SAMPLES, len(names)), _one_by_one(computed))


def _entry(row: LayerKind) -> Errors:
    """Of the slopes of an entry, where it varies with its input."""
    meaning, point = entry_functions.MEANINGS[row.name](), list(_random(5, 4, SAMPLES))
    x, *theta = point[0].ravel(), *(numbers.ravel() for numbers in point[1:])
    if row.frozen:  # inside of a bin
        theta = [x - np.abs(theta[0]) / 8, x + np.abs(theta[1]) / 8, 0 * x, 1 + 0 * x]
    inputs = [entry_functions.X, *meaning.theta]
    given = inputs[:1] if row.frozen else inputs
    value = next(case.value for case in meaning.cases if case.value.has(entry_functions.X))
    assert row.slopes is not None
    points = list(zip(x, *theta[: len(meaning.theta)], strict=True))
    return worst([sp.diff(value, at) for at in given], inputs, points, row.slopes)


def _mixture(row: LayerKind, activation: Activation) -> Errors:
    """Of the slopes of a parametric activation; the activation's value and its slope count as inputs."""
    curve, constants = activation_curve(activation), tuple(activation.parameters.values())
    z, alpha = curve.region.variable, sp.Symbol("alpha_", real=True)
    inputs, errors = [z, alpha, *(s for s in curve.region.intervals if s != z)], []

    def computed(x: Any, share: Any, *parameters: Any) -> Any:
        assert row.slopes is not None
        return row.slopes(x, share)

    for interval, values in curve.parts():
        inside = curve.region.within(interval.low, interval.high)
        ends = sp.lambdify(inputs, [interval.low, interval.high], "math")
        points = [(x, share, *constants) for x in GRID[::6] for share in SHARES]
        points = [p for p in points if (e := ends(*p))[0] < p[0] < e[1]]
        f, slope = values[VALUE], sp.diff(values[VALUE], z)
        true = [1 + alpha * (slope - 1), f - z]
        bent = abs(slope) + abs(z * sp.diff(slope, z)) + _through_value(activation, inside)
        errors.append(worst(true, inputs, points, computed, also=[abs(alpha) * bent, abs(f)]))
    return join(errors)


# ------------------------------------------------------------------ updates, schedules, initialisers


def _optimiser(row: Optimiser) -> Errors:
    if row.full_batch:
        return FULL_BATCH[row.name]()
    state = updates.STATE[: len(row.slots)]
    parameters = [updates.parameter(name) for name in row.parameters]
    inputs = [updates.W, updates.G, *state, updates.RATE, updates.T, *parameters]
    true = updates.PUBLISHED[row.name](updates.W, updates.G, state, updates.RATE, updates.T, *parameters)
    constants, size = tuple(row.parameters.values()), 2 + len(state)
    points = [
        (*numbers[:2], *np.abs(numbers[2:]), 2.0**-k, 1.0 + k, *constants)
        for k, numbers in enumerate(_random(10, size))
    ]

    def computed(point: Any) -> Any:
        assert row.scalars is not None and row.step is not None
        scalars = row.scalars(float(point[size]), int(point[size + 1]), *constants)
        return row.step(*point[:size], *(point.dtype.type(s) for s in scalars))

    return worst(true, inputs, points, _one_by_one(computed))


def _lbfgs() -> Errors:
    g, s, y = symbols("g", 2), symbols("s", 2), symbols("y", 2)
    left = identity(2) - np.outer(s, y) / (s @ y)
    H = left @ left.T * (s @ y) / (y @ y) + np.outer(s, s) / (s @ y)

    def computed(point: Any) -> Any:
        g, s, y = np.split(point, 3)
        return second_order.two_loops(g, deque([(s, y, 1 / (s @ y))]))

    points = [(*p[:2], *p[2:4], *(2 * p[2:4] + p[4:] / 8)) for p in _random(SAMPLES, 6)]
    return worst([*(-(H @ g))], [*g, *s, *y], points, _one_by_one(computed), dtypes=("float64",))


def _levenberg_marquardt() -> Errors:
    g, h, mu = symbols("g", 2), symbols("h", 3), sp.Symbol("mu", positive=True)
    true = sp.Matrix([[h[0] + mu, h[1]], [h[1], h[2] + mu]]).inv() @ sp.Matrix(g)

    def computed(point: Any) -> Any:
        g, (a, b, c), mu = point[:2], point[2:5], point[5]
        return second_order.damped_step(np.array([[a, b], [b, c]]), g, mu)

    points = [(*p[:2], 2 + p[2] ** 2, p[3], 2 + p[3] ** 2, 0.125) for p in _random(SAMPLES, 4)]
    return worst([*true], [*g, *h, mu], points, _one_by_one(computed), dtypes=("float64",))


FULL_BATCH = {"lbfgs": _lbfgs, "levenberg_marquardt": _levenberg_marquardt}


def _schedule(row: Schedule) -> Errors:
    errors = []
    for case in schedules.PUBLISHED[row.name]():
        arguments = (case.t, case.epoch, case.samples, *case.parameters)
        inputs = sorted(set().union(*(sp.sympify(a).free_symbols for a in arguments)), key=str)
        if schedules.NUMBER in inputs and not case.where:
            continue  # at the very point where the factor jumps, it is a matter of rounding
        values = sp.lambdify(inputs, arguments, "numpy")
        points = [[_value(s, case, row, k) for s in inputs] for k in range(1, SAMPLES)]
        computed = _one_by_one(lambda point, values=values: row.factor(*values(*point)))
        errors.append(worst([case.true], inputs, points, computed, dtypes=("float64",)))
    return join(errors)


def _value(symbol: Any, case: schedules.Case, row: Schedule, k: int) -> float:
    """A value for a symbol of a case: a parameter's default, or the k-th of a row of values."""
    if str(symbol) in row.parameters:
        return float(row.parameters[str(symbol)])
    if symbol == schedules.NUMBER:
        return float(k % 6)
    low, high = 0.0, 1.0
    if symbol in case.where:
        ends = (case.where[symbol].low, case.where[symbol].high)
        low, high = (
            float(end.subs({s: row.parameters.get(str(s)) for s in end.free_symbols})) for end in ends
        )
    return low + (high - low) * k / SAMPLES


def _initialiser(row: Initialiser) -> Errors:
    if row.name == "orthogonal":
        W = row.draw(np.random.default_rng(0), 30, 10, 1.0)
        return {"float64": float(np.abs(W.T @ W - np.eye(10)).max() / np.finfo(float).eps)}
    law, variance, _ = initialisers.PUBLISHED[row.name]
    inputs = [initialisers.INPUTS, initialisers.UNITS, initialisers.GAIN]
    spread = inputs[2] * sp.sqrt((3 if law == "uniform" else 1) * variance)
    points = [(1.0 + k, 1.0 + k * k % 17, 0.5 + k / 8) for k in range(SAMPLES)]
    drawn = _one_by_one(lambda point: row.draw(_Largest(), int(point[0]), int(point[1]), point[2])[0, 0])
    return worst([sp.sympify(spread)], inputs, points, drawn, dtypes=("float64",))


class _Largest:
    """A generator that gives the bound of a uniform distribution, and the deviation of a normal one."""

    @staticmethod
    def uniform(low: float, high: float, shape: tuple[int, int]) -> Any:
        return np.full(shape, high)

    @staticmethod
    def standard_normal(shape: tuple[int, int]) -> Any:
        return np.ones(shape)


MEASURES: dict[type[Row], Callable[[Any], Errors]] = {
    Activation: _activation,
    Loss: _loss,
    LayerKind: _layer,
    Penalty: _penalty,
    Optimiser: _optimiser,
    Schedule: _schedule,
    Initialiser: _initialiser,
}


def rounding_error(row: Row) -> Mapping[str, float]:
    """The largest rounding error of what a row computes, by dtype.

    Parameters
    ----------
    row : Row
        Of any table.

    Returns
    -------
    mapping of str to float
        In the units that `chainrule.proofs.rounding` describes.
    """
    return MEASURES[type(row)](row)
