"""The command `chainrule studio`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from chainrule.cli_parts import examples, load_table_model, reading
from chainrule.errors import MissingPackageError

NEEDED = ("starlette", "uvicorn", "websockets")


@click.command(
    short_help="Open the page where a network is read.",
    epilog=examples("""
chainrule studio
chainrule studio houses.csv --target price
chainrule studio houses.csv --model houses.model
"""),
)
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option("--target", metavar="COLUMN", help="Column to predict.  [default: the last one]")
@click.option(
    "--model", type=click.Path(path_type=Path), metavar="FILE", help="Begin with this model's weights."
)
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="Port.  [default: 8765 or a free one]"
)
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@reading
def studio(
    data: Path | None,
    target: str | None,
    model: Path | None,
    port: int | None,
    no_browser: bool,
    read: Callable[..., Any],
) -> None:
    """Open a local page on which a network is built, trained and read, equation by equation: on the table
    DATA (CSV, TSV or Parquet), or on an example.

    The page is served on this machine alone, to whoever has its address. Nothing is fetched from elsewhere.
    Ctrl-C ends it.
    """
    if data is None and (target or model):
        raise click.UsageError("--target and --model need the table DATA.")
    require_packages()
    from chainrule.column_values import as_frame
    from chainrule.columns import require
    from chainrule.studio.server import Studio
    from chainrule.studio.session import Session
    from chainrule.studio.source import of_frame

    learnt = load_table_model(model) if model is not None else None
    source = None
    if data is not None:
        source = of_frame(read(data, *(learnt.encoder_.text_columns if learnt else ())))
        require(as_frame(source.frame), [target] if target else [])
    served = Studio(lambda: Session(source, target, learnt), port)
    click.echo(f"The studio is at {served.address}")
    click.echo("Whoever has this address can use it. Ctrl-C ends it.", err=True)
    sys.stdout.flush()
    if not no_browser:
        click.launch(served.address)
    try:
        served.run()
    except KeyboardInterrupt:
        click.echo("The studio has ended.", err=True)


def require_packages() -> None:
    """Refuse to go on without the packages of the extra.

    Raises
    ------
    MissingPackageError
    """
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if lacking:
        raise MissingPackageError(
            f"The studio needs {' and '.join(lacking)}: install it with pip install 'chainrule[studio]'."
        )
