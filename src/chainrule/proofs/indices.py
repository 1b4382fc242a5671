"""Matrix equations of any size, entry by entry.

An `Array` has symbolic sizes, and a rule for its entry at symbolic indices. The rows' matrix functions
run on such arrays: `dot` makes the entry a sum over an index, and so on. Differentiating with respect to
an entry gives Kronecker deltas, and `contract` carries out the sums over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import sympy as sp

from chainrule import equation
from chainrule.proofs.proof import UnprovedError
from chainrule.proofs.readings import Meaning, exact, reading
from chainrule.proofs.zero import vanishes

Entry = Callable[..., Any]
Shape = tuple[Any, ...]

GENERIC = sp.Symbol("i_", integer=True)  # stands for each element in turn, where a source iterates


def size(name: str) -> Any:
    """A size: some positive integer."""
    return sp.Symbol(name, integer=True, positive=True)


def index(name: str, of: Any) -> Any:
    """Any index of a dimension of the given size."""
    return sp.Idx(name, of)


def total(entry: Entry, of: Any) -> Any:
    """The sum of entry(k) over k = 0 .. size - 1."""
    k = sp.Dummy(f"i_{of}", integer=True)
    return sp.Sum(entry(k), (k, 0, of - 1))


class Array:
    """An array of symbolic shape."""

    def __init__(self, shape: Shape, entry: Entry) -> None:
        self.shape, self.entry = shape, entry

    @classmethod
    def named(cls, name: str, *shape: Any) -> Array:
        """An array of independent real quantities."""
        base = sp.IndexedBase(name, real=True)
        return cls(shape, lambda *at: base[at])

    @property
    def T(self) -> Array:  # noqa: N802 - NumPy's name
        """The transpose."""
        return Array(self.shape[::-1], lambda *at: self.entry(*reversed(at)))

    def fill(self, shape: Shape, entry: Entry) -> None:
        """Set the entries."""
        self._same(shape)
        self.entry = entry

    def _same(self, shape: Shape) -> None:
        if shape != self.shape:
            raise UnprovedError(f"an array of shape {shape} is written into one of shape {self.shape}")

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, tuple):
            return self._whole(at)
        rest = self.shape[1:]
        return Array(rest, lambda *more: self.entry(at, *more)) if rest else self.entry(at)

    def _whole(self, at: tuple[Any, ...]) -> Array:
        """All of it, with an axis of length 1 for each None."""
        if any(part not in (None, slice(None)) for part in at):
            raise UnprovedError(f"the part {at} of an array is not known here")
        kept = [part is not None for part in at]
        lengths = iter(self.shape)
        shape = tuple(next(lengths) if keep else sp.Integer(1) for keep in kept)
        entry = self.entry
        return Array(shape, lambda *i: entry(*(k for k, keep in zip(i, kept, strict=True) if keep)))

    def __setitem__(self, at: Any, value: Any) -> None:
        if at not in (slice(None), ...):
            raise UnprovedError("only a whole array can be assigned here")
        made = value if isinstance(value, Array) else Array(self.shape, lambda *i: sp.sympify(value))
        self.fill(made.shape, made.entry)

    def __iter__(self) -> Iterator[Any]:
        yield self[GENERIC]

    def _with(self, other: Any, function: Callable[[Any, Any], Any]) -> Array:
        """A function of this and another array, or a number, entry by entry."""
        if not isinstance(other, Array):
            entry = self.entry
            return Array(self.shape, lambda *at: function(entry(*at), other))
        return together(function, self, other)

    def reshape(self, *shape: Any) -> Array:
        """The same entries with axes of length 1 added or left out."""
        wanted = tuple(map(sp.expand, shape))
        if [n for n in wanted if n != 1] != [n for n in self.shape if n != 1]:
            raise UnprovedError(f"an array of shape {self.shape} has not the shape {wanted}")
        long, of = [axis for axis, length in enumerate(wanted) if length != 1], self.entry

        def entry(*at: Any) -> Any:
            given = iter(long)
            return of(*(sp.Integer(0) if n == 1 else at[next(given)] for n in self.shape))

        return Array(wanted, entry)

    def sum(self, axis: int) -> Array:
        """The sum along an axis."""
        length, rest, of = self.shape[axis], self.shape[:axis] + self.shape[axis + 1 :], self.entry

        def entry(*at: Any) -> Any:
            def term(k: Any) -> Any:
                return of(*at[:axis], k, *at[axis:])

            return term(sp.Integer(0)) if length == 1 else total(term, length)

        return Array(rest, entry)

    def __neg__(self) -> Array:
        return Array(self.shape, lambda *at: -self.entry(*at))

    def __add__(self, other: Any) -> Array:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Array:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Array:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Array:
        return self._with(other, lambda a, b: a * b)

    __radd__, __rmul__ = __add__, __mul__


def together(function: Callable[..., Any], *arrays: Array) -> Array:
    """A function of arrays, entry by entry; axes of length 1, or missing in front, follow the others'."""
    depth = max(len(a.shape) for a in arrays)
    padded = [(sp.Integer(1),) * (depth - len(a.shape)) + a.shape for a in arrays]
    shape = []
    for lengths in zip(*padded, strict=True):
        long = {n for n in lengths if n != 1}
        if len(long) > 1:
            raise UnprovedError(f"shapes {' and '.join(str(a.shape) for a in arrays)} differ")
        shape.append(long.pop() if long else sp.Integer(1))

    parts = [(a.shape, a.entry) for a in arrays]  # what these are now: some may be written to later

    def entry(*at: Any) -> Any:
        return function(
            *(
                of(*(0 if n == 1 else k for n, k in zip(lengths, at[depth - len(lengths) :], strict=True)))
                for lengths, of in parts
            )
        )

    return Array(tuple(shape), entry)


class Flat:
    """A flat vector of parameters, seen through its pieces.

    Attributes
    ----------
    pieces : dict
        What was written, or else a name of its own, for each stretch (start, stop).
    """

    def __init__(self, name: str, count: Any) -> None:
        self.name = name
        self.pieces: dict[tuple[Any, Any], Array] = {}
        self.shape = (sp.sympify(count),)

    def __getitem__(self, stretch: slice) -> Piece:
        start, stop = sp.sympify(stretch.start or 0), sp.expand(stretch.stop)
        return Piece(self, start, stop, (sp.expand(stop - start),))

    def find(self, start: Any, stop: Any, shape: Shape) -> Array:
        """The array that fills a stretch."""
        name = f"{self.name}_{len(self.pieces)}"
        return self.pieces.setdefault((start, stop), Array.named(name, *shape))


class Piece(Array):
    """A stretch of a flat vector in some shape; what is written to it is written to the vector."""

    def __init__(self, flat: Flat, start: Any, stop: Any, shape: Shape) -> None:
        self.flat, self.start, self.stop, self.shape = flat, start, stop, shape

    def reshape(self, *shape: Any) -> Piece:
        """The same stretch in another shape."""
        shape = shape[0] if isinstance(shape[0], tuple) else shape
        if sp.expand(sp.Mul(*shape) - (self.stop - self.start)) != 0:
            raise UnprovedError(f"a stretch of {self.stop - self.start} numbers has not the shape {shape}")
        return Piece(self.flat, self.start, self.stop, shape)

    @property
    def entry(self) -> Entry:  # type: ignore[override]
        """The rule of its entries."""
        return self.flat.find(self.start, self.stop, self.shape).entry

    def fill(self, shape: Shape, entry: Entry) -> None:
        """Set the entries."""
        self._same(shape)
        self.flat.pieces[self.start, self.stop] = Array(shape, entry)


# ------------------------------------------------------------------ the vocabulary, for any size


def dot(A: Array, B: Array, out: Array) -> None:
    """Matrix product."""
    inner = A.shape[1]
    if B.shape[0] != inner:
        raise UnprovedError(f"shapes {A.shape} and {B.shape} cannot be multiplied")
    a, b = A.entry, B.entry
    out.fill((A.shape[0], B.shape[1]), lambda i, j: total(lambda k: a(i, k) * b(k, j), inner))


def add_to_rows(Z: Array, b: Array) -> None:
    """Add a vector to each row."""
    if Z.shape[1:] != b.shape:
        raise UnprovedError(f"a vector of shape {b.shape} is added to rows of an array of shape {Z.shape}")
    before, added = Z.entry, b.entry
    Z.fill(Z.shape, lambda i, j: before(i, j) + added(j))


def column_sums(Z: Array, out: Array) -> None:
    """Sum over rows."""
    entry, rows = Z.entry, Z.shape[0]
    out.fill(Z.shape[1:], lambda j: total(lambda i: entry(i, j), rows))


def multiply(A: Array, factor: Any) -> None:
    """Multiply by a number, in place."""
    before = A.entry
    A.fill(A.shape, lambda *at: factor * before(*at))


class _Numpy:
    """The few functions of NumPy that rows with a Jacobian use."""

    @staticmethod
    def diag(a: Array) -> Array:
        return Array(a.shape * 2, lambda i, j: sp.KroneckerDelta(i, j) * a.entry(i))

    @staticmethod
    def outer(a: Array, b: Array) -> Array:
        return Array((*a.shape, *b.shape), lambda i, j: a.entry(i) * b.entry(j))

    def __getattr__(self, name: str) -> Any:
        raise UnprovedError(f"numpy.{name} has no meaning for arrays of any size")


def for_any_size(of: Any = None) -> Meaning:
    """The meaning of the matrix vocabulary on arrays of symbolic size.

    Parameters
    ----------
    of : sympy.Expr, optional
        The number of elements that a source iterates over; what it does with the generic one it does
        with each.
    """

    def add(terms: Any) -> Any:
        (generic,) = terms
        return total(lambda k: generic.subs(GENERIC, k), of)

    words: dict[Any, Any] = {
        equation.dot: dot,
        equation.matrix: equation.matrix,
        equation.add_to_rows: add_to_rows,
        equation.column_sums: column_sums,
        equation.multiply: multiply,
        equation.sqrt: sp.sqrt,
        len: lambda array: array.shape[0],
        sum: add,
    }

    def mean(value: Any) -> Any:
        if isinstance(value, ModuleType):
            return _Numpy() if value is np else None
        return words.get(value) if callable(value) else None

    return reading(mean, exact)


# ------------------------------------------------------------------ sums over Kronecker deltas


def contract(expression: Any) -> Any:
    """Carry out each sum over a Kronecker delta: sum_k delta(k, a) g(k) = g(a).

    Raises
    ------
    UnprovedError
        If an index is not known to lie in the range of the sum.
    """
    expression = sp.expand(expression)
    if isinstance(expression, sp.Add | sp.Mul):
        return sp.expand(expression.func(*map(contract, expression.args)))
    if not isinstance(expression, sp.Sum):
        return expression
    (k, low, high), *outer_limits = expression.limits
    terms = sp.Add.make_args(contract(expression.function))
    inner = sp.Add(*(_sum_of_term(term, k, low, high) for term in terms))
    return contract(sp.Sum(inner, *outer_limits)) if outer_limits else inner


def _sum_of_term(term: Any, k: Any, low: Any, high: Any) -> Any:
    for delta in term.atoms(sp.KroneckerDelta):
        if k in delta.args:
            (other,) = set(delta.args) - {k}
            if not isinstance(other, sp.Idx) or (other.lower, other.upper) != (low, high):
                raise UnprovedError(f"the index {other} is not known to lie between {low} and {high}")
            return (term / delta).subs(k, other)
    fixed, moving = term.as_independent(k, as_Add=False)
    return fixed * sp.Sum(moving, (k, low, high))


def agree(left: Any, right: Any, cases: tuple[Any, Any] | None = None) -> str | None:
    """How two entries are seen to be equal; None if they are not known to be.

    Parameters
    ----------
    left, right : sympy.Expr
    cases : two indices, optional
        The equality is shown for equal and for different indices separately.
    """
    difference = contract(sp.sympify(left) - right)
    if cases is None:
        return vanishes(difference)
    i, j = cases
    same, other = difference.subs(j, i), difference.subs(sp.KroneckerDelta(i, j), 0)
    return vanishes(same) and vanishes(contract(other))
