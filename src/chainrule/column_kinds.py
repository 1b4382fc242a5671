"""What becomes of a column: a number, a category or a date as columns of numbers; or it is dropped.

Each kind learns from the training rows (`learn`), turns values into numbers (`encode`), and can say
what it does (`done`). All are plain data that JSON can hold.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chainrule.column_values import (
    Numbers,
    Series,
    Texts,
    as_numbers,
    as_texts,
    as_truth,
)

MISSING = "<missing>"
MOST_LEVELS = 50  # a category gets at most so many columns,
RARE = 0.001  # and none for a level in fewer than this share of the rows,
FEWEST = 2  # or in fewer rows than this


@dataclass(frozen=True)
class Dropped:
    """A column that says nothing.

    Attributes
    ----------
    name : str
    was : str
        The kind of column that it was.
    reason : str
    """

    name: str
    was: str
    reason: str
    kind: ClassVar[str] = "dropped"

    def __post_init__(self) -> None:
        sensible(all(isinstance(text, str) for text in (self.name, self.was, self.reason)))

    @property
    def features(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def done(self) -> str:
        """Why it was dropped."""
        return f"dropped: {self.reason}"


@dataclass(frozen=True)
class Spread:
    """What is known of some numbers.

    Attributes
    ----------
    rows, present : int
        How many values there are, and how many are not missing.
    least, most : float
    median : float
        The lower one of two.
    centre, deviation : float
        Mean and standard deviation, the missing values set to the median.
    """

    rows: int
    present: int
    least: float
    most: float
    median: float
    centre: float
    deviation: float

    @classmethod
    def of(cls, values: Numbers) -> Spread:
        """Of numbers, of which NaN are missing."""
        present = np.sort(values[~np.isnan(values)])
        if not present.size:
            return cls(values.size, 0, math.nan, math.nan, math.nan, math.nan, math.nan)
        median = float(present[(present.size - 1) // 2])
        centre, deviation = moments(np.where(np.isnan(values), median, values))
        least, most = float(present[0]), float(present[-1])
        return cls(values.size, present.size, least, most, median, centre, deviation)


@dataclass(frozen=True)
class Number:
    """Numbers: shifted and scaled to mean 0 and standard deviation 1.

    Attributes
    ----------
    name : str
    centre, scale : float
        What is subtracted, and what the rest is divided by.
    fill : float
        Stands in for a missing value: the median (the lower one of two).
    missing : bool
        Whether values were missing while learning; a column of 0 and 1 then tells where they are.
    varies : bool
        Whether the values differ; if not, only that other column is left.
    truth : bool
        Whether the numbers are true/false.
    """

    name: str
    centre: float
    scale: float
    fill: float
    missing: bool
    varies: bool = True
    truth: bool = False

    def __post_init__(self) -> None:
        sensible(
            isinstance(self.name, str),
            all(map(math.isfinite, (self.centre, self.scale, self.fill))),
            self.scale > 0,
            all(isinstance(fact, bool) for fact in (self.missing, self.varies, self.truth)),
        )

    @property
    def kind(self) -> str:
        """Number or boolean."""
        return "boolean" if self.truth else "number"

    @classmethod
    def learn(cls, name: str, values: Numbers, *, truth: bool = False) -> Number | Dropped:
        """Find the median, the mean and the standard deviation."""
        return cls.made(name, Spread.of(values), truth=truth)

    @classmethod
    def made(cls, name: str, spread: Spread, *, truth: bool = False) -> Number | Dropped:
        """What becomes of numbers of which that is known."""
        was = "boolean" if truth else "number"
        if not spread.present:
            return Dropped(name, was, "every value is missing")
        missing = spread.present < spread.rows
        centre, scale = spread.centre, spread.deviation
        varies = spread.least < spread.most and scale > 0
        if not varies and not missing:
            return Dropped(name, was, "every value is the same")
        if truth:
            centre, scale = 0.0, 1.0
        return cls(name, centre, scale if varies else 1.0, spread.median, missing, varies, truth)

    def values(self, series: Series) -> Numbers:
        """The values of the column."""
        return as_truth(series) if self.truth else as_numbers(series)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns that it becomes."""
        return (self.name,) * self.varies + (f"{self.name}={MISSING}",) * self.missing

    def encode(self, values: Numbers) -> Numbers:
        """The columns that it becomes."""
        gone = np.isnan(values)
        filled = np.where(gone, self.fill, values)
        scaled = (filled / 2 - self.centre / 2) / (self.scale / 2)  # halves: no difference overflows
        return np.column_stack((scaled[:, None][:, : self.varies], gone[:, None][:, : self.missing]))

    @property
    def done(self) -> str:
        """What is done to the column, in words."""
        sign = "−" if self.centre >= 0 else "+"
        shifted = f"(x {sign} {abs(self.centre):.4g})"
        scaled = "0 or 1" if self.truth else f"{shifted} / {self.scale:.4g}"
        if not self.varies:
            return "only whether it is missing, for all its values are the same"
        filled = f", missing values set to {self.fill:.4g} and marked" if self.missing else ""
        return scaled + filled

    def surprises(self, values: Numbers) -> list[str]:
        """What is new in these values."""
        return newly_missing(self.name, int(np.isnan(values).sum()), self.missing)


@dataclass(frozen=True)
class Category:
    """A few different texts: a column of 0 and 1 for each.

    Attributes
    ----------
    name : str
    levels : tuple of str
        The texts that have a column.
    missing : bool
        Whether values were missing while learning; they then have a column, too.
    rare : int
        How many other texts there were. Like texts that were never seen, they are 0 everywhere.
    """

    name: str
    levels: tuple[str, ...]
    missing: bool
    rare: int = 0
    kind: ClassVar[str] = "category"

    def __post_init__(self) -> None:
        sensible(
            all(isinstance(text, str) for text in (self.name, *self.levels)),
            isinstance(self.missing, bool),
        )

    @classmethod
    def learn(cls, name: str, values: Texts) -> Category | Dropped:
        """Choose the levels: not the rare ones, and not too many."""
        counts = Counter(value for value in values if value is not None)
        return cls.made(name, counts, len(values), counts.total())

    @classmethod
    def made(
        cls, name: str, counts: Mapping[str, int], rows: int, present: int, others: int = 0
    ) -> Category | Dropped:
        """What becomes of texts that are so frequent.

        Parameters
        ----------
        name : str
        counts : mapping of str to int
        rows, present : int
            How many values there are, and how many are not missing.
        others : int
            Texts beside those in `counts`, each rare.
        """
        missing, different = present < rows, len(counts) + others
        if not different:
            return Dropped(name, cls.kind, "every value is missing")
        if different == 1 and not missing:
            return Dropped(name, cls.kind, "every value is the same")
        least = max(FEWEST, math.ceil(RARE * rows))
        common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_LEVELS]
        levels = tuple(sorted(level for level, count in common if count >= least))
        if not levels and not missing:
            return Dropped(name, cls.kind, f"none of its {different} texts is in {least} rows or more")
        return cls(name, levels, missing, different - len(levels))

    def values(self, series: Series) -> Texts:
        """The values of the column."""
        return as_texts(series)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns that it becomes."""
        return tuple(f"{self.name}={level}" for level in (*self.levels, *(MISSING,) * self.missing))

    def encode(self, values: Texts) -> Numbers:
        """The columns that it becomes."""
        place: dict[str | None, int] = {level: i for i, level in enumerate(self.levels)}
        if self.missing:
            place[None] = len(self.levels)
        where = np.array([place.get(value, -1) for value in values], dtype=np.intp)
        one_hot: Numbers = (where[:, None] == np.arange(len(place))).astype(np.float64)
        return one_hot

    @property
    def done(self) -> str:
        """What is done to the column, in words."""
        count = "1 level" if len(self.levels) == 1 else f"{len(self.levels)} levels"
        shown = ", ".join(self.levels[:4]) + (", …" if len(self.levels) > 4 else "")
        rare = f", {self.rare} rare left out" if self.rare else ""
        missing = ", missing marked" if self.missing else ""
        return f"{count} ({shown}){rare}{missing}"

    def surprises(self, values: Texts) -> list[str]:
        """What is new in these values."""
        new = Counter(value for value in values if value is not None and value not in self.levels)
        notes = newly_missing(self.name, sum(value is None for value in values), self.missing)
        if new and not self.rare:
            shown = ", ".join(repr(level) for level, _ in new.most_common(3))
            more = ", …" if len(new) > 3 else ""
            notes.append(f"Column {self.name!r} has texts that were not there in training: {shown}{more}.")
        return notes


def sensible(*facts: bool) -> None:
    """Refuse what cannot be: a file may claim anything."""
    if not all(facts):
        raise ValueError("a column's description makes no sense")


def moments(values: Numbers) -> tuple[float, float]:
    """Mean and standard deviation, for values of any size."""
    largest = float(np.abs(values).max()) or 1.0
    unit = values / largest
    return float(unit.mean()) * largest, float(unit.std()) * largest


class Moments:
    """Mean and standard deviation of numbers that come in pieces, for values of any size.

    Attributes
    ----------
    count : int
    least, most, mean, deviation : float
    """

    def __init__(self) -> None:
        self.count, self.mean, self.deviation = 0, 0.0, 0.0
        self.least, self.most = math.inf, -math.inf

    def add(self, values: Numbers) -> None:
        """Take in a piece, without missing values."""
        if not values.size:
            return
        mean, deviation = moments(values)
        self.merge(values.size, mean, deviation)
        self.least = min(self.least, float(values.min()))
        self.most = max(self.most, float(values.max()))

    def merge(self, count: int, mean: float, deviation: float) -> None:
        """Take in numbers of which that is known.

        Variances and the way between the means add up (Chan, Golub & LeVeque 1983, Am. Stat. 37).
        """
        if not self.count:
            self.count, self.mean, self.deviation = count, mean, deviation
            return
        total = self.count + count
        own, other = self.count / total, count / total
        way = (mean / 2 - self.mean / 2) * (2 * math.sqrt(own * other))  # halves: no difference overflows
        self.deviation = math.hypot(math.sqrt(own) * self.deviation, math.sqrt(other) * deviation, way)
        self.mean = self.mean * own + mean * other
        self.count = total


def newly_missing(name: str, count: int, known: bool) -> list[str]:
    if known or not count:
        return []
    return [f"Column {name!r} has {count} missing values, though none was missing in training."]
