"""What the commands have in common: how they fail, kinds of options, and steps."""

from __future__ import annotations

import functools
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import click

from chainrule.errors import ChainruleError, OptionError

Command = Callable[..., None]
INTERRUPTED = 130
DATA = click.Path(path_type=Path)
SEED = click.IntRange(0, 2**32 - 1)

# Options of every command that learns from a table.
TARGET = click.option("--target", required=True, metavar="COLUMN", help="Column to predict.")
TASK = click.option(
    "--task",
    type=click.Choice(["classification", "regression"]),
    help="If not given, it follows from the target.",
)
DROP = click.option("--drop", multiple=True, metavar="COLUMN", help="Do not learn from it; repeatable.")
TEST_SIZE = click.option(
    "--test-size",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="X",
    default=0.2,
    help="Share of rows held out to judge by.  [default: 0.2]",
)
SEED_OPTION = click.option(
    "--seed",
    "random_state",
    type=SEED,
    metavar="N",
    default=0,
    help="Seed of all that is random.  [default: 0]",
)


class WrongUsage(click.ClickException):
    """An option has a value that it may not have."""

    exit_code = 2


class Shell(click.Group):
    """A group whose commands fail with one sentence, never with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except ChainruleError as error:
            wrong_usage = isinstance(error, OptionError)
            raise (WrongUsage if wrong_usage else click.ClickException)(str(error)) from None
        except MemoryError:
            raise click.ClickException("There is not enough memory for this.") from None
        except BrokenPipeError:
            raise
        except OSError as error:
            where = error.filename or "The output cannot be written"
            raise click.ClickException(f"{where}: {error.strerror}.") from None


def widths(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read "64,32" as (64, 32)."""
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 64,32.")
    return tuple(map(int, parts))


def row_of(kind: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Check that a name, or each of several, is in one of the tables of equations."""

    def find(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        from chainrule import equations

        table = getattr(equations, f"{kind.upper()}S")
        for name in [value] if isinstance(value, str) else value or ():
            table.find(name)
        return value

    return find


def check_paths(
    output: Path, checkpoint: Path | None = None, report: Path | None = None, *, data: Path
) -> None:
    """Say before training, and not after it, that a file cannot be written."""
    check_output(output, data)
    check_output(report, data)
    named = {"model": output, "checkpoint": checkpoint, "report": report}
    seen: dict[Path, str] = {}
    for what, path in named.items():
        if path is None:
            continue
        if not path.absolute().parent.is_dir():
            raise click.UsageError(f"There is no folder {path.parent} to write the {what} to.")
        other = seen.setdefault(path.resolve(), what)
        if other != what:
            raise click.UsageError(f"The {other} and the {what} cannot both be written to {path}.")


def check_output(output: Path | None, *inputs: Path) -> None:
    """Refuse to write over a file that is read."""
    for path in inputs:
        if output is not None and output.exists() and path.exists() and output.samefile(path):
            raise click.UsageError(
                f"{output} is read, so it cannot be the output as well: name another file."
            )


def standard_output() -> BinaryIO:
    """Where bytes go to if no file is named."""
    if sys.stdout is None:
        raise click.ClickException("Standard output is closed: name a file with --output.")
    return sys.stdout.buffer


@dataclass(frozen=True)
class Reader:
    """Reads a table as the options of `reading` say."""

    text: tuple[str, ...]
    separator: str | None
    decimal: Literal[".", ","]

    def __call__(self, path: Path, *more_text: str) -> Any:
        """The table as a whole."""
        from chainrule.frames import read_table

        text = (*self.text, *more_text)
        return read_table(path, text=text, separator=self.separator, decimal=self.decimal)

    def in_pieces(self, path: Path, piece: int) -> Any:
        """The table in pieces of so many bytes."""
        from chainrule.pieces import open_table

        return open_table(path, text=self.text, separator=self.separator, decimal=self.decimal, piece=piece)


def reading(command: Command) -> Command:
    """Add options of how a file is read; the command gets a function `read` that obeys them."""

    @functools.wraps(command)
    def reads(separator: str | None, decimal_comma: bool, text: tuple[str, ...], **rest: Any) -> None:
        command(read=Reader(text, separator, "," if decimal_comma else "."), **rest)

    found = "Character between the cells; if not given, it is found."
    for option in (
        click.option("--text", multiple=True, metavar="COLUMN", help="Read a column as text; repeatable."),
        click.option("--decimal-comma", is_flag=True, help="Numbers are written 1,5."),
        click.option("--separator", metavar="CHAR", help=found),
    ):
        reads = option(reads)
    return reads


def examples(text: str) -> Any:
    """The end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in text.strip().splitlines())


def load_table_model(path: Path) -> Any:
    """Load a model that knows the columns of its table."""
    from chainrule.models import load
    from chainrule.table_model import TableModel

    model = load(path)
    if not isinstance(model, TableModel):
        raise WrongUsage(
            f"{path} holds an {type(model).__name__}, which knows no columns: use chainrule train."
        )
    return model


@contextmanager
def training(quiet: bool) -> Iterator[list[Callable[[Any], None]]]:
    """The callbacks of a progress bar; what training warns of is shown as notes."""
    from chainrule.cli_text import note
    from chainrule.progress import training_bar

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with training_bar(quiet) as callbacks:
            yield callbacks
    note(dict.fromkeys(str(warning.message) for warning in caught))


def print_json(facts: Any) -> None:
    """Print one JSON object on standard output."""
    click.echo(json.dumps(facts, ensure_ascii=False))
