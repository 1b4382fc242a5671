"""What a figure is, and how it is found."""

from __future__ import annotations

import importlib
import pkgutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes
    ----------
    text : str
        In words and numbers, with the count that it was measured on.
    passed : bool
        Whether the target is met.
    remark : str
        Where a failure comes from, or what was left out.
    """

    text: str
    passed: bool
    remark: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure of the scoreboard.

    Attributes
    ----------
    number : int
        Its number there.
    name, target : str
    measure : callable
        ``measure(long) -> Measured``; with `long` at the scoreboard's full counts.
    """

    number: int
    name: str
    target: str
    measure: Callable[[bool], Measured]


@dataclass(frozen=True)
class Line:
    """A figure, what was measured, and how long it took."""

    figure: Figure
    measured: Measured
    seconds: float


def find(package: str) -> list[Figure]:
    """The figures of all modules of a package, by number."""
    names = [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    modules = [importlib.import_module(f"{package}.{name}") for name in names if not name.startswith("__")]
    figures = [figure for module in modules for figure in getattr(module, "FIGURES", ())]
    return sorted(figures, key=lambda figure: figure.number)


def take(figure: Figure, long: bool) -> Line:
    """Measure a figure; an error of the measuring code is a failure, and not the end."""
    began = time.perf_counter()
    try:
        measured = figure.measure(long)
    except Exception as error:  # noqa: BLE001 - the other figures are still worth having
        measured = Measured(f"{type(error).__name__}: {error}", False, "the measuring code failed")
    return Line(figure, measured, time.perf_counter() - began)


def folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """A folder for files of which there are many, and whose way to the disk is not what is measured."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
