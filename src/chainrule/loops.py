# mypy: disable-error-code="name-defined, no-untyped-call"
"""The loops of the compiled run: plain functions that Numba compiles once for each dtype.

The loops read like the mathematics: forward through the layers, the loss, backward through the layers,
the penalties, the update. They know no layer kind, activation, loss or optimiser: each is a kernel,
compiled once from its row and called by its address. All arrays of a step live in one workspace, laid
out by a `Plan`; nothing is allocated in a loop.

A team of threads may share a step. Up to the derivatives of Z each member works on rows of its own, and
then on parameters of its own: on some rows of each W, whose gradient it needs only for a moment, in a
scratch that stays in its cache, and whose update follows at once. They meet twice a step.

Names that stand open here (call_forward, coin, ...) are bound by `chainrule.planning`.
"""

from __future__ import annotations

import numpy as np

from chainrule import sparse_rows, workspace
from chainrule.native import borrowed, flat, matrix_at, meet
from chainrule.plan import (
    A_AT,
    ACTIVATE,
    BACKWARD,
    C0,
    C1,
    D_AT,
    DEACTIVATE,
    DZ_AT,
    FORWARD,
    INPUTS,
    P0,
    P1,
    PIECE,
    SLICES,
    UNITS,
    X_AT,
    Z_AT,
    Desk,
    Plan,
    Space,
)
from chainrule.sparse_rows import sparse_forward, sparse_gradient
from chainrule.workspace import gather, gather_targets, lent, rows_of, share, total_weight, view, weigh_rows


def drop(values, out, key, first, rate):
    """out = values, each dropped or scaled up by its coin; `first` is the number of the first."""
    up = out.dtype.type(1 / (1 - rate))
    v, o = flat(values), flat(out)
    for i in range(v.size):
        if coin(key, np.uint64(first + i), rate):
            o[i] = v[i] * up
        else:
            o[i] = 0


def forward_pass(plan, theta, space, desk, n, first, last, seed, t, training):
    """Forward through the layers, of rows first to last."""
    for index in range(plan.layers.shape[0]):
        at = plan.layers[index]
        units = at[UNITS]
        Z = rows_of(space.work, at[Z_AT], n, units, first, last)
        if at[X_AT] >= 0:  # of sparse rows, Z is there already
            X = rows_of(space.work, at[X_AT], n, at[INPUTS], first, last)
            call_forward(at[FORWARD], (X, theta[at[P0] : at[P1]], Z))
        A = rows_of(space.work, at[A_AT], n, units, first, last)
        if at[ACTIVATE] >= 0:
            call_activate(at[ACTIVATE], (Z, plan.constants[at[C0] : at[C1]], A, desk.scratch))
        if at[D_AT] != at[A_AT]:
            D = rows_of(space.work, at[D_AT], n, units, first, last)
            if training:
                key = layer_key(seed, np.uint64(t), np.uint64(index))
                drop(A, D, key, first * units, plan.dropout[index])
            else:
                D[:] = A


def loss_pass(plan, space, desk, n, first, last, weighted, scale):
    """The loss of rows first to last (not yet divided), and its derivative."""
    layer = plan.layers[plan.layers.shape[0] - 1]
    Z = rows_of(space.work, layer[D_AT], n, layer[UNITS], first, last)
    Y = rows_of(space.work, plan.places[0], n, layer[UNITS], first, last)
    dZ = rows_of(space.work, layer[DZ_AT], n, layer[UNITS], first, last)
    w = space.weights[first:last] if weighted else space.weights[:0]
    arguments = (Z, Y, w, w.dtype.type(scale), plan.loss_constants, dZ, desk.scratch)
    return call_loss(plan.loss[0], arguments)


def backward_pass(plan, theta, space, n, first, last, seed, t, training):
    """Backward through the layers, of rows first to last: the derivatives of all Z."""
    for index in range(plan.layers.shape[0] - 1, -1, -1):
        at = plan.layers[index]
        units = at[UNITS]
        dA = rows_of(space.work, at[DZ_AT], n, units, first, last)
        if training and at[D_AT] != at[A_AT]:
            key = layer_key(seed, np.uint64(t), np.uint64(index))
            drop(dA, dA, key, first * units, plan.dropout[index])
        if at[DEACTIVATE] >= 0:
            Z = rows_of(space.work, at[Z_AT], n, units, first, last)
            A = rows_of(space.work, at[A_AT], n, units, first, last)
            call_deactivate(at[DEACTIVATE], (Z, A, plan.constants[at[C0] : at[C1]], dA))
        if index > 0:
            X = rows_of(space.work, at[X_AT], n, at[INPUTS], first, last)
            dX = rows_of(space.work, plan.layers[index - 1, DZ_AT], n, at[INPUTS], first, last)
            p = theta[at[P0] : at[P1]]
            call_backward(at[BACKWARD], (dA, X, p, dX, p[:0]))


def load(plan, data, theta, order, begin, n, first, last, space):
    """Bring a member's rows, and the weights of all, into the workspace; returns the weights' sum.

    In place of sparse rows come the first layer's Z.
    """
    layer, output = plan.layers[0], plan.layers[plan.layers.shape[0] - 1]
    Y = rows_of(space.work, plan.places[0], n, output[UNITS], first, last)
    if layer[X_AT] >= 0:
        gather(data, order, begin + first, rows_of(space.work, layer[X_AT], n, layer[INPUTS], first, last))
    else:
        Z = rows_of(space.work, layer[Z_AT], n, layer[UNITS], first, last)
        sparse_forward(data, order, begin + first, theta[layer[P0] : layer[P1]], Z, layer[INPUTS])
    gather_targets(data, order, begin + first, Y)
    return weigh_rows(data, order, begin, n, space.weights)


def penalty_scale(plan, total):
    """Factor on the penalties for rows of that total weight."""
    if plan.per_batch[0] == 0:
        return 1.0
    return 1 / total if total > 0 else 0.0


def penalise(plan, theta, gradient, start, stop, scale):
    """The penalties of parameters start to stop; their derivative is added to the gradient of these."""
    total = 0.0
    for q in range(plan.penalties.size):
        strength = plan.strengths[q] * scale
        if strength == 0:
            continue
        for s in range(plan.segments.shape[0]):
            begin, end = max(plan.segments[s, 0], start), min(plan.segments[s, 1], stop)
            if plan.segments[s, 2] == 0 and begin < end:
                w, g = theta[begin:end], gradient[begin - start : end - start]
                total += call_penalty(plan.penalties[q], (w, w.dtype.type(strength), g))
    return total


def move(plan, method, theta, gradient, slots, start, stop, scalars):
    """The optimiser's step of parameters start to stop, whose gradient is given."""
    if method.decays[0] == 0:
        arguments = (theta[start:stop], gradient[: stop - start], slots, start, scalars[0])
        call_update(method.address[0], arguments)
        return
    for s in range(plan.segments.shape[0]):
        begin, end = max(plan.segments[s, 0], start), min(plan.segments[s, 1], stop)
        if begin < end:
            w, g = theta[begin:end], gradient[begin - start : end - start]
            arguments = (w, g, slots, begin, scalars[plan.segments[s, 2]])
            call_update(method.address[0], arguments)


def pieces(plan, index, rank, count):
    """A member's slices of a layer's parameters: the first, the one after the last, how many at once."""
    at = plan.layers[index]
    if at[SLICES] == 0:
        mine = rank == index % count
        return 0, 1 if mine else 0, 1
    first, last = share(at[INPUTS], rank, count)
    return first, last, max(1, PIECE // at[UNITS])


def piece_gradient(plan, data, theta, order, begin, space, n, index, first, last, gradient):
    """The gradient of slices first to last of a layer's parameters; returns where these begin and end.

    A dense layer's slices are the rows of W. Restricted to some of its inputs it is a dense layer too, so
    its own equation serves; what that says of b holds for the whole, and counts with the last slice.
    """
    at = plan.layers[index]
    dZ = view(space.work, at[DZ_AT], n, at[UNITS])
    p = theta[at[P0] : at[P1]]
    start, stop = first * at[UNITS], last * at[UNITS]
    rest = p.size - at[INPUTS] * at[UNITS]
    dp = gradient[: stop - start + rest]
    if at[X_AT] < 0:
        sparse_gradient(data, order, begin, dZ, first, last, dp)
    else:
        X = view(space.work, at[X_AT], n, at[INPUTS])
        if at[SLICES] == 0:
            call_backward(at[BACKWARD], (dZ, X, p, X[:0], gradient[: p.size]))
            return at[P0], at[P1]
        call_backward(at[BACKWARD], (dZ, X[:, first:last], p, X[:0], dp))
    return at[P0] + start, at[P0] + stop + (rest if last == at[INPUTS] else 0)


def update_pass(plan, data, order, at, method, theta, slots, space, desk, n, rank, count, scale):
    """The gradient of a member's parameters, their penalties and their step; returns the penalties."""
    total = 0.0
    for index in range(plan.layers.shape[0]):
        first, last, most = pieces(plan, index, rank, count)
        for begin in range(first, last, most):
            end = min(begin + most, last)
            start, stop = piece_gradient(
                plan, data, theta, order, at, space, n, index, begin, end, desk.gradient
            )
            total += penalise(plan, theta, desk.gradient, start, stop, scale)
            move(plan, method, theta, desk.gradient, slots, start, stop, desk.scalars)
    return total


def gathered(shares):
    """The sum over the members, in their order."""
    total = 0.0
    for rank in range(shares.shape[0]):
        total += shares[rank, 0]
    return total


def run_steps(plan, data, method, theta, slots, space, desk, team, rank, order, span, rates, losses, seed):
    """Training steps span[0] to span[1] of an epoch; span[2] is the batch size, span[3] the steps before.

    All members of a team call it, each with its rank; each returns the number of steps that were done.
    """
    plan, data, space, desk, team = lent(plan, data, space, desk, team)
    theta, slots, order = borrowed(theta), borrowed(slots), borrowed(order)
    count = team.losses.shape[0]
    for number in range(span[0], span[1]):
        done = number - span[0]
        begin, t = number * span[2], span[3] + done + 1
        n = min(span[2], order.size - begin)
        first, last = share(n, rank, count)
        total = load(plan, data, theta, order, begin, n, first, last, space)
        scale = 1 / total if total > 0 else 0.0
        team.losses[rank, 0] = 0.0
        if first < last:
            forward_pass(plan, theta, space, desk, n, first, last, seed[0], t, True)
            weighted = data.weights.size > 0
            team.losses[rank, 0] = loss_pass(plan, space, desk, n, first, last, weighted, scale)
            backward_pass(plan, theta, space, n, first, last, seed[0], t, True)
        if count > 1:
            meet(team.counters, count)
        value = gathered(team.losses) * scale
        if rank == 0:
            losses[done] = value
        if not np.isfinite(value):
            return done
        for free in range(1 + method.decays[0]):
            call_scalars(method.address[1], (rates[done], t, method.parameters[free], desk.scalars[free]))
        shrink = penalty_scale(plan, total)
        team.penalties[rank, 0] = update_pass(
            plan, data, order, begin, method, theta, slots, space, desk, n, rank, count, shrink
        )
        if count > 1:
            meet(team.counters, count)
        value += gathered(team.penalties)
        if rank == 0:
            losses[done] = value
        if not np.isfinite(value):
            return done
    return span[1] - span[0]


def run_gradient(plan, data, theta, gradient, space, desk, team, rank, order, chunk, want):
    """Loss of all rows with penalties and, if wanted, its gradient; a chunk of rows at a time."""
    plan, data, space, desk, team = lent(plan, data, space, desk, team)
    theta, gradient, order = borrowed(theta), borrowed(gradient), borrowed(order)
    count, value, total = team.losses.shape[0], 0.0, total_weight(data, order)
    scale = 1 / total if total > 0 else 0.0
    for begin in range(0, order.size, chunk):
        n = min(chunk, order.size - begin)
        first, last = share(n, rank, count)
        load(plan, data, theta, order, begin, n, first, last, space)
        if first < last:
            forward_pass(plan, theta, space, desk, n, first, last, np.uint64(0), 0, False)
            value += loss_pass(plan, space, desk, n, first, last, data.weights.size > 0, scale)
            if want:
                backward_pass(plan, theta, space, n, first, last, np.uint64(0), 0, False)
        if want:
            if count > 1:
                meet(team.counters, count)
            add_gradient(plan, data, theta, order, begin, gradient, space, desk, n, rank, count)
        if count > 1:
            meet(team.counters, count)
    team.losses[rank, 0] = value
    team.penalties[rank, 0] = 0.0
    if rank == 0:
        shrink = penalty_scale(plan, total)
        team.penalties[rank, 0] = penalise(plan, theta, gradient, 0, gradient.size, shrink)
    if count > 1:
        meet(team.counters, count)
    return gathered(team.losses) * scale + gathered(team.penalties)


def add_gradient(plan, data, theta, order, at, gradient, space, desk, n, rank, count):
    """Add the gradient of a member's parameters over the rows from `at` on; of the first rows, set it."""
    for index in range(plan.layers.shape[0]):
        first, last, most = pieces(plan, index, rank, count)
        for begin in range(first, last, most):
            end = min(begin + most, last)
            start, stop = piece_gradient(
                plan, data, theta, order, at, space, n, index, begin, end, desk.gradient
            )
            part = gradient[start:stop]
            if at == 0:
                part[:] = 0
            for i in range(part.size):
                part[i] += desk.gradient[i]


def run_forward(plan, data, theta, space, desk, rank, count, order, chunk, layer, link, out):
    """Values of a layer for all rows, through the loss's output link if asked for.

    The members take turns at the chunks, each in a workspace of its own.
    """
    theta, out = borrowed(theta), borrowed(out)
    at = plan.layers[layer]
    for begin in range(rank * chunk, order.size, chunk * count):
        n = min(chunk, order.size - begin)
        load(plan, data, theta, order, begin, n, 0, n, space)
        forward_pass(plan, theta, space, desk, n, 0, n, np.uint64(0), 0, False)
        A, part = view(space.work, at[D_AT], n, at[UNITS]), out[begin : begin + n]
        if link:
            call_activate(plan.loss[1], (A, plan.loss_constants[:0], part, desk.scratch))
        else:
            part[:] = A


def opened(ticket):
    """A plan, parameters and room from their addresses and sizes: see `chainrule.planning.make_ticket`."""
    depth, columns = ticket[0], ticket[1]
    layers, places = integers_at(ticket[2], depth * columns), integers_at(ticket[4], 2)
    constants, theta = numbers_at(ticket[6], ticket[7]), numbers_at(ticket[8], ticket[9])
    dropout, loss = reals_at(ticket[10], depth), integers_at(ticket[12], 2)
    loss_constants, none = numbers_at(ticket[14], ticket[15]), integers_at(ticket[2], 0)
    plan = Plan(
        matrix_at(layers, 0, depth, columns), constants, dropout, loss, loss_constants, none, dropout[:0],
        matrix_at(none, 0, 0, 3), places, none,
    )  # fmt: skip
    space = Space(numbers_at(ticket[16], ticket[17]), constants[:0])
    desk = Desk(reals_at(ticket[18], ticket[19]), constants[:0], matrix_at(constants, 0, 0, 1))
    return plan, theta, space, desk


def run_rows(ticket, X, out):
    """Predictions of a few rows.

    The call takes in three arrays where `run_forward` has twenty, for which a small network need not wait.
    """
    plan, theta, space, desk = opened(ticket)
    X, out, n = borrowed(X), borrowed(out), X.shape[0]
    first, last = plan.layers[0], plan.layers[plan.layers.shape[0] - 1]
    inputs, given = flat(view(space.work, first[X_AT], n, first[INPUTS])), flat(X)
    for i in range(inputs.size):
        inputs[i] = given[i]
    forward_pass(plan, theta, space, desk, n, 0, n, np.uint64(0), 0, False)
    A = view(space.work, last[D_AT], n, last[UNITS])
    call_activate(plan.loss[1], (A, plan.loss_constants[:0], out, desk.scratch))


def run_jacobian(plan, addresses, data, theta, space, desk, order, J):
    """J[i, k] = derivatives of output k of row i; all rows fit into the workspace."""
    n, outputs, depth = order.size, J.shape[1], plan.layers.shape[0]
    load(plan, data, theta, order, 0, n, 0, n, space)
    forward_pass(plan, theta, space, desk, n, 0, n, np.uint64(0), 0, False)
    for k in range(outputs):
        seed = view(space.work, plan.layers[depth - 1, DZ_AT], n, outputs)
        seed[:] = 0
        seed[:, k] = 1
        backward_pass(plan, theta, space, n, 0, n, np.uint64(0), 0, False)
        for index in range(depth):
            at = plan.layers[index]
            dZ = view(space.work, at[DZ_AT], n, at[UNITS])
            X = view(space.work, at[X_AT], n, at[INPUTS])
            rows = np.empty((n, at[P1] - at[P0]), J.dtype)
            call_jacobian(addresses[index], (dZ, X, rows))
            J[:, k, at[P0] : at[P1]] = rows


HELPERS = (
    *workspace.HELPERS, *sparse_rows.HELPERS, drop, forward_pass, loss_pass, backward_pass, load,
    penalty_scale, penalise, move, pieces, piece_gradient, update_pass, gathered, add_gradient, opened,
)  # fmt: skip
LOOPS = (run_steps, run_gradient, run_forward, run_rows, run_jacobian)
