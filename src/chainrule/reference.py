"""The interpreted run: the rows' own functions on whole arrays, one NumPy expression a step.

It is slow and obvious. It also accepts complex parameters, which is how the gradients are checked, and
every intermediate array of a pass can be looked at, which is how a network is explained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from chainrule.equation import Row
from chainrule.equations import ACTIVATIONS, PENALTIES
from chainrule.equations.activations import Activation
from chainrule.equations.dropout import kept, stream_key
from chainrule.equations.losses import Loss
from chainrule.equations.optimisers import Optimiser
from chainrule.parameters import Array, Layout
from chainrule.problem import Batch, Objective, Pace, Stretch, decayed, paces
from chainrule.spec import Layer, Network


@dataclass
class Pass:
    """Every array of one pass through a network.

    Attributes
    ----------
    X : ndarray of shape (n, inputs)
        The input.
    Z, A, D : list of ndarray of shape (n, units)
        Of each layer: the values before the activation, after it, and after dropout. Where a layer has
        no dropout, D[l] is A[l].
    kept : list of ndarray or None
        Of each layer: which entries dropout kept.
    dZ, dA : list of ndarray
        Derivatives of the loss with respect to Z and A, filled by `backward`.
    gradient : ndarray of shape (parameters,)
        Derivative of the loss with respect to the parameters, without penalties.
    """

    X: Array
    Z: list[Array]
    A: list[Array]
    D: list[Array]
    kept: list[Any]
    dZ: list[Array]
    dA: list[Array]
    gradient: Array

    def input_of(self, index: int) -> Array:
        """What layer `index` receives."""
        return self.D[index - 1] if index else self.X


def values(row: Row) -> tuple[float, ...]:
    """The parameters of a row, in the order of its functions' arguments."""
    return tuple(row.parameters.values())


class Statistics(NamedTuple):
    """Of rows of logits: m, the largest; e = exp(z - m); r, the sum of e over the others; and what is made
    of these, q = 1 / (1 + r) and s = log(1 + r). All but e, of shape (n, K), have the shape (n, 1).
    """

    e: Array
    m: Array
    r: Array
    q: Array
    s: Array


def statistics(Z: Array) -> Statistics:
    """What coupled rows ask of logits, of shape (n, K)."""
    top = np.argmax(np.real(Z), axis=1)[:, None]
    m = np.take_along_axis(Z, top, axis=1)
    e = np.exp(Z - m)
    others = e.copy()
    np.put_along_axis(others, top, 0.0, axis=1)
    r = others.sum(axis=1, keepdims=True)
    return Statistics(e, m, r, 1 / (1 + r), np.log1p(r))


def losses(row: Loss, Z: Array, Y: Array) -> Array:
    """The loss of each row and output, of shape (n, outputs)."""
    if not row.coupled:
        return np.asarray(row.value(Z, Y, *values(row)))
    logits = statistics(Z)
    return np.asarray(row.value(Z, Y, logits.m, logits.s))


def slopes(row: Loss, Z: Array, Y: Array) -> Array:
    """The derivative of each loss with respect to its z, of shape (n, outputs)."""
    if not row.coupled:
        return np.asarray(row.slope(Z, Y, *values(row)))
    logits = statistics(Z)
    return np.asarray(row.slope(logits.e, Y, logits.r, logits.q))


def activate(row: Activation, Z: Array) -> Array:
    """A = f(Z)."""
    A = np.empty_like(Z)
    if row.coupled:
        logits = statistics(Z)
        A[...] = row.f(logits.e, logits.q)
    else:
        A[...] = row.f(Z, *values(row))
    return A


def deactivate(row: Activation, Z: Array, A: Array, dA: Array) -> Array:
    """dZ = dA f'(Z), or the softmax's Jacobian times dA."""
    dZ = np.empty_like(dA)
    if row.pullback is not None:
        dZ[...] = row.pullback(A, dA, np.sum(A * dA, axis=1, keepdims=True))
    elif row.slope is not None:
        dZ[...] = dA * row.slope(Z, A, *values(row))
    return dZ


def split(values: Array, members: int) -> Array:
    """The members' parts of each row as rows of their own."""
    return values.reshape(len(values) * members, values.shape[1] // members)


def forward(
    network: Network, theta: Array, X: Array, seed: int = -1, step: int = 0, dropping: float = 1.0
) -> Pass:
    """Forward propagation; with a seed (not negative), dropout is active, its rates times `dropping`."""
    layout, dtype = Layout(network), np.result_type(theta, X)
    run = Pass(X, [], [], [], [], [], [], np.zeros(layout.size, dtype))
    values_in = np.ascontiguousarray(X)
    for index, (layer, row) in enumerate(zip(network.layers, network.activations, strict=True)):
        Z, members = np.empty((len(X), network.widths[index + 1]), dtype), layer.members
        p = theta[layout.layer_slice(index)]
        layer.row.forward(split(values_in, members), p, split(Z, members), *layer.row.sizes)
        A = activate(row, split(Z, members)).reshape(Z.shape)
        mask = None
        D = A
        rate = layer.dropout * dropping
        if rate and seed >= 0:
            mask = coins(seed, step, index, A.shape, rate)
            D = A * mask * A.dtype.type(1 / (1 - rate))
        run.Z.append(Z)
        run.A.append(A)
        run.D.append(D)
        run.kept.append(mask)
        values_in = D
    return run


def coins(seed: int, step: int, layer: int, shape: tuple[int, ...], rate: float) -> Any:
    """Which entries of a layer dropout keeps in one training step."""
    index = np.arange(shape[0] * shape[1], dtype=np.uint64)
    with np.errstate(over="ignore"):
        key = stream_key(np.uint64(seed), np.uint64(step), np.uint64(layer))
        return kept(key, index, rate).reshape(shape)


def predict(network: Network, Z: Array) -> Array:
    """Predictions from the last layer's values: the loss's output link, and the mean over the members."""
    each = activate(ACTIVATIONS[network.loss_row.link], split(Z, network.members))
    if network.members == 1:
        return each
    return each.reshape(len(Z), network.members, -1).mean(axis=1)  # type: ignore[no-any-return]


def data_loss(network: Network, z: Array, Y: Array, weights: Array | None, slope: bool) -> Any:
    """The loss of a batch, or (with `slope`) its derivative with respect to z: one reduction for both."""
    row, shape, members = network.loss_row, z.shape, network.members
    if members > 1:  # each counts as a row of its own
        z, Y = split(z, members), np.repeat(Y, members, axis=0)
        weights = None if weights is None else np.repeat(weights, members)
    rows = np.ones(len(z), np.real(z).dtype) if weights is None else weights
    total = float(rows.sum(dtype=np.float64))
    scale = 1 / total if total > 0 else 0.0
    if slope:
        dz = np.empty_like(z)
        dz[...] = slopes(row, z, Y)
        dz *= (rows * rows.dtype.type(scale))[:, None]
        return dz.reshape(shape)
    wide = np.result_type(z.dtype, np.float64)
    return np.sum(losses(row, z, Y) * rows[:, None], dtype=wide) * scale


def backward(
    network: Network, theta: Array, run: Pass, Y: Array, weights: Array | None, dropping: float = 1.0
) -> None:
    """Back propagation: fills the pass's derivatives; `dropping` as in `forward`."""
    layout, depth = Layout(network), len(network.layers)
    run.dZ, run.dA = [run.X] * depth, [run.X] * depth
    dD = data_loss(network, run.A[-1], Y, weights, slope=True)
    for index in range(depth - 1, -1, -1):
        layer, stretch = network.layers[index], layout.layer_slice(index)
        keep = run.kept[index]
        dA = dD if keep is None else dD * keep * dD.dtype.type(1 / (1 - layer.dropout * dropping))
        run.dA[index], run.dZ[index] = dA, _through_activation(network, run, index, dA)
        received = run.input_of(index)
        dX = np.empty((len(received) if index else 0, received.shape[1]), dA.dtype)
        back(layer, run.dZ[index], received, theta[stretch], dX, run.gradient[stretch])
        dD = dX


def _through_activation(network: Network, run: Pass, index: int, dA: Array) -> Array:
    members = network.layers[index].members
    arrays = (split(values, members) for values in (run.Z[index], run.A[index], dA))
    return deactivate(network.activations[index], *arrays).reshape(dA.shape)


def back(layer: Layer, dZ: Array, X: Array, p: Array, dX: Array, dp: Array) -> None:
    """Back propagation through a layer's own equations; what is frozen has no derivative."""
    m, row = layer.members, layer.row
    dp = dp[:0] if row.frozen else dp
    row.backward(split(dZ, m), split(np.ascontiguousarray(X), m), p, split(dX, m), dp, *row.sizes)


def penalise(objective: Objective, theta: Array, scale: float, gradient: Array | None) -> Any:
    """The penalties' value; their derivative is added to the gradient, if one is given."""
    total: Any = 0.0
    for name, strength in objective.strengths.items():
        row, factor = PENALTIES[name], strength * scale
        for block in objective.layout.blocks:
            if not (block.is_weight and factor):
                continue
            w = theta[block.start : block.stop]
            wide = np.result_type(w.dtype, np.float64)
            total = total + factor * np.sum(row.value(w), dtype=wide)
            if gradient is not None:
                gradient[block.start : block.stop] += w.dtype.type(factor) * row.slope(w)
    return total


def update(row: Optimiser, w: Array, g: Array, slots: Array, rate: float, t: int, decay: float = 1.0) -> None:
    """One step of an optimiser on a stretch of parameters, in place; `decay` is a factor on its own."""
    assert row.scalars is not None and row.step is not None
    scalars = [w.dtype.type(s) for s in row.scalars(rate, t, *decayed(row, decay))]
    result = row.step(w, g, *slots, *scalars)
    moved, *remembered = result if row.slots else (result,)
    w[...] = moved
    for slot, new in zip(slots, remembered, strict=True):
        slot[...] = new


def shortened(gradient: Array, most: float) -> Array:
    """The gradient, at most that long (0: any length)."""
    length = float(np.sqrt(np.sum(np.square(gradient, dtype=np.float64))))
    return gradient * gradient.dtype.type(most / length) if 0 < most < length else gradient


class Run:
    """The interpreted run of a network's training: the same methods as `chainrule.compiled.Run`.

    Parameters
    ----------
    objective : Objective
        Network, penalties and how they scale.
    optimiser : Optimiser, optional
        Needed by `steps` only.
    pace : Pace, optional
        How fast each parameter moves beside the others.
    """

    def __init__(
        self, objective: Objective, optimiser: Optimiser | None = None, pace: Pace | None = None
    ) -> None:
        self.objective = objective
        self.network = objective.network
        self.optimiser = optimiser
        self.pace = pace or Pace()
        self.paces = paces(objective.layout, optimiser, self.pace) if optimiser else []

    def values(self, theta: Array, X: Any, layer: int = -1) -> Array:
        """Values of a layer after its activation (the loss's z for the last one)."""
        with np.errstate(all="ignore"):
            return forward(self.network, theta, dense(X)).A[layer]

    def predict(self, theta: Array, X: Any) -> Array:
        """Predictions: the last layer's values through the loss's output link."""
        with np.errstate(all="ignore"):
            return predict(self.network, self.values(theta, X))

    def loss(self, theta: Any, batch: Batch) -> Any:
        """Loss of all given rows with penalties."""
        with np.errstate(all="ignore"):
            z = forward(self.network, theta, dense(batch.X)).A[-1]
            value = data_loss(self.network, z, batch.Y, batch.weights, slope=False)
            return value + penalise(self.objective, theta, self.objective.scale(batch), None)

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """Loss of all given rows with penalties, and its gradient."""
        with np.errstate(all="ignore"):
            run = forward(self.network, theta, dense(batch.X))
            value = data_loss(self.network, run.A[-1], batch.Y, batch.weights, slope=False)
            backward(self.network, theta, run, batch.Y, batch.weights)
            value += penalise(self.objective, theta, self.objective.scale(batch), run.gradient)
            return float(value), run.gradient

    def jacobian(self, theta: Array, X: Any) -> tuple[Array, Array]:
        """The last layer's values (n, outputs) and their derivatives (n, outputs, parameters)."""
        with np.errstate(all="ignore"):
            run = forward(self.network, theta, dense(X))
            n, outputs = run.A[-1].shape
            J = np.zeros((n, outputs, self.objective.layout.size), theta.dtype)
            for k in range(outputs):
                self._jacobian_of(theta, run, k, J[:, k])
            return run.A[-1], J

    def _jacobian_of(self, theta: Array, run: Pass, k: int, J: Array) -> None:
        dA = np.zeros_like(run.A[-1])
        dA[:, k] = 1
        for index in range(len(self.network.layers) - 1, -1, -1):
            layer, stretch = self.network.layers[index], self.objective.layout.layer_slice(index)
            dZ, received = _through_activation(self.network, run, index, dA), run.input_of(index)
            p = theta[stretch]
            dA = np.empty((len(received), received.shape[1]), dZ.dtype)
            for i in range(len(received)):
                row = slice(i, i + 1)
                back(layer, dZ[row], received[row], p, dA[row], J[i, stretch])

    def steps(self, stretch: Stretch, watch: Callable[[Pass], None] | None = None) -> int:
        """Run the training steps of a stretch of an epoch; returns how many were done.

        It stops early, before the update, at a loss that is not finite.
        """
        done = 0
        with np.errstate(all="ignore"):
            for number, rows in enumerate(stretch.batches()):
                value = self._step(stretch, number, stretch.batch.take(rows), watch)
                stretch.losses[number] = value
                if not np.isfinite(value):
                    break
                done += 1
        return done

    def _step(self, s: Stretch, number: int, batch: Batch, watch: Any) -> float:
        t = s.t + number + 1
        rate, decay, dropping = map(float, s.rates[:, number])
        run = forward(self.network, s.theta, dense(batch.X), s.seed, t, dropping)
        value = data_loss(self.network, run.A[-1], batch.Y, batch.weights, slope=False)
        backward(self.network, s.theta, run, batch.Y, batch.weights, dropping)
        value += penalise(self.objective, s.theta, self.objective.scale(batch), run.gradient)
        if watch is not None:
            watch(run)
        if np.isfinite(value):
            assert self.optimiser is not None
            gradient = shortened(run.gradient, self.pace.clip)
            for start, stop, quicker, shrinking in self.paces:
                part = slice(start, stop)
                w, g, slots = s.theta[part], gradient[part], s.slots[:, part]
                update(self.optimiser, w, g, slots, rate * quicker, t, decay * shrinking)
        return float(value)


def dense(X: Any) -> Array:
    """A batch as an array; sparse batches are small enough here."""
    array: Array = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    return array
