# mypy: disable-error-code="name-defined, no-untyped-call"
"""The templates of the compiled run's kernels: plain functions that Numba compiles once for each row.

Names that a template leaves open (f, slope, value, step, N, ...) are bound by `chainrule.kernels.bind`.
`wide` is the precision that a kernel computes in.
"""

from __future__ import annotations

from chainrule.equation import exp
from chainrule.kernels import fixed

BLOCK = 16  # terms that are added up plainly: with 1000 of them, a hundred units in the last place are lost
TINY = 2.0**-960
RAISED = 2.0**100


def layer_forward(X, p, Z):
    f(X, p, Z)


def layer_backward(dZ, X, p, dX, dp):
    f(dZ, X, p, dX, dp)


def layer_jacobian(dZ, X, J):
    f(dZ, X, J)


def activate_entries(Z, c, A, S):
    z, a, constants = Z.reshape(-1), A.reshape(-1), fixed(c, N)
    for i in range(z.size):
        a[i] = f(wide(z[i]), *constants)


def deactivate_entries(Z, A, c, dA):
    z, a, d, constants = Z.reshape(-1), A.reshape(-1), dA.reshape(-1), fixed(c, N)
    for i in range(z.size):
        d[i] = wide(d[i]) * slope(wide(z[i]), wide(a[i]), *constants)


def row_statistics(Z, S):
    """Of each row of logits: the largest, and the sum of exp(z - largest) over the others.

    Each is repeated at all places of its row, in a third of the scratch S, so that what follows is one
    straight loop over all places. The last third is free afterwards.
    """
    z, n, K = Z.reshape(-1), Z.shape[0], Z.shape[1]
    m, r, v = S[: z.size], S[z.size : 2 * z.size], S[2 * z.size : 3 * z.size]
    for i in range(n):
        top = 0
        for k in range(1, K):
            if Z[i, k] > Z[i, top]:
                top = k
        m[i * K : i * K + K] = Z[i, top]
        r[i * K] = top
    for i in range(z.size):
        v[i] = exp(z[i] - m[i])
    for i in range(n):
        top, total, lost = int(r[i * K]), 0.0, 0.0
        v[i * K + top] = 0.0
        for first in range(0, K, BLOCK):
            part = -lost
            for k in range(first, min(first + BLOCK, K)):
                part += v[i * K + k]
            raised = total + part
            lost = (raised - total) - part  # what rounding took from this block (Kahan 1965, CACM 8)
            total = raised
        if total < TINY:  # terms that small have lost digits: their roots have not
            total = 0.0
            for k in range(K):
                root = (k != top) * exp((z[i * K + k] - m[i * K + k]) / 2) * RAISED
                total += root * root
            total = total / RAISED / RAISED
        r[i * K : i * K + K] = total
    return m, r, v


def activate_coupled(Z, c, A, S):
    z, a = Z.reshape(-1), A.reshape(-1)
    m, r, _ = statistics(Z, S)
    for i in range(z.size):
        a[i] = f(wide(z[i]), m[i], r[i])


def deactivate_coupled(Z, A, c, dA):
    for i in range(Z.shape[0]):
        s = A[i, 0] * dA[i, 0]
        for k in range(1, Z.shape[1]):
            s += A[i, k] * dA[i, k]
        for k in range(Z.shape[1]):
            dA[i, k] = pullback(A[i, k], dA[i, k], s)


def weigh(values, w, scale, dZ):
    """The sum of the values, each row by its weight; the derivatives are weighted in place."""
    total, K = 0.0, dZ.shape[1]
    for i in range(dZ.shape[0]):
        g, part = w[i] * scale, 0.0
        for k in range(K):
            dZ[i, k] *= g
            part += values[i * K + k]
        total += part * w[i]
    return total


def loss_entries(Z, Y, w, scale, c, dZ, S):
    z, y, d, constants = Z.reshape(-1), Y.reshape(-1), dZ.reshape(-1), fixed(c, N)
    for i in range(z.size):
        d[i] = slope(wide(z[i]), wide(y[i]), *constants)
    for i in range(z.size):
        S[i] = value(wide(z[i]), wide(y[i]), *constants)
    return weighted(S, w, scale, dZ)


def loss_coupled(Z, Y, w, scale, c, dZ, S):
    z, y, d = Z.reshape(-1), Y.reshape(-1), dZ.reshape(-1)
    m, r, v = statistics(Z, S)
    for i in range(z.size):
        d[i] = slope(wide(z[i]), wide(y[i]), m[i], r[i])
    for i in range(z.size):
        v[i] = value(wide(z[i]), wide(y[i]), m[i], r[i])
    return weighted(v, w, scale, dZ)


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
