"""The options that a search varies, each a row of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


def _same(value: Any) -> Any:
    return value


def _widths(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes
    ----------
    values : tuple of str, int or float
        As a study stores them.
    read : callable
        From such a value to the option's.
    """

    values: tuple[str | int | float, ...]
    read: Callable[[Any], Any] = _same

    def draw(self, trial: Any, name: str) -> Any:
        """Let a trial of Optuna choose."""
        return trial.suggest_categorical(name, self.values)


@dataclass(frozen=True)
class Interval:
    """A number between two others, both included.

    Attributes
    ----------
    low, high : float
    logarithmic : bool
        Draw the logarithm evenly, and not the number.
    """

    low: float
    high: float
    logarithmic: bool = False

    @staticmethod
    def read(value: float) -> float:
        """The option is the number itself."""
        return value

    def draw(self, trial: Any, name: str) -> Any:
        """Let a trial of Optuna choose."""
        return trial.suggest_float(name, self.low, self.high, log=self.logarithmic)


Space = Mapping[str, Choice | Interval]

TABLE_MODEL: Space = {
    "hidden_layer_sizes": Choice(("32", "64", "64,32", "128,64", "256,128", "128,128,128"), _widths),
    "activation": Choice(("relu", "tanh", "silu", "selu", "mish")),
    "learning_rate_init": Interval(1e-4, 3e-2, logarithmic=True),
    "alpha": Interval(1e-7, 1e-1, logarithmic=True),
    "batch_size": Choice((32, 64, 128, 256)),
    "dropout": Interval(0.0, 0.5),
}
