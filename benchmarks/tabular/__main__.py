"""The benchmark's commands; see ``python -m benchmarks.tabular COMMAND --help``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.tabular import ROOT, beside, measure, models, protocol, report
from benchmarks.tabular.archives import ArchiveError, folder
from benchmarks.tabular.datasets import COMPARED, DATA_SETS, DEVELOPMENT

RESULTS = ROOT / "benchmarks" / "results"
PEERS = RESULTS / "tabular_peers.jsonl"
OURS = RESULTS / "tabular_ours.jsonl"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options) or 0)
    except (ArchiveError, LookupError) as error:
        print(error.args[0], file=sys.stderr)
        return 1


def _names(text: str) -> list[str]:
    groups = {"compared": COMPARED, "development": DEVELOPMENT, "all": tuple(DATA_SETS)}
    names = [name for part in text.split(",") for name in groups.get(part, (part,))]
    unknown = [name for name in names if name not in DATA_SETS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no data set {unknown[0]!r}: give some of {', '.join(DATA_SETS)}, or one of {', '.join(groups)}"
        )
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function: Any, name: str, default: str = "compared") -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        made.set_defaults(command=function)
        made.add_argument(
            "--data",
            type=_names,
            default=_names(default),
            metavar="A,B",
            help=f"data sets, or compared, development, all (default: {default})",
        )
        return made

    made = command(_fetch, "fetch", "all")
    _add_rows(made)

    made = command(_run, "run")
    made.add_argument("model", type=lambda text: text.split(","), metavar="MODEL[,MODEL]")
    made.add_argument("--out", type=Path, help="a file of JSON lines to add the results to")
    made.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an estimator's option"
    )
    made.add_argument("--label", help="a name for the results, in place of the model's")
    made.add_argument("--seed", type=int, default=0, help="of the model")
    made.add_argument("--development", action="store_true", help="the split for choices: no test row is read")
    made.add_argument("--split-seed", type=int, default=1, help="of the development split")
    made.add_argument("--warm", action="store_true", help="fit a few rows first, outside of the clock")
    _add_rows(made)

    made = command(_beside, "beside")
    made.add_argument("--models", type=lambda text: text.split(","), default=["realmlp", "tabular"])
    made.add_argument("--rounds", type=int, default=1)
    made.add_argument("--out", type=Path, default=RESULTS / "tabular_beside.jsonl")

    made = command(_table, "table")
    made.add_argument("--ours", type=Path, nargs="*", default=[OURS], help="files of results")
    made.add_argument("--peers", type=Path, default=PEERS)
    made.add_argument(
        "--write", action="store_true", help=f"write tabular.md and tabular.svg to {RESULTS.name}"
    )
    return parser


def _add_rows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rows", type=int, default=protocol.MOST_ROWS, help="take at most so many rows of a data set; 0: all"
    )


def _fetch(options: argparse.Namespace) -> None:
    """Download the archives and prepare the data."""
    for name in options.data:
        protocol.prepare(name, options.rows)
    print(f"{len(options.data)} data sets lie in {folder()}.")


def _splits(options: argparse.Namespace) -> Iterator[protocol.Split]:
    for name in options.data:
        if options.development:
            yield protocol.development(name, options.split_seed, options.rows)
        else:
            yield protocol.final(name, options.rows)


def _run(options: argparse.Namespace) -> None:
    """Fit models and add their scores and times to a file."""
    if options.development:
        protocol.seal()
    order = {"seed": options.seed, "options": dict(map(models.option, options.set))}
    for record in measure.study(_splits(options), options.model, order, options.warm):
        record["split"] = f"development {options.split_seed}" if options.development else "final"
        if options.label:
            record["model"] = options.label
        print(json.dumps(record), flush=True)
        if options.out:
            measure.append(options.out, record)


def _beside(options: argparse.Namespace) -> None:
    """Fit two or more models in turns on this machine, and compare their times."""
    beside.run(options.data, options.models, options.rounds, options.out)
    print(report.beside(measure.read(options.out)))


def _table(options: argparse.Namespace) -> None:
    """Print what was measured beside the stored results."""
    ours = [record for path in options.ours if path.exists() for record in measure.read(path)]
    board = report.Board(measure.read(options.peers), ours)
    text = report.markdown(board)
    print(text)
    if options.write:
        (RESULTS / "tabular.md").write_text(text, encoding="utf-8")
        report.plot(board, RESULTS / "tabular.svg")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT / "src"))  # for the processes that are started
    sys.exit(main())
