"""All cases of bad data, bad options and training that goes wrong."""

from __future__ import annotations

import fault_files
import fault_labels
import fault_runs
import fault_tabular
import fault_values
from faults import CASES, Case, flaw

SOURCES = (fault_values, fault_labels, fault_runs, fault_files, fault_tabular)  # each adds its own

__all__ = ["CASES", "SOURCES", "Case", "flaw"]
