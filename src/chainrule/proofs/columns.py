"""Matrices of any size that are read and written some columns at a time."""

from __future__ import annotations

from typing import Any

import sympy as sp

from chainrule.proofs.indices import Array, Entry, Shape
from chainrule.proofs.proof import UnprovedError


class Columns(Array):
    """A matrix that is read and written whole, or some columns at a time.

    Attributes
    ----------
    pieces : dict
        What was written, or else a name of its own, for each stretch (first, after the last) of columns.
    """

    def __init__(self, name: str, rows: Any, width: Any) -> None:
        self.name, self.shape = name, (rows, width)
        self.pieces: dict[tuple[Any, Any], Array] = {}

    @property
    def entry(self) -> Entry:  # type: ignore[override]
        """The rule of its entries."""
        return self.find(sp.Integer(0), self.shape[1]).entry

    def find(self, start: Any, stop: Any) -> Array:
        """The array that fills some columns."""
        name = f"{self.name}_{len(self.pieces)}"
        return self.pieces.setdefault(
            (start, stop), Array.named(name, self.shape[0], sp.expand(stop - start))
        )

    def fill(self, shape: Shape, entry: Entry) -> None:
        """Set the entries."""
        super()._same(shape)
        self.pieces[sp.Integer(0), self.shape[1]] = Array(shape, entry)

    def _stretch(self, at: Any) -> tuple[Any, Any]:
        if at in (slice(None), ...):
            return sp.Integer(0), self.shape[1]
        rows, columns, *_ = at
        if rows != slice(None):
            raise UnprovedError("rows are not taken apart here")
        first = sp.expand(sp.sympify(columns.start or 0))
        return first, self.shape[1] if columns.stop is None else sp.expand(columns.stop)

    def __getitem__(self, at: Any) -> Any:
        if not isinstance(at, tuple):
            return super().__getitem__(at)
        made = Part(self, *self._stretch(at))
        return made if len(at) == 2 else made._whole((slice(None), slice(None), *at[2:]))

    def __setitem__(self, at: Any, value: Any) -> None:
        Part(self, *self._stretch(at))[:] = value


class Part(Array):
    """Some columns of a matrix; what is written to them is written to the matrix."""

    def __init__(self, of: Columns, start: Any, stop: Any) -> None:
        self.of, self.start, self.stop = of, start, stop
        self.shape = (of.shape[0], sp.expand(stop - start))

    @property
    def entry(self) -> Entry:  # type: ignore[override]
        """The rule of its entries."""
        return self.of.find(self.start, self.stop).entry

    def fill(self, shape: Shape, entry: Entry) -> None:
        """Set the entries."""
        self._same(shape)
        self.of.pieces[self.start, self.stop] = Array(shape, entry)
