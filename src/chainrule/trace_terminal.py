"""A trace in colour, for a terminal and for a notebook's console."""

from __future__ import annotations

import re

from rich.text import Text

from chainrule.trace import Trace
from chainrule.trace_parts import PARTS

TITLES = {*PARTS.values()}
STYLES = (
    (r"^\S.*?(?= = )", "bold"),  # the left side
    (r"(?<![\w^_{\[])−?\d[\d.]*(?:e[+−]?\d+)?(?![\w\]}])", "cyan"),
    (r" {4}\[.*\]$", "dim italic"),  # where it comes from
    (r"^\(.*\)$", "dim"),  # a remark
)


def colourful(trace: Trace) -> Text:
    """The text of a trace in colours.

    Parameters
    ----------
    trace : Trace

    Returns
    -------
    rich.text.Text
    """
    lines = trace.text().rstrip("\n").split("\n")
    return Text("\n").join(_line(line, i == 0) for i, line in enumerate(lines))


def _line(line: str, first: bool) -> Text:
    text = Text(line)
    if first or line in TITLES or re.fullmatch(r"Layer \d+|=+|-+", line):
        text.stylize("bold magenta" if not line.startswith("Layer") else "bold")
        return text
    for pattern, style in STYLES:
        for found in re.finditer(pattern, line):
            text.stylize(style, *found.span())
    return text
