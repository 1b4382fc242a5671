# mypy: disable-error-code="no-untyped-call"
"""Data in the compiled loops: shares of rows, gathered batches."""

from __future__ import annotations

from chainrule.native import flat, part
from chainrule.plan import ALIGNED


def share(total, rank, count):
    """Where a member's share of `total` rows begins and ends."""
    if count == 1:
        return 0, total
    each = ((total + count - 1) // count + ALIGNED - 1) // ALIGNED * ALIGNED
    return min(rank * each, total), min((rank + 1) * each, total)


def gather(data, order, begin, X):
    """Copy the rows order[begin : begin + n] of X into the workspace."""
    rows = part(order, begin, begin + X.shape[0])
    if data.starts.size == 0:
        for i in range(rows.size):
            row = data.where[rows[i]] if data.where.size > 0 else rows[i]
            source, target = data.X[row], X[i]
            for j in range(target.size):
                target[j] = source[j]
    else:
        x = flat(X)
        for i in range(x.size):
            x[i] = 0
        for i in range(rows.size):
            target = X[i]
            for at in range(data.starts[rows[i]], data.starts[rows[i] + 1]):
                target[data.columns[at]] += data.values[at]


def gather_targets(data, order, begin, Y):
    """The same of Y."""
    rows = part(order, begin, begin + Y.shape[0])
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


def lanes(values):
    """The sum of the values in eight lanes: one after the other each would wait for the one before."""
    n = values.size // 8 * 8
    a = b = c = d = e = f = g = h = 0.0
    for i in range(0, n, 8):
        a, b, c, d = a + values[i], b + values[i + 1], c + values[i + 2], d + values[i + 3]
        e, f, g, h = e + values[i + 4], f + values[i + 5], g + values[i + 6], h + values[i + 7]
    for i in range(n, values.size):
        a += values[i]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


HELPERS = (share, gather, gather_targets, weigh_rows, total_weight, lanes)
