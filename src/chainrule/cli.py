"""The command line: parse, call the library, print.

Data and JSON go to standard output, everything else to standard error. Exit codes: 0 done, 1
failed, 2 wrong usage, 130 interrupted. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from chainrule import cli_explain, cli_prove, cli_studio, cli_tune
from chainrule.cli_memory import check_memory, fitting
from chainrule.cli_parts import (
    DATA,
    DROP,
    INTERRUPTED,
    SEED,
    SEED_OPTION,
    TARGET,
    TASK,
    TEST_SIZE,
    Reader,
    Shell,
    check_output,
    check_paths,
    examples,
    load_table_model,
    print_json,
    reading,
    row_of,
    standard_output,
    training,
    widths,
)

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=Shell, context_settings=SETTINGS)
@click.version_option(package_name="chainrule", message="chainrule %(version)s")
def main() -> None:
    """Feed-forward neural networks on tables, with back propagation written by hand.

    \b
    Examples:
      chainrule demo
      chainrule train houses.csv --target price --output houses.model
      chainrule predict houses.model new.csv > prices.csv
      chainrule explain houses.model houses.csv --row 7
      chainrule check houses.model houses.csv
      chainrule tune houses.csv --target price --time 600
      chainrule studio
    """


@main.command(
    short_help="Train a network on a table.",
    epilog=examples("""
chainrule train iris.csv --target species
chainrule train houses.csv --target price --drop id --hidden 128,64 --epochs 500
chainrule train houses.csv --target price --activation 'leaky_relu(alpha=0.2)' --json
chainrule train houses.csv --target price --epochs 5000 --checkpoint houses.checkpoint
chainrule train houses.csv --target price --report houses.html
chainrule train clicks.csv --target bought --memory 1GB
"""),
)
@click.argument("data", type=DATA)
@TARGET
@TASK
@DROP
@click.option(
    "--hidden",
    "hidden_layer_sizes",
    callback=widths,
    metavar="N,N,...",
    help="Units of the hidden layers.  [default: 64,32]",
)
@click.option(
    "--activation",
    multiple=True,
    callback=row_of("activation"),
    metavar="NAME",
    help="Of the hidden layers; repeat it to give one for each.  [default: relu]",
)
@click.option("--solver", callback=row_of("optimiser"), metavar="NAME", help="Optimiser.  [default: adam]")
@click.option(
    "--epochs",
    "max_iter",
    type=click.IntRange(1),
    metavar="N",
    help="Most passes over the rows.  [default: 200]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    metavar="N",
    help="Rows in a step.  [default: 32 to 256, by the rows]",
)
@click.option(
    "--learning-rate",
    "learning_rate_init",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help="Length of a step.  [default: 0.001]",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0),
    metavar="X",
    help="Strength of the L2 penalty.  [default: 0.0001]",
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="X",
    help="Share of hidden units left out of a step.  [default: 0]",
)
@TEST_SIZE
@SEED_OPTION
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default="model.safetensors",
    help="Model file to write.  [default: model.safetensors]",
)
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to save to how far training has come; the same command goes on from it.",
)
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Time from one checkpoint to the next.  [default: 60]",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Web page to write: scores, curves, errors, importances, one row explained.",
)
@click.option(
    "--reference/--no-reference",
    default=None,
    help="Score gradient boosting on the same rows, too.  [default: with at most 10 classes]",
)
@click.option(
    "--memory",
    metavar="SIZE",
    help="Read DATA in pieces and use no more memory than that, such as 1GB.",
)
@reading
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    data: Path,
    target: str,
    task: str | None,
    drop: tuple[str, ...],
    output: Path,
    checkpoint: Path | None,
    report: Path | None,
    reference: bool | None,
    memory: str | None,
    read: Reader,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network on the table DATA (CSV, TSV or Parquet) to predict one of its columns.

    Rows are set apart to judge the network by, beside a baseline that always predicts the same and
    gradient boosting (LightGBM if it is installed, else scikit-learn's). The model is written to a file
    that `predict` and `check` take. Ctrl-C ends training early and keeps what has been learnt. With
    --checkpoint, the same command goes on where training was stopped, by Ctrl-C or in any other way, and
    writes the same model as if it had not been; then it removes the checkpoint. With --memory, DATA may
    be larger than memory: see docs/memory.md.
    """
    check_paths(output, checkpoint, report, data=data)
    from chainrule import cli_text
    from chainrule.table_model import TableModel
    from chainrule.table_page import report_html, require_package
    from chainrule.table_reference import compare, quick

    check_memory(memory, report, reference)
    if report is not None:
        require_package()  # before training, and not after it
    activation = options.pop("activation")
    if activation:
        options["activation"] = activation[0] if len(activation) == 1 else list(activation)
    if checkpoint is not None and checkpoint.exists():
        cli_text.note([f"Going on from the checkpoint {checkpoint}."])
    options["checkpoint"] = checkpoint
    model = TableModel(**{name: value for name, value in options.items() if value is not None})
    fit, frame = fitting(model, data, read, memory, checkpoint)
    with training(quiet) as callbacks:
        fit(target, task=task, drop=drop, callbacks=callbacks)
    interrupted = model.report_["training"]["stopped"] == "interrupted"
    if interrupted and not model.report_["training"]["epochs"]:
        raise KeyboardInterrupt  # there is nothing to save
    model.save(output)  # before the rest, which could be interrupted
    if frame is not None and (quick(model) if reference is None else reference):
        compare(model, frame)
        model.save(output)
    if report is not None:
        report_html(model, frame, report)
    if checkpoint is not None and interrupted:
        cli_text.note([f"The same command goes on from the checkpoint {checkpoint}."])
    elif checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    if as_json:
        print_json({**model.report_, "model": str(output)})
    else:
        cli_text.show_training(model.report_, str(output))
    ctx.exit(INTERRUPTED if interrupted else 0)


@main.command(
    short_help="Predict the rows of a table.",
    epilog=examples("""
chainrule predict iris.model new.csv
chainrule predict iris.model new.csv --proba --keep id --output predicted.csv
"""),
)
@click.argument("model", type=DATA)
@click.argument("data", type=DATA)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="CSV file to write.")
@click.option("--proba", is_flag=True, help="Add the probability of each class.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Copy a column of DATA; repeatable.")
@reading
def predict(
    model: Path,
    data: Path,
    output: Path | None,
    proba: bool,
    keep: tuple[str, ...],
    read: Callable[..., Any],
) -> None:
    """Predict each row of the table DATA with the model in the file MODEL.

    The predictions are CSV on standard output or in a file, in the order of the rows. Their column
    is named after the target; with --proba, columns probability_CLASS follow.
    """
    from chainrule import cli_text
    from chainrule.frames import write_table
    from chainrule.predictions import predictions

    check_output(output, model, data)
    loaded = load_table_model(model)
    frame = read(data, *keep, *loaded.encoder_.text_columns)
    predicted = predictions(loaded, frame, probabilities=proba, keep=keep)
    cli_text.note(loaded.notes(frame, expected=keep))
    write_table(predicted, output or standard_output())


@main.command(
    short_help="Check the gradient of a model.",
    epilog=examples("""
chainrule check iris.model iris.csv
chainrule check iris.model iris.csv --rows 100 --json
"""),
)
@click.argument("model", type=DATA)
@click.argument("data", type=DATA)
@click.option(
    "--rows",
    type=click.IntRange(1),
    metavar="N",
    default=32,
    help="Rows to compute it on.  [default: 32]",
)
@reading
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def check(
    ctx: click.Context,
    model: Path,
    data: Path,
    rows: int,
    read: Callable[..., Any],
    as_json: bool,
) -> None:
    """Check the gradient of the model in the file MODEL on rows of the table DATA.

    Back propagation is compared with the complex step, which is exact to rounding and needs only
    the forward equations. If they differ, the exit code is 1.
    """
    from dataclasses import asdict

    loaded = load_table_model(model)
    frame = read(data, *loaded.encoder_.text_columns)
    report = loaded.check_gradients(frame, rows)
    if as_json:
        print_json({**asdict(report), "passed": report.passed})
    else:
        click.echo(str(report))
    ctx.exit(0 if report.passed else 1)


@main.command(
    short_help="See it work on real data.",
    epilog=examples("chainrule demo\nchainrule demo --seed 7"),
)
@click.option("--seed", type=SEED, metavar="N", default=1, help="Seed.  [default: 1]")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def demo(seed: int, quiet: bool) -> None:
    """Train on real data, and follow one row through the network with all its numbers."""
    from chainrule import cli_text
    from chainrule.demo import demonstrate

    with training(quiet) as callbacks:
        shown = demonstrate(seed, callbacks)
    cli_text.show_demonstration(shown)


main.add_command(cli_explain.explain)
main.add_command(cli_prove.prove)
main.add_command(cli_studio.studio)
main.add_command(cli_tune.tune)
