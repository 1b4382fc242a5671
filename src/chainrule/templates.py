# mypy: disable-error-code="name-defined, no-untyped-call"
"""The templates of the compiled run's kernels: plain functions that Numba compiles once for each row.

Names that a template leaves open (f, slope, value, step, N, ...) are bound by `chainrule.kernels.bind`.
`wide` is the precision that a kernel computes in.
"""

from __future__ import annotations

from chainrule.elementary import inlined
from chainrule.equation import exp
from chainrule.kernels import fixed


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
        top, total = int(r[i * K]), 0.0
        for k in range(K):
            if k != top:
                total += v[i * K + k]
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


@inlined
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


def weigh(values, w, scale, dZ):
    """The sum of the values, each row by its weight; the derivatives are weighted in place.

    No weights stand for ones.
    """
    K, d = dZ.shape[1], dZ.reshape(-1)
    if w.size == 0:
        for i in range(d.size):
            d[i] *= scale
        return lanes(values[: d.size])
    total = 0.0
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
    for i in range(w.size):
        g[i] += strength * slope(w[i])
    n = w.size // 8 * 8
    a = b = c = d = e = f = h = q = 0.0
    for i in range(0, n, 8):
        a, b, c, d = a + value(w[i]), b + value(w[i + 1]), c + value(w[i + 2]), d + value(w[i + 3])
        e, f, h, q = e + value(w[i + 4]), f + value(w[i + 5]), h + value(w[i + 6]), q + value(w[i + 7])
    for i in range(n, w.size):
        a += value(w[i])
    return (((a + b) + (c + d)) + ((e + f) + (h + q))) * strength


def optimiser_scalars(rate, t, h, out):
    for j, s in enumerate(scalars(rate, t, *fixed(h, N))):
        out[j] = s


def update_0(w, g, S, start, scalar):
    c = fixed(scalar, M)
    for i in range(w.size):
        w[i] = step(w[i], g[i], *c)


def update_1(w, g, S, start, scalar):
    c, v = fixed(scalar, M), S[0, start : start + w.size]
    for i in range(w.size):
        w[i], v[i] = step(w[i], g[i], v[i], *c)


def update_2(w, g, S, start, scalar):
    c, m, v = fixed(scalar, M), S[0, start : start + w.size], S[1, start : start + w.size]
    for i in range(w.size):
        w[i], m[i], v[i] = step(w[i], g[i], m[i], v[i], *c)


UPDATES = (update_0, update_1, update_2)
