# mypy: disable-error-code="name-defined, no-untyped-call"
"""The passes of a step: forward through the layers, the loss, backward, the penalties, the update.

They read like the mathematics and know no layer kind, activation, loss or optimiser: each is a kernel,
compiled once from its row and called by its address. All arrays of a step live in one workspace, laid
out by a `Plan`; nothing is allocated.

Names that stand open here (call_forward, layer_key, ...) are bound by `chainrule.planning`.
"""

from __future__ import annotations

import numpy as np

from chainrule import sparse_rows, workspace
from chainrule.native import flat, meet, part, rows_of
from chainrule.plan import (
    A_AT,
    ACTIVATE,
    ALIGNED,
    BACKWARD,
    C0,
    C1,
    D_AT,
    DEACTIVATE,
    DROP,
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
from chainrule.sparse_rows import sparse_forward, sparse_gradient
from chainrule.workspace import gather, gather_targets, lanes, share, weigh_rows


def copy_entries(source, target):
    """target = source, of one shape: to assign arrays would check that, which takes seconds to compile."""
    s, t = flat(source), flat(target)
    for i in range(s.size):
        t[i] = s[i]


def forward_pass(plan, theta, space, desk, n, first, last, seed, t, dropping):
    """Forward through the layers, of rows first to last; `dropping` is a factor on the rates of dropout."""
    for index in range(plan.layers.shape[0]):
        at = plan.layers[index]
        Z = rows_of(space.work, at[Z_AT], n, at[MEMBERS], at[UNITS], first, last)
        if at[X_AT] >= 0:  # of sparse rows, Z is there already
            X = rows_of(space.work, at[X_AT], n, at[MEMBERS], at[INPUTS], first, last)
            call_forward(at[FORWARD], (X, part(theta, at[P0], at[P1]), part(plan.sizes, at[S0], at[S1]), Z))
        A = rows_of(space.work, at[A_AT], n, at[MEMBERS], at[UNITS], first, last)
        if at[ACTIVATE] >= 0:
            call_activate(at[ACTIVATE], (Z, part(plan.constants, at[C0], at[C1]), A, desk.scratch))
        if at[D_AT] != at[A_AT]:
            D = rows_of(space.work, at[D_AT], n, at[MEMBERS], at[UNITS], first, last)
            rate = plan.dropout[index] * dropping
            if rate > 0:
                key = layer_key(seed, np.uint64(t), np.uint64(index))
                call_drop(plan.places[DROP], (A, D, key, first * at[MEMBERS] * at[UNITS], rate))
            else:
                copy_entries(A, D)


def loss_pass(plan, space, desk, losses, n, first, last, weighted, scale):
    """The loss of each of the rows first to last (not yet divided), and its derivative."""
    layer = plan.layers[plan.layers.shape[0] - 1]
    K, members = plan.places[OUTPUTS], plan.places[PARTS]
    Z = rows_of(space.work, layer[D_AT], n, members, K, first, last)
    Y = rows_of(space.work, plan.places[Y_AT], n, members, K, first, last)
    dZ = rows_of(space.work, layer[DZ_AT], n, members, K, first, last)
    first, last = first * members, last * members
    w = part(space.weights, first, last) if weighted else part(space.weights, 0, 0)
    L = part(losses, first, last)
    call_loss(plan.loss[0], (Z, Y, w, w.dtype.type(scale), plan.loss_constants, dZ, desk.scratch, L))


def backward_pass(plan, theta, space, n, first, last, seed, t, dropping):
    """Backward through the layers, of rows first to last: the derivatives of all Z.

    It ends at the first layer with something to learn; what comes before needs none.
    """
    for index in range(plan.layers.shape[0] - 1, -1, -1):
        at = plan.layers[index]
        dA = rows_of(space.work, at[DZ_AT], n, at[MEMBERS], at[UNITS], first, last)
        rate = plan.dropout[index] * dropping
        if rate > 0:
            key = layer_key(seed, np.uint64(t), np.uint64(index))
            call_drop(plan.places[DROP], (dA, dA, key, first * at[MEMBERS] * at[UNITS], rate))
        if at[DEACTIVATE] >= 0:
            Z = rows_of(space.work, at[Z_AT], n, at[MEMBERS], at[UNITS], first, last)
            A = rows_of(space.work, at[A_AT], n, at[MEMBERS], at[UNITS], first, last)
            call_deactivate(at[DEACTIVATE], (Z, A, part(plan.constants, at[C0], at[C1]), dA))
        if index > plan.places[FIRST]:
            X = rows_of(space.work, at[X_AT], n, at[MEMBERS], at[INPUTS], first, last)
            before = plan.layers[index - 1, DZ_AT]
            dX = rows_of(space.work, before, n, at[MEMBERS], at[INPUTS], first, last)
            p = part(theta, at[P0], at[P1])
            call_backward(at[BACKWARD], (dA, X, p, part(plan.sizes, at[S0], at[S1]), dX, part(p, 0, 0)))


def load(plan, data, theta, order, begin, n, first, last, space):
    """Bring a member's rows, and the weights of all, into the workspace; returns the weights' sum.

    In place of sparse rows come the first layer's Z.
    """
    layer, members = plan.layers[0], plan.places[PARTS]
    Y = rows_of(space.work, plan.places[Y_AT], n, 1, plan.places[OUTPUTS] * members, first, last)
    if layer[X_AT] >= 0:
        X = rows_of(space.work, layer[X_AT], n, 1, layer[INPUTS] * layer[MEMBERS], first, last)
        gather(data, order, begin + first, X)
    else:
        Z = rows_of(space.work, layer[Z_AT], n, 1, layer[UNITS], first, last)
        sparse_forward(data, order, begin + first, part(theta, layer[P0], layer[P1]), Z, layer[INPUTS])
    gather_targets(data, order, begin + first, Y)
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
        for s in range(plan.penalised.shape[0]):
            begin, end = max(plan.penalised[s, 0], start), min(plan.penalised[s, 1], stop)
            if begin < end:
                w, g = part(theta, begin, end), part(gradient, begin - start, end - start)
                total += call_penalty(plan.penalties[q], (w, w.dtype.type(strength), g))
    return total


def prepare(method, desk, rate, decay, t):
    """What the optimiser's step takes for each group of parameters, at a learning rate and a decay."""
    for group in range(method.factors.shape[0]):
        values = desk.parameters[group]
        for k in range(values.size):
            values[k] = method.parameters[k]
        if method.decay[0] >= 0:
            values[method.decay[0]] *= decay * method.factors[group, 1]
        arguments = (rate * method.factors[group, 0], t, values, desk.scalars[group])
        call_scalars(method.address[1], arguments)


def move(method, theta, gradient, slots, start, stop, scalars):
    """The optimiser's step of parameters start to stop, whose gradient is given."""
    for s in range(method.segments.shape[0]):
        begin, end = max(method.segments[s, 0], start), min(method.segments[s, 1], stop)
        if begin < end:
            w, g = part(theta, begin, end), part(gradient, begin - start, end - start)
            arguments = (w, g, slots, begin, scalars[method.segments[s, 2]])
            call_update(method.address[0], arguments)


def pieces(plan, index, rank, count):
    """A member's slices of a layer's parameters: the first, the one after the last, how many at once.

    As many at once as make whole blocks, of ALIGNED slices or a power of two, whoever else works.
    """
    at = plan.layers[index]
    if at[SLICES] != ROWS:
        mine = at[SLICES] == WHOLE and rank == index % count
        return 0, 1 if mine else 0, 1
    first, last = share(at[INPUTS], rank, count)
    most = PIECE // at[UNITS]
    if most >= ALIGNED:
        return first, last, most // ALIGNED * ALIGNED
    return first, last, 4 if most >= 4 else (2 if most >= 2 else 1)


def piece_gradient(plan, data, theta, order, at_row, space, n, index, first, last, gradient):
    """The gradient of slices first to last of a layer's parameters; returns where these begin and end.

    A dense layer's slices are the rows of W. Restricted to some of its inputs it is a dense layer too, so
    its own equation serves; what that says of b holds for the whole, and counts with the last slice.
    """
    at = plan.layers[index]
    dZ = rows_of(space.work, at[DZ_AT], n, at[MEMBERS], at[UNITS], 0, n)
    p, sizes = part(theta, at[P0], at[P1]), part(plan.sizes, at[S0], at[S1])
    begin, end = first * at[UNITS], last * at[UNITS]
    rest = p.size - at[INPUTS] * at[UNITS]
    if at[X_AT] < 0:
        sparse_gradient(data, order, at_row, dZ, first, last, part(gradient, 0, end - begin + rest))
    else:
        X = rows_of(space.work, at[X_AT], n, at[MEMBERS], at[INPUTS], 0, n)
        if at[SLICES] != ROWS:
            call_backward(at[BACKWARD], (dZ, X, p, sizes, X[:0], part(gradient, 0, p.size)))
            return at[P0], at[P1]
        dp = part(gradient, 0, end - begin + rest)
        call_backward(at[BACKWARD], (dZ, X[:, first:last], p, sizes, X[:0], dp))
    return at[P0] + begin, at[P0] + end + (rest if last == at[INPUTS] else 0)


def block_ends(plan, index, begin, first, last, start, stop):
    """Where the parameters of a block lie, among those of slices first to last, which are start to stop."""
    size = plan.layers[index, UNITS]
    end = stop if begin + ALIGNED >= last else start + (begin + ALIGNED - first) * size
    return start + (begin - first) * size, end


def penalise_blocks(plan, theta, gradient, penalties, index, first, last, start, stop, scale):
    """The penalties of slices first to last of a layer, whose parameters are start to stop.

    Each block of slices has its own sum, so that the sum of these is the same whoever works.
    """
    for begin in range(first, last, ALIGNED):
        at, end = block_ends(plan, index, begin, first, last, start, stop)
        penalties[begin] = penalise(plan, theta, gradient[at - start :], at, end, scale)


def keep_blocks(plan, gradient, team, before, index, first, last, start, stop):
    """Keep the gradient of slices first to last of a layer, and for each block the sum of its squares."""
    for begin in range(first, last, ALIGNED):
        at, end = block_ends(plan, index, begin, first, last, start, stop)
        square = 0.0
        for i in range(at, end):
            g = gradient[i - start]
            team.gradient[i] = g
            square += float(g) * float(g)
        team.squares[before + begin] = square


def shorten(team, rank, count, size, most):
    """Shorten a member's part of the gradient, if all of it is too long; returns where the part lies."""
    if count > 1:
        meet(team.counters, count)
    length = np.sqrt(lanes(team.squares))
    factor = most / length if length > most else 1.0
    first, last = share(size, rank, count)
    mine = part(team.gradient, first, last)
    for i in range(mine.size):
        mine[i] *= factor
    return first, last


def update_pass(plan, data, order, at_row, method, theta, slots, space, desk, team, n, rank, scale):
    """The gradient of a member's parameters over the rows from `at_row` on, penalties and step.

    If the gradient's length is limited, it is kept until all of it is known.
    """
    before, count, clip = 0, team.count[0], method.clip[0]
    for index in range(plan.layers.shape[0]):
        first, last, most = pieces(plan, index, rank, count)
        for begin in range(first, last, most):
            end = min(begin + most, last)
            start, stop = piece_gradient(
                plan, data, theta, order, at_row, space, n, index, begin, end, desk.gradient
            )
            if plan.penalties.size > 0:
                penalties = team.penalties[before:]
                penalise_blocks(plan, theta, desk.gradient, penalties, index, begin, end, start, stop, scale)
            if clip > 0:
                keep_blocks(plan, desk.gradient, team, before, index, begin, end, start, stop)
            else:
                move(method, theta, desk.gradient, slots, start, stop, desk.scalars)
        before += plan.layers[index, INPUTS]
    if clip > 0:
        first, last = shorten(team, rank, count, theta.size, clip)
        move(method, theta, part(team.gradient, first, last), slots, first, last, desk.scalars)


def add_gradient(plan, data, theta, order, at_row, gradient, space, desk, n, rank, count):
    """Add the gradient of a member's parameters, over the rows from `at_row` on; at the first, set it."""
    for index in range(plan.layers.shape[0]):
        first, last, most = pieces(plan, index, rank, count)
        for begin in range(first, last, most):
            end = min(begin + most, last)
            start, stop = piece_gradient(
                plan, data, theta, order, at_row, space, n, index, begin, end, desk.gradient
            )
            for i in range(stop - start):
                if at_row == 0:
                    gradient[start + i] = desk.gradient[i]
                else:
                    gradient[start + i] += desk.gradient[i]


def predict_pass(plan, space, desk, n, out):
    """Predictions from the last layer's values: through the loss's link, and the mean over the members."""
    at, K, members = plan.layers[plan.layers.shape[0] - 1], plan.places[OUTPUTS], plan.places[PARTS]
    Z = rows_of(space.work, at[D_AT], n, members, K, 0, n)
    if members == 1:
        call_activate(plan.loss[1], (Z, part(plan.loss_constants, 0, 0), out, desk.scratch))
        return
    each = rows_of(space.work, at[DZ_AT], n, members, K, 0, n)
    call_activate(plan.loss[1], (Z, part(plan.loss_constants, 0, 0), each, desk.scratch))
    for i in range(n):
        for k in range(K):
            total = 0.0
            for m in range(members):
                total += each[i * members + m, k]
            out[i, k] = total / members


HELPERS = (
    *workspace.HELPERS, *sparse_rows.HELPERS, copy_entries, forward_pass, loss_pass, backward_pass, load,
    penalty_scale, penalise, prepare, move, pieces, piece_gradient, block_ends, penalise_blocks, keep_blocks,
    shorten, update_pass, add_gradient, predict_pass,
)  # fmt: skip
