"""The command `chainrule explain`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from chainrule.cli_parts import examples, load_table_model, reading
from chainrule.trace_parts import PARTS


@click.command(
    short_help="Show a row's equations with their numbers.",
    epilog=examples("""
chainrule explain iris.model iris.csv --row 7
chainrule explain iris.model iris.csv --row 7 --part backward --form matrix
chainrule explain iris.model iris.csv --row 7 --row 8 --form matrix
chainrule explain iris.model iris.csv --row 7 --format html
"""),
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--row",
    "rows",
    type=click.IntRange(0),
    default=[0],
    multiple=True,
    metavar="N",
    help="Row, from 0; several of them make a mini-batch.  [default: 0]",
)
@click.option(
    "--form",
    type=click.Choice(["units", "matrix"]),
    default="units",
    help="Unit by unit, or as matrices.  [default: units]",
)
@click.option("--part", type=click.Choice(list(PARTS)), help="Only this part.")
@click.option(
    "--terms", type=click.IntRange(1), metavar="N", help="Terms of a sum.  [default: 8 or, wide, 4]"
)
@click.option("--units", type=click.IntRange(1), metavar="N", help="Units of a layer.  [default: likewise]")
@click.option("--dropout", is_flag=True, help="With dropout, as in training.")
@click.option("--anew", is_flag=True, help="The optimiser's memory is empty, not as training left it.")
@reading
@click.option(
    "--format",
    "style",
    type=click.Choice(["rich", "text", "latex", "html", "json"]),
    help="What is printed.  [default: rich in a terminal, text elsewhere]",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def explain(
    model: Path,
    data: Path,
    rows: tuple[int, ...],
    form: str,
    part: str | None,
    terms: int | None,
    units: int | None,
    dropout: bool,
    anew: bool,
    read: Callable[..., Any],
    style: str | None,
    as_json: bool,
) -> None:
    """Explain a row of the table DATA by the model in the file MODEL: the way from its cells to the
    prediction and, if the target is there, the loss, back propagation and the update.
    """
    from chainrule.explanation import explain as explained

    loaded = load_table_model(model)
    frame = read(data, *loaded.encoder_.text_columns)
    trace = explained(
        loaded, frame, row=rows, form=form, terms=terms, units=units, dropout=dropout, memory=not anew
    )
    if part is not None:
        trace = trace.part(part)
    style = "json" if as_json else style or ("rich" if sys.stdout.isatty() else "text")
    if style == "rich":
        from chainrule.cli_text import console
        from chainrule.trace_terminal import colourful

        console().print(colourful(trace), soft_wrap=True)
    else:
        click.echo(getattr(trace, style)().rstrip())
