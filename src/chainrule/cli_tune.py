"""The command `chainrule tune`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from chainrule.cli_parts import (
    DATA,
    DROP,
    INTERRUPTED,
    SEED_OPTION,
    TARGET,
    TASK,
    TEST_SIZE,
    check_paths,
    examples,
    print_json,
    reading,
)


@click.command(
    short_help="Search for the best options.",
    epilog=examples("""
chainrule tune houses.csv --target price --trials 30
chainrule tune houses.csv --target price --time 600 --study houses.study
"""),
)
@click.argument("data", type=DATA)
@TARGET
@TASK
@DROP
@click.option(
    "--trials",
    type=click.IntRange(1),
    metavar="N",
    default=50,
    help="End after so many trials, earlier ones of the study included.  [default: 50]",
)
@click.option(
    "--time",
    "time_limit",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="End after this time; the trial under way is given up.",
)
@click.option(
    "--study",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to keep the trials in; the same command goes on from it.",
)
@click.option(
    "--epochs",
    "max_iter",
    type=click.IntRange(1),
    metavar="N",
    help="Most passes over the rows in a trial.  [default: 200]",
)
@TEST_SIZE
@SEED_OPTION
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default="model.safetensors",
    help="File to write the best model to.  [default: model.safetensors]",
)
@reading
@click.option("--quiet", "-q", is_flag=True, help="No line for each trial.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def tune(
    ctx: click.Context,
    /,
    data: Path,
    target: str,
    output: Path,
    max_iter: int | None,
    read: Callable[..., Any],
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Search for the options with which a network learns the table DATA (CSV, TSV or Parquet) best.

    Network, learning rate, batches, dropout and penalty are varied by Optuna, which comes with the extra
    chainrule[tune]. Options are compared by the loss on rows that training is stopped by; the rows held
    out to judge by take no part. The best model is written to a file that `predict` takes. Ctrl-C ends
    the search early and keeps what was found.
    """
    check_paths(output, data=data)
    from chainrule import cli_text
    from chainrule.tuning import tune as search
    from chainrule.tuning_study import require_package

    require_package()
    if max_iter is not None:
        options["max_iter"] = max_iter
    on_trial = None if quiet else _Told()
    found = search(read(data), target, on_trial=on_trial, **options)
    found.model.save(output)
    if as_json:
        print_json({**found.to_dict(), "report": found.model.report_, "model": str(output)})
    else:
        cli_text.show_tuning(found, str(output))
    ctx.exit(INTERRUPTED if found.stopped == "interrupted" else 0)


class _Told:
    """Prints a line on standard error for each trial."""

    def __init__(self) -> None:
        self.best = float("inf")

    def __call__(self, trial: dict[str, Any]) -> None:
        loss, state = trial["loss"], trial["state"]
        if state == "complete":
            self.best = min(self.best, loss)
        figure = "diverged" if loss is None else f"loss {loss:.4g}"
        best = f", best {self.best:.4g}" if self.best < float("inf") else ""
        ended = ", pruned" if state == "pruned" and loss is not None else ""
        click.echo(f"Trial {trial['number'] + 1}: {figure}{ended}{best}", err=True)
