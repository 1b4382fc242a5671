"""Rows apart: some to train on, some to stop by, some to judge by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.uint8]
TRAINING, VALIDATION, HELD_OUT = range(3)


@dataclass(frozen=True)
class Parts:
    """Numbers of rows, each in ascending order.

    Attributes
    ----------
    training, validation, held_out : ndarray of int64
        For the gradient, for early stopping, and for the scores.
    """

    training: Rows
    validation: Rows
    held_out: Rows

    @property
    def known(self) -> Rows:
        """All rows but those held out."""
        return np.sort(np.concatenate([self.training, self.validation]))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many rows there are in each."""
        return len(self.training), len(self.validation), len(self.held_out)


def set_apart(rows: Rows, groups: Rows | None, held_out: float, validation: float, seed: int) -> Parts:
    """Draw the parts at random.

    Parameters
    ----------
    rows : ndarray of int64
        The rows to divide.
    groups : ndarray of int64 or None
        The class of each of them, of which every part gets its share.
    held_out, validation : float
        Shares, the second one of what the first leaves.
    seed : int
    """
    part = divided(np.zeros(len(rows), np.int8) if groups is None else groups, held_out, validation, seed)
    return Parts(*(rows[part == which] for which in (TRAINING, VALIDATION, HELD_OUT)))


def divided(groups: npt.NDArray[Any], held_out: float, validation: float, seed: int) -> Marks:
    """The part that each row is drawn for: TRAINING, VALIDATION or HELD_OUT.

    With `groups` of a small type, it takes some ten bytes of memory a row.

    Parameters
    ----------
    groups : ndarray of int
        The class of each row, of which every part gets its share.
    held_out, validation : float
        Shares, the second one of what the first leaves.
    seed : int
    """
    rng = np.random.default_rng(seed)
    part = np.full(len(groups), TRAINING, np.uint8)
    held = draw(groups, held_out, rng)
    part[held] = HELD_OUT
    stop = draw(groups[~held], validation, rng)
    part[~held] = np.where(stop, np.uint8(VALIDATION), np.uint8(TRAINING))
    return part


def draw(groups: npt.NDArray[Any], share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which rows are drawn: of each group about its share, and never its last row."""
    names, sizes = np.unique(groups, return_counts=True)
    wanted = sizes * share
    counts = np.floor(wanted).astype(np.int64)
    more = round(float(wanted.sum())) - int(counts.sum())
    counts[np.argsort(counts - wanted, kind="stable")[:more]] += 1  # the largest remainders first
    counts = np.minimum(counts, sizes - 1)
    drawn = np.zeros(len(groups), dtype=bool)
    numbers = np.arange(len(groups), dtype=np.uint32 if len(groups) < 2**32 else np.uint64)
    for name, count in zip(names, counts, strict=True):
        members = numbers[groups == name]
        rng.shuffle(members)
        drawn[members[:count]] = True
    return drawn
