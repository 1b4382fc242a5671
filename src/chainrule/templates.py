# mypy: disable-error-code="name-defined, no-untyped-call"
"""The templates of the compiled run's kernels: plain functions that Numba compiles once for each row.

Names that a template leaves open (f, slope, value, step, N, ...) are bound by `chainrule.kernels.bind`.
`wide` is the precision that a kernel computes in.
"""

from __future__ import annotations

import numpy as np

from chainrule.elementary import inlined
from chainrule.equation import exp, log1p
from chainrule.kernels import fixed
from chainrule.native import flat, matrix_at, part

TINY = 2.0**-960
RAISED = 2.0**100


def layer_forward(X, p, sizes, Z):
    f(X, p, Z, *fixed(sizes, N))


def layer_backward(dZ, X, p, sizes, dX, dp):
    f(dZ, X, p, dX, dp, *fixed(sizes, N))


def layer_drop(values, out, key, first, rate):
    """out = values, each dropped or scaled up by its coin; `first` is the number of the first."""
    up = out.dtype.type(1 / (1 - rate))
    v, o = flat(values), flat(out)
    for i in range(v.size):
        if coin(key, np.uint64(first + i), rate):
            o[i] = v[i] * up
        else:
            o[i] = 0


def activate_entries(Z, c, A, S):
    z, a, constants = flat(Z), flat(A), fixed(c, N)
    for i in range(z.size):
        a[i] = f(wide(z[i]), *constants)


def deactivate_entries(Z, A, c, dA):
    z, a, d, constants = flat(Z), flat(A), flat(dA), fixed(c, N)
    for i in range(z.size):
        d[i] = wide(d[i]) * slope(wide(z[i]), wide(a[i]), *constants)


@inlined
def block_rows(K):
    """Rows of logits that are worked on at once: as many as stay in a core's own cache."""
    return max(8, min(64, 4096 // K))


@inlined
def turned(rows, out):
    """Rows of a matrix as columns, so that what follows runs along many rows at once.

    Indices are those of the loops themselves: any other would be checked for being negative.
    """
    for k in range(rows.shape[1]):
        for i in range(rows.shape[0]):
            out[k, i] = rows[i, k]


@inlined
def largest(z, rows, m, which):
    """Of each column the largest, and which one it is."""
    for i in range(rows):
        m[i], which[i] = z[0, i], 0.0
    for k in range(1, z.shape[0]):
        for i in range(rows):
            more = z[k, i] > m[i]
            m[i] = z[k, i] if more else m[i]
            which[i] = k if more else which[i]


@inlined
def lost(z, m, d):
    """What rounding took from d = z - m (Knuth 1997, The Art of Computer Programming 2, section 4.2.2)."""
    back = d - z
    rest = (z - (d - back)) - (m + back)
    return rest if rest == rest else 0.0  # of an infinite logit nothing was lost


def row_statistics(z, e, rows, m, r, q, s):
    """Of each column of logits z: m, the largest; e = exp(z - m); r, the sum of e over the others.

    And q = 1 / (1 + r) and s = log(1 + r).
    """
    largest(z, rows, m, q)
    for i in range(rows):
        r[i], s[i] = 0.0, 0.0
    for k in range(z.shape[0]):
        for i in range(rows):
            d = z[k, i] - m[i]
            power = exp(d)
            e[k, i] = power + power * lost(z[k, i], m[i], d)  # exp magnifies what a large d has lost
        for i in range(rows):
            part = (0.0 if q[i] == k else e[k, i]) - s[i]
            raised = r[i] + part
            s[i] = (raised - r[i]) - part  # what rounding took from this term (Kahan 1965, CACM 8)
            r[i] = raised
    for i in range(rows):
        if r[i] < TINY:  # terms that small have lost digits: their roots have not
            total = 0.0
            for k in range(z.shape[0]):
                d = (z[k, i] - m[i]) / 2
                power = exp(d)
                power += power * lost(z[k, i] / 2, m[i] / 2, d)
                root = 0.0 if q[i] == k else power * RAISED
                total += root * root
            r[i] = total / RAISED / RAISED
    for i in range(rows):
        q[i], s[i] = 1.0 / (1.0 + r[i]), log1p(r[i])


@inlined
def block_of(S, K, step):
    """Of a scratch: two matrices with `step` columns, and four rows."""
    size, matrices = K * step, 2 * K * step
    z, e = matrix_at(S, 0, K, step), matrix_at(S, size, K, step)
    m, r = part(S, matrices, matrices + step), part(S, matrices + step, matrices + 2 * step)
    q, s = (
        part(S, matrices + 2 * step, matrices + 3 * step),
        part(S, matrices + 3 * step, matrices + 4 * step),
    )
    return z, e, m, r, q, s


def activate_coupled(Z, c, A, S):
    n, K = Z.shape
    step = block_rows(K)
    z, e, m, r, q, s = block_of(S, K, step)
    for start in range(0, n, step):
        rows = min(step, n - start)
        turned(Z[start : start + rows], z)
        statistics(z, e, rows, m, r, q, s)
        part = A[start : start + rows]
        for i in range(rows):
            for k in range(K):
                part[i, k] = f(e[k, i], q[i])


def deactivate_coupled(Z, A, c, dA):
    for i in range(Z.shape[0]):
        s = A[i, 0] * dA[i, 0]
        for k in range(1, Z.shape[1]):
            s += A[i, k] * dA[i, k]
        for k in range(Z.shape[1]):
            dA[i, k] = pullback(A[i, k], dA[i, k], s)


def weigh(values, w, scale, dZ, L):
    """The loss of each row, from those of its outputs, by its weight; the derivatives are weighted in place.

    No weights stand for ones.
    """
    K, d = dZ.shape[1], flat(dZ)
    for i in range(dZ.shape[0]):
        total = 0.0
        for k in range(K):
            total += values[i * K + k]
        L[i] = total
    if w.size == 0:
        for i in range(d.size):
            d[i] *= scale
        return
    for i in range(dZ.shape[0]):
        g = w[i] * scale
        L[i] *= w[i]
        for k in range(K):
            dZ[i, k] *= g


def loss_entries(Z, Y, w, scale, c, dZ, S, L):
    z, y, d, constants = flat(Z), flat(Y), flat(dZ), fixed(c, N)
    for i in range(z.size):
        d[i] = slope(wide(z[i]), wide(y[i]), *constants)
    for i in range(z.size):
        S[i] = value(wide(z[i]), wide(y[i]), *constants)
    weighted(S, w, scale, dZ, L)


def loss_coupled(Z, Y, w, scale, c, dZ, S, L):
    n, K = Z.shape
    step = block_rows(K)
    z, e, m, r, q, s = block_of(S, K, step)
    rest = S[(2 * K + 4) * step :]
    y, g = matrix_at(rest, 0, K, step), rest[K * step : (K + 1) * step]
    for start in range(0, n, step):
        rows = min(step, n - start)
        turned(Z[start : start + rows], z)
        turned(Y[start : start + rows], y)
        statistics(z, e, rows, m, r, q, s)
        for i in range(rows):
            g[i] = 0.0
        for k in range(K):
            for i in range(rows):
                g[i] += value(z[k, i], y[k, i], m[i], s[i])
                e[k, i] = slope(e[k, i], y[k, i], r[i], q[i])
        for i in range(rows):
            share = w[start + i] if w.size > 0 else 1.0
            L[start + i] = g[i] * share
            g[i] = share * scale
        into = dZ[start : start + rows]
        for i in range(rows):
            for k in range(K):
                into[i, k] = e[k, i] * g[i]


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
