# mypy: disable-error-code="name-defined, no-untyped-call"
"""Matrix products of the compiled run, C = A B, with the same bits however the work is cut up.

Every entry of C is one chain of fused multiply-adds over the inner index in its order (`chainrule.tiles`).
A chain that stops at the end of a block, and later goes on from the number that it stored, is still the same
chain. So an entry's bits depend neither on the other rows of A that come along, nor on how threads share rows
or columns out, nor on the blocks below.

A product walks over strips of columns, each as wide as the widest tile, and in a strip over the rows. Where
B comes transposed, and where so much of A meets a strip that the steps from row to row of B would cost more
than a copy, a panel of the strip is first copied to the stack. A product with few columns is had by way of
its transpose, C' = B' A', where it would leave most of each vector empty.

Names that stand open here (strip, copy, turn, ...) are bound by `ready`.
"""

from __future__ import annotations

from functools import lru_cache

from numba import types

from chainrule import tiles
from chainrule.elementary import inlined
from chainrule.kernels import address_of, rebind, template_name
from chainrule.native import COMPILED, register_product

DEEP = tiles.PANEL
TALL = 512  # rows that are multiplied with a copied panel before it is copied again
COPIED = 1 << 17  # numbers of A that meet a strip of B, from which on copying it pays
STEPS = 512  # rows of B from which on it pays where A is read across its rows, too
FEW = 64  # rows of A for which it never does


def multiply(a, a_row, a_step, b, b_row, b_step, c, c_row, m, n, k):
    """C = A B, with A of shape (m, k), B of (k, n), and C of (m, n); all are addresses, and steps in numbers.

    The rows of C are contiguous, and so are the rows or the columns of B.
    """
    turned = b_step == 1 and (a_row == 1 or (a_step == 1 and k <= DEEP)) and is_narrow(m, n, a_row)
    if turned:
        a, a_row, a_step, b, b_row, b_step, m, n = b, b_step, b_row, a, a_step, a_row, n, m
    copied = b_step != 1 or (m >= FEW and (k > STEPS if a_step != 1 else m * k > COPIED))
    tall, deep, room = (TALL, DEEP, panel()) if copied else (max(m, 1), max(k, 1), b)
    for i in range(0, m, tall):
        rows, out = min(tall, m - i), c + i * c_row * SIZE
        for p in range(0, max(k, 1), deep):
            depth, begin = min(deep, k - p), a + (i * a_row + p * a_step) * SIZE
            for j in range(0, n, WIDTH):
                columns, start = min(WIDTH, n - j), b + (p * b_row + j * b_step) * SIZE
                if b_step != 1:
                    copy_turned(start, b_step, room, WIDTH, columns, depth)
                elif copied:
                    copy_rows(start, b_row, room, columns, depth)
                source, step = (room, WIDTH) if copied else (start, b_row)
                target, target_row = (square(), WIDTH) if turned else (out + j * SIZE, c_row)
                strip(begin, a_row, a_step, source, step, target, target_row, rows, columns, depth, p > 0)
                if turned:
                    copy_turned(target, WIDTH, c + j * c_row * SIZE, c_row, rows, columns)


def is_narrow(m, n, a_row):
    """Whether C has so few columns that its transpose, of rows as wide as a vector, is had more cheaply.

    In vector instructions for each link of the chains; to copy a number takes about a quarter of one.
    """
    straight, turned = m * ((n + LANES - 1) // LANES), n * ((m + LANES - 1) // LANES)
    return n <= WIDTH and 5 * (turned + (0 if a_row == 1 else m // 4)) < 4 * straight


def copy_rows(b, b_row, room, columns, depth):
    """Copy rows of B, filled up with zeros to the width of the panel."""
    for k in range(depth):
        for j in range(0, WIDTH, LANES):
            copy(b + (k * b_row + j) * SIZE, room + (k * WIDTH + j) * SIZE, columns - j)


def copy_turned(source, source_row, target, target_row, rows, columns):
    """Copy the rows of a matrix as columns of another."""
    for i in range(0, rows, LANES):
        for j in range(0, columns, LANES):
            block, place = source + (i * source_row + j) * SIZE, target + (j * target_row + i) * SIZE
            turn(block, source_row, place, target_row, rows - i, columns - j)


@lru_cache
def ready(dtype: str) -> None:
    """Compile the product of a dtype, or fetch it from the cache: code that calls it may be linked then."""
    if not COMPILED:
        return
    lanes = tiles.lanes(dtype)
    scope = {**globals(), "SIZE": tiles.SIZES[dtype], "LANES": lanes, "WIDTH": tiles.VECTORS * lanes}
    scope.update(strip=tiles.strip(dtype), copy=tiles.copy(dtype), turn=tiles.turn(dtype))
    scope.update(panel=tiles.room(dtype, tiles.PANEL), square=tiles.room(dtype, scope["WIDTH"]))
    for helper in (is_narrow, copy_rows, copy_turned):
        scope[helper.__name__] = inlined(rebind(helper, scope))
    bound = rebind(multiply, scope, template_name(multiply, dtype.encode()))
    register_product(dtype, address_of(bound, types.void(*[types.int64] * 11)))
