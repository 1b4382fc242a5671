# mypy: disable-error-code="name-defined, no-untyped-call"
"""The passes of a step: forward through the layers, the loss, backward, the penalties, the update.

They read like the mathematics and know no layer kind, activation, loss or optimiser: each is a kernel,
compiled once from its row and called by its address. All arrays of a step live in one workspace, laid
out by a `Plan`; nothing is allocated.

Names that stand open here (call_forward, coin, ...) are bound by `chainrule.planning`.
"""

from __future__ import annotations

import numpy as np

from chainrule import workspace
from chainrule.native import flat, meet
from chainrule.plan import (
    A_AT,
    ACTIVATE,
    BACKWARD,
    C0,
    C1,
    D_AT,
    DEACTIVATE,
    DZ_AT,
    FIRST,
    FORWARD,
    INPUTS,
    MEMBERS,
    OUTPUTS,
    P0,
    P1,
    PARTS,
    PIECE,
    ROWS,
    S0,
    S1,
    SLICES,
    UNITS,
    WHOLE,
    X_AT,
    Y_AT,
    Z_AT,
)
from chainrule.workspace import gather, rows_of, share, weigh_rows


def drop(values, out, key, first, rate):
    """out = values, each dropped or scaled up by its coin; `first` is the number of the first."""
    up = out.dtype.type(1 / (1 - rate))
    v, o = flat(values), flat(out)
    for i in range(v.size):
        if coin(key, np.uint64(first + i), rate):
            o[i] = v[i] * up
        else:
            o[i] = 0


def part(space, at, column, width, n, first, last):
    """Rows first to last of a layer's array, or as many times its members; `width` values each."""
    return rows_of(space.work, at[column], n, at[MEMBERS], at[width], first, last)


def forward_pass(plan, theta, space, desk, n, first, last, seed, t, dropping):
    """Forward through the layers, of rows first to last; `dropping` is a factor on the rates of dropout."""
    for index in range(plan.layers.shape[0]):
        at = plan.layers[index]
        X, Z = part(space, at, X_AT, INPUTS, n, first, last), part(space, at, Z_AT, UNITS, n, first, last)
        call_forward(at[FORWARD], (X, theta[at[P0] : at[P1]], plan.sizes[at[S0] : at[S1]], Z))
        A = part(space, at, A_AT, UNITS, n, first, last)
        if at[ACTIVATE] >= 0:
            call_activate(at[ACTIVATE], (Z, plan.constants[at[C0] : at[C1]], A, desk.scratch))
        if at[D_AT] != at[A_AT]:
            D, rate = part(space, at, D_AT, UNITS, n, first, last), plan.dropout[index] * dropping
            if rate > 0:
                key = layer_key(seed, np.uint64(t), np.uint64(index))
                drop(A, D, key, first * at[MEMBERS] * at[UNITS], rate)
            else:
                D[:] = A


def loss_pass(plan, space, desk, n, first, last, weighted, scale):
    """The loss of rows first to last (not yet divided), and its derivative."""
    layer = plan.layers[plan.layers.shape[0] - 1]
    K, members = plan.places[OUTPUTS], plan.places[PARTS]
    Z = rows_of(space.work, layer[D_AT], n, members, K, first, last)
    Y = rows_of(space.work, plan.places[Y_AT], n, members, K, first, last)
    dZ = rows_of(space.work, layer[DZ_AT], n, members, K, first, last)
    w = space.weights[first * members : last * members] if weighted else space.weights[:0]
    arguments = (Z, Y, w, w.dtype.type(scale), plan.loss_constants, dZ, desk.scratch)
    return call_loss(plan.loss[0], arguments)


def backward_pass(plan, theta, space, n, first, last, seed, t, dropping):
    """Backward through the layers, of rows first to last: the derivatives of all Z.

    It ends at the first layer with something to learn; what comes before needs none.
    """
    for index in range(plan.layers.shape[0] - 1, -1, -1):
        at = plan.layers[index]
        dA, rate = part(space, at, DZ_AT, UNITS, n, first, last), plan.dropout[index] * dropping
        if rate > 0:
            key = layer_key(seed, np.uint64(t), np.uint64(index))
            drop(dA, dA, key, first * at[MEMBERS] * at[UNITS], rate)
        if at[DEACTIVATE] >= 0:
            Z, A = part(space, at, Z_AT, UNITS, n, first, last), part(space, at, A_AT, UNITS, n, first, last)
            call_deactivate(at[DEACTIVATE], (Z, A, plan.constants[at[C0] : at[C1]], dA))
        if index > plan.places[FIRST]:
            X, before = part(space, at, X_AT, INPUTS, n, first, last), plan.layers[index - 1, DZ_AT]
            dX = rows_of(space.work, before, n, at[MEMBERS], at[INPUTS], first, last)
            p = theta[at[P0] : at[P1]]
            call_backward(at[BACKWARD], (dA, X, p, plan.sizes[at[S0] : at[S1]], dX, p[:0]))


def load(plan, data, order, begin, n, first, last, space):
    """Bring a member's rows, and the weights of all, into the workspace; returns the weights' sum."""
    layer, members = plan.layers[0], plan.places[PARTS]
    X = rows_of(space.work, layer[X_AT], n, 1, layer[INPUTS] * layer[MEMBERS], first, last)
    Y = rows_of(space.work, plan.places[Y_AT], n, 1, plan.places[OUTPUTS] * members, first, last)
    gather(data, order, begin + first, X, Y)
    return weigh_rows(data, order, begin, n, members, space.weights)


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


def prepare(method, desk, rate, decay, t):
    """What the optimiser's step takes for each group of parameters, at a learning rate and a decay."""
    for group in range(method.factors.shape[0]):
        values = desk.parameters[group]
        values[:] = method.parameters
        if method.decay[0] >= 0:
            values[method.decay[0]] *= decay * method.factors[group, 1]
        arguments = (rate * method.factors[group, 0], t, values, desk.scalars[group])
        call_scalars(method.address[1], arguments)


def move(method, theta, gradient, slots, start, stop, scalars):
    """The optimiser's step of parameters start to stop, whose gradient is given."""
    for s in range(method.segments.shape[0]):
        begin, end = max(method.segments[s, 0], start), min(method.segments[s, 1], stop)
        if begin < end:
            w, g = theta[begin:end], gradient[begin - start : end - start]
            arguments = (w, g, slots, begin, scalars[method.segments[s, 2]])
            call_update(method.address[0], arguments)


def pieces(plan, index, rank, count):
    """A member's slices of a layer's parameters: the first, the one after the last, how many at once."""
    at = plan.layers[index]
    if at[SLICES] == ROWS:
        first, last = share(at[INPUTS], rank, count)
        return first, last, max(1, PIECE // at[UNITS])
    mine = at[SLICES] == WHOLE and rank == index % count
    return 0, 1 if mine else 0, 1


def piece_gradient(plan, theta, space, n, index, first, last, gradient):
    """The gradient of slices first to last of a layer's parameters; returns where these begin and end.

    A dense layer's slices are the rows of W. Restricted to some of its inputs it is a dense layer too, so
    its own equation serves; what that says of b holds for the whole, and counts with the last slice.
    """
    at = plan.layers[index]
    dZ, X = part(space, at, DZ_AT, UNITS, n, 0, n), part(space, at, X_AT, INPUTS, n, 0, n)
    p, sizes = theta[at[P0] : at[P1]], plan.sizes[at[S0] : at[S1]]
    if at[SLICES] != ROWS:
        call_backward(at[BACKWARD], (dZ, X, p, sizes, X[:0], gradient[: p.size]))
        return at[P0], at[P1]
    begin, end = first * at[UNITS], last * at[UNITS]
    rest = p.size - at[INPUTS] * at[UNITS]
    dp = gradient[: end - begin + rest]
    call_backward(at[BACKWARD], (dZ, X[:, first:last], p, sizes, X[:0], dp))
    return at[P0] + begin, at[P0] + end + (rest if last == at[INPUTS] else 0)


def update_pass(plan, method, theta, slots, space, desk, team, n, rank, count, scale):
    """The gradient of a member's parameters, their penalties and their step; returns the penalties.

    If the gradient's length is limited, it is kept until all of it is known.
    """
    total, square = 0.0, 0.0
    for index in range(plan.layers.shape[0]):
        first, last, most = pieces(plan, index, rank, count)
        for begin in range(first, last, most):
            end = min(begin + most, last)
            start, stop = piece_gradient(plan, theta, space, n, index, begin, end, desk.gradient)
            total += penalise(plan, theta, desk.gradient, start, stop, scale)
            if method.clip[0] > 0:
                square += keep(desk.gradient, team.gradient, start, stop)
            else:
                move(method, theta, desk.gradient, slots, start, stop, desk.scalars)
    if method.clip[0] > 0:
        team.squares[rank, 0] = square
        if count > 1:
            meet(team.counters, count)
        length = np.sqrt(gathered(team.squares))
        shorten = method.clip[0] / length if length > method.clip[0] else 1.0
        first, last = share(theta.size, rank, count)
        mine = team.gradient[first:last]
        for i in range(mine.size):
            mine[i] *= shorten
        move(method, theta, mine, slots, first, last, desk.scalars)
    return total


def keep(gradient, whole, start, stop):
    """Keep the gradient of parameters start to stop; returns the sum of its squares."""
    into, square = whole[start:stop], 0.0
    for i in range(into.size):
        into[i] = gradient[i]
        square += float(gradient[i]) * float(gradient[i])
    return square


def gathered(shares):
    """The sum over the members, in their order."""
    total = 0.0
    for rank in range(shares.shape[0]):
        total += shares[rank, 0]
    return total


def add_gradient(plan, theta, gradient, space, desk, n, rank, count, anew):
    """Add the gradient of a member's parameters over the rows at hand; the first time, set it."""
    for index in range(plan.layers.shape[0]):
        first, last, most = pieces(plan, index, rank, count)
        for begin in range(first, last, most):
            end = min(begin + most, last)
            start, stop = piece_gradient(plan, theta, space, n, index, begin, end, desk.gradient)
            into = gradient[start:stop]
            if anew:
                into[:] = 0
            for i in range(into.size):
                into[i] += desk.gradient[i]


def predict_pass(plan, space, desk, n, out):
    """Predictions from the last layer's values: through the loss's link, and the mean over the members."""
    at, K, members = plan.layers[plan.layers.shape[0] - 1], plan.places[OUTPUTS], plan.places[PARTS]
    Z = rows_of(space.work, at[D_AT], n, members, K, 0, n)
    if members == 1:
        call_activate(plan.loss[1], (Z, plan.loss_constants[:0], out, desk.scratch))
        return
    each = rows_of(space.work, at[DZ_AT], n, members, K, 0, n)
    call_activate(plan.loss[1], (Z, plan.loss_constants[:0], each, desk.scratch))
    for i in range(n):
        for k in range(K):
            total = 0.0
            for m in range(members):
                total += each[i * members + m, k]
            out[i, k] = total / members


HELPERS = (
    *workspace.HELPERS, part, drop, forward_pass, loss_pass, backward_pass, load, penalty_scale, penalise,
    prepare, move, pieces, piece_gradient, keep, gathered, update_pass, add_gradient, predict_pass,
)  # fmt: skip
