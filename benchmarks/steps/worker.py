"""A process for one library: JSON lines in, JSON lines out. Started by `steps.pool`."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any, TextIO

from steps.cells import Cell
from steps.clock import Clock
from steps.libraries import UnsupportedError


def private_stdout() -> TextIO:
    """The standard output for answers only; whatever libraries print goes to standard error."""
    mine = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return mine


class Timer:
    """Times the library's steps; keeps what it prepared for the last cell."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.cell: Cell | None = None

    def measure(self, cell: Cell, seconds: float) -> dict[str, Any]:
        if hasattr(self.library, "measure"):
            return dict(self.library.measure(cell, seconds))
        loss = None
        if cell != self.cell:
            self.train, self.cell = self.library.prepare(cell), cell
            first = Clock(0)
            self.train(first)
            loss = first.losses[0]
        clock = Clock(seconds)
        self.train(clock)
        typical, least = (seconds / cell.steps * 1e6 for seconds in clock.epochs())
        return {"us": typical, "least_us": least, "first_loss": loss}


def answer(timer: Timer, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return timer.measure(Cell.from_dict(request["cell"]), request["seconds"])
    except UnsupportedError as lack:
        return {"unsupported": str(lack)}
    except Exception as error:  # noqa: BLE001 - whatever a library raises is reported with its cell
        return {"error": f"{type(error).__name__}: {error}".partition("\n")[0]}


def main() -> None:
    replies = private_stdout()

    def reply(facts: dict[str, Any]) -> None:
        replies.write(json.dumps(facts) + "\n")

    try:
        library = importlib.import_module(sys.argv[1])
    except ImportError as error:
        reply({"absent": str(error)})
        return
    reply({"versions": library.versions()})
    timer = Timer(library)
    for line in sys.stdin:
        reply(answer(timer, json.loads(line)))


if __name__ == "__main__":
    main()
