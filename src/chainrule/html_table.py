"""HTML for notebooks: self-contained tables, with everything in them escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

CELL = "padding:0.25em 0.8em;text-align:left;vertical-align:top"
RULE = "border-bottom:1px solid rgba(128,128,128,0.6)"


def table(
    caption: str,
    titles: Sequence[str],
    rows: Iterable[Sequence[object]],
    notes: Iterable[str] = (),
    numbers: Sequence[int] = (),
) -> str:
    """A table under a caption, and lines of text below it.

    Parameters
    ----------
    caption : str
    titles : sequence of str
        Of the columns.
    rows : iterable of sequence
        Cells, in the order of the columns.
    notes : iterable of str
    numbers : sequence of int
        Columns that are aligned on the right.
    """
    aligned = {column: CELL.replace("left", "right") for column in numbers}

    def line(cells: Sequence[object], tag: str) -> str:
        styles = (f"{aligned.get(i, CELL)}{';' + RULE if tag == 'th' else ''}" for i in range(len(cells)))
        inner = (
            f'<{tag} style="{style}">{escape(str(cell))}</{tag}>'
            for style, cell in zip(styles, cells, strict=True)
        )
        return f"<tr>{''.join(inner)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    grid = f"<table><thead>{line(titles, 'th')}</thead><tbody>{body}</tbody></table>" if body else ""
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<div><p><b>{escape(caption)}</b></p>{grid}{below}</div>"
