"""A bar on standard error that shows how training goes; none where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def training_bar(quiet: bool = False) -> Iterator[list[Callable[[Any], None]]]:
    """The callbacks that move a bar: one, or none if standard error is not a terminal.

    Parameters
    ----------
    quiet : bool
        Show nothing in any case.
    """
    if quiet or not watched():
        yield []
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Preparing (the first run compiles)", total=None, figures="")

        def show(epoch: Any) -> None:
            progress.update(
                task,
                description="Training",
                total=epoch.epochs,
                completed=epoch.number,
                figures=_figures(epoch),
            )

        yield [show]


def watched() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()


def _figures(epoch: Any) -> str:
    validation = "" if epoch.validation is None else f"  validation {epoch.validation:.4f}"
    return f"epoch {epoch.number}/{epoch.epochs}  loss {epoch.loss:.4g}{validation}"
