# mypy: disable-error-code="no-untyped-call"
"""Data and room in the compiled loops: views of the workspace, shares of rows, gathered batches."""

from __future__ import annotations

from chainrule.native import borrowed, matrix_at
from chainrule.plan import ALIGNED, Desk, Plan, Rows, Space, Team


def rows_of(work, column, n, members, width, first, last):
    """Rows first to last of an array of n rows at a column of the workspace.

    Where a row has several members of `width` values each, these count as rows.
    """
    begin = column * n + first * members * width
    return matrix_at(work, begin, (last - first) * members, width)


def share(total, rank, count):
    """Where a member's share of `total` rows begins and ends."""
    if count == 1:
        return 0, total
    each = ((total + count - 1) // count + ALIGNED - 1) // ALIGNED * ALIGNED
    return min(rank * each, total), min((rank + 1) * each, total)


def gather(data, order, begin, X, Y):
    """Copy the rows order[begin : begin + n] into the workspace."""
    rows = order[begin : begin + X.shape[0]]
    if data.starts.size == 0:
        for i in range(rows.size):
            source, target = data.X[rows[i]], X[i]
            for j in range(target.size):
                target[j] = source[j]
    else:
        X[:] = 0
        for i in range(rows.size):
            target = X[i]
            for at in range(data.starts[rows[i]], data.starts[rows[i] + 1]):
                target[data.columns[at]] += data.values[at]
    outputs = data.Y.shape[1]  # none, where there are no targets
    for i in range(rows.size if outputs > 0 else 0):
        source, target = data.Y[rows[i]], Y[i]
        for first in range(0, target.size, outputs):  # for each member the same
            for k in range(outputs):
                target[first + k] = source[k]


def weigh_rows(data, order, begin, n, members, w):
    """The weights of the rows order[begin : begin + n], for each member the same; returns their sum."""
    if data.weights.size == 0:
        return float(n * members)
    total = 0.0
    for i in range(n):
        for m in range(members):
            w[i * members + m] = data.weights[order[begin + i]]
            total += w[i * members + m]
    return total


def total_weight(data, order, members):
    """The sum of the weights of all rows, of all members."""
    if data.weights.size == 0:
        return float(order.size * members)
    total = 0.0
    for i in range(order.size):
        total += data.weights[order[i]] * members
    return total


def lent(plan, data, space, desk, team):
    """The same without reference counts; the caller keeps them alive."""
    return (
        Plan(
            borrowed(plan.layers), borrowed(plan.constants), borrowed(plan.sizes), borrowed(plan.dropout),
            borrowed(plan.loss),
            borrowed(plan.loss_constants), borrowed(plan.penalties), borrowed(plan.strengths),
            borrowed(plan.segments), borrowed(plan.places), borrowed(plan.per_batch),
        ),
        Rows(
            borrowed(data.X), borrowed(data.values), borrowed(data.columns), borrowed(data.starts),
            borrowed(data.Y), borrowed(data.weights),
        ),
        Space(borrowed(space.work), borrowed(space.weights)),
        Desk(
            borrowed(desk.scratch), borrowed(desk.gradient), borrowed(desk.scalars),
            borrowed(desk.parameters),
        ),
        Team(
            borrowed(team.counters), borrowed(team.losses), borrowed(team.penalties), borrowed(team.squares),
            borrowed(team.gradient),
        ),
    )  # fmt: skip


HELPERS = (rows_of, share, gather, weigh_rows, total_weight, lent)
