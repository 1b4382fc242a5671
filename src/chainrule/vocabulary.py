"""The vocabulary of the rows (`chainrule.equation`) as compiled code understands it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from chainrule import equation
from chainrule.elementary import WIDE
from chainrule.native import COMPILED, matrix_at, product

# What compiled code puts in the place of these, without a function between.
DIRECT = {equation.dot: product, equation.matrix: matrix_at}


def like(x: Any, value: Any) -> Any:
    """The number in the type of x."""
    return x.dtype.type(value)


if COMPILED:
    for _name in ("exp", "expm1", "log", "log1p", "sqrt", "tanh"):
        overload(getattr(equation, _name))(eval(f"lambda x: (lambda x: np.{_name}(x))", {"np": np}))

    @overload(like)
    def _like(x, value):
        kind = x.dtype if isinstance(x, types.Array) else x
        if isinstance(kind, types.Integer):
            kind = types.float64
        return lambda x, value: kind(value)

    @overload(equation.erfc)
    def _erfc(x):
        return lambda x: math.erfc(x)

    @overload(equation.cos_turns)
    def _cos_turns(u):
        return lambda u: WIDE.cos_turns(u)

    @overload(equation.sin_turns)
    def _sin_turns(u):
        return lambda u: WIDE.sin_turns(u)

    @overload(equation.sign)
    def _sign(x):
        return lambda x: like(x, 1) if x > 0 else (like(x, -1) if x < 0 else x)

    @overload(equation.maximum)
    def _maximum(a, b):
        # Written so that a NaN in `a` comes through, as it does in NumPy.
        return lambda a, b: b if a <= b else a

    @overload(equation.minimum)
    def _minimum(a, b):
        return lambda a, b: b if a >= b else a

    @overload(equation.absolute)
    def _absolute(x):
        return lambda x: abs(x)

    @overload(equation.where)
    def _where(condition, a, b):
        return lambda condition, a, b: a if condition else b

    @overload(equation.add_to_rows)
    def _add_to_rows(Z, b):
        def impl(Z, b):
            for i in range(Z.shape[0]):
                for j in range(Z.shape[1]):
                    Z[i, j] += b[j]

        return impl

    @overload(equation.column_sums)
    def _column_sums(Z, out):
        # Eight rows at a time: the rows of small networks are too short to fill a loop of vectors.
        def impl(Z, out):
            for j in range(out.size):
                out[j] = 0
            n = Z.shape[0] // 8 * 8
            for i in range(0, n, 8):
                r, s, t, u = Z[i], Z[i + 1], Z[i + 2], Z[i + 3]
                v, w, x, y = Z[i + 4], Z[i + 5], Z[i + 6], Z[i + 7]
                for j in range(out.size):
                    out[j] += ((r[j] + s[j]) + (t[j] + u[j])) + ((v[j] + w[j]) + (x[j] + y[j]))
            for i in range(n, Z.shape[0]):
                row = Z[i]
                for j in range(out.size):
                    out[j] += row[j]

        return impl

    @overload(equation.multiply)
    def _multiply(A, factor):
        def impl(A, factor):
            by = A.dtype.type(factor)
            for i in range(A.shape[0]):
                for j in range(A.shape[1]):
                    A[i, j] *= by

        return impl

    @register_jitable
    def _row_number(code, rows):
        if not code > 0:  # nor is a NaN
            return 0
        return int(code) if code < rows - 1 else rows - 1

    @overload(equation.take_rows)
    def _take_rows(E, codes, out):
        def impl(E, codes, out):
            for i in range(codes.size):
                row = E[_row_number(codes[i], E.shape[0])]
                for k in range(row.size):
                    out[i, k] = row[k]

        return impl

    @overload(equation.add_at_rows)
    def _add_at_rows(G, codes, out):
        def impl(G, codes, out):
            for i in range(codes.size):
                row = out[_row_number(codes[i], out.shape[0])]
                for k in range(row.size):
                    row[k] += G[i, k]

        return impl
