"""The figures as a table in the terminal, and as a page of the site."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.steps.machine import cores, processor
from benchmarks.trust.figure import Line

HEADER = ("#", "figure", "target", "measured", "met")
INTRODUCTION = """\
# Trust

What chainrule promises about correctness, determinism and bad input, in figures. Each is measured by code
that could fail: `make trust` takes them at the counts below and ends with an error if a target is missed. Of
mutants it takes fewer than the target names, and `make trust-long` all of them. The code is in
`benchmarks/trust/`, and most of it is what the tests run, too.

- Times of refusals (14, 16) are of the processor, so that other programs on the machine cannot fail them.
- Parity with scikit-learn's L-BFGS (6) is judged on problems for which that figure means something. 50
  iterations can magnify one rounding a millionfold, so problems are drawn with fixed seeds, each input is
  changed to its neighbour among the floats, and only the problems count whose result in scikit-learn, by
  itself, moves by at most 1e-13. Our result has no say in that choice. Of the other problems, the remark says
  how far apart both are beside how far scikit-learn is from itself.
- Mutants (25) are drawn by a digest of their names, so that the sample stays as other code changes.
"""


def rows(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    return [
        (
            str(line.figure.number),
            line.figure.name,
            line.figure.target,
            line.measured.text,
            "yes" if line.measured.passed else "no",
        )
        for line in lines
    ]


def show(lines: Sequence[Line]) -> None:
    """Print the table, and a remark where there is one."""
    table = Table(*HEADER, "seconds")
    for line, row in zip(lines, rows(lines), strict=True):
        table.add_row(*row, f"{line.seconds:.0f}", style=None if line.measured.passed else "bold red")
    console = Console()
    console.print(table)
    for line in lines:
        if line.measured.remark:
            console.print(f"{line.figure.number}: {line.measured.remark}", highlight=False)


def page(lines: Sequence[Line], long: bool) -> str:
    """The page of the site."""
    cells = [HEADER, *rows(lines)]
    table = ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in cells]
    table.insert(1, "|" + "---|" * len(HEADER))
    remarks = [f"- {line.figure.number}: {line.measured.remark}" for line in lines if line.measured.remark]
    counts = "the full counts" if long else "the counts of `make trust`"
    machine = (
        f"Measured on {datetime.date.today():%Y-%m-%d} with {counts}: {processor()}, {cores()} cores, "
        f"Python {platform.python_version()}."
    )
    parts = [INTRODUCTION, machine, "\n".join(table)]
    if remarks:
        parts.append("## Remarks\n\n" + "\n".join(remarks))
    return "\n\n".join(part.strip() for part in parts) + "\n"
