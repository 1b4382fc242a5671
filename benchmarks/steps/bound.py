"""What a step cannot do without, each part measured alone on this machine: products and the update's bytes.

The products are those of the forward pass and of the gradients of the weights and of the inputs of all
layers but the first. They run in SciPy's OpenBLAS (Numba's `dot`; the compiled run has products of its
own, which may be quicker), on the same operands again and again: with warm caches, and nothing between
them. The update moves its bytes at the rate of a triad ``a = b + s c`` of as many bytes. Activations, loss,
biases and the gathering of rows count nothing.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numba
import numpy as np

from steps.cells import Cell

BYTES_MOVED = {"adam": 7, "sgd": 3}  # numbers read and written for each parameter: w, g, m, v; w, m, v
ARRAYS = {"adam": 4, "sgd": 2}  # that these lie in
PEAK_SIZE = 1536
TRIES = 5


def versions() -> dict[str, str]:
    return {"numba": numba.__version__, "threads": str(numba.get_num_threads())}


@numba.njit
def products(A, B, C, times):
    for _ in range(times):
        np.dot(A, B, C)


@numba.njit(fastmath=True)
def triad(a, b, c, times):
    for number in range(times):
        s = a.dtype.type(number)
        for i in range(a.size):
            a[i] = b[i] + s * c[i]


@numba.njit(parallel=True, fastmath=True)
def triad_on_all_cores(a, b, c, times):
    for number in range(times):
        s = a.dtype.type(number)
        for i in numba.prange(a.size):
            a[i] = b[i] + s * c[i]


def quickest(kernel: Any, arrays: tuple[Any, ...], seconds: float) -> float:
    """Seconds of one turn of a kernel: the least of some tries of about this length in all."""
    kernel(*arrays, 1)
    began = time.perf_counter()
    kernel(*arrays, 1)
    once = max(time.perf_counter() - began, 1e-7)
    times, best = max(int(seconds / TRIES / once), 1), float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        kernel(*arrays, times)
        best = min(best, (time.perf_counter() - began) / times)
    return best


def products_of_step(cell: Cell) -> list[tuple[str, int, int, int]]:
    """(name, rows, inner, columns) of each product of a step."""
    n, found = cell.rows_in_batch, []
    for layer, (m, k) in enumerate(pairwise(cell.widths)):
        found += [("A W", n, m, k), ("A'dZ", m, n, k)]
        found += [("dZ W'", n, k, m)] if layer else []
    return found


def time_product(name: str, rows: int, inner: int, columns: int, dtype: str, seconds: float) -> float:
    """Least seconds of one product, its operands stored as in a step."""
    rng = np.random.default_rng(0)
    A = (
        rng.standard_normal((inner, rows)).astype(dtype).T
        if name == "A'dZ"
        else rng.standard_normal((rows, inner)).astype(dtype)
    )
    B = (
        rng.standard_normal((columns, inner)).astype(dtype).T
        if name == "dZ W'"
        else rng.standard_normal((inner, columns)).astype(dtype)
    )
    return quickest(products, (A, B, np.empty((rows, columns), dtype)), seconds)


def time_update(cell: Cell, seconds: float) -> tuple[float, float]:
    """Seconds of the update's bytes, and the rate in bytes a second."""
    size = max(cell.parameters * ARRAYS[cell.optimiser] // 3, 1)
    arrays = tuple(np.ones(size, cell.dtype) for _ in range(3))
    best = min(quickest(kernel, arrays, seconds) for kernel in (triad, triad_on_all_cores))
    width = np.dtype(cell.dtype).itemsize
    rate = 3 * size * width / best
    return cell.parameters * BYTES_MOVED[cell.optimiser] * width / rate, rate


def measure(cell: Cell, seconds: float) -> dict[str, float]:
    """The parts of the bound, in microseconds, and the rates that they follow from."""
    shapes = products_of_step(cell)
    share = seconds / (len(shapes) + 3)
    times = [time_product(*shape, cell.dtype, share) for shape in shapes]
    operations = [2 * rows * inner * columns for _, rows, inner, columns in shapes]
    peak_time = time_product("A W", PEAK_SIZE, PEAK_SIZE, PEAK_SIZE, cell.dtype, share)
    peak = 2 * PEAK_SIZE**3 / peak_time
    update, rate = time_update(cell, share)
    return {
        "products_us": sum(times) * 1e6,
        "update_us": update * 1e6,
        "gflops": sum(operations) / sum(times) / 1e9,
        "best_gflops": max(o / t for o, t in zip(operations, times, strict=True)) / 1e9,
        "peak_gflops": peak / 1e9,
        "products_at_peak_us": sum(operations) / peak * 1e6,
        "gbytes_per_s": rate / 1e9,
    }
