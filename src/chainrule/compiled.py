"""The compiled run: a whole stretch of training steps in one call, without the interpreter.

The loops below read like the mathematics: forward through the layers, the loss, backward through the
layers, the penalties, the update. They know no layer kind, activation, loss or optimiser: each is a
kernel, compiled once from its row and called by its address. All arrays of a step live in one
workspace, laid out by `Plan`; nothing is allocated in a loop.
"""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numba import types

from chainrule.equations import ACTIVATIONS, LAYERS, PENALTIES
from chainrule.equations.activations import Activation
from chainrule.equations.dropout import kept, stream_key
from chainrule.equations.losses import Loss
from chainrule.equations.optimisers import Optimiser
from chainrule.kernels import (
    address_of,
    array_types,
    bind,
    caller,
    compile_function,
    fixed,
    rebind,
    register_jitable,
    specialise,
    template_name,
)
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective, Stretch, decay_free

# Columns of Plan.layers: addresses, sizes, and places in the parameters, constants and workspace.
FORWARD, BACKWARD, ACTIVATE, DEACTIVATE, INPUTS, UNITS, P0, P1, C0, C1, X_AT, Z_AT, A_AT, D_AT = range(14)
CHUNK = 2048  # rows of a full-batch pass that are in the workspace at once

# ------------------------------------------------------------------ kernel templates
# Names that a template leaves open (f, slope, value, N, ...) are bound by `kernels.bind`.


def layer_forward(X, p, Z):
    f(X, p, Z)


def layer_backward(dZ, X, p, dX, dp):
    f(dZ, X, p, dX, dp)


def layer_jacobian(dZ, X, J):
    f(dZ, X, J)


def activate_entries(Z, c, A):
    z, a, constants = Z.reshape(-1), A.reshape(-1), fixed(c, N)
    for i in range(z.size):
        a[i] = f(z[i], *constants)


def deactivate_entries(Z, A, c, dA):
    z, a, d, constants = Z.reshape(-1), A.reshape(-1), dA.reshape(-1), fixed(c, N)
    for i in range(z.size):
        d[i] *= slope(z[i], a[i], *constants)


def row_statistics(Z, i):
    """Of row i of logits: the largest, and the sum of exp(z - largest) over the others."""
    top = 0
    for k in range(1, Z.shape[1]):
        if Z[i, k] > Z[i, top]:
            top = k
    m, r = Z[i, top], Z[i, top] * 0
    for k in range(Z.shape[1]):
        if k != top:
            r += np.exp(Z[i, k] - m)
    return m, r


def activate_coupled(Z, c, A):
    for i in range(Z.shape[0]):
        m, r = statistics(Z, i)
        for k in range(Z.shape[1]):
            A[i, k] = f(Z[i, k], m, r)


def deactivate_coupled(Z, A, c, dA):
    for i in range(Z.shape[0]):
        s = A[i, 0] * dA[i, 0]
        for k in range(1, Z.shape[1]):
            s += A[i, k] * dA[i, k]
        for k in range(Z.shape[1]):
            dA[i, k] = pullback(A[i, k], dA[i, k], s)


def loss_entries(Z, Y, w, scale, c, dZ):
    constants, total = fixed(c, N), 0.0
    for i in range(Z.shape[0]):
        g = w[i] * scale
        for k in range(Z.shape[1]):
            dZ[i, k] = slope(Z[i, k], Y[i, k], *constants) * g
            total += value(Z[i, k], Y[i, k], *constants) * w[i]
    return total


def loss_coupled(Z, Y, w, scale, c, dZ):
    total = 0.0
    for i in range(Z.shape[0]):
        g = w[i] * scale
        m, r = statistics(Z, i)
        for k in range(Z.shape[1]):
            dZ[i, k] = slope(Z[i, k], Y[i, k], m, r) * g
            total += value(Z[i, k], Y[i, k], m, r) * w[i]
    return total


def penalty(w, strength, g):
    total = 0.0
    for i in range(w.size):
        g[i] += strength * slope(w[i])
        total += value(w[i])
    return total * strength


def update_0(w, g, S, start, stop, rate, t, h, scalar):
    for j, s in enumerate(scalars(rate, t, *fixed(h, N))):
        scalar[j] = s
    c = fixed(scalar, M)
    for i in range(start, stop):
        w[i] = step(w[i], g[i], *c)


def update_1(w, g, S, start, stop, rate, t, h, scalar):
    for j, s in enumerate(scalars(rate, t, *fixed(h, N))):
        scalar[j] = s
    c, v = fixed(scalar, M), S[0]
    for i in range(start, stop):
        w[i], v[i] = step(w[i], g[i], v[i], *c)


def update_2(w, g, S, start, stop, rate, t, h, scalar):
    for j, s in enumerate(scalars(rate, t, *fixed(h, N))):
        scalar[j] = s
    c, m, v = fixed(scalar, M), S[0], S[1]
    for i in range(start, stop):
        w[i], m[i], v[i] = step(w[i], g[i], m[i], v[i], *c)


UPDATES = (update_0, update_1, update_2)

# ------------------------------------------------------------------ loops


class Plan(NamedTuple):
    """What the loops need to know of a network and its objective, in arrays."""

    layers: Any  # int64 (depth, 14): see the column names above
    constants: Any  # parameters of the activations, one after the other
    dropout: Any  # float64 (depth,)
    loss: Any  # int64 (2,): addresses of the loss and of its link
    loss_constants: Any
    penalties: Any  # int64: address of each penalty
    strengths: Any  # float64: strength of each penalty
    segments: Any  # int64 (pieces, 3): start, stop, free of decay
    places: Any  # int64 (4,): where Y and the two derivative buffers are; columns in all
    per_batch: Any  # int64 (1,)


class Rows(NamedTuple):
    """The data: a dense X, or a CSR one (values, columns, starts) with an empty X."""

    X: Any
    values: Any
    columns: Any
    starts: Any
    Y: Any
    weights: Any


class Method(NamedTuple):
    """An optimiser: its address, its parameters (second row: without weight decay), a scratch."""

    address: Any
    parameters: Any
    scratch: Any


def view(work, column, n, width):
    """The n rows of `width` values at a column of the workspace, as a matrix."""
    return work[column * n : column * n + n * width].reshape((n, width))


def gather(data, order, begin, n, X, Y, w):
    """Copy the rows order[begin : begin + n] into the workspace; returns their total weight."""
    total = 0.0
    for i in range(n):
        row = order[begin + i]
        if data.starts.size == 0:
            for j in range(X.shape[1]):
                X[i, j] = data.X[row, j]
        else:
            X[i, :] = 0
            for at in range(data.starts[row], data.starts[row + 1]):
                X[i, data.columns[at]] += data.values[at]
        for k in range(Y.shape[1]):
            Y[i, k] = data.Y[row, k]
        if data.weights.size > 0:
            w[i] = data.weights[row]
        else:
            w[i] = 1
        total += w[i]
    return total


def drop(values, out, key, rate):
    """out = values, each dropped or scaled up by its coin."""
    up = out.dtype.type(1 / (1 - rate))
    v, o = values.reshape(-1), out.reshape(-1)
    for i in range(v.size):
        if coin(key, np.uint64(i), rate):
            o[i] = v[i] * up
        else:
            o[i] = 0


def forward_pass(plan, theta, work, n, seed, t, training):
    """Forward through the layers."""
    for l in range(plan.layers.shape[0]):
        at = plan.layers[l]
        X = view(work, at[X_AT], n, at[INPUTS])
        Z = view(work, at[Z_AT], n, at[UNITS])
        call_forward(at[FORWARD], (X, theta[at[P0] : at[P1]], Z))
        A = view(work, at[A_AT], n, at[UNITS])
        if at[ACTIVATE] >= 0:
            call_activate(at[ACTIVATE], (Z, plan.constants[at[C0] : at[C1]], A))
        if at[D_AT] != at[A_AT]:
            D = view(work, at[D_AT], n, at[UNITS])
            if training:
                drop(A, D, layer_key(seed, np.uint64(t), np.uint64(l)), plan.dropout[l])
            else:
                D[:] = A


def backward_pass(plan, theta, work, n, gradient, seed, t, training):
    """Backward through the layers; the derivative of the loss lies in the first of two buffers."""
    here, there = plan.places[1], plan.places[2]
    for l in range(plan.layers.shape[0] - 1, -1, -1):
        at = plan.layers[l]
        dA = view(work, here, n, at[UNITS])
        if training and at[D_AT] != at[A_AT]:
            drop(dA, dA, layer_key(seed, np.uint64(t), np.uint64(l)), plan.dropout[l])
        if at[DEACTIVATE] >= 0:
            Z, A = view(work, at[Z_AT], n, at[UNITS]), view(work, at[A_AT], n, at[UNITS])
            call_deactivate(at[DEACTIVATE], (Z, A, plan.constants[at[C0] : at[C1]], dA))
        X = view(work, at[X_AT], n, at[INPUTS])
        dX = view(work, there, n if l > 0 else 0, at[INPUTS])
        p, dp = theta[at[P0] : at[P1]], gradient[at[P0] : at[P1]]
        call_backward(at[BACKWARD], (dA, X, p, dX, dp))
        here, there = there, here


def loss_pass(plan, work, n, w, scale):
    """The loss of the rows in the workspace (not yet divided), and its derivative."""
    last = plan.layers[plan.layers.shape[0] - 1]
    Z = view(work, last[D_AT], n, last[UNITS])
    Y = view(work, plan.places[0], n, last[UNITS])
    dZ = view(work, plan.places[1], n, last[UNITS])
    return call_loss(plan.loss[0], (Z, Y, w, w.dtype.type(scale), plan.loss_constants, dZ))


def penalty_pass(plan, theta, gradient, scale):
    """The penalties' value; their derivative is added to the gradient."""
    total = 0.0
    for q in range(plan.penalties.size):
        strength = plan.strengths[q] * scale
        if strength == 0:
            continue
        for s in range(plan.segments.shape[0]):
            start, stop, free = plan.segments[s]
            if free == 0:
                w, g = theta[start:stop], gradient[start:stop]
                total += call_penalty(plan.penalties[q], (w, w.dtype.type(strength), g))
    return total


def penalty_scale(plan, total):
    """Factor on the penalties for rows of that total weight."""
    if plan.per_batch[0] == 0:
        return 1.0
    return 1 / total if total > 0 else 0.0


def load(plan, data, order, begin, n, work, w):
    """Bring rows into the workspace; returns their total weight."""
    first, last = plan.layers[0], plan.layers[plan.layers.shape[0] - 1]
    X = view(work, first[X_AT], n, first[INPUTS])
    return gather(data, order, begin, n, X, view(work, plan.places[0], n, last[UNITS]), w)


def run_steps(plan, data, method, theta, slots, gradient, work, w, order, span, rates, losses, seed):
    """Training steps span[0] to span[1] of an epoch; span[2] is the batch size, span[3] the steps before."""
    for number in range(span[0], span[1]):
        begin, t = number * span[2], span[3] + number - span[0] + 1
        n = min(span[2], order.size - begin)
        total = load(plan, data, order, begin, n, work, w)
        scale = 1 / total if total > 0 else 0.0
        forward_pass(plan, theta, work, n, seed[0], t, True)
        value = loss_pass(plan, work, n, w[:n], scale) * scale
        backward_pass(plan, theta, work, n, gradient, seed[0], t, True)
        value += penalty_pass(plan, theta, gradient, penalty_scale(plan, total))
        losses[number - span[0]] = value
        if not np.isfinite(value):
            return number - span[0]
        for s in range(plan.segments.shape[0]):
            start, stop, free = plan.segments[s]
            rate, h = rates[number - span[0]], method.parameters[free]
            arguments = (theta, gradient, slots, start, stop, rate, t, h, method.scratch)
            call_update(method.address[0], arguments)
    return span[1] - span[0]


def run_gradient(plan, data, theta, gradient, part, work, w, order, chunk, want):
    """Loss of all rows with penalties and, if wanted, its gradient; a chunk of rows at a time."""
    gradient[:] = 0
    value, total = 0.0, 0.0
    if data.weights.size > 0:
        for i in range(order.size):
            total += data.weights[order[i]]
    else:
        total = float(order.size)
    scale = 1 / total if total > 0 else 0.0
    for begin in range(0, order.size, chunk):
        n = min(chunk, order.size - begin)
        load(plan, data, order, begin, n, work, w)
        forward_pass(plan, theta, work, n, np.uint64(0), 0, False)
        value += loss_pass(plan, work, n, w[:n], scale)
        if want:
            backward_pass(plan, theta, work, n, part, np.uint64(0), 0, False)
            for i in range(gradient.size):
                gradient[i] += part[i]
    return value * scale + penalty_pass(plan, theta, gradient, penalty_scale(plan, total))


def run_forward(plan, data, theta, work, w, order, chunk, layer, link, out):
    """Values of a layer for all rows, through the loss's output link if asked for."""
    at = plan.layers[layer]
    for begin in range(0, order.size, chunk):
        n = min(chunk, order.size - begin)
        load(plan, data, order, begin, n, work, w)
        forward_pass(plan, theta, work, n, np.uint64(0), 0, False)
        A, O = view(work, at[D_AT], n, at[UNITS]), out[begin : begin + n]
        if link:
            call_activate(plan.loss[1], (A, plan.loss_constants[:0], O))
        else:
            O[:] = A


def run_jacobian(plan, addresses, data, theta, work, w, order, J, part):
    """J[i, k] = derivatives of output k of row i; all rows fit into the workspace."""
    n, outputs, depth = order.size, J.shape[1], plan.layers.shape[0]
    load(plan, data, order, 0, n, work, w)
    forward_pass(plan, theta, work, n, np.uint64(0), 0, False)
    for k in range(outputs):
        here, there = plan.places[1], plan.places[2]
        seed = view(work, here, n, outputs)
        seed[:] = 0
        seed[:, k] = 1
        for l in range(depth - 1, -1, -1):
            at = plan.layers[l]
            dA = view(work, here, n, at[UNITS])
            if at[DEACTIVATE] >= 0:
                Z, A = view(work, at[Z_AT], n, at[UNITS]), view(work, at[A_AT], n, at[UNITS])
                call_deactivate(at[DEACTIVATE], (Z, A, plan.constants[at[C0] : at[C1]], dA))
            X = view(work, at[X_AT], n, at[INPUTS])
            rows = np.empty((n, at[P1] - at[P0]), J.dtype)
            call_jacobian(addresses[l], (dA, X, rows))
            J[:, k, at[P0] : at[P1]] = rows
            if l > 0:
                dX = view(work, there, n, at[INPUTS])
                call_backward(at[BACKWARD], (dA, X, theta[at[P0] : at[P1]], dX, part[at[P0] : at[P1]]))
            here, there = there, here


HELPERS = (
    (view, gather, drop, forward_pass, backward_pass)
    + (loss_pass, penalty_pass, penalty_scale, load)
)
LOOPS = (run_steps, run_gradient, run_forward, run_jacobian)


@lru_cache
def signatures(dtype: str) -> dict[str, Any]:
    """The signature of each sort of kernel."""
    k = array_types(dtype)
    F, V, M, R = k["F"], k["V"], k["M"], k["R"]
    integer, real = types.int64, types.float64
    return {
        "call_forward": types.void(M, V, M),
        "call_backward": types.void(M, M, V, M, V),
        "call_jacobian": types.void(M, M, M),
        "call_activate": types.void(M, V, M),
        "call_deactivate": types.void(M, M, V, M),
        "call_loss": real(M, M, V, F, V, M),
        "call_penalty": real(V, F, V),
        "call_update": types.void(V, V, M, integer, integer, real, integer, R, V),
    }


@lru_cache
def loops(dtype: str) -> SimpleNamespace:
    """The loops of a dtype, each compiled at its first call."""
    scope = dict(globals())
    scope.update({name: caller(signature) for name, signature in signatures(dtype).items()})
    scope.update(layer_key=specialise(stream_key, literals=False), coin=specialise(kept, literals=False))
    for helper in HELPERS:
        scope[helper.__name__] = register_jitable(rebind(helper, scope))
    made = {
        loop.__name__: compile_function(rebind(loop, scope, template_name(loop, dtype.encode())))
        for loop in LOOPS
    }
    return SimpleNamespace(**made)


# ------------------------------------------------------------------ kernels of rows


def _address(sort: str, dtype: str, template: Any, **parts: Any) -> int:
    return address_of(bind(template, **parts), signatures(dtype)[sort])


STATISTICS = register_jitable(row_statistics)


@lru_cache
def _layer_addresses(kind: str, dtype: str) -> tuple[int, int]:
    row = LAYERS[kind]
    forward = _address("call_forward", dtype, layer_forward, f=row.forward)
    return forward, _address("call_backward", dtype, layer_backward, f=row.backward)


@lru_cache
def _jacobian_address(kind: str, dtype: str) -> int:
    return _address("call_jacobian", dtype, layer_jacobian, f=LAYERS[kind].row_gradients)


def _activation_addresses(row: Activation, dtype: str) -> tuple[int, int]:
    return _activate_address(row.f, row.coupled, len(row.parameters), dtype), (
        _address_of_pullback(row.pullback, dtype)
        if row.coupled
        else _address_of_slope(row.slope, len(row.parameters), dtype)
    )


@lru_cache
def _activate_address(f: Any, coupled: bool, count: int, dtype: str) -> int:
    if coupled:
        return _address("call_activate", dtype, activate_coupled, f=f, statistics=row_statistics)
    return _address("call_activate", dtype, activate_entries, f=f, N=count)


@lru_cache
def _address_of_slope(slope: Any, count: int, dtype: str) -> int:
    return _address("call_deactivate", dtype, deactivate_entries, slope=slope, N=count)


@lru_cache
def _address_of_pullback(pullback: Any, dtype: str) -> int:
    return _address("call_deactivate", dtype, deactivate_coupled, pullback=pullback)


@lru_cache
def _loss_address(value: Any, slope: Any, coupled: bool, count: int, dtype: str) -> int:
    parts = {"value": value, "slope": slope}
    if coupled:
        return _address("call_loss", dtype, loss_coupled, statistics=row_statistics, **parts)
    return _address("call_loss", dtype, loss_entries, N=count, **parts)


@lru_cache
def _penalty_address(name: str, dtype: str) -> int:
    row = PENALTIES[name]
    return _address("call_penalty", dtype, penalty, value=row.value, slope=row.slope)


@lru_cache
def _update_address(name: str, step: Any, scalars: Any, slots: int, counts: tuple[int, int], dtype: str) -> int:
    parts = {"step": step, "scalars": scalars, "N": counts[0], "M": counts[1]}
    return _address("call_update", dtype, UPDATES[slots], **parts)


def make_method(row: Optimiser, dtype: str) -> Method:
    """An optimiser as the loops take it."""
    assert row.step is not None and row.scalars is not None
    parameters = np.array([list(row.parameters.values()), decay_free(row)], dtype=np.float64)
    count = len(row.scalars(1.0, 1, *parameters[0]))
    address = _update_address(
        row.name, row.step, row.scalars, len(row.slots), (len(row.parameters), count), dtype
    )
    return Method(np.array([address]), parameters.reshape(2, -1), np.zeros(max(count, 1), dtype))


def make_plan(objective: Objective) -> Plan:
    """The plan of an objective: addresses, sizes and places."""
    network, dtype = objective.network, objective.network.dtype
    table = np.full((len(network.layers), 14), -1, dtype=np.int64)
    constants: list[float] = []
    column = network.inputs
    for index, (layer, row) in enumerate(zip(network.layers, network.activations, strict=True)):
        stretch, at = objective.layout.layer_slice(index), table[index]
        at[[FORWARD, BACKWARD]] = _layer_addresses(layer.kind, dtype)
        at[[INPUTS, UNITS]] = network.widths[index], layer.units
        at[[P0, P1]] = stretch.start, stretch.stop
        at[[C0, C1]] = len(constants), len(constants) + len(row.parameters)
        constants += row.parameters.values()
        at[X_AT] = table[index - 1, D_AT] if index else 0
        at[[Z_AT, A_AT, D_AT]] = column
        if row.name != "identity":
            at[[ACTIVATE, DEACTIVATE]] = _activation_addresses(row, dtype)
            column += layer.units
            at[[A_AT, D_AT]] = column
        if layer.dropout:
            column += layer.units
            at[D_AT] = column
        column += layer.units
    width = max(network.widths)
    places = np.array([column, column + network.outputs, column + network.outputs + width, 0])
    places[3] = places[2] + width
    strengths = {name: s for name, s in objective.strengths.items() if s}
    return Plan(
        layers=table,
        constants=np.array(constants, dtype=dtype),
        dropout=np.array([layer.dropout for layer in network.layers]),
        loss=np.array(_loss_addresses(network.loss_row, dtype)),
        loss_constants=np.array(list(network.loss_row.parameters.values()), dtype=dtype),
        penalties=np.array([_penalty_address(name, dtype) for name in strengths], dtype=np.int64),
        strengths=np.array(list(strengths.values()), dtype=np.float64),
        segments=np.array(objective.segments(), dtype=np.int64),
        places=places,
        per_batch=np.array([int(objective.per_batch)]),
    )


def _loss_addresses(row: Loss, dtype: str) -> tuple[int, int]:
    link = ACTIVATIONS[row.link]
    return (
        _loss_address(row.value, row.slope, row.coupled, len(row.parameters), dtype),
        _activate_address(link.f, link.coupled, len(link.parameters), dtype),
    )


def make_rows(X: Any, Y: Array | None, weights: Array | None, outputs: int, dtype: str) -> Rows:
    """Data as the loops take them: read-only, contiguous views; no copy where they are so already."""
    none, whole = np.empty(0, dtype), np.empty(0, np.int64)
    if hasattr(X, "indptr"):
        X = X.tocsr()  # a compressed column matrix has the same attributes
        dense = np.empty((0, 0), dtype)
        sparse = (X.data.astype(dtype, copy=False), *(a.astype(np.int64) for a in (X.indices, X.indptr)))
    else:
        dense, sparse = np.ascontiguousarray(X, dtype=dtype), (none, whole, whole)
    if Y is None:
        Y = np.broadcast_to(np.zeros((), dtype), (X.shape[0], 0)).copy()
    w = none if weights is None else np.ascontiguousarray(weights, dtype=dtype)
    return Rows(*(frozen(a) for a in (dense, *sparse, np.ascontiguousarray(Y, dtype=dtype), w)))


def frozen(array: Any) -> Any:
    """A read-only view, so that all data have one type in the compiled code."""
    view_of = array.view()
    view_of.flags.writeable = False
    return view_of


class Run:
    """The compiled run of a network's training: the same methods as `chainrule.reference.Run`.

    Parameters
    ----------
    objective : Objective
        Network, penalties and how they scale.
    optimiser : Optimiser, optional
        Needed by `steps` only.
    """

    def __init__(self, objective: Objective, optimiser: Optimiser | None = None) -> None:
        self.objective = objective
        self.network = objective.network
        self.dtype = objective.network.dtype
        self.plan = make_plan(objective)
        self.loops = loops(self.dtype)
        self.method = make_method(optimiser, self.dtype) if optimiser and optimiser.step else None
        self._work = np.empty(0, self.dtype)
        self._w = np.empty(0, self.dtype)
        self._data: tuple[Any, Rows] | None = None
        self._gradient = np.empty(objective.layout.size, self.dtype)

    def _space(self, rows: int) -> tuple[Array, Array]:
        """A workspace for that many rows, kept from call to call."""
        if self._w.size < rows:
            self._w = np.empty(rows, self.dtype)
            self._work = np.empty(rows * int(self.plan.places[3]), self.dtype)
        return self._work, self._w

    def _rows(self, batch: Batch) -> Rows:
        if self._data is None or self._data[0] is not batch:
            made = make_rows(batch.X, batch.Y, batch.weights, self.network.outputs, self.dtype)
            self._data = batch, made
        return self._data[1]

    def values(self, theta: Array, X: Any, layer: int = -1, link: bool = False) -> Array:
        """Values of a layer after its activation (the loss's z for the last one)."""
        n, depth = X.shape[0], len(self.network.layers)
        layer %= depth
        rows = make_rows(X, np.zeros((n, self.network.outputs), self.dtype), None, 0, self.dtype)
        chunk = max(1, min(n, CHUNK))
        out = np.empty((n, self.network.layers[layer].units), self.dtype)
        order = np.arange(n)
        self.loops.run_forward(self.plan, rows, theta, *self._space(chunk), order, chunk, layer, link, out)
        return out

    def predict(self, theta: Array, X: Any) -> Array:
        """Predictions: the last layer's values through the loss's output link."""
        return self.values(theta, X, link=True)

    def _evaluate(self, theta: Array, batch: Batch, want: bool) -> tuple[float, Array]:
        n = len(batch)
        chunk, gradient = max(1, min(n, CHUNK)), np.empty_like(self._gradient)
        space, order = self._space(chunk), np.arange(n)
        value = self.loops.run_gradient(
            self.plan, self._rows(batch), theta, gradient, self._gradient, *space, order, chunk, want
        )
        return float(value), gradient

    def loss(self, theta: Array, batch: Batch) -> float:
        """Loss of all given rows with penalties."""
        return self._evaluate(theta, batch, False)[0]

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """Loss of all given rows with penalties, and its gradient."""
        return self._evaluate(theta, batch, True)

    def jacobian(self, theta: Array, X: Any) -> tuple[Array, Array]:
        """The last layer's values (n, outputs) and their derivatives (n, outputs, parameters)."""
        n, outputs = X.shape[0], self.network.outputs
        rows = make_rows(X, np.zeros((n, outputs), self.dtype), None, 0, self.dtype)
        J = np.zeros((n, outputs, self.objective.layout.size), self.dtype)
        kinds = [_jacobian_address(layer.kind, self.dtype) for layer in self.network.layers]
        space, order = self._space(n), np.arange(n)
        self.loops.run_jacobian(
            self.plan, np.array(kinds), rows, theta, *space, order, J, np.empty_like(self._gradient)
        )
        return self.values(theta, X), J

    def steps(self, stretch: Stretch) -> int:
        """Run the training steps of a stretch of an epoch; returns how many were done.

        It stops early, before the update, at a loss that is not finite.
        """
        s = stretch
        assert self.method is not None
        span = np.array([s.first, s.last, s.batch_size, s.t])
        seed = np.array([s.seed], dtype=np.uint64)
        done = self.loops.run_steps(
            self.plan, self._rows(s.batch), self.method, s.theta, s.slots, self._gradient,
            *self._space(s.batch_size), s.order, span, s.rates, s.losses, seed,
        )  # fmt: skip
        return int(done)
