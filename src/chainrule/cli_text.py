"""What the command line prints: reports as aligned text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chainrule.demo import Demonstration

MOST_COLUMNS = 40
STOPPED = {
    "converged": " (no further improvement)",
    "interrupted": " (interrupted)",
    "stuck": " (no step helped)",
    "evaluations": " (no more evaluations allowed)",
}


def console(*, stderr: bool = False) -> Console:
    """A console that leaves text alone, and is as wide as a line where nothing limits it."""
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = 120
    return made


def note(texts: Iterable[str]) -> None:
    """Print notes on standard error."""
    out = console(stderr=True)
    for text in texts:
        out.print(Text("Note: ", style="yellow") + Text(text), soft_wrap=True)


def show_training(report: Mapping[str, Any], path: str) -> None:
    """Print what training did."""
    out = console()
    out.print(_columns(report["columns"]))
    out.print()
    out.print(_facts(report, path))
    if report["scores"] is not None:
        out.print()
        out.print(_scores(report["scores"], report.get("reference")))


def show_tuning(found: Any, path: str) -> None:
    """Print the options that a search has found, and the model that was trained with them."""
    out, told = console(), found.to_dict()
    table = _grid("Option", "Best", "Importance")
    table.columns[2].justify = "right"
    for name, value in sorted(
        found.best_options.items(), key=lambda item: -found.importances.get(item[0], 0)
    ):
        share = found.importances.get(name)
        table.add_row(name, Text(_spelt(value)), "" if share is None else f"{share:.0%}")
    out.print(table)
    why = {"time": ", the time is over", "interrupted": ", interrupted"}.get(found.stopped, "")
    out.print(f"\n{told['complete']} trials complete, {told['pruned']} pruned{why}")
    out.print(_facts(found.model.report_, path))
    if found.model.report_["scores"] is not None:
        out.print()
        out.print(_scores(found.model.report_["scores"]))


def _spelt(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show_demonstration(shown: Demonstration) -> None:
    """Print the scores of the demonstration, and the equations of one row."""
    out, report = console(), shown.model.report_
    out.print("569 breast tumours, 30 measurements each: benign or malignant? (Wisconsin, 1995)\n")
    out.print(_facts(report))
    out.print()
    out.print(_scores(report["scores"]))
    out.print(
        f"\nHow the network judges one of the tumours that it has not seen (row {shown.row + 1}),"
        "\nalong the units that matter most. Each line is weight × value = product; the columns\n"
        "of the table are standardised.\n",
        soft_wrap=True,
    )
    for equation in shown.equations:
        title, *lines = equation.lines()
        out.print(Text(title, style="bold"))
        out.print("\n".join(lines) + "\n", soft_wrap=True)
    out.print(f"The output is the probability of {str(shown.model.classes_[-1])!r}.")
    out.print(f"Predicted: {shown.predicted}, with probability {shown.probability:.4f}. True: {shown.truth}.")


def _columns(columns: Sequence[Mapping[str, Any]]) -> Table:
    table = _grid("Column", "Kind", "Inputs", "What is done to it")
    for column in columns[:MOST_COLUMNS]:
        style = "" if column["features"] else "dim"
        cells = (column["column"], column["kind"], str(column["features"]), column["done"])
        table.add_row(*map(Text, cells), style=style)
    if len(columns) > MOST_COLUMNS:
        table.add_row(Text(f"and {len(columns) - MOST_COLUMNS} more"), "", "", "")
    table.columns[2].justify = "right"
    return table


def _facts(report: Mapping[str, Any], path: str | None = None) -> Table:
    network, training = report["network"], report["training"]
    classes = f" of {len(report['classes'])} classes" if report["classes"] else ""
    layers = " → ".join(map(str, network["widths"]))
    activation = network["activation"]
    functions = activation if isinstance(activation, str) else ", ".join(activation)
    done = f"{training['epochs']} of at most {training['most_epochs']} epochs"
    why = STOPPED.get(training["stopped"], "")
    facts = {
        "Target": f"{report['target']} ({report['task']}{classes})",
        "Rows": ", ".join(f"{count} {what}" for what, count in report["rows"].items() if count),
        "Network": f"{layers}, {functions}, {network['parameters']:,} parameters",
        "Training": f"{training['solver']}, {done}{why}, {report['seconds']:.2f} s",
        "Diagnosis": report["diagnosis"]["summary"],
        "Model": path,
    }
    table = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        if fact:
            table.add_row(Text(name, style="bold"), Text(fact))
    return table


def _scores(scores: Mapping[str, Mapping[str, float]], reference: Mapping[str, Any] | None = None) -> Table:
    columns = {"model": "Model", "baseline": "Baseline"}
    if reference is not None:
        columns["reference"] = reference["name"]
    table = _grid("Rows held out", *columns.values())
    for name, score in scores.items():
        table.add_row(name, *(_figure(score[who]) for who in columns))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _figure(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.4g}"


def _grid(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title)
    return table
