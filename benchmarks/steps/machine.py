"""The machine that was measured on."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

WINDOW = 0.1  # seconds
QUIET = 0.1  # part of all processors that others may take
SETTINGS = ("OPENBLAS_", "OMP_", "MKL_", "NUMBA_", "XLA_", "GOTO_")  # that change what is measured


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        facts = (line.partition(":") for line in listing.read_text().splitlines())
        named = {key.strip(): value.strip() for key, _, value in facts}
        model = [f"family {named['cpu family']}", f"model {named['model']}"] if "cpu family" in named else []
        return ", ".join([named.get("model name", platform.machine()), *model])
    return platform.processor() or platform.machine()


def vector_instructions() -> str:
    """The widest vector instructions that the processor has."""
    listing = Path("/proc/cpuinfo")
    known = set(listing.read_text().split()) if listing.exists() else set()
    return next((name for name in ("avx512f", "avx2", "asimd") if name in known), "unknown")


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ticks() -> tuple[int, int] | None:
    """Clock ticks that all processors were busy, and in all, since the start; None where unknown."""
    counts = Path("/proc/stat")
    if not counts.exists():
        return None
    user, nice, system, idle, waiting, *others = map(int, counts.read_text().split("\n", 1)[0].split()[1:])
    return user + nice + system + sum(others), user + nice + system + sum(others) + idle + waiting


def taken_by_others(seconds: float) -> float | None:
    """The part of all processors' time that is taken while nothing of ours works, over so many seconds."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    if before is None or after is None:
        return None
    return (after[0] - before[0]) / max(after[1] - before[1], 1)


def wait_for_quiet(patience: float) -> float | None:
    """Wait until others leave the processors alone, at most so many seconds; what they still take."""
    end = time.monotonic() + patience
    while True:
        taken = taken_by_others(WINDOW)
        if taken is None or taken <= QUIET or time.monotonic() >= end:
            return taken


def describe() -> dict[str, object]:
    """Processor, cores, load, system, Python, and what settings of the environment matter."""
    return {
        "processor": processor(),
        "vector_instructions": vector_instructions(),
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "settings": {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)},
    }
