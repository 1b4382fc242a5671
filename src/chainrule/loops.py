# mypy: disable-error-code="name-defined, no-untyped-call"
"""The loops of the compiled run: plain functions that Numba compiles once for each dtype.

A team of threads may share a step. Up to the derivatives of Z each member works on rows of its own, and
then on parameters of its own: on some rows of each W, whose gradient it needs only for a moment, in a
scratch that stays in its cache, and whose update follows at once. They meet twice a step.

Names that stand open here (call_backward, numbers_at, ...) are bound by `chainrule.planning`.
"""

from __future__ import annotations

import numpy as np

from chainrule.native import borrowed, flat, matrix_at, meet, part, rows_of
from chainrule.passes import (
    add_gradient,
    backward_pass,
    copy_entries,
    forward_pass,
    load,
    loss_pass,
    penalise,
    penalty_scale,
    predict_pass,
    prepare,
    update_pass,
)
from chainrule.plan import (
    BACKWARD,
    D_AT,
    DECAY,
    DROPOUT,
    DZ_AT,
    INPUTS,
    MEMBERS,
    NONE,
    P0,
    P1,
    PARTS,
    RATE,
    S0,
    S1,
    SLICES,
    UNITS,
    X_AT,
    Desk,
    Plan,
    Space,
)
from chainrule.workspace import lanes, share, total_weight


def run_steps(plan, data, method, theta, slots, space, desk, team, rank, order, span, rates, losses, seed):
    """Training steps span[0] to span[1] of an epoch; span[2] is the batch size, span[3] the steps before.

    `rates` has a column for each step: the learning rate, and factors on weight decay and on dropout.
    All members of a team call it, each with its rank; each returns the number of steps that were done.
    """
    count, members = team.count[0], plan.places[PARTS]
    for number in range(span[0], span[1]):
        done = number - span[0]
        begin, t = number * span[2], span[3] + done + 1
        n = min(span[2], order.size - begin)
        first, last = share(n, rank, count)
        total = load(plan, data, theta, order, begin, n, first, last, space)
        scale = 1 / total if total > 0 else 0.0
        if first < last:
            dropping = rates[DROPOUT, done]
            forward_pass(plan, theta, space, desk, n, first, last, seed[0], t, dropping)
            weighted = data.weights.size > 0
            loss_pass(plan, space, desk, team.losses, n, first, last, weighted, scale)
            backward_pass(plan, theta, space, n, first, last, seed[0], t, dropping)
        if count > 1:
            meet(team.counters, count)
        value = lanes(part(team.losses, 0, n * members)) * scale
        if rank == 0:
            losses[done] = value
        if not np.isfinite(value):
            return done
        prepare(method, desk, rates[RATE, done], rates[DECAY, done], t)
        shrink = penalty_scale(plan, total / members)
        update_pass(plan, data, order, begin, method, theta, slots, space, desk, team, n, rank, shrink)
        if count > 1:
            meet(team.counters, count)
        value += lanes(team.penalties)
        if rank == 0:
            losses[done] = value
        if not np.isfinite(value):
            return done
    return span[1] - span[0]


def run_gradient(plan, data, theta, gradient, space, desk, team, rank, order, chunk, want):
    """Loss of all rows with penalties and, if wanted, its gradient; a chunk of rows at a time."""
    theta, value = borrowed(theta), 0.0
    count, members = team.count[0], plan.places[PARTS]
    total = total_weight(data, order, members)
    scale = 1 / total if total > 0 else 0.0
    for begin in range(0, order.size, chunk):
        n = min(chunk, order.size - begin)
        first, last = share(n, rank, count)
        load(plan, data, theta, order, begin, n, first, last, space)
        if first < last:
            forward_pass(plan, theta, space, desk, n, first, last, np.uint64(0), 0, 0.0)
            weighted = data.weights.size > 0
            loss_pass(plan, space, desk, team.losses, n, first, last, weighted, scale)
            if want:
                backward_pass(plan, theta, space, n, first, last, np.uint64(0), 0, 0.0)
        if count > 1:
            meet(team.counters, count)
        value += lanes(part(team.losses, 0, n * members))
        if want:
            add_gradient(plan, data, theta, order, begin, gradient, space, desk, n, rank, count)
        if count > 1:
            meet(team.counters, count)
    if rank == 0:
        shrink = penalty_scale(plan, total / members)
        team.penalties[0] = penalise(plan, theta, gradient, 0, gradient.size, shrink)
    if count > 1:
        meet(team.counters, count)
    return value * scale + team.penalties[0]


def run_forward(plan, data, theta, space, desk, rank, count, order, chunk, layer, link, out):
    """Values of a layer for all rows, through the loss's output link if asked for.

    The members take turns at the chunks, each in a workspace of its own.
    """
    theta = borrowed(theta)
    at = plan.layers[layer]
    for begin in range(rank * chunk, order.size, chunk * count):
        n = min(chunk, order.size - begin)
        load(plan, data, theta, order, begin, n, 0, n, space)
        forward_pass(plan, theta, space, desk, n, 0, n, np.uint64(0), 0, 0.0)
        if link:
            predict_pass(plan, space, desk, n, out[begin : begin + n])
        else:
            A = rows_of(space.work, at[D_AT], n, 1, out.shape[1], 0, n)
            copy_entries(A, out[begin : begin + n])


def opened(ticket):
    """A plan, parameters and room from their addresses and sizes: see `chainrule.planning.make_ticket`."""
    depth, columns = ticket[0], ticket[1]
    layers, places = integers_at(ticket[2], depth * columns), integers_at(ticket[4], ticket[5])
    constants, theta = numbers_at(ticket[6], ticket[7]), numbers_at(ticket[8], ticket[9])
    dropout, loss = reals_at(ticket[10], depth), integers_at(ticket[12], 2)
    loss_constants, none = numbers_at(ticket[14], ticket[15]), integers_at(ticket[2], 0)
    sizes = integers_at(ticket[20], ticket[21])
    plan = Plan(
        matrix_at(layers, 0, depth, columns), constants, sizes, dropout, loss, loss_constants, none,
        part(dropout, 0, 0), matrix_at(none, 0, 0, 2), places, none,
    )  # fmt: skip
    nothing = part(constants, 0, 0)
    space = Space(numbers_at(ticket[16], ticket[17]), nothing)
    scratch = reals_at(ticket[18], ticket[19])
    desk = Desk(scratch, nothing, matrix_at(constants, 0, 0, 1), matrix_at(scratch, 0, 0, 1))
    return plan, theta, space, desk


def run_rows(ticket, X, out):
    """Predictions of a few rows.

    The call takes in three arrays where `run_forward` has twenty, for which a small network need not wait.
    """
    plan, theta, space, desk = opened(ticket)
    given, n = flat(X), X.shape[0]
    inputs = part(space.work, 0, given.size)  # the first layer's X is the first of all
    for i in range(inputs.size):
        inputs[i] = given[i]
    forward_pass(plan, theta, space, desk, n, 0, n, np.uint64(0), 0, 0.0)
    predict_pass(plan, space, desk, n, out)


def run_jacobian(plan, data, theta, space, desk, order, J):
    """J[i, k] = derivatives of value k of row i of the last layer; all rows fit into the workspace."""
    n, outputs, depth = order.size, J.shape[1], plan.layers.shape[0]
    load(plan, data, theta, order, 0, n, 0, n, space)
    forward_pass(plan, theta, space, desk, n, 0, n, np.uint64(0), 0, 0.0)
    for k in range(outputs):
        seed = rows_of(space.work, plan.layers[depth - 1, DZ_AT], n, 1, outputs, 0, n)
        for i in range(n):
            for j in range(outputs):
                seed[i, j] = 1 if j == k else 0
        backward_pass(plan, theta, space, n, 0, n, np.uint64(0), 0, 0.0)
        for index in range(depth):
            at = plan.layers[index]
            if at[SLICES] == NONE:
                continue
            p, sizes = part(theta, at[P0], at[P1]), part(plan.sizes, at[S0], at[S1])
            dp = part(desk.gradient, 0, p.size)
            for i in range(n):
                dZ = rows_of(space.work, at[DZ_AT], n, at[MEMBERS], at[UNITS], i, i + 1)
                X = rows_of(space.work, at[X_AT], n, at[MEMBERS], at[INPUTS], i, i + 1)
                call_backward(at[BACKWARD], (dZ, X, p, sizes, X[:0], dp))
                for q in range(dp.size):
                    J[i, k, at[P0] + q] = dp[q]


HELPERS = (opened,)
LOOPS = (run_steps, run_gradient, run_forward, run_rows, run_jacobian)
