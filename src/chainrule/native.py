# mypy: disable-error-code="no-untyped-call"
"""What compiled loops take from below Python: views of arrays, a call of the product, a barrier for threads.

Symbols are registered by name, so that compiled code in the cache finds them in every later process.
Without a compiler everything here is NumPy and a single thread.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

COMPILED = not numba.config.DISABLE_JIT
PRODUCT = "chainrule_product_"  # and the dtype: the name by which compiled code calls a matrix product
YIELD = "chainrule_yield"
SPINS = 2000  # looks at a barrier before a thread offers its core to others
LINE = 8  # int64 in a cache line: counters that different threads write lie that far apart


def _register() -> None:
    if sys.platform == "win32":
        give_way = ctypes.windll.kernel32.SwitchToThread
    else:
        give_way = ctypes.CDLL(None).sched_yield
    address = ctypes.cast(give_way, ctypes.c_void_p).value
    assert address is not None
    llvm.add_symbol(YIELD, address)


def register_product(dtype: str, address: int) -> None:
    """Where the product of a dtype is: see `chainrule.products`."""
    llvm.add_symbol(PRODUCT + dtype, address)


if COMPILED:
    _register()


# ------------------------------------------------------------------ arrays


def borrowed(array: Any) -> Any:
    """The same array, writeable in type; what came in as read-only is not written to."""
    return array


def matrix_at(vector: Any, first: Any, rows: Any, columns: Any) -> Any:
    """A stretch of a contiguous vector as a matrix, row after row; that it fits is not checked."""
    return vector[first : first + rows * columns].reshape((rows, columns))


def part(vector: Any, first: Any, last: Any) -> Any:
    """Entries first to last of a contiguous vector; that these are there is not checked."""
    return vector[first:last]


def rows_of(work: Any, column: Any, n: Any, members: Any, width: Any, first: Any, last: Any) -> Any:
    """Rows first to last of an array of n rows at a column of the workspace, as a matrix.

    Where a row has several members of `width` values each, these count as rows.
    """
    return matrix_at(work, column * n + first * members * width, (last - first) * members, width)


def flat(matrix: Any) -> Any:
    """A contiguous matrix as a vector."""
    return matrix.reshape(-1)


def fused(a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once, as in the products."""
    return a * b + c


def product(A: Any, B: Any, out: Any) -> None:
    """out = A B, where the rows of `out` are contiguous, and the rows or the columns of B.

    Compiled code that calls it may be linked after `chainrule.products.ready`.
    """
    np.matmul(A, B, out=out)


def vectors(dtype: str) -> Any:
    """A function ``at(address, size)`` that sees memory as a vector of a dtype; only for compiled code."""

    @intrinsic
    def at(typing_context: Any, address: Any, size: Any) -> Any:
        kind = types.Array(getattr(types, dtype), 1, "C")

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            data = builder.inttoptr(values[0], context.get_value_type(kind.dtype).as_pointer())
            made = context.make_array(kind)(context, builder)
            step = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
            populate_array(made, data, [values[1]], [step], step, meminfo=None)
            return made._getvalue()

        return kind(types.int64, types.int64), generate

    return at


# ------------------------------------------------------------------ threads


def meet(counters: Any, count: int) -> None:
    """Wait until all `count` threads have called it as often as this one.

    Parameters
    ----------
    counters : ndarray of int64, shape (2 * LINE,)
        Zeros at first; shared by the threads.
    count : int
    """


if COMPILED:
    from numba.core.imputils import impl_ret_borrowed
    from numba.extending import overload

    LONG = ir.IntType(64)

    def _array(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        return context.make_array(kind)(context, builder, value=value)

    @intrinsic
    def _borrow(typing_context: Any, array: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            made = _array(context, builder, signature.args[0], values[0])
            made.meminfo = cgutils.get_null_value(made.meminfo.type)
            made.parent = cgutils.get_null_value(made.parent.type)
            return made._getvalue()

        return array.copy(readonly=False)(array), generate

    def _view(context: Any, builder: Any, kind: Any, of: Any, data: Any, shape: Any) -> Any:
        """A contiguous array of a shape that shares the memory, and the owner, of another."""
        size = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
        strides = [size]
        for length in reversed(shape[1:]):
            strides.insert(0, builder.mul(strides[0], length))
        made = context.make_array(kind)(context, builder)
        itemsize = of.itemsize
        populate_array(made, data, shape, strides, itemsize, meminfo=of.meminfo, parent=of.parent)
        return made._getvalue()

    @intrinsic
    def _matrix_at(typing_context: Any, vector: Any, first: Any, rows: Any, columns: Any) -> Any:
        kind = types.Array(vector.dtype, 2, "C", readonly=not vector.mutable)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            of = _array(context, builder, signature.args[0], values[0])
            data = builder.gep(of.data, [values[1]])
            made = _view(context, builder, kind, of, data, [values[2], values[3]])
            return impl_ret_borrowed(context, builder, kind, made)

        return kind(vector, types.intp, types.intp, types.intp), generate

    @intrinsic
    def _part(typing_context: Any, vector: Any, first: Any, last: Any) -> Any:
        kind = types.Array(vector.dtype, 1, "C", readonly=not vector.mutable)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            of = _array(context, builder, signature.args[0], values[0])
            data = builder.gep(of.data, [values[1]])
            made = _view(context, builder, kind, of, data, [builder.sub(values[2], values[1])])
            return impl_ret_borrowed(context, builder, kind, made)

        return kind(vector, types.intp, types.intp), generate

    @intrinsic
    def _rows_of(
        typing_context: Any, vector: Any, column: Any, n: Any, members: Any, width: Any, first: Any, last: Any
    ) -> Any:
        kind = types.Array(vector.dtype, 2, "C", readonly=not vector.mutable)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            of = _array(context, builder, signature.args[0], values[0])
            column, n, members, width, first, last = values[1:]
            row = builder.mul(members, width)
            begin = builder.add(builder.mul(column, n), builder.mul(first, row))
            data, rows = builder.gep(of.data, [begin]), builder.mul(builder.sub(last, first), members)
            made = _view(context, builder, kind, of, data, [rows, width])
            return impl_ret_borrowed(context, builder, kind, made)

        return kind(vector, *[types.intp] * 6), generate

    @intrinsic
    def _flat(typing_context: Any, matrix: Any) -> Any:
        kind = types.Array(matrix.dtype, 1, "C", readonly=not matrix.mutable)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            of = _array(context, builder, signature.args[0], values[0])
            made = _view(context, builder, kind, of, of.data, [of.nitems])
            return impl_ret_borrowed(context, builder, kind, made)

        return kind(matrix), generate

    @intrinsic
    def _fused(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            number = context.get_value_type(signature.return_type)
            kind = ir.FunctionType(number, [number] * 3)
            return builder.call(builder.module.declare_intrinsic("llvm.fma", [number], kind), values)

        return c(c, c, c), generate

    @intrinsic
    def _multiply(typing_context: Any, A: Any, B: Any, out: Any) -> Any:
        """Calls the product by its name with the addresses, the steps and the sizes of the matrices."""

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            size, arguments = ir.Constant(LONG, A.dtype.bitwidth // 8), []
            arrays = [_array(context, builder, t, v) for t, v in zip(signature.args, values, strict=True)]
            for array in arrays:
                steps = cgutils.unpack_tuple(builder, array.strides, 2)
                arguments += [builder.ptrtoint(array.data, LONG), *(builder.sdiv(s, size) for s in steps)]
            m, k = cgutils.unpack_tuple(builder, arrays[0].shape, 2)
            arguments[-1:] = [m, cgutils.unpack_tuple(builder, arrays[1].shape, 2)[1], k]
            kind = ir.FunctionType(ir.VoidType(), [LONG] * len(arguments))
            name = PRODUCT + A.dtype.name
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)
            return context.get_dummy_value()

        return types.void(A, B, out), generate

    # To compiled code the names mean instructions, not functions that would have to be compiled.
    globals().update(
        borrowed=_borrow,
        matrix_at=_matrix_at,
        part=_part,
        rows_of=_rows_of,
        flat=_flat,
        product=_multiply,
        fused=_fused,
    )

    @intrinsic
    def _add(typing_context: Any, counters: Any, place: Any) -> Any:
        """Add 1 to a counter; returns what it was."""

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            data = _array(context, builder, signature.args[0], values[0]).data
            at = builder.gep(data, [values[1]])
            return builder.atomic_rmw("add", at, ir.Constant(ir.IntType(64), 1), "seq_cst")

        return types.int64(counters, types.int64), generate

    @intrinsic
    def _look(typing_context: Any, counters: Any, place: Any) -> Any:
        """The value of a counter that another thread may change."""

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            data = _array(context, builder, signature.args[0], values[0]).data
            return builder.load_atomic(builder.gep(data, [values[1]]), "acquire", 8)

        return types.int64(counters, types.int64), generate

    @intrinsic
    def _give_way(typing_context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, YIELD), [])
            return context.get_dummy_value()

        return types.void(), generate

    @overload(meet)
    def _meet(counters, count):
        def wait(counters, count):
            arrived = _add(counters, 0) + 1
            turn = (arrived + count - 1) // count  # of the meetings, from 1
            if arrived == turn * count:
                _add(counters, LINE)
                return
            looks = 0
            while _look(counters, LINE) < turn:
                looks += 1
                if looks > SPINS:
                    _give_way()

        return wait
