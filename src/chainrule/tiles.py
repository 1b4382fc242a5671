# mypy: disable-error-code="no-untyped-call"
"""The innermost part of a matrix product, in vector instructions: a tile of the result kept in registers.

A tile has a few rows and one or two vectors of columns. Each of its entries is one chain of fused
multiply-adds over the inner index, from the first to the last,

    c_ij <- fma(a_ik, b_kj, c_ij),    k = 0, 1, ...,

whatever the height and width of the tile it falls into (Goto & van de Geijn 2008, ACM TOMS 34; Van Zee &
van de Geijn 2015, ACM TOMS 41, for tiles in registers). On a processor without such an instruction each link
of the chain is a product and a sum.

All functions here take addresses and steps counted in numbers, as 64-bit integers, and check nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

SIZES = {"float32": 4, "float64": 8}  # bytes of a number
VECTORS = 2  # most vectors in a row of a tile
PANEL = 256  # rows of B in a panel that is copied
LONG, INDEX = ir.IntType(64), ir.IntType(32)


@lru_cache(maxsize=1)
def host() -> tuple[int, int, bool]:
    """Bytes in a vector, most rows of a tile, and whether multiplication and addition can be fused."""
    triple, _, flags = cpu_target.target_context.codegen().magic_tuple()
    features = {flag[1:] for flag in flags.split(",") if flag.startswith("+")}
    if "avx512f" in features:
        return 64, 8, True
    if triple.startswith(("aarch64", "arm64")):
        return 16, 8, True
    if "avx" in features:
        return 32, 4, "fma" in features
    return 16, 4, "fma" in features


def lanes(dtype: str) -> int:
    """Numbers in a vector."""
    return host()[0] // SIZES[dtype]


class Writer:
    """Writes LLVM instructions for vectors of a dtype."""

    def __init__(self, builder: Any, dtype: str) -> None:
        self.builder, self.size, self.lanes = builder, SIZES[dtype], lanes(dtype)
        self.number = ir.FloatType() if dtype == "float32" else ir.DoubleType()
        self.vector = ir.VectorType(self.number, self.lanes)
        self.flags = ir.VectorType(ir.IntType(1), self.lanes)
        self.indices = ir.VectorType(INDEX, self.lanes)
        self.suffix = f"v{self.lanes}f{8 * self.size}"
        self.zero = ir.Constant(self.vector, None)
        self.align = ir.Constant(INDEX, self.size)

    def at(self, address: Any, steps: Any) -> Any:
        """The address so many numbers further on."""
        steps = ir.Constant(LONG, steps) if isinstance(steps, int) else steps
        return self.builder.add(address, self.builder.mul(steps, ir.Constant(LONG, self.size)))

    def call(self, name: str, result: Any, *values: Any) -> Any:
        kind = ir.FunctionType(result, [value.type for value in values])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), values)

    def shuffle(self, one: Any, other: Any, order: list[int]) -> Any:
        return self.builder.shuffle_vector(one, other, ir.Constant(self.indices, order))

    def spread(self, value: Any) -> Any:
        """A vector of one value."""
        kind = ir.VectorType(value.type, self.lanes)
        first = self.builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(INDEX, 0))
        return self.shuffle(first, ir.Constant(kind, ir.Undefined), [0] * self.lanes)

    def below(self, count: Any) -> Any:
        """Which lanes come before the count."""
        lane = ir.Constant(self.indices, list(range(self.lanes)))
        return self.builder.icmp_signed("<", lane, self.spread(self.builder.trunc(count, INDEX)))

    def load(self, address: Any, mask: Any = None) -> Any:
        """The vector at an address; lanes outside the mask are zero, and their memory is not touched."""
        place = self.builder.inttoptr(address, self.vector.as_pointer())
        if mask is None:
            return self.builder.load(place, align=self.size)
        name = f"llvm.masked.load.{self.suffix}.p0"
        return self.call(name, self.vector, place, self.align, mask, self.zero)

    def store(self, value: Any, address: Any, mask: Any = None) -> None:
        place = self.builder.inttoptr(address, self.vector.as_pointer())
        if mask is None:
            self.builder.store(value, place, align=self.size)
        else:
            self.call(f"llvm.masked.store.{self.suffix}.p0", ir.VoidType(), value, place, self.align, mask)

    def number_at(self, address: Any) -> Any:
        """A vector of the one number at an address."""
        place = self.builder.inttoptr(address, self.number.as_pointer())
        return self.spread(self.builder.load(place, align=self.size))

    def link(self, a: Any, b: Any, c: Any) -> Any:
        """The next link of a chain: a b + c."""
        if host()[2]:
            return self.call(f"llvm.fma.{self.suffix}", self.vector, a, b, c)
        return self.builder.fadd(self.builder.fmul(a, b), c)


def write_tile(write: Writer, rows: int, vectors: int, *, whole: bool, given: tuple[Any, ...]) -> None:
    """One tile: c[i, j] = sum over k < depth of a[i, k] b[k, j], added to what is there if it shall `go_on`.

    A `whole` tile fills its vectors; of any other the last one ends with the columns.
    """
    builder = write.builder
    a, a_row, a_step, b, b_row, c, c_row, columns, depth, go_on = given
    places = [(row, vector * write.lanes) for row in range(rows) for vector in range(vectors)]
    last = (vectors - 1) * write.lanes
    part = None if whole else write.below(builder.sub(columns, ir.Constant(LONG, last)))
    masks = {column: part if column == last else None for _, column in places}
    out = {
        (row, column): write.at(write.at(c, builder.mul(c_row, ir.Constant(LONG, row))), column)
        for row, column in places
    }
    sums = {place: cgutils.alloca_once(builder, write.vector) for place in places}
    for place in places:
        builder.store(write.zero, sums[place])
    with builder.if_then(go_on):
        for place in places:
            builder.store(write.load(out[place], masks[place[1]]), sums[place])
    with cgutils.for_range(builder, depth) as loop:
        first = write.at(a, builder.mul(a_step, loop.index))
        along = write.at(b, builder.mul(b_row, loop.index))
        B = {column: write.load(write.at(along, column), mask) for column, mask in masks.items()}
        for row in range(rows):
            factor = write.number_at(write.at(first, builder.mul(a_row, ir.Constant(LONG, row))))
            for column in B:
                place = sums[row, column]
                builder.store(write.link(factor, B[column], builder.load(place)), place)
    for place in places:
        write.store(builder.load(sums[place]), out[place], masks[place[1]])


def write_rows(write: Writer, rows: Any, vectors: int, *, whole: bool, given: tuple[Any, ...]) -> None:
    """Tiles one below the other: as many of the full height as there are, and then one of each lower height
    that the number of rows, as a binary number, names.
    """
    builder, (a, a_row, a_step, b, b_row, c, c_row, *others) = write.builder, given

    def tile_at(row: Any, height: int) -> None:
        below = write.at(a, builder.mul(a_row, row)), a_row, a_step, b, b_row
        out = write.at(c, builder.mul(c_row, row)), c_row
        write_tile(write, height, vectors, whole=whole, given=(*below, *out, *others))

    height = host()[1]
    with cgutils.for_range(builder, builder.udiv(rows, ir.Constant(LONG, height))) as loop:
        tile_at(builder.mul(loop.index, ir.Constant(LONG, height)), height)
    while height > 1:
        height //= 2
        bit = builder.and_(rows, ir.Constant(LONG, height))
        with builder.if_then(builder.icmp_signed("!=", bit, ir.Constant(LONG, 0))):
            tile_at(builder.and_(rows, ir.Constant(LONG, -2 * height)), height)


@lru_cache
def strip(dtype: str) -> Any:
    """``strip(a, a_row, a_step, b, b_row, c, c_row, rows, columns, depth, go_on)``: C = A B, or C += A B.

    C has no more columns than the widest tile. The rows of B and C are contiguous, A has any step from row to
    row and from column to column.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        *matrices, rows, columns, depth, go_on = values
        given, write = (*matrices, columns, depth, go_on), Writer(builder, dtype)
        limits = [ir.Constant(LONG, vectors * write.lanes) for vectors in range(VECTORS + 1)]
        with builder.if_else(builder.icmp_signed("==", columns, limits[VECTORS])) as (whole, other):
            with whole:
                write_rows(write, rows, VECTORS, whole=True, given=given)
            with other:
                for vectors in range(1, VECTORS + 1):
                    more = builder.icmp_signed(">", columns, limits[vectors - 1])
                    enough = builder.icmp_signed("<=", columns, limits[vectors])
                    with builder.if_then(builder.and_(more, enough)):
                        write_rows(write, rows, vectors, whole=False, given=given)
        return context.get_dummy_value()

    @intrinsic
    def made(typing_context, a, a_row, a_step, b, b_row, c, c_row, rows, columns, depth, go_on):
        return types.void(*[types.int64] * 10, types.boolean), generate

    return made


@lru_cache
def copy(dtype: str) -> Any:
    """``copy(source, target, count)``: a vector whose lanes from the count on are zero."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        write = Writer(builder, dtype)
        write.store(write.load(values[0], write.below(values[2])), values[1])
        return context.get_dummy_value()

    @intrinsic
    def made(typing_context, source, target, count):
        return types.void(*[types.int64] * 3), generate

    return made


@lru_cache
def turn(dtype: str) -> Any:
    """``turn(source, source_row, target, target_row, rows, columns)``: a square block, transposed.

    The block is a vector wide, and its corner of the given rows and columns is copied. In log2 of the width
    rounds, pairs of vectors swap halves, quarters, and so on.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source, source_row, target, target_row, rows, columns = values
        write, block = Writer(builder, dtype), []
        numbers = [ir.Constant(LONG, number) for number in range(write.lanes)]
        width, height, none = write.below(columns), write.below(rows), ir.Constant(write.flags, None)
        for row in numbers:
            address = write.at(source, builder.mul(source_row, row))
            there = builder.icmp_signed("<", row, rows)
            block.append(write.load(builder.select(there, address, source), width))
        half = write.lanes // 2
        while half:
            for i in (i for i in range(write.lanes) if not i & half):
                upper, lower = block[i], block[i + half]
                ahead = [i if not i & half else write.lanes + i - half for i in range(write.lanes)]
                block[i] = write.shuffle(upper, lower, ahead)
                block[i + half] = write.shuffle(upper, lower, [k + half for k in ahead])
            half //= 2
        for column, vector in zip(numbers, block, strict=True):
            place = write.at(target, builder.mul(target_row, column))
            mask = builder.select(builder.icmp_signed("<", column, columns), height, none)
            write.store(vector, place, mask)
        return context.get_dummy_value()

    @intrinsic
    def made(typing_context, source, source_row, target, target_row, rows, columns):
        return types.void(*[types.int64] * 6), generate

    return made


@lru_cache
def room(dtype: str, rows: int) -> Any:
    """``room()``: the address of room on the stack for so many rows, each as wide as the widest tile."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        numbers = ir.Constant(INDEX, rows * VECTORS * lanes(dtype))
        with builder.goto_entry_block():
            place = builder.alloca(Writer(builder, dtype).number, size=numbers)
            place.align = host()[0]
        return builder.ptrtoint(place, LONG)

    @intrinsic
    def made(typing_context):
        return types.int64(), generate

    return made
