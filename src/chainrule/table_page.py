"""A report on a table model as one web page, which fetches nothing and runs no script."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule import explanation, targets
from chainrule.column_values import Frame, Numbers, as_frame
from chainrule.columns import require
from chainrule.errors import DataError, MissingPackageError
from chainrule.permutation import importances
from chainrule.plot import judgement
from chainrule.plot.training import history
from chainrule.scores import HIGHER_IS_BETTER
from chainrule.table_model import TableModel
from chainrule.table_page_style import STYLE
from chainrule.targets import Classes
from chainrule.trace_parts import PARTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_DRAWN = 2000  # rows in a picture
MOST_COLUMNS = 100  # whose treatment is listed
MOST_IMPORTANCES = 25
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STOPPED = {
    "converged": "no further improvement",
    "interrupted": "interrupted",
    "epochs": "all epochs were used",
}


def report_html(model: TableModel, data: Any, path: str | os.PathLike[str] | None = None) -> str:
    """Write a report on a model: one web page with all that is needed to judge it.

    It shows what was done to each column, the scores beside a baseline and a gradient boosting reference
    (if `chainrule.table_reference.compare` has put it into the model's report), the loss over the epochs,
    confusion and calibration or the residuals, how much each column matters, and one row explained.
    The pictures need the extra ``chainrule[plot]``.

    Parameters
    ----------
    model : TableModel
        Fitted.
    data : data frame
        The table that it was fitted to: its rows held out are judged. For a model from a file, or
        without rows held out: rows with their target, which are judged all.
    path : path, optional
        The file to write.

    Returns
    -------
    str
        The page.

    Raises
    ------
    DataError
        If no row has a target.
    MissingPackageError
        If matplotlib is not installed.
    """
    model._check_fitted()
    require_package()
    page = _Page(model, _judged(model, data))
    text = page.text()
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def require_package() -> None:
    """Refuse to go on without matplotlib.

    Raises
    ------
    MissingPackageError
    """
    if find_spec("matplotlib") is None:
        raise MissingPackageError(
            "The report draws with matplotlib, which is not installed: pip install 'chainrule[plot]'."
        )


@dataclass(frozen=True)
class _Rows:
    """The rows that a model is judged by: their numbers in the table, cells, inputs and targets."""

    numbers: npt.NDArray[np.int64]
    frame: Frame
    X: Numbers
    y: Any
    words: str


def _judged(model: TableModel, data: Any) -> _Rows:
    frame, name = as_frame(data), model.target_.name
    require(frame, [name])
    y = model.target_.encode(frame[name])
    parts = getattr(model, "parts_", None)
    if parts is not None and len(parts.held_out) and len(frame) == model.report_["rows"]["in the table"]:
        rows, words = parts.held_out, "rows held out"
    else:
        rows, words = np.flatnonzero(targets.present(y)), "rows given"
    if not len(rows):
        raise DataError(f"No row has a value in the target {name!r}.")
    frame = frame[rows.tolist()]
    return _Rows(rows, frame, model.encoder_.transform(frame), y[rows], f"{len(rows):,} {words}")


class _Page:
    """The parts of the page, each a section."""

    def __init__(self, model: TableModel, rows: _Rows) -> None:
        self.model, self.rows, self.report = model, rows, model.report_

    def text(self) -> str:
        """The page."""
        title = f"{self.report['target']}: {self.report['task']}"
        parts = [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<style>{STYLE}</style></head><body><main>",
            f"<h1>Predicting <em>{escape(str(self.report['target']))}</em></h1>",
            *self._facts(),
            *self._scores(),
            *self._training(),
            *(self._classes() if isinstance(self.model.target_, Classes) else self._numbers()),
            *self._importances(),
            *self._columns(),
            *self._explained(),
            "</main></body></html>",
        ]
        return "\n".join(parts) + "\n"

    def _facts(self) -> Iterator[str]:
        network, training = self.report["network"], self.report["training"]
        activation = network["activation"]
        functions = activation if isinstance(activation, str) else ", ".join(activation)
        classes = f" of {len(self.report['classes'])} classes" if self.report["classes"] else ""
        facts = {
            "Task": f"{self.report['task']}{classes}",
            "Rows": ", ".join(f"{count:,} {what}" for what, count in self.report["rows"].items() if count),
            "Network": f"{' → '.join(map(str, network['widths']))}, {functions}, "
            f"{network['parameters']:,} parameters",
            "Training": f"{training['solver']}, {training['epochs']} of at most {training['most_epochs']} "
            f"epochs ({STOPPED.get(training['stopped'], training['stopped'])}), "
            f"{self.report['seconds']:.2f} s",
            "Diagnosis": self.report["diagnosis"]["summary"],
        }
        yield '<dl class="facts">'
        for name, fact in facts.items():
            yield f"<dt>{name}</dt><dd>{escape(str(fact))}</dd>"
        yield "</dl>"

    def _scores(self) -> Iterator[str]:
        scores = self.report["scores"]
        if scores is None:
            return
        titles = {"model": "Model", "baseline": "Baseline"}
        reference = self.report.get("reference")
        if reference is not None:
            titles["reference"] = reference["name"]
        body = []
        for name, found in scores.items():
            best = (max if name in HIGHER_IS_BETTER else min)(found.values())
            cells = [f"{'★ ' if found[who] == best else ''}{_figure(found[who])}" for who in titles]
            body.append([name, *cells])
        yield "<h2>Scores on the rows held out</h2>"
        yield _table(["", *titles.values()], body, numbers=range(1, len(titles) + 1))
        yield (
            '<p class="note">★ the best. The baseline always predicts the same: the shares of the classes, '
            "or the mean."
        )
        if reference is not None:
            yield (
                f"{escape(reference['name'])} ({escape(reference['package'])}) has its default options and "
                f"the same columns; {reference['seconds']:.2f} s on {reference['rows']:,} rows."
            )
        yield "</p>"

    def _training(self) -> Iterator[str]:
        yield "<h2>Training</h2>"
        yield _picture(lambda: history(self.model), "The loss of each epoch", mathematics=True)

    def _classes(self) -> Iterator[str]:
        frame = self._drawn()
        yield f"<h2>Confusion and calibration</h2><p>{self._of_the_rows()}</p>"
        yield '<div class="pair">'
        yield _picture(
            lambda: judgement.confusion(self.model, frame), "How often each class is taken for each other one"
        )
        yield _picture(
            lambda: judgement.calibration(self.model, frame),
            "How often what is predicted with a probability comes true",
        )
        yield "</div>"

    def _numbers(self) -> Iterator[str]:
        yield f"<h2>Residuals</h2><p>{self._of_the_rows()}</p>"
        frame = self._drawn()
        yield _picture(lambda: judgement.residuals(self.model, frame), "True minus predicted numbers")

    def _of_the_rows(self) -> str:
        some = len(self.rows.y) > MOST_DRAWN
        return f"Of {f'{MOST_DRAWN:,} of ' if some else ''}the {self.rows.words}."

    def _drawn(self) -> Frame:
        """At most so many rows as a picture can hold."""
        rows = np.random.default_rng(0).permutation(len(self.rows.y))[:MOST_DRAWN]
        drawn: Frame = self.rows.frame[np.sort(rows).tolist()]
        return drawn

    def _importances(self) -> Iterator[str]:
        found = importances(self.model, self.rows.X, self.rows.y)
        shown = found[:MOST_IMPORTANCES]
        what = "log loss" if isinstance(self.model.target_, Classes) else "root mean squared error"
        yield "<h2>What each column is worth</h2>"
        yield (
            f"<p>How much the {what} rises, on the {self.rows.words}, when the column's cells change places "
            "among the rows (permutation importance, five times). Columns that say the same share "
            "their worth.</p>"
        )
        most = max(max((importance.mean for importance in shown), default=0.0), 1e-300)
        yield '<div class="scroll"><table class="bars">'
        for importance in shown:
            width = 100 * max(importance.mean, 0.0) / most
            yield (
                f'<tr><th scope="row">{escape(importance.column)}</th>'
                f'<td class="bar"><div style="width:{width:.1f}%"></div></td>'
                f'<td class="number">{_short(importance.mean)} ± {_short(importance.deviation)}</td></tr>'
            )
        yield "</table></div>"
        if len(found) > len(shown):
            yield f'<p class="note">And {len(found) - len(shown)} more.</p>'

    def _columns(self) -> Iterator[str]:
        columns = self.report["columns"]
        body = [[c["column"], c["kind"], str(c["features"]), c["done"]] for c in columns[:MOST_COLUMNS]]
        yield "<h2>What was done to each column</h2>"
        yield _table(["Column", "Kind", "Inputs", "What is done to it"], body, numbers=[2])
        if len(columns) > MOST_COLUMNS:
            yield f'<p class="note">And {len(columns) - MOST_COLUMNS} more.</p>'

    def _explained(self) -> Iterator[str]:
        """The way of the row that is misjudged most."""
        row = int(np.argmax(self._errors()))
        trace = explanation.explain(self.model, self.rows.frame.to_native(), row=row)
        yield "<h2>One row, from its cells to the prediction</h2>"
        yield (
            f"<p>Row {self.rows.numbers[row]}, counted from 0: the one of the {self.rows.words} that is "
            f"misjudged most. {escape(self._verdict(row))}</p>"
        )
        for part in ("input", "forward"):
            inner = trace.part(part)._repr_html_().partition("</h2>")[2]
            yield f"<details><summary>{PARTS[part]}</summary>{inner}</details>"

    def _verdict(self, row: int) -> str:
        target, x, y = self.model.target_, self.rows.X[[row]], self.rows.y[[row]]
        truth, predicted = target.decode(y)[0], target.decode(self.model.estimator_.predict(x))[0]
        if not isinstance(target, Classes):
            return f"True: {truth:.6g}. Predicted: {predicted:.6g}."
        probability = self.model.estimator_.predict_proba(x).max()
        return f"True: {truth}. Predicted: {predicted}, with probability {probability:.4f}."

    def _errors(self) -> Numbers:
        """How far off each prediction is."""
        net, y = self.model.estimator_, self.rows.y
        if isinstance(self.model.target_, Classes):
            own = np.asarray(net.predict_proba(self.rows.X))[np.arange(len(y)), y]
            return np.asarray(1 - own)
        return np.asarray(np.abs(net.predict(self.rows.X) - y))


def _picture(draw: Callable[[], Axes], words: str, *, mathematics: bool = False) -> str:
    """A picture in the page. Text in it is not read as mathematics, unless all of it is ours."""
    require_package()
    import matplotlib as mpl

    file = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": words, "text.parse_math": mathematics}):
        figure: Any = draw().figure
        how = {"transparent": True, "bbox_inches": "tight", "metadata": {"Date": None}}
        figure.savefig(file, format="svg", **how)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<figure><img alt="{escape(words)}" src="data:image/svg+xml;base64,{data}"></figure>'


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        kind = [' class="number"' if i in numbers else "" for i in range(len(cells))]
        inner = (f"<{tag}{k}>{escape(cell)}</{tag}>" for k, cell in zip(kind, cells, strict=True))
        return f"<tr>{''.join(inner)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table>{line(titles, "th")}{body}</table></div>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _figure(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.3g}"
