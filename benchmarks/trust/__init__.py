"""Correctness, determinism and faults as figures: each measured by code that could fail.

    python -m benchmarks.trust [--long] [--only 5 10] [--write]

Each module of this package with a table FIGURES adds its figures to the report. What they measure with is
shared with the tests, and lies in the folder of the tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(ROOT / "tests"))
