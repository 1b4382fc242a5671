"""Tables to play with: shapes in a plane, surfaces, and two well-known data sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from chainrule.errors import OptionError

Points = tuple[Any, Any]  # coordinates of shape (n, 2), and their target of shape (n,)
LEAST, MOST = 20, 20_000  # rows
LABELS = ("A", "B", "C")


@dataclass(frozen=True)
class Example:
    """A table that can be made.

    Attributes
    ----------
    name : str
        As it is asked for.
    title : str
        As it is called on the page.
    target : str
        The column to predict.
    draw : callable or None
        ``draw(rng, n, noise) -> (points, target)``; None for a data set that exists.
    """

    name: str
    title: str
    target: str
    draw: Callable[[np.random.Generator, int, float], Points] | None = None


def table(name: str, rows: int = 400, noise: float = 0.1, seed: int = 0) -> pl.DataFrame:
    """An example as a table.

    Parameters
    ----------
    name : str
        A key of `EXAMPLES`.
    rows : int
        From 20 to 20,000; the data sets have rows of their own.
    noise : float
        Standard deviation of what is added to each coordinate, in [0, 1].
    seed : int

    Returns
    -------
    polars.DataFrame

    Raises
    ------
    OptionError
        If there is no such example, or if a number lies outside of its range.
    """
    if name not in EXAMPLES:
        raise OptionError(f"There is no example {name!r}. Choose one of: {', '.join(EXAMPLES)}.")
    if not LEAST <= rows <= MOST:
        raise OptionError(f"rows must lie between {LEAST} and {MOST}, not {rows!r}.")
    if not 0 <= noise <= 1:
        raise OptionError(f"noise must lie between 0 and 1, not {noise!r}.")
    example = EXAMPLES[name]
    if example.draw is None:
        return _data_set(name, example.target)
    points, target = example.draw(np.random.default_rng(seed), rows, noise)
    columns = {f"x{i + 1}": points[:, i] for i in range(points.shape[1])}
    return pl.DataFrame({**columns, example.target: target})


def _data_set(name: str, target: str) -> pl.DataFrame:
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    names = [str(feature).removesuffix(" (cm)") for feature in data.feature_names]
    labels = [str(data.target_names[code]) for code in data.target]
    return pl.DataFrame(data.data, schema=names).with_columns(pl.Series(target, labels))


def _named(sides: Any) -> list[str]:
    return [LABELS[int(side)] for side in sides]


def _circles(rng: np.random.Generator, n: int, noise: float) -> Points:
    side = np.arange(n) % 2
    radius = np.where(side == 1, rng.uniform(0, 0.5, n), rng.uniform(0.7, 1, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    points = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return points + rng.normal(0, noise / 2, (n, 2)), _named(side)


def _spirals(rng: np.random.Generator, n: int, noise: float) -> Points:
    side = np.arange(n) % 2
    way = np.sqrt(rng.uniform(0.01, 1, n))
    angle = 3.5 * np.pi * way + np.pi * side
    points = way[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    return points + rng.normal(0, noise / 4, (n, 2)), _named(side)


def _moons(rng: np.random.Generator, n: int, noise: float) -> Points:
    side = np.arange(n) % 2
    angle = rng.uniform(0, np.pi, n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1 - np.cos(angle), 0.5 - np.sin(angle)])
    points = np.where(side[:, None] == 1, lower, upper) - [0.5, 0.25]
    return points + rng.normal(0, noise, (n, 2)), _named(side)


def _xor(rng: np.random.Generator, n: int, noise: float) -> Points:
    points = rng.uniform(-1, 1, (n, 2))
    side = points[:, 0] * points[:, 1] < 0
    return points + rng.normal(0, noise / 2, (n, 2)), _named(side)


def _three_arms(rng: np.random.Generator, n: int, noise: float) -> Points:
    arm = np.arange(n) % 3
    way = np.sqrt(rng.uniform(0.01, 1, n))
    angle = 1.2 * np.pi * way + 2 * np.pi / 3 * arm
    points = way[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    return points + rng.normal(0, noise / 3, (n, 2)), _named(arm)


def _plane(rng: np.random.Generator, n: int, noise: float) -> Points:
    points = rng.uniform(-1, 1, (n, 2))
    return points, points.sum(axis=1) + rng.normal(0, noise, n)


def _waves(rng: np.random.Generator, n: int, noise: float) -> Points:
    points = rng.uniform(-1, 1, (n, 2))
    height = np.sin(np.pi * points[:, 0]) * np.cos(np.pi * points[:, 1])
    return points, height + rng.normal(0, noise, n)


def _peaks(rng: np.random.Generator, n: int, noise: float) -> Points:
    points = rng.uniform(-1, 1, (n, 2))
    near = [np.exp(-8 * np.square(points - centre).sum(axis=1)) for centre in ([-0.4, -0.4], [0.5, 0.4])]
    return points, near[0] - near[1] + rng.normal(0, noise / 2, n)


EXAMPLES = {
    example.name: example
    for example in (
        Example("circles", "Circles", "class", _circles),
        Example("spirals", "Spirals", "class", _spirals),
        Example("moons", "Moons", "class", _moons),
        Example("xor", "XOR", "class", _xor),
        Example("arms", "Arms (3 classes)", "class", _three_arms),
        Example("plane", "Plane (regression)", "height", _plane),
        Example("waves", "Waves (regression)", "height", _waves),
        Example("peaks", "Peaks (regression)", "height", _peaks),
        Example("iris", "Iris (3 species)", "species"),
        Example("digits", "Digits (64 features, 10 classes)", "digit"),
    )
}
