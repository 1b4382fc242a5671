# mypy: disable-error-code="name-defined, no-untyped-call"
"""The templates of layer kinds that are a function of each entry: see `chainrule.equations.layers`.

`columns_*` are of kinds with one value for each input, `fan_*` of those with several; `parametric_*` of
activations with a share of the identity. Left open are entry, slopes, f, slope, mix, mix_slopes, C, `wide`
and, by the number of pieces that the parameters consist of, cut, pick, narrow and add.
"""

from __future__ import annotations

from chainrule.elementary import inlined
from chainrule.native import flat, matrix_at


@inlined
def compact(A):
    """A matrix whose rows follow each other, as one that is known to be so."""
    return matrix_at(flat(A), 0, A.shape[0], A.shape[1])


@inlined
def cut_1(p, size):
    return (p[:size],)


@inlined
def cut_2(p, size):
    return p[:size], p[size : 2 * size]


@inlined
def cut_4(p, size):
    return p[:size], p[size : 2 * size], p[2 * size : 3 * size], p[3 * size : 4 * size]


@inlined
def narrow_2(pieces, first, last):
    return pieces[0][first:last], pieces[1][first:last]


@inlined
def narrow_4(pieces, first, last):
    return (
        pieces[0][first:last], pieces[1][first:last], pieces[2][first:last], pieces[3][first:last],
    )  # fmt: skip


@inlined
def pick_1(pieces, k):
    return (pieces[0][k],)


@inlined
def pick_2(pieces, k):
    return pieces[0][k], pieces[1][k]


@inlined
def pick_4(pieces, k):
    return pieces[0][k], pieces[1][k], pieces[2][k], pieces[3][k]


@inlined
def add_none(pieces, k, g, d):
    pass


@inlined
def add_1(pieces, k, g, d):
    pieces[0][k] += g * d[1]


@inlined
def add_2(pieces, k, g, d):
    pieces[0][k] += g * d[1]
    pieces[1][k] += g * d[2]


CUT = {1: cut_1, 2: cut_2, 4: cut_4}
NARROW = {2: narrow_2, 4: narrow_4}
PICK = {1: pick_1, 2: pick_2, 4: pick_4}
ADD = {0: add_none, 1: add_1, 2: add_2}


def columns_forward(X, p, sizes, Z):
    pieces = cut(p, X.shape[1])
    for i in range(X.shape[0]):
        x, z = X[i], Z[i]
        for j in range(x.size):
            z[j] = entry(wide(x[j]), *pick(pieces, j))


def columns_backward(dZ, X, p, sizes, dX, dp):
    rows, pieces = compact(X), cut(p, X.shape[1])
    if dp.shape[0] > 0:
        dp[:] = 0
        sums = cut(dp, X.shape[1])
        for i in range(rows.shape[0]):
            x, dz = rows[i], dZ[i]
            for j in range(x.size):
                add(sums, j, dz[j], slopes(wide(x[j]), *pick(pieces, j)))
    for i in range(dX.shape[0]):
        x, dz, dx = rows[i], dZ[i], dX[i]
        for j in range(x.size):
            dx[j] = dz[j] * slopes(wide(x[j]), *pick(pieces, j))[0]


def fan_forward(X, p, sizes, Z):
    columns, fan = sizes[0], sizes[1]
    whole, passed = cut(p, columns * fan), columns * fan
    for i in range(X.shape[0]):
        x, z = X[i], Z[i]
        for j in range(columns):
            pieces, part = narrow(whole, j * fan, (j + 1) * fan), z[j * fan : (j + 1) * fan]
            for m in range(part.size):
                part[m] = entry(wide(x[j]), *pick(pieces, m))
        rest = z[passed:]
        for j in range(x.size):
            rest[j] = x[j]


def fan_backward(dZ, X, p, sizes, dX, dp):
    columns, fan = sizes[0], sizes[1]
    rows, whole, passed = compact(X), cut(p, columns * fan), columns * fan
    if dp.shape[0] > 0:
        dp[:] = 0
        sums = cut(dp, columns * fan)
        for i in range(rows.shape[0]):
            for j in range(columns):
                x, first, last = wide(rows[i, j]), j * fan, (j + 1) * fan
                pieces, into, dz = narrow(whole, first, last), narrow(sums, first, last), dZ[i, first:last]
                for m in range(dz.size):
                    add(into, m, dz[m], slopes(x, *pick(pieces, m)))
    for i in range(dX.shape[0]):
        dx, rest = dX[i], dZ[i, passed:]
        for j in range(dx.size):
            dx[j] = rest[j]
        for j in range(columns):
            x, dz, total = wide(rows[i, j]), dZ[i, j * fan : (j + 1) * fan], wide(dx[j])
            pieces = narrow(whole, j * fan, (j + 1) * fan)
            for m in range(dz.size):
                total += dz[m] * slopes(x, *pick(pieces, m))[0]
            dx[j] = total


def parametric_forward(X, p, sizes, Z):
    for i in range(X.shape[0]):
        x, z = X[i], Z[i]
        for j in range(x.size):
            z[j] = mix(wide(x[j]), f(wide(x[j]), *C), p[j])


def parametric_backward(dZ, X, p, sizes, dX, dp):
    rows = compact(X)
    if dp.shape[0] > 0:
        dp[:] = 0
        for i in range(rows.shape[0]):
            x, dz = rows[i], dZ[i]
            for j in range(x.size):
                a = f(wide(x[j]), *C)
                dp[j] += dz[j] * mix_slopes(wide(x[j]), a, slope(wide(x[j]), a, *C), p[j])[1]
    for i in range(dX.shape[0]):
        x, dz, dx = rows[i], dZ[i], dX[i]
        for j in range(x.size):
            a = f(wide(x[j]), *C)
            dx[j] = dz[j] * mix_slopes(wide(x[j]), a, slope(wide(x[j]), a, *C), p[j])[0]
