# mypy: disable-error-code="name-defined, no-untyped-call"
"""The loops of the compiled run: plain functions that Numba compiles once for each dtype.

The loops read like the mathematics: forward through the layers, the loss, backward through the layers,
the penalties, the update. They know no layer kind, activation, loss or optimiser: each is a kernel,
compiled once from its row and called by its address. All arrays of a step live in one workspace, laid
out by a `Plan`; nothing is allocated in a loop.

Names that stand open here (call_forward, coin, ...) are bound by `chainrule.compiled`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# Columns of Plan.layers: addresses, sizes, and places in the parameters, constants and workspace.
FORWARD, BACKWARD, ACTIVATE, DEACTIVATE, INPUTS, UNITS, P0, P1, C0, C1, X_AT, Z_AT, A_AT, D_AT = range(14)


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
    places: Any  # int64 (5,): where Y and the two derivative buffers are; columns in all; of the scratch
    per_batch: Any  # int64 (1,)


class Rows(NamedTuple):
    """The data: a dense X, or a CSR one (values, columns, starts) with an empty X."""

    X: Any
    values: Any
    columns: Any
    starts: Any
    Y: Any
    weights: Any


class Space(NamedTuple):
    """Room for the rows of a step: for all their arrays, for their weights, and a scratch."""

    work: Any
    weights: Any
    scratch: Any


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


def forward_pass(plan, theta, space, n, seed, t, training):
    """Forward through the layers."""
    for index in range(plan.layers.shape[0]):
        at = plan.layers[index]
        X = view(space.work, at[X_AT], n, at[INPUTS])
        Z = view(space.work, at[Z_AT], n, at[UNITS])
        call_forward(at[FORWARD], (X, theta[at[P0] : at[P1]], Z))
        A = view(space.work, at[A_AT], n, at[UNITS])
        if at[ACTIVATE] >= 0:
            call_activate(at[ACTIVATE], (Z, plan.constants[at[C0] : at[C1]], A, space.scratch))
        if at[D_AT] != at[A_AT]:
            D = view(space.work, at[D_AT], n, at[UNITS])
            if training:
                drop(A, D, layer_key(seed, np.uint64(t), np.uint64(index)), plan.dropout[index])
            else:
                D[:] = A


def backward_pass(plan, theta, space, n, gradient, seed, t, training):
    """Backward through the layers; the derivative of the loss lies in the first of two buffers."""
    here, there = plan.places[1], plan.places[2]
    for index in range(plan.layers.shape[0] - 1, -1, -1):
        at = plan.layers[index]
        dA = view(space.work, here, n, at[UNITS])
        if training and at[D_AT] != at[A_AT]:
            drop(dA, dA, layer_key(seed, np.uint64(t), np.uint64(index)), plan.dropout[index])
        if at[DEACTIVATE] >= 0:
            Z, A = view(space.work, at[Z_AT], n, at[UNITS]), view(space.work, at[A_AT], n, at[UNITS])
            call_deactivate(at[DEACTIVATE], (Z, A, plan.constants[at[C0] : at[C1]], dA))
        X = view(space.work, at[X_AT], n, at[INPUTS])
        dX = view(space.work, there, n if index > 0 else 0, at[INPUTS])
        p, dp = theta[at[P0] : at[P1]], gradient[at[P0] : at[P1]]
        call_backward(at[BACKWARD], (dA, X, p, dX, dp))
        here, there = there, here


def loss_pass(plan, space, n, scale):
    """The loss of the rows in the workspace (not yet divided), and its derivative."""
    last = plan.layers[plan.layers.shape[0] - 1]
    Z = view(space.work, last[D_AT], n, last[UNITS])
    Y = view(space.work, plan.places[0], n, last[UNITS])
    dZ = view(space.work, plan.places[1], n, last[UNITS])
    w = space.weights[:n]
    arguments = (Z, Y, w, w.dtype.type(scale), plan.loss_constants, dZ, space.scratch)
    return call_loss(plan.loss[0], arguments)


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


def load(plan, data, order, begin, n, space):
    """Bring rows into the workspace; returns their total weight."""
    first, last = plan.layers[0], plan.layers[plan.layers.shape[0] - 1]
    X = view(space.work, first[X_AT], n, first[INPUTS])
    return gather(data, order, begin, n, X, view(space.work, plan.places[0], n, last[UNITS]), space.weights)


def run_steps(plan, data, method, theta, slots, gradient, space, order, span, rates, losses, seed):
    """Training steps span[0] to span[1] of an epoch; span[2] is the batch size, span[3] the steps before."""
    for number in range(span[0], span[1]):
        begin, t = number * span[2], span[3] + number - span[0] + 1
        n = min(span[2], order.size - begin)
        total = load(plan, data, order, begin, n, space)
        scale = 1 / total if total > 0 else 0.0
        forward_pass(plan, theta, space, n, seed[0], t, True)
        value = loss_pass(plan, space, n, scale) * scale
        backward_pass(plan, theta, space, n, gradient, seed[0], t, True)
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


def run_gradient(plan, data, theta, gradient, part, space, order, chunk, want):
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
        load(plan, data, order, begin, n, space)
        forward_pass(plan, theta, space, n, np.uint64(0), 0, False)
        value += loss_pass(plan, space, n, scale)
        if want:
            backward_pass(plan, theta, space, n, part, np.uint64(0), 0, False)
            for i in range(gradient.size):
                gradient[i] += part[i]
    return value * scale + penalty_pass(plan, theta, gradient, penalty_scale(plan, total))


def run_forward(plan, data, theta, space, order, chunk, layer, link, out):
    """Values of a layer for all rows, through the loss's output link if asked for."""
    at = plan.layers[layer]
    for begin in range(0, order.size, chunk):
        n = min(chunk, order.size - begin)
        load(plan, data, order, begin, n, space)
        forward_pass(plan, theta, space, n, np.uint64(0), 0, False)
        A, part = view(space.work, at[D_AT], n, at[UNITS]), out[begin : begin + n]
        if link:
            call_activate(plan.loss[1], (A, plan.loss_constants[:0], part, space.scratch))
        else:
            part[:] = A


def run_jacobian(plan, addresses, data, theta, space, order, J, part):
    """J[i, k] = derivatives of output k of row i; all rows fit into the workspace."""
    n, outputs, depth = order.size, J.shape[1], plan.layers.shape[0]
    load(plan, data, order, 0, n, space)
    forward_pass(plan, theta, space, n, np.uint64(0), 0, False)
    for k in range(outputs):
        here, there = plan.places[1], plan.places[2]
        seed = view(space.work, here, n, outputs)
        seed[:] = 0
        seed[:, k] = 1
        for index in range(depth - 1, -1, -1):
            at = plan.layers[index]
            dA = view(space.work, here, n, at[UNITS])
            if at[DEACTIVATE] >= 0:
                Z, A = view(space.work, at[Z_AT], n, at[UNITS]), view(space.work, at[A_AT], n, at[UNITS])
                call_deactivate(at[DEACTIVATE], (Z, A, plan.constants[at[C0] : at[C1]], dA))
            X = view(space.work, at[X_AT], n, at[INPUTS])
            rows = np.empty((n, at[P1] - at[P0]), J.dtype)
            call_jacobian(addresses[index], (dA, X, rows))
            J[:, k, at[P0] : at[P1]] = rows
            if index > 0:
                dX = view(space.work, there, n, at[INPUTS])
                call_backward(at[BACKWARD], (dA, X, theta[at[P0] : at[P1]], dX, part[at[P0] : at[P1]]))
            here, there = there, here


HELPERS = (
    view,
    gather,
    drop,
    forward_pass,
    backward_pass,
    loss_pass,
    penalty_pass,
    penalty_scale,
    load,
)
LOOPS = (run_steps, run_gradient, run_forward, run_jacobian)
