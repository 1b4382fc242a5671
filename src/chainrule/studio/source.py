"""Where the rows come from: an example, a file that was handed over, or one from the command line."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from chainrule.column_values import Frame, as_frame, kind_of
from chainrule.errors import DataError, OptionError
from chainrule.frames import read_table
from chainrule.studio.examples import EXAMPLES, table

LONGEST = 40  # characters of a cell that are shown
SHOWN = 4  # cells of a column that are shown


@dataclass(frozen=True)
class Source:
    """A table and where it is from.

    Attributes
    ----------
    frame : polars.DataFrame
    target : str
        The column that is predicted if nothing else is said.
    example : Example or None
        How it was made; None for a table of the user's own.
    """

    frame: pl.DataFrame
    target: str
    example: ExampleChoice | None = None

    def facts(self) -> dict[str, Any]:
        """What the page tells of it."""
        return {
            "example": asdict(self.example) if self.example else None,
            "rows": self.frame.height,
            "columns": _columns(as_frame(self.frame)),
        }


@dataclass(frozen=True)
class ExampleChoice:
    """The arguments of an example."""

    name: str = "circles"
    rows: int = 400
    noise: float = 0.1
    seed: int = 0

    @classmethod
    def from_dict(cls, facts: Any) -> ExampleChoice:
        """Read what JSON held.

        Raises
        ------
        OptionError
            If a value is not what it may be.
        """
        kinds: Mapping[str, Any] = {"name": str, "rows": int, "noise": (int, float), "seed": int}
        if not isinstance(facts, Mapping) or set(facts) - set(kinds):
            raise OptionError("An example has a name, rows, noise and a seed.")
        for name, value in facts.items():
            if not isinstance(value, kinds[name]) or isinstance(value, bool):
                raise OptionError(f"{name} of an example cannot be {value!r}.")
        choice = cls(**facts)
        if choice.seed < 0:
            raise OptionError(f"The seed must not be negative, but it is {choice.seed}.")
        return choice


def example(choice: ExampleChoice) -> Source:
    """An example as a source."""
    frame = table(choice.name, choice.rows, choice.noise, choice.seed)
    return Source(frame, EXAMPLES[choice.name].target, choice)


def of_file(path: str | Path) -> Source:
    """A file as a source; its last column is the target until another one is chosen."""
    return of_frame(read_table(path))


def of_bytes(raw: bytes) -> Source:
    """A file's content as a source, whatever its name was."""
    if not raw:
        raise DataError("The file is empty.")
    with tempfile.TemporaryDirectory(prefix="chainrule-") as folder:
        path = Path(folder) / "the file"
        path.write_bytes(raw)
        return of_file(path)


def of_frame(frame: pl.DataFrame) -> Source:
    """A table as a source."""
    if frame.width < 2:
        raise DataError("The table has a single column; one to predict and one to learn from are needed.")
    return Source(frame, frame.columns[-1])


def _columns(frame: Frame) -> list[dict[str, Any]]:
    """Name, kind, missing cells and first cells of each column."""
    facts = []
    for name in frame.columns:
        series = frame[name]
        cells = [str(cell)[:LONGEST] for cell in series.head(SHOWN).to_list()]
        kind = _kind(series)
        facts.append({"name": name, "kind": kind, "missing": int(series.null_count()), "cells": cells})
    return facts


def _kind(series: Any) -> str:
    try:
        return kind_of(series)
    except DataError:
        return "unusable"
