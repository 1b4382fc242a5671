"""Robust scaling with smooth clipping: numbers of any spread, with few far away, as inputs of a network.

Source: Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491, appendix A.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.column_kinds import sensible
from chainrule.column_values import Numbers

FAR = 1e6  # a scaled value beyond this is as good as at the end of the smooth clipping
BOUND = 3.0  # of the smooth clipping
QUARTILES = np.array((0.0, 0.25, 0.5, 0.75, 1.0))


@dataclass(frozen=True)
class Scaling:
    r"""Robust scaling and smooth clipping: :math:`u = (x - c) / s`, then :math:`u / \sqrt{1 + (u / 3)^2}`.

    Attributes
    ----------
    centre : float
        c, the median.
    spread : float
        s, the distance of the quartiles. Where they are equal, that of the values unlike the median, or the
        median of how far these are from it, if that is more; where these are alike, half of the range.
    clipped : bool
        Whether the second step is done.
    """

    centre: float
    spread: float
    clipped: bool = True

    def __post_init__(self) -> None:
        sensible(
            math.isfinite(self.centre),
            math.isfinite(self.spread),
            self.spread > 0,
            isinstance(self.clipped, bool),
        )

    @classmethod
    def learn(cls, values: Numbers) -> Scaling | None:
        """From values without a missing one; None, if they are all the same."""
        if not values.size:
            return None
        largest = float(np.abs(values).max()) or 1.0
        values = values / largest
        found = np.quantile(values, QUARTILES)
        if found[1] == found[3] and found[0] < found[4]:
            return cls._of_others(found, values, largest)
        return cls._from(found, largest)

    @classmethod
    def _of_others(cls, found: Numbers, values: Numbers, unit: float) -> Scaling | None:
        """Where most values are the median: by the others, lest a few far away hide their differences."""
        others = values[values != found[2]]
        lower, upper = np.quantile(others, QUARTILES[[1, 3]])
        if not upper > lower:
            return cls._from(found, unit)
        spread = max(float(upper - lower), float(np.median(np.abs(others - found[2]))))
        return cls(float(found[2]) * unit, min(spread * unit, np.finfo(np.float64).max))

    @classmethod
    def of_counts(cls, values: Sequence[float], counts: Sequence[int]) -> Scaling | None:
        """From the different values, in ascending order, and how often each is there."""
        ends = np.cumsum(counts)
        place = (ends[-1] - 1) * QUARTILES
        low = np.floor(place)
        below, above = (
            np.asarray(values)[np.searchsorted(ends, p, side="right")] for p in (low, np.ceil(place))
        )
        return cls._from(below + (above - below) * (place - low), 1.0)

    @classmethod
    def _from(cls, quantiles: Numbers, unit: float) -> Scaling | None:
        least, lower, median, upper, most = map(float, quantiles)
        spread = ((upper - lower) or (most - least) / 2) * unit
        if not spread > 0:
            return None
        return cls(median * unit, min(spread, np.finfo(np.float64).max))

    def __call__(self, values: Any) -> Numbers:
        """The scaled values; those too large to be scaled are at the end."""
        values = np.asarray(values, dtype=np.float64)
        with np.errstate(over="ignore"):
            u = (values / 2 - self.centre / 2) / (self.spread / 2)  # halves: no difference overflows
        if not self.clipped:
            return np.asarray(u)
        u = np.clip(u, -FAR, FAR)
        clipped: Numbers = u / np.sqrt(1 + np.square(u / BOUND))
        return clipped


PLAIN = Scaling(0.0, 1.0, clipped=False)
