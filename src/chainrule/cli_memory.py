"""How `chainrule train` fits: to a table as a whole, or in pieces, within a limit on memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from chainrule.cli_parts import Reader

WHOLE = 6  # memory that a table as a whole takes, as a multiple of its file: cells, columns, numbers


def check_memory(memory: str | None, report: Path | None, reference: bool | None) -> None:
    """Refuse what needs the table as a whole beside a limit on memory."""
    if memory is not None and (report is not None or reference):
        raise click.UsageError("With --memory there is no --report and no --reference: leave these out.")


def fitting(
    model: Any, data: Path, read: Reader, memory: str | None, checkpoint: Path | None
) -> tuple[Callable[..., Any], Any]:
    """The fit of a model to a file, and the table if it is read as a whole.

    What the fit leaves open are the target and how it is learnt.

    Parameters
    ----------
    model : TableModel
    data : Path
    read : Reader
    memory : str or None
        The limit, such as "1GB"; None for the table as a whole.
    checkpoint : Path or None
        Encoded rows are kept in its folder meanwhile.
    """
    if memory is None:
        _tell_of_memory(data)
        frame = read(data)
        return partial(model.fit, frame), frame
    from chainrule.large_table import fit, piece_size
    from chainrule.memory import Limit, size_of

    limit = Limit(size_of(memory))
    table = read.in_pieces(data, piece_size(limit))
    folder = None if checkpoint is None else checkpoint.absolute().parent
    return partial(fit, model, table, limit=limit, folder=folder), None


def _tell_of_memory(data: Path) -> None:
    """Say so if a file is likely to need more memory than there is."""
    from chainrule.cli_text import note
    from chainrule.memory import available, shown

    free = available()
    size = data.stat().st_size if data.exists() else 0
    if free is not None and WHOLE * size > free:
        note(
            [
                f"{data.name} has {shown(size)}, and as a whole it may need more than the {shown(free)} of "
                "memory that are free: with --memory 1GB it is read in pieces."
            ]
        )
