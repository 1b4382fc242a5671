# mypy: disable-error-code="no-untyped-call"
"""The first layer of the compiled loops where the data are a CSR matrix: from its rows, and never dense.

Z = X W + b adds up the rows of W that a row of X has values for; dW = X' dZ adds, for each value of X, a row
of dZ to one of dW. Each entry is one chain of fused multiply-adds, that of the dense product without the
zeros, so its bits are the same.
"""

from __future__ import annotations

from chainrule.equation import column_sums
from chainrule.native import fused, matrix_at, part


def sparse_forward(data, order, begin, p, Z, inputs):
    """Z = X W + b, of the rows order[begin : begin + n] of a CSR matrix X."""
    n, units = Z.shape
    W, b = matrix_at(p, 0, inputs, units), part(p, inputs * units, p.size)
    for i in range(n):
        z, row = Z[i], order[begin + i]
        for j in range(units):
            z[j] = 0
        for at in range(data.starts[row], data.starts[row + 1]):
            value, w = data.values[at], W[data.columns[at]]
            for j in range(units):
                z[j] = fused(value, w[j], z[j])
        for j in range(units):
            z[j] += b[j]


def sparse_gradient(data, order, begin, dZ, first, last, dp):
    """Rows first to last of dW = X' dZ and, behind them, db: the sum of the rows of dZ."""
    n, units = dZ.shape
    dW, db = matrix_at(dp, 0, last - first, units), part(dp, (last - first) * units, dp.size)
    for k in range(dp.size):
        dp[k] = 0
    for i in range(n):
        dz, row = dZ[i], order[begin + i]
        for at in range(data.starts[row], data.starts[row + 1]):
            column = data.columns[at]
            if first <= column < last:
                value, dw = data.values[at], dW[column - first]
                for j in range(units):
                    dw[j] = fused(value, dz[j], dw[j])
    column_sums(dZ, db)


HELPERS = (sparse_forward, sparse_gradient)
