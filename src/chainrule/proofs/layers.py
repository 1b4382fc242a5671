"""Proves the matrix equations of the layer kinds, for any size and for small ones entry by entry.

With dZ = dL/dZ of any differentiable L, the chain rule says dL/dW[a, c] = sum_ij dZ[i, j] dZ[i, j]/dW[a, c].
The derivative on the right is taken of what the row's own `forward` computes; the left is what its
`backward` computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import sympy as sp

from chainrule.equations.layer_kinds import LayerKind
from chainrule.proofs.entries import symbols
from chainrule.proofs.indices import (
    GENERIC,
    Array,
    Entry,
    Flat,
    agree,
    contract,
    for_any_size,
    index,
    size,
    total,
)
from chainrule.proofs.proof import Proof, Steps, attempt, compared
from chainrule.proofs.readings import read

TABLE = "layer kind"
ANY_SIZE = "index calculus for any number of rows, inputs and units"
EACH_SIZE = "differentiation of every entry"
SIZES = ((1, 1, 1), (2, 3, 2), (3, 1, 2), (2, 2, 3))

Claims = Iterator[tuple[str, Any, Any]]  # what, what the source computes, what it must be


def prove_layer(row: LayerKind) -> list[Proof]:
    """Proofs about a layer kind."""
    general = dict(GENERAL)
    if row.name in FORWARD:
        general[f"forward: {FORWARD[row.name][0]}"] = _forward
    found = [_attempt(row, statement, ANY_SIZE, claims) for statement, claims in general.items()]
    found.append(_attempt(row, ENTRIES, EACH_SIZE, _explicit))
    return [*found, _attempt(row, SLICES, EACH_SIZE, _in_parts)]


def _attempt(row: LayerKind, statement: str, method: str, claims: Callable[[LayerKind], Claims]) -> Proof:
    def steps() -> Steps:
        for what, computed, true in claims(row):
            yield compared(what, computed, contract(true), agree(computed, true))

    return attempt(row.name, TABLE, statement, method, steps)


class Layer:
    """A layer of any size: its arrays, and the row's functions read on them."""

    def __init__(self, row: LayerKind) -> None:
        self.row = row
        self.n, self.inputs, self.units = map(size, ("n", "d", "K"))
        self.X, self.dZ = Array.named("X", self.n, self.inputs), Array.named("dZ", self.n, self.units)
        self.p, self.Z = Flat("p"), Array((self.n, self.units), lambda i, j: sp.nan)
        read(row.forward, for_any_size())(self.X, self.p, self.Z)

    def stretches(self) -> Iterator[tuple[str, Any, Any, tuple[Any, ...]]]:
        """Name, start, stop and shape of each parameter in the flat vector."""
        start = sp.Integer(0)
        for name, shape in self.row.shapes(self.inputs, self.units).items():
            stop = sp.expand(start + sp.Mul(*shape))
            yield name, start, stop, shape
            start = stop

    def pulled(self, entry: Any) -> Any:
        """sum_ij dZ[i, j] dZ[i, j]/d entry, from the forward equation."""
        return total(
            lambda i: total(lambda j: self.dZ.entry(i, j) * sp.diff(self.Z.entry(i, j), entry), self.units),
            self.n,
        )


def _dense(X: Array, W: Array, b: Array) -> Entry:
    return lambda i, j: total(lambda k: X.entry(i, k) * W.entry(k, j), W.shape[0]) + b.entry(j)


FORWARD: dict[str, tuple[str, Callable[..., Entry]]] = {
    "dense": ("Z[i, j] = sum_k X[i, k] W[k, j] + b[j]", _dense)
}


def _forward(row: LayerKind) -> Claims:
    layer = Layer(row)
    parameters = [layer.p.find(start, stop, shape) for _, start, stop, shape in layer.stretches()]
    i, j = index("i", layer.n), index("j", layer.units)
    yield "Z", layer.Z.entry(i, j), FORWARD[row.name][1](layer.X, *parameters)(i, j)


def _backward(row: LayerKind) -> Claims:
    layer = Layer(row)
    dp, dX = Flat("dp"), Array(layer.X.shape, lambda i, j: sp.nan)
    read(row.backward, for_any_size())(layer.dZ, layer.X, layer.p, dX, dp)
    for name, start, stop, shape in layer.stretches():
        at = [index(f"a{axis}", length) for axis, length in enumerate(shape)]
        entry = layer.p.find(start, stop, shape).entry(*at)
        yield f"d{name}", dp.find(start, stop, shape).entry(*at), layer.pulled(entry)
    i, k = index("i", layer.n), index("k", layer.inputs)
    yield "dX", dX.entry(i, k), layer.pulled(layer.X.entry(i, k))


def _row_gradients(row: LayerKind) -> Claims:
    layer, J = Layer(row), Flat("J")
    read(row.row_gradients, for_any_size())(layer.dZ, layer.X, {GENERIC: J})
    i = index("i", layer.n)
    for name, start, stop, shape in layer.stretches():
        at = [index(f"a{axis}", length) for axis, length in enumerate(shape)]
        entry = layer.p.find(start, stop, shape).entry(*at)
        true = total(
            lambda j, entry=entry: layer.dZ.entry(i, j) * sp.diff(layer.Z.entry(i, j), entry), layer.units
        )
        yield f"d{name} of one row", J.find(start, stop, shape).entry(*at).subs(GENERIC, i), true


def _unit(row: LayerKind) -> Claims:
    d = size("d")
    x, w, b, dz = Array.named("x", d), Array.named("w", d), sp.Symbol("b", real=True), sp.Symbol("dz")
    z = read(row.unit_forward, for_any_size(d))(x, w, b)
    i = index("i", d)
    yield "z", z, total(lambda k: w.entry(k) * x.entry(k), d) + b
    (dw,), db, (dx,) = read(row.unit_backward, for_any_size(d))(dz, x, w)
    yield "dw", dw.subs(GENERIC, i), dz * sp.diff(z, w.entry(i))
    yield "db", db, dz * sp.diff(z, b)
    yield "dx", dx.subs(GENERIC, i), dz * sp.diff(z, x.entry(i))


GENERAL: dict[str, Callable[[LayerKind], Claims]] = {
    "backward = d forward: the parameters' and the input's derivatives": _backward,
    "row_gradients = d forward of each row by itself": _row_gradients,
    "unit_backward = d unit_forward, and that is one unit's sum": _unit,
}
ENTRIES = "backward = d forward, row_gradients = d forward of each row, entry by entry"
SLICES = "backward of some inputs, or of X alone, gives these rows of the parameters' derivative, or dX"


def _explicit(row: LayerKind) -> Claims:
    """The same by the functions as they are, run by NumPy on arrays of symbols."""
    for n, inputs, units in SIZES:
        where = f"n = {n}, d = {inputs}, K = {units}"
        count = sum(int(np.prod(shape)) for shape in row.shapes(inputs, units).values())
        X, p, dZ = symbols("X", n, inputs), symbols("p", count), symbols("dZ", n, units)
        Z, dX, dp = (np.full(shape, sp.nan, object) for shape in (dZ.shape, X.shape, p.shape))
        J = np.full((n, count), sp.nan, object)
        row.forward(X, p, Z)
        row.backward(dZ, X, p, dX, dp)
        row.row_gradients(dZ, X, J)
        L = dZ * Z  # its sum has the derivative dZ with respect to Z
        for at, computed in zip([*p, *X.flat], [*dp, *dX.flat], strict=True):
            yield where, computed, sp.diff(L.sum(), at)
        for i, k in np.ndindex(*J.shape):
            yield where, J[i, k], sp.diff(L[i].sum(), p[k])


def _in_parts(row: LayerKind) -> Claims:
    """What the compiled run asks of `backward`: dX alone, and a few rows of the parameters' derivative."""
    for n, inputs, units in SIZES:
        where = f"n = {n}, d = {inputs}, K = {units}"
        count = sum(int(np.prod(shape)) for shape in row.shapes(inputs, units).values())
        X, p, dZ = symbols("X", n, inputs), symbols("p", count), symbols("dZ", n, units)
        whole, dX, alone = (np.full(shape, sp.nan, object) for shape in (count, X.shape, X.shape))
        row.backward(dZ, X, p, dX, whole)
        row.backward(dZ, X, p, alone, p[:0])
        yield from ((where, a, b) for a, b in zip(alone.flat, dX.flat, strict=True))
        rest = count - inputs * units
        for first in range(inputs if row.sliced else 0):
            for last in range(first + 1, inputs + 1):
                part = np.full((last - first) * units + rest, sp.nan, object)
                row.backward(dZ, X[:, first:last], p, X[:0], part)
                rows = [*whole[first * units : last * units], *whole[count - rest :]]
                yield from ((where, a, b) for a, b in zip(part, rows, strict=True))
