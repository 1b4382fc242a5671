# mypy: disable-error-code="no-untyped-call"
"""Data and room in the compiled loops: views of the workspace, shares of rows, gathered batches."""

from __future__ import annotations

from chainrule.native import borrowed, matrix_at
from chainrule.plan import ALIGNED, Desk, Plan, Rows, Space, Team


def view(work, column, n, width):
    """The n rows of `width` values at a column of the workspace, as a matrix."""
    return matrix_at(work, column * n, n, width)


def rows_of(work, column, n, width, first, last):
    """Rows first to last of them."""
    return matrix_at(work, column * n + first * width, last - first, width)


def share(total, rank, count):
    """Where a member's share of `total` rows begins and ends."""
    if count == 1:
        return 0, total
    each = ((total + count - 1) // count + ALIGNED - 1) // ALIGNED * ALIGNED
    return min(rank * each, total), min((rank + 1) * each, total)


def gather(data, order, begin, X):
    """Copy the rows order[begin : begin + n] of X into the workspace."""
    rows = order[begin : begin + X.shape[0]]
    if data.starts.size == 0:
        for i in range(rows.size):
            row = data.where[rows[i]] if data.where.size > 0 else rows[i]
            source, target = data.X[row], X[i]
            for j in range(target.size):
                target[j] = source[j]
    else:
        X[:] = 0
        for i in range(rows.size):
            target = X[i]
            for at in range(data.starts[rows[i]], data.starts[rows[i] + 1]):
                target[data.columns[at]] += data.values[at]


def gather_targets(data, order, begin, Y):
    """The same of Y."""
    rows = order[begin : begin + Y.shape[0]]
    for i in range(rows.size):
        source, target = data.Y[rows[i]], Y[i]
        for k in range(source.size):  # none, where there are no targets
            target[k] = source[k]


def weigh_rows(data, order, begin, n, w):
    """The weights of the rows order[begin : begin + n]; returns their sum."""
    if data.weights.size == 0:
        return float(n)
    total = 0.0
    for i in range(n):
        w[i] = data.weights[order[begin + i]]
        total += w[i]
    return total


def total_weight(data, order):
    """The sum of the weights of all rows."""
    if data.weights.size == 0:
        return float(order.size)
    total = 0.0
    for i in range(order.size):
        total += data.weights[order[i]]
    return total


def lent(plan, data, space, desk, team):
    """The same without reference counts; the caller keeps them alive."""
    return (
        Plan(
            borrowed(plan.layers), borrowed(plan.constants), borrowed(plan.dropout), borrowed(plan.loss),
            borrowed(plan.loss_constants), borrowed(plan.penalties), borrowed(plan.strengths),
            borrowed(plan.segments), borrowed(plan.places), borrowed(plan.per_batch),
        ),
        Rows(
            borrowed(data.X), borrowed(data.where), borrowed(data.values), borrowed(data.columns),
            borrowed(data.starts), borrowed(data.Y), borrowed(data.weights),
        ),
        Space(borrowed(space.work), borrowed(space.weights)),
        Desk(borrowed(desk.scratch), borrowed(desk.gradient), borrowed(desk.scalars)),
        Team(borrowed(team.counters), borrowed(team.losses), borrowed(team.penalties)),
    )  # fmt: skip


HELPERS = (view, rows_of, share, gather, gather_targets, weigh_rows, total_weight, lent)
