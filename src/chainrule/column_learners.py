"""Columns learnt from a table that comes in pieces; what comes out is what `ColumnEncoder.fit` would find.

Counts, means and deviations of the pieces add up, so they are those of all rows, to rounding. Two things
cannot be had so:

- medians are those of a random sample of about `SAMPLE` rows, or of all rows if there are no more;
- texts of a column are counted exactly while there are at most `TEXTS` different ones. Beyond that the rarest
  are forgotten, so that a count may be too low by n / TEXTS in n rows (Misra & Gries 1982, Sci. Comput.
  Program. 2; Agarwal et al. 2012, PODS): a twentieth of what a text needs to get a column of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from chainrule.column_dates import PARTS, Date, part_of
from chainrule.column_kinds import Category, Dropped, Moments, Number, Spread
from chainrule.column_values import (
    Frame,
    MisfitError,
    Numbers,
    Series,
    as_moments,
    as_numbers,
    as_texts,
    as_truth,
    kind_of,
)
from chainrule.columns import ColumnEncoder, refuse_nothing, require

SAMPLE = 1 << 16
VALUES = 1 << 22  # most values of all samples together
TEXTS = 20_000

Rows = npt.NDArray[np.bool_]


class Learner(Protocol):
    """Learns one column."""

    def add(self, series: Series, known: Rows, sampled: Rows) -> None:
        """Take in a piece: `known` rows are learnt from, and `sampled` ones are among them."""

    def learnt(self) -> Any:
        """What became of the column."""


class SpreadLearner:
    """What is known of numbers."""

    def __init__(self) -> None:
        self.rows, self.moments = 0, Moments()
        self.sample: list[Numbers] = []

    def add(self, values: Numbers, known: Rows, sampled: Rows) -> None:
        """Take in a piece, of which NaN are missing."""
        chosen = values[known]
        self.rows += chosen.size
        self.moments.add(chosen[~np.isnan(chosen)])
        some = values[sampled]
        self.sample.append(some[~np.isnan(some)])

    def spread(self) -> Spread:
        """What is known of all pieces."""
        seen = self.moments
        sample = np.sort(np.concatenate(self.sample)) if self.sample else np.empty(0)
        if not seen.count:
            return Spread.of(np.full(self.rows, np.nan))
        median = float(sample[(sample.size - 1) // 2]) if sample.size else seen.mean
        filled = Moments()
        filled.merge(seen.count, seen.mean, seen.deviation)
        if seen.count < self.rows:
            filled.merge(self.rows - seen.count, median, 0.0)
        return Spread(self.rows, seen.count, seen.least, seen.most, median, filled.mean, filled.deviation)


class NumberLearner:
    """Learns a column of numbers, or of true/false."""

    def __init__(self, name: str, *, truth: bool) -> None:
        self.name, self.truth, self.seen = name, truth, SpreadLearner()

    def add(self, series: Series, known: Rows, sampled: Rows) -> None:
        """Take in a piece."""
        self.seen.add((as_truth if self.truth else as_numbers)(series), known, sampled)

    def learnt(self) -> Number | Dropped:
        """What became of the column."""
        return Number.made(self.name, self.seen.spread(), truth=self.truth)


class DateLearner:
    """Learns a column of dates."""

    def __init__(self, name: str) -> None:
        self.name, self.seen = name, {part: SpreadLearner() for part in PARTS}

    def add(self, series: Series, known: Rows, sampled: Rows) -> None:
        """Take in a piece."""
        values = as_moments(series)
        for part, seen in self.seen.items():
            seen.add(part_of(part, values), known, sampled)

    def learnt(self) -> Date | Dropped:
        """What became of the column."""
        return Date.made(self.name, {part: seen.spread() for part, seen in self.seen.items()})


class CategoryLearner:
    """Learns a column of texts."""

    def __init__(self, name: str) -> None:
        self.name, self.rows, self.present, self.forgotten = name, 0, 0, 0
        self.counts: Counter[str] = Counter()

    def add(self, series: Series, known: Rows, sampled: Rows) -> None:
        """Take in a piece."""
        chosen = as_texts(series.filter(known.tolist()))
        self.rows += len(chosen)
        counts = Counter(chosen)
        self.present += len(chosen) - counts.pop(None, 0)
        self.counts.update(counts)  # type: ignore[arg-type]
        self._forget()

    def _forget(self) -> None:
        """Lower all counts by that of the first text that is one too many, and drop those at 0."""
        if len(self.counts) <= TEXTS:
            return
        before = len(self.counts)
        least = self.counts.most_common(TEXTS + 1)[-1][1]
        self.counts = Counter({text: n - least for text, n in self.counts.items() if n > least})
        self.forgotten = max(self.forgotten, before - len(self.counts))

    def learnt(self) -> Category | Dropped:
        """What became of the column."""
        return Category.made(self.name, self.counts, self.rows, self.present, self.forgotten)


def learner_of(series: Series) -> Learner:
    """What learns a column like this piece of it."""
    kind = kind_of(series)
    if kind == "category":
        return CategoryLearner(series.name)
    if kind == "date":
        return DateLearner(series.name)
    return NumberLearner(series.name, truth=kind == "boolean")


def learn(
    pieces: Iterable[tuple[int, Frame]], known: Rows, columns: int, drop: Collection[str], seed: int
) -> ColumnEncoder:
    """Learn the columns of a table that comes in pieces.

    Parameters
    ----------
    pieces : iterable of (int, narwhals.DataFrame)
        The number of the first row, and the rows.
    known : ndarray of bool
        The rows of the table to learn from.
    columns : int
        How many there are.
    drop : collection of str
        Columns to leave alone.
    seed : int
        Of the sample of rows that medians are taken from.

    Raises
    ------
    DataError
        As `ColumnEncoder.fit` does.
    """
    sampled = _sample(known, max(1, min(SAMPLE, VALUES // columns)), seed)
    learners: dict[str, Learner] = {}
    for first, frame in pieces:
        require(frame, drop)
        here = slice(first, first + len(frame))
        for name in frame.columns:
            if name in drop:
                continue
            series = frame[name]
            if name not in learners:
                learners[name] = learner_of(series)
            try:
                learners[name].add(series, known[here], sampled[here])
            except MisfitError as error:
                raise error.further_down(first) from None
    encoder = ColumnEncoder(learner.learnt() for learner in learners.values())
    refuse_nothing(encoder)
    return encoder


def _sample(known: Rows, size: int, seed: int) -> Rows:
    """The known rows, or about so many of them at random."""
    count = int(known.sum())
    if count <= size:
        return known
    drawn = np.zeros(len(known), dtype=bool)
    share, rng = size / count, np.random.default_rng(seed)
    for first in range(0, len(known), SAMPLE):
        part = known[first : first + SAMPLE]
        drawn[first : first + SAMPLE] = part & (rng.random(len(part)) < share)
    return drawn
