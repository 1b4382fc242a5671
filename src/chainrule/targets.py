"""What a model predicts: classes or numbers, and how they become what a network is trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from chainrule.column_kinds import Moments, sensible
from chainrule.column_values import Numbers, Series, as_numbers, as_texts, as_truth, kind_of, misfit
from chainrule.errors import DataError, OptionError

MOST_WHOLE_CLASSES = 10  # at most so many different whole numbers are taken for classes
MOST_CLASSES = 1000

Label = str | int | float | bool
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Classes:
    """A target of classes.

    Attributes
    ----------
    name : str
        The column.
    labels : tuple of str, int, float or bool
        The classes, sorted.
    """

    name: str
    labels: tuple[Label, ...]
    task: ClassVar[str] = "classification"

    def __post_init__(self) -> None:
        sensible(
            isinstance(self.name, str),
            len(self.labels) > 1,
            all(isinstance(label, str | int | float) for label in self.labels),
        )

    def encode(self, series: Series) -> Codes:
        """The number of each row's class, and -1 where it is missing."""
        place: dict[Label | None, int] = {label: i for i, label in enumerate(self.labels)}
        place[None] = -1
        codes = []
        for row, label in enumerate(_labels(series)):
            if label not in place:
                raise misfit(self.name, row, f"{label!r} is none of the classes that were trained")
            codes.append(place[label])
        return np.array(codes, dtype=np.int64)

    def decode(self, codes: Codes) -> npt.NDArray[Any]:
        """The class of each number."""
        return np.array(self.labels)[codes]


@dataclass(frozen=True)
class Quantity:
    """A target of numbers: shifted and scaled to mean 0 and standard deviation 1 for the network.

    Attributes
    ----------
    name : str
        The column.
    centre, scale : float
        What is subtracted, and what the rest is divided by.
    """

    name: str
    centre: float
    scale: float
    task: ClassVar[str] = "regression"

    def __post_init__(self) -> None:
        sensible(
            isinstance(self.name, str),
            math.isfinite(self.centre),
            math.isfinite(self.scale),
            self.scale > 0,
        )

    def encode(self, series: Series) -> Numbers:
        """What the network is to predict, and NaN where it is missing."""
        return (as_numbers(series) / 2 - self.centre / 2) / (self.scale / 2)

    def decode(self, values: Numbers) -> Numbers:
        """The prediction in the target's own unit."""
        return values * self.scale + self.centre


Target = Classes | Quantity


def learn(series: Series, task: str | None = None) -> Target:
    """Find out what the target is.

    Parameters
    ----------
    series : narwhals.Series
        The target of all rows.
    task : {"classification", "regression"}, optional
        If not given: texts, true/false, and whole numbers of which there are at most 10 different
        ones, each twice on average, are classes.

    Raises
    ------
    DataError
        If there is nothing to learn.
    """
    return learn_pieces([series], task)


def learn_pieces(pieces: Iterable[Series], task: str | None = None) -> Target:
    """Find out what the target is, from one piece of the column after the other; see `learn`."""
    if task not in (None, "classification", "regression"):
        raise OptionError(f"task must be 'classification' or 'regression', not {task!r}.")
    seen = None
    for series in pieces:
        seen = seen or Seen(series.name, kind_of(series))
        seen.add(series, task)
    assert seen is not None
    if task is None:
        measured = seen.kind == "number" and not seen.few_whole()
        task = "regression" if measured else "classification"
    return seen.classes() if task == "classification" else seen.quantity()


def present(encoded: Codes | Numbers) -> Mask:
    """Which rows have a target."""
    return ~np.isnan(encoded) if encoded.dtype.kind == "f" else np.asarray(encoded >= 0)


def to_dict(target: Target) -> dict[str, Any]:
    """A form that JSON can hold."""
    return {"task": target.task, **asdict(target)}


def from_dict(facts: dict[str, Any]) -> Target:
    """The inverse of `to_dict`."""
    if facts["task"] == "regression":
        return Quantity(facts["name"], facts["centre"], facts["scale"])
    return Classes(facts["name"], tuple(facts["labels"]))


def _labels(series: Series) -> list[Label | None]:
    """The labels as Python values; a whole number is an int, whatever its type."""
    kind = kind_of(series)
    if kind == "category":
        return list(as_texts(series))
    if kind == "boolean":
        return [None if np.isnan(v) else bool(v) for v in as_truth(series)]
    if series.dtype.is_integer():
        missing = series.is_null().to_list()  # in a list, pandas has values of its own for them
        return [None if gone else int(v) for v, gone in zip(series.to_list(), missing, strict=True)]
    numbers = as_numbers(series)
    return [None if np.isnan(v) else int(v) if v.is_integer() else v for v in numbers.tolist()]


MANY = 2 * MOST_CLASSES  # different labels that are told apart


class Seen:
    """What has been seen of a target, a piece at a time.

    Parameters
    ----------
    name : str
        The column.
    kind : str
        What `kind_of` says of it.
    """

    def __init__(self, name: str, kind: str) -> None:
        if kind == "date":
            raise DataError(f"The target {name!r} is a date. Convert it to a number.")
        self.name, self.kind = name, kind
        self.count = 0
        self.different: set[Label] = set()
        self.moments = Moments()

    def add(self, series: Series, task: str | None) -> None:
        """Look at a piece."""
        if task == "regression" or (task is None and self.kind == "number"):
            values = as_numbers(series)
            values = values[~np.isnan(values)]
            self.moments.add(values)
            if task == "regression" or len(np.unique(values)) > MANY:
                self.count += values.size
                self.different.update(range(MANY + 1))  # too many, whatever they are
                return
        labels = [label for label in _labels(series) if label is not None]
        self.count += len(labels)
        if len(self.different) <= MANY:
            self.different.update(labels)

    def few_whole(self) -> bool:
        """Whether the values are few different whole numbers."""
        few = len(self.different) <= min(MOST_WHOLE_CLASSES, self.count / 2)
        return few and all(float(label).is_integer() for label in self.different)

    def classes(self) -> Classes:
        """The target, if its values are classes."""
        _require(self.name, self.count)
        different = sorted(self.different)
        if len(different) == 1:
            raise DataError(
                f"The target {self.name!r} has a single class, {different[0]!r}: there is nothing to learn."
            )
        if len(different) > min(MOST_CLASSES, max(2, self.count / 2)):
            many = f"{len(different)}" if len(different) <= MANY else f"more than {MANY}"
            raise DataError(
                f"The target {self.name!r} has {many} different values in {self.count} rows. "
                "These are too many for classes; is it the right column, or is the task a regression?"
            )
        return Classes(self.name, tuple(different))

    def quantity(self) -> Quantity:
        """The target, if its values are measured."""
        seen = self.moments
        _require(self.name, seen.count)
        if seen.least == seen.most or not seen.deviation:
            raise DataError(
                f"The target {self.name!r} is {seen.least:g} in every row: there is nothing to learn."
            )
        return Quantity(self.name, seen.mean, seen.deviation)


def _require(name: str, rows: int) -> None:
    if rows < 2:
        count = "only one row" if rows else "no row"
        raise DataError(f"There is {count} with a value in the target {name!r}. Two are needed.")
