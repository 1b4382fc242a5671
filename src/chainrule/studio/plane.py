"""The plane that is shown: two features, or the two principal components of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.column_kinds import Number
from chainrule.columns import ColumnEncoder
from chainrule.errors import OptionError
from chainrule.parameters import Array

GRID = 48  # points to a side, while a network is trained
FINE = 128  # and of the prediction, while it stands still
MARGIN = 0.08  # of the range, around the rows
MOST_ROWS = 5000  # of which components are computed


@dataclass(frozen=True)
class Axis:
    """One side of the plane.

    Attributes
    ----------
    name : str
    low, high : float
        Where it begins and ends.
    scale, centre : float
        A place times scale plus centre is in the column's own unit.
    """

    name: str
    low: float
    high: float
    scale: float = 1.0
    centre: float = 0.0


@dataclass(frozen=True)
class Plane:
    """A plane through the space of the encoded features.

    Attributes
    ----------
    axes : tuple of two Axis
    origin : ndarray of shape (features,)
    directions : ndarray of shape (2, features)
        A point of the plane is origin + p directions.
    """

    axes: tuple[Axis, Axis]
    origin: Array
    directions: Array

    def grid(self, side: int = GRID) -> Array:
        """The features at side × side points, row by row from the top left."""
        u = np.linspace(self.axes[0].low, self.axes[0].high, side)
        v = np.linspace(self.axes[1].high, self.axes[1].low, side)
        U, V = np.meshgrid(u, v)
        places = np.column_stack([U.ravel(), V.ravel()])
        return np.ascontiguousarray(self.origin + places @ self.directions)

    def project(self, X: Array) -> Array:
        """Where rows lie, of shape (rows, 2)."""
        squares = np.square(self.directions).sum(axis=1)
        places = (X - self.origin) @ self.directions.T
        return np.asarray(places / np.where(squares, squares, 1))


def make(encoder: ColumnEncoder, X: Array, view: dict[str, Any]) -> Plane:
    """The plane that the page asks for.

    Parameters
    ----------
    encoder : ColumnEncoder
        Names the features.
    X : ndarray of shape (rows, features)
        The rows that it shall show.
    view : dict
        ``{"kind": "components"}``, or ``{"kind": "features", "x": i, "y": j}``; features that are not on an
        axis are held at their medians.

    Raises
    ------
    OptionError
        If there are no such features.
    """
    count = X.shape[1]
    if view.get("kind") == "components" and count > 1:
        sample = X[np.linspace(0, len(X) - 1, min(MOST_ROWS, len(X))).astype(np.int64)]
        origin = sample.mean(axis=0)
        directions = np.linalg.svd(sample - origin, full_matrices=False)[2][:2]
        if len(directions) < 2:
            directions = np.vstack([directions, np.zeros(count)])
        signs = np.sign(directions[np.arange(2), np.abs(directions).argmax(axis=1)])
        directions = directions * np.where(signs == 0, 1, signs)[:, None]
        names = ["component 1", "component 2"]
        return _ranged(Plane((Axis(names[0], 0, 1), Axis(names[1], 0, 1)), origin, directions), X)
    chosen = [_place(view.get(side, default), count) for side, default in (("x", 0), ("y", 1))]
    origin = np.median(X, axis=0)
    directions = np.zeros((2, count))
    for side, place in enumerate(chosen):
        if side == 0 or place != chosen[0]:
            directions[side, place] = 1
            origin[place] = 0
    axes = _named(encoder, chosen)
    return _ranged(Plane(axes, origin, directions), X)


def _place(value: Any, count: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise OptionError(f"An axis is the number of a feature, from 0 to {count - 1}, not {value!r}.")
    return min(value, count - 1)


def _named(encoder: ColumnEncoder, chosen: list[int]) -> tuple[Axis, Axis]:
    units = [unit for column in encoder.kept for unit in _units(column)]
    first, second = (Axis(encoder.feature_names[i], 0, 1, *units[i]) for i in chosen)
    return first, second


def _units(column: Any) -> list[tuple[float, float]]:
    """How each feature of a column is brought back to the column's own unit."""
    plain = [(1.0, 0.0)] * len(column.features)
    if isinstance(column, Number) and not column.truth:
        plain[0] = (float(column.scale), float(column.centre))
    return plain


def _ranged(plane: Plane, X: Array) -> Plane:
    """The same plane, from the first row to the last with a margin."""
    places = plane.project(X)
    low, high = places.min(axis=0), places.max(axis=0)
    wide = np.where(high > low, high - low, 2.0)
    middle = (low + high) / 2
    low, high = middle - wide * (0.5 + MARGIN), middle + wide * (0.5 + MARGIN)
    first, second = (
        Axis(a.name, float(low[i]), float(high[i]), a.scale, a.centre) for i, a in enumerate(plane.axes)
    )
    return Plane((first, second), plane.origin, plane.directions)
