"""Proves the matrix equations of the layer kinds, for any size and for small ones entry by entry.

With dZ = dL/dZ of any differentiable L, the chain rule says dL/dW[a, c] = sum_ij dZ[i, j] dZ[i, j]/dW[a, c].
The derivative on the right is taken of what the row's own `forward` computes; the left is what its
`backward` computes. Of a kind that is a function of each entry, any function stands for it here, and
`chainrule.proofs.entry_functions` proves the slopes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np
import sympy as sp

from chainrule.equation import Function
from chainrule.equations.layer_kinds import LayerKind, entries_backward, entries_forward
from chainrule.errors import OptionError
from chainrule.proofs.columns import Columns
from chainrule.proofs.entries import each, entrywise, symbols
from chainrule.proofs.entry_functions import prove_entry
from chainrule.proofs.indices import (
    GENERIC,
    Array,
    Flat,
    agree,
    contract,
    for_any_size,
    index,
    size,
    together,
    total,
)
from chainrule.proofs.proof import Proof, Steps, UnprovedError, attempt, compared
from chainrule.proofs.readings import read
from chainrule.spec import Layer

TABLE = "layer kind"
ANY_SIZE = "index calculus for any number of rows, inputs and units"
ANY_UNIT = "index calculus for any number of inputs"
EACH_SIZE = "differentiation of every entry"
OF_ANY_ENTRY = ", for any function of an entry"

Claims = Iterator[tuple[str, Any, Any]]  # what, what the source computes, what it must be


def prove_layer(row: LayerKind) -> list[Proof]:
    """Proofs about a layer kind."""
    any_entry = OF_ANY_ENTRY if row.entry else ""
    found = []
    if row.name in CASES or (row.entry and not row.parameters):
        found.append(_attempt(row, BACKWARD, ANY_SIZE + any_entry, _any_size))
    if row.unit_forward is not None:
        found.append(_attempt(row, UNIT, ANY_UNIT, _unit))
    found.append(
        _attempt(row, FORWARD, EACH_SIZE.replace("differentiation", "comparison") + any_entry, _meant)
    )
    found.append(_attempt(row, ENTRIES, EACH_SIZE + any_entry, _explicit))
    found.append(_attempt(row, SLICES, EACH_SIZE + any_entry, _in_parts))
    return [*found, *(prove_entry(row) if row.entry else [])]


def _attempt(row: LayerKind, statement: str, method: str, claims: Callable[[LayerKind], Claims]) -> Proof:
    def steps() -> Steps:
        for what, computed, true in claims(row):
            yield compared(what, computed, contract(true), agree(computed, true))

    return attempt(row.name, TABLE, statement, method, steps)


BACKWARD = "backward = d forward: the parameters' and the input's derivatives"
UNIT = "unit_backward = d unit_forward, and that is one unit's sum"
FORWARD = "forward = its definition, entry by entry"
ENTRIES = "backward = d forward, entry by entry"
SLICES = "backward of some inputs, or of X alone, gives these rows of the parameters' derivative, or dX"


# ------------------------------------------------------------------ for any size

N, D, K = map(size, ("n", "d", "K"))


@dataclass(frozen=True)
class Case:
    """A layer of any size.

    Attributes
    ----------
    what : str
    inputs, units, count : sympy.Expr
        Its inputs, units and parameters.
    sizes : tuple
        Of its kind.
    """

    what: str
    inputs: Any
    units: Any
    count: Any
    sizes: tuple[Any, ...] = ()


def _dense_cases() -> Iterator[Case]:
    yield Case("", D, K, D * K + K)


def _grouped_cases() -> Iterator[Case]:
    s, rest = size("s"), size("r")
    for groups in (1, 2, 3):
        what = f"{groups} group{'s' * (groups > 1)}"
        for more, said in ((sp.Integer(0), ""), (rest, ", others pass")):
            inputs, units = sp.expand(groups * s + more), sp.expand(groups * K + more)
            yield Case(what + said, inputs, units, sp.expand(groups * (s * K + K)), (groups, s, K))


def _repeat_cases() -> Iterator[Case]:
    for times in (1, 2, 3):
        yield Case(f"times = {times}", D, times * D, 0, (times,))


CASES: dict[str, Callable[[], Iterator[Case]]] = {
    "dense": _dense_cases,
    "ntk_dense": _dense_cases,
    "grouped": _grouped_cases,
    "repeat": _repeat_cases,
}


def _entry_cases(row: LayerKind) -> Iterator[Case]:
    yield Case("", D, D, len(row.shapes(1, 1)) * D)


def _functions(row: LayerKind) -> tuple[Function, Function]:
    """Forward and backward on arrays of any size."""
    meaning = for_any_size()
    if row.entry is None:
        return read(row.forward, meaning), read(row.backward, meaning)
    made = _of_any_entry(row, lambda f: lambda *arrays: together(f, *arrays))
    forward, backward = read(entries_forward, meaning), read(entries_backward, meaning)
    return (
        lambda *given: forward(made, *given),
        lambda *given: backward(made, *given),
    )


def _of_any_entry(row: LayerKind, over: Callable[[Any], Any]) -> LayerKind:
    """The kind with a function of which nothing is known in the place of its own."""
    pieces = len(row.shapes(1, 1, *row.sizes))
    learnt = 1 if row.frozen else 1 + pieces
    slopes = [sp.Function(f"f_{k}", real=True) for k in range(1 + pieces)]

    class Entry(sp.Function):  # type: ignore[misc]
        """An entry's value."""

        def fdiff(self, argindex: int = 1) -> Any:
            return slopes[argindex - 1](*self.args)

    each_slope = list(map(over, slopes[:learnt]))
    entry = over(Entry)
    return replace(row, entry=entry, slopes=lambda *given: tuple(slope(*given) for slope in each_slope))


def _any_size(row: LayerKind) -> Claims:
    forward, backward = _functions(row)
    for case in CASES[row.name]() if row.name in CASES else _entry_cases(row):
        X, Z, p = Columns("X", N, case.inputs), Columns("Z", N, case.units), Flat("p", case.count)
        forward(X, p, Z, *case.sizes)
        dZ, dX, dp = Columns("dZ", N, case.units), Columns("dX", N, case.inputs), Flat("dp", case.count)
        backward(dZ, X, p, dX, dp, *case.sizes)
        for matrix in (X, Z):
            _check_tiles(matrix.pieces, matrix.shape[1])
        _check_tiles(p.pieces, case.count)
        said = f", {case.what}" if case.what else ""
        for number, (stretch, piece) in enumerate(p.pieces.items()):
            at = [0 if n == 1 else index(f"a{axis}", n) for axis, n in enumerate(piece.shape)]
            given = _found(dp.pieces, stretch).entry(*at)
            yield f"d(parameter {number + 1}){said}", given, _pulled(Z, dZ, piece.entry(*at))
        for stretch, piece in X.pieces.items():
            at = [index("i", N), index("k", piece.shape[1])]
            yield f"dX{said}", _found(dX.pieces, stretch).entry(*at), _pulled(Z, dZ, piece.entry(*at))


def _found(pieces: dict[tuple[Any, Any], Array], stretch: tuple[Any, Any]) -> Array:
    if stretch not in pieces:
        raise UnprovedError(f"the derivative of the stretch {stretch} is not computed")
    return pieces[stretch]


def _check_tiles(pieces: dict[tuple[Any, Any], Array], count: Any) -> None:
    """Make sure that the pieces follow each other without gap or overlap."""
    place, following = sp.Integer(0), dict(pieces)
    while following:
        stop = next((stop for start, stop in following if sp.expand(start - place) == 0), None)
        if stop is None:
            raise UnprovedError(f"what begins at {place} is not known")
        following.pop((place, stop))
        place = stop
    if sp.expand(place - count) != 0:
        raise UnprovedError(f"{place} of {count} columns or parameters are used")


def _pulled(Z: Columns, dZ: Columns, entry: Any) -> Any:
    """sum_ij dZ[i, j] dZ[i, j]/d entry, from the forward equation, over all parts of Z."""

    def over(part: Array, derivative: Array) -> Any:
        def term(i: Any, j: Any) -> Any:
            return derivative.entry(i, j) * sp.diff(part.entry(i, j), entry)

        return total(lambda i: total(lambda j: term(i, j), part.shape[1]), part.shape[0])

    return sp.Add(*(over(part, dZ.find(*stretch)) for stretch, part in Z.pieces.items()))


def _unit(row: LayerKind) -> Claims:
    x, w, b, dz = Array.named("x", D), Array.named("w", D), sp.Symbol("b", real=True), sp.Symbol("dz")
    assert row.unit_forward is not None and row.unit_backward is not None
    z = read(row.unit_forward, for_any_size(D))(x, w, b)
    i = index("i", D)
    yield "z", z, total(lambda k: w.entry(k) * x.entry(k), D) * SHARE[row.name](D) + b
    (dw,), db, (dx,) = read(row.unit_backward, for_any_size(D))(dz, x, w)
    yield "dw", dw.subs(GENERIC, i), dz * sp.diff(z, w.entry(i))
    yield "db", db, dz * sp.diff(z, b)
    yield "dx", dx.subs(GENERIC, i), dz * sp.diff(z, x.entry(i))


SHARE: dict[str, Callable[[Any], Any]] = {
    "dense": lambda d: 1,
    "ntk_dense": lambda d: 1 / sp.sqrt(d),
    "grouped": lambda d: 1,
}


# ------------------------------------------------------------------ small sizes, entry by entry

ROWS_AND_UNITS = ((1, 1), (2, 2), (3, 2), (2, 3))
SIZES = ((1, 1, 1), (2, 1, 2), (1, 3, 2), (2, 2, 3))
CODES = (0, 2, 2, -1, 9)  # a table's rows, one of them twice, and numbers that none has


@dataclass(frozen=True)
class Small:
    """A small layer of symbols: its sizes, its input, parameters and derivatives."""

    where: str
    row: LayerKind
    X: Any
    p: Any
    dZ: Any

    def forward(self) -> Any:
        """Z."""
        Z = np.full(self.dZ.shape, sp.nan, object)
        self.row.forward(self.X, self.p, Z, *self.row.sizes)
        return Z

    def backward(self, dZ: Any, X: Any, dX: Any, dp: Any) -> None:
        """Fills dX and dp."""
        self.row.backward(dZ, X, self.p, dX, dp, *self.row.sizes)

    def learnt(self) -> int:
        """Number of parameters that have a derivative."""
        return 0 if self.row.frozen else len(self.p)


def small_layers(row: LayerKind) -> Iterator[Small]:
    """Layers of a kind in several sizes; any function stands for one of each entry."""
    for kind, (number, (n, units)) in product(_sized(row), enumerate(ROWS_AND_UNITS)):
        inputs = kind.taken + number if kind.taken else (1, 3, 1, 2)[number]
        try:
            layer = Layer(None if row.width else units, kind=f"{_spelt(kind)}").settled(inputs, 1)
        except OptionError:
            continue
        assert layer.units is not None
        count = sum(map(prod, layer.shapes(inputs).values()))
        X = symbols("X", n, inputs)
        if row.name == "embedding":
            columns = kind.sizes[0]
            X[:, inputs - columns :] = np.resize(np.array(CODES, object), (n, columns))
        what = f"n = {n}, d = {inputs}, " + (_said(kind) if kind.parameters else f"K = {layer.units}")
        yield Small(what, _exact(kind), X, symbols("p", count), symbols("dZ", n, layer.units))


def _sized(row: LayerKind) -> Iterator[LayerKind]:
    """The kind with several sizes; itself, if it has none."""
    for sizes in SIZES if row.parameters else SIZES[:1]:
        yield replace(row, parameters=dict(zip(row.parameters, map(float, sizes), strict=False)))


def _said(kind: LayerKind) -> str:
    return ", ".join(f"{name} = {int(value)}" for name, value in kind.parameters.items())


def _spelt(kind: LayerKind) -> str:
    values = ", ".join(f"{name}={int(value)}" for name, value in kind.parameters.items())
    return f"{kind.name}({values})" if values else kind.name


def _exact(kind: LayerKind) -> LayerKind:
    """The kind on arrays of symbols."""
    if kind.entry is not None:
        return _of_any_entry(kind, each)
    return replace(kind, forward=read(kind.forward, entrywise()), backward=read(kind.backward, entrywise()))


def _meant(row: LayerKind) -> Claims:
    """Each entry of Z beside what the kind means."""
    meaning = MEANINGS["entry" if row.entry else row.name]
    for small in small_layers(row):
        for at, computed in np.ndenumerate(small.forward()):
            yield small.where, computed, meaning(small, *at)


def _as_dense(small: Small, i: int, j: int) -> Any:
    inputs, units = small.X.shape[1], small.dZ.shape[1]
    weighted = sum(small.X[i, k] * small.p[k * units + j] for k in range(inputs))
    return SHARE[small.row.name](sp.Integer(inputs)) * weighted + small.p[inputs * units + j]


def _as_grouped(small: Small, i: int, j: int) -> Any:
    groups, of, units = small.row.sizes
    if j >= groups * units:
        return small.X[i, j - groups * units + groups * of]
    g, k = divmod(j, units)
    weighted = sum(small.X[i, g * of + m] * small.p[(g * of + m) * units + k] for m in range(of))
    return weighted + small.p[groups * of * units + j]


def _as_embedding(small: Small, i: int, j: int) -> Any:
    columns, rows, width = small.row.sizes
    first = small.X.shape[1] - columns
    if j < first:
        return small.X[i, j]
    column, k = divmod(j - first, width)
    return small.p[min(max(small.X[i, first + column], 0), rows - 1) * width + k]


def _as_entry(small: Small, i: int, j: int) -> Any:
    columns, fan = small.row.sizes or (small.X.shape[1], 1)
    if j >= columns * fan:
        return small.X[i, j - columns * fan]
    size = columns * fan
    assert small.row.entry is not None
    return small.row.entry(small.X[i, j // fan], *small.p[j::size])[()]


MEANINGS: dict[str, Callable[[Small, int, int], Any]] = {
    "dense": _as_dense,
    "ntk_dense": _as_dense,
    "grouped": _as_grouped,
    "repeat": lambda small, i, j: small.X[i, j % small.X.shape[1]],
    "embedding": _as_embedding,
    "entry": _as_entry,
}


def _explicit(row: LayerKind) -> Claims:
    """The derivatives by the functions as they are, run by NumPy on arrays of symbols."""
    for small in small_layers(row):
        dX, dp = np.full(small.X.shape, sp.nan, object), np.full(small.learnt(), sp.nan, object)
        L = (small.dZ * small.forward()).sum()  # it has the derivative dZ with respect to Z
        small.backward(small.dZ, small.X, dX, dp)
        for at, computed in zip([*small.p[: len(dp)], *small.X.flat], [*dp, *dX.flat], strict=True):
            true = sp.diff(L, at) if isinstance(at, sp.Symbol) else sp.Integer(0)  # a code stays as it is
            yield small.where, sp.sympify(computed), true


def _in_parts(row: LayerKind) -> Claims:
    """What the compiled run asks of `backward`: dX alone, and a few rows of the parameters' derivative."""
    for small in small_layers(row):
        (n, inputs), units, count = small.X.shape, small.dZ.shape[1], small.learnt()
        whole, dX, alone = (np.full(shape, sp.nan, object) for shape in (count, (n, inputs), (n, inputs)))
        small.backward(small.dZ, small.X, dX, whole)
        small.backward(small.dZ, small.X, alone, small.p[:0])
        yield from ((small.where, a, b) for a, b in zip(alone.flat, dX.flat, strict=True))
        rest = count - inputs * units
        for first in range(inputs if row.sliced else 0):
            for last in range(first + 1, inputs + 1):
                part = np.full((last - first) * units + rest, sp.nan, object)
                small.backward(small.dZ, small.X[:, first:last], small.X[:0], part)
                rows = [*whole[first * units : last * units], *whole[count - rest :]]
                yield from ((small.where, a, b) for a, b in zip(part, rows, strict=True))
