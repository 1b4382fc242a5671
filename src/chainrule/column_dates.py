"""What becomes of a column of dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.column_kinds import MISSING, Dropped, Number, Spread, newly_missing, sensible
from chainrule.column_values import Moments, Numbers, Series, as_moments

PARTS: dict[str, Callable[[Moments], Any]] = {
    "year": lambda t: t.astype("datetime64[Y]").astype(np.int64) + 1970.0,
    "month": lambda t: t.astype("datetime64[M]").astype(np.int64) % 12 + 1.0,
    "day": lambda t: (t.astype("datetime64[D]") - t.astype("datetime64[M]")) / np.timedelta64(1, "D") + 1,
    "weekday": lambda t: (t.astype("datetime64[D]").astype(np.int64) + 3) % 7 + 1.0,
    "hour": lambda t: (t - t.astype("datetime64[D]")) / np.timedelta64(1, "h"),
}


@dataclass(frozen=True)
class Date:
    """Dates: numbers for the year, month, day, weekday (Monday is 1) and hour, where they vary.

    Attributes
    ----------
    name : str
    parts : tuple of str
        The parts that vary.
    numbers : tuple of Number
        How each of them is scaled.
    missing : bool
        Whether dates were missing while learning.
    """

    name: str
    parts: tuple[str, ...]
    numbers: tuple[Number, ...]
    missing: bool
    kind: ClassVar[str] = "date"

    def __post_init__(self) -> None:
        sensible(
            isinstance(self.name, str),
            isinstance(self.missing, bool),
            set(self.parts) <= set(PARTS),
            len(self.parts) == len(self.numbers),
        )

    @classmethod
    def learn(cls, name: str, values: Moments) -> Date | Dropped:
        """Find the parts that vary."""
        return cls.made(name, {part: Spread.of(part_of(part, values)) for part in PARTS})

    @classmethod
    def made(cls, name: str, spreads: Mapping[str, Spread]) -> Date | Dropped:
        """What becomes of dates of whose parts that is known."""
        known = spreads["year"]
        if not known.present:
            return Dropped(name, cls.kind, "every value is missing")
        learnt = {part: Number.made(f"{name} {part}", spread) for part, spread in spreads.items()}
        kept = {part: n for part, n in learnt.items() if isinstance(n, Number) and n.varies}
        missing = known.present < known.rows
        if not kept and not missing:
            return Dropped(name, cls.kind, "every value is the same")
        return cls(name, tuple(kept), tuple(kept.values()), missing)

    def values(self, series: Series) -> Moments:
        """The values of the column."""
        return as_moments(series)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns that it becomes."""
        return (
            *(number.name for number in self.numbers),
            *(f"{self.name}={MISSING}",) * self.missing,
        )

    def encode(self, values: Moments) -> Numbers:
        """The columns that it becomes."""
        columns = [
            number.encode(part_of(part, values))[:, :1]
            for part, number in zip(self.parts, self.numbers, strict=True)
        ]
        return np.hstack([*columns, np.isnat(values)[:, None][:, : self.missing]])

    @property
    def done(self) -> str:
        """What is done to the column, in words."""
        missing = ", missing marked" if self.missing else ""
        return f"{', '.join(self.parts) or 'only whether it is missing'}{missing}"

    def surprises(self, values: Moments) -> list[str]:
        """What is new in these values."""
        return newly_missing(self.name, int(np.isnat(values).sum()), self.missing)


def part_of(part: str, values: Moments) -> Numbers:
    """A part of dates, as numbers; NaN where a date is missing."""
    return np.where(np.isnat(values), np.nan, PARTS[part](values))
