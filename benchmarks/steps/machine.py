"""The machine that was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

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
