"""Rows apart: some to train on, some to stop by, some to judge by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


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
    rng = np.random.default_rng(seed)
    if groups is None:
        groups = np.zeros(len(rows), dtype=np.int64)
    held = draw(groups, held_out, rng)
    stop = draw(groups[~held], validation, rng)
    return Parts(rows[~held][~stop], rows[~held][stop], rows[held])


def draw(groups: Rows, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which rows are drawn: of each group about its share, and never its last row."""
    names, sizes = np.unique(groups, return_counts=True)
    wanted = sizes * share
    counts = np.floor(wanted).astype(np.int64)
    more = round(float(wanted.sum())) - int(counts.sum())
    counts[np.argsort(counts - wanted, kind="stable")[:more]] += 1  # the largest remainders first
    counts = np.minimum(counts, sizes - 1)
    drawn = np.zeros(len(groups), dtype=bool)
    for name, count in zip(names, counts, strict=True):
        members = np.flatnonzero(groups == name)
        drawn[rng.permutation(members)[:count]] = True
    return drawn
