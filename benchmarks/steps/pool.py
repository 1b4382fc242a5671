"""One process for each library, of which only one is at work at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from steps.cells import Cell
from steps.machine import wait_for_quiet

HERE = Path(__file__).parents[1]
PAUSE = 0.1  # seconds, in which the last library's worker threads stop spinning


class Process:
    """A library in a process of its own.

    Parameters
    ----------
    module : str
        What is measured.
    patience : float
        Seconds to wait, before each measurement, for other programs to leave the processors alone.

    Attributes
    ----------
    absent : str or None
        Why the library cannot be measured at all.
    versions : dict of str to str
    """

    def __init__(self, module: str, patience: float) -> None:
        self.patience = patience
        places = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "steps.worker", module],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        first = self._read()
        self.absent: str | None = first.get("absent", first.get("error"))
        self.versions: dict[str, str] = first.get("versions", {})

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return dict(json.loads(line)) if line else {"error": "its process ended"}

    def measure(self, cell: Cell, seconds: float) -> dict[str, Any]:
        """What the library answers: figures, or what it lacks, or its error."""
        assert self.process.stdin is not None
        time.sleep(PAUSE)
        taken = wait_for_quiet(self.patience)
        try:
            self.process.stdin.write(json.dumps({"cell": cell.as_dict(), "seconds": seconds}) + "\n")
        except BrokenPipeError:
            return {"error": "its process ended"}
        return {**self._read(), "taken_by_others": taken}

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
