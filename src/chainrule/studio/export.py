"""What is taken away from the page: the model file, the code that reproduces it, and traces."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from chainrule.explanation import FORMS, explain
from chainrule.studio.opened import OpenedModel
from chainrule.studio.settings import Settings
from chainrule.studio.source import Source

FILE = "your_table.csv"


def model_file(model: OpenedModel) -> bytes:
    """The model as `chainrule.load`, `chainrule predict` and `chainrule explain` take it."""
    with tempfile.TemporaryDirectory(prefix="chainrule-") as folder:
        path = Path(folder) / "model"
        model.settled().save(path)
        return path.read_bytes()


def trace_file(model: OpenedModel, frame: Any, row: int, form: str, style: str) -> str:
    """The trace of a row in one of the FORMS, as "html" or "latex"."""
    assert form in FORMS
    trace = explain(model, frame, row=row, form=form)
    return trace.latex() if style == "latex" else trace.html()


def code(model: OpenedModel, source: Source, settings: Settings, batches: int, *, learnt: bool) -> str:
    """A Python program that trains the same network to the same weights.

    Parameters
    ----------
    model : OpenedModel
        At the moment to be reproduced.
    source : Source
    settings : Settings
    batches : int
        Batches done in an epoch that is going on: the program cannot end within one.
    learnt : bool
        Whether training began with the weights of a model file.
    """
    options = settings.options(model.target_.task) | {"batch_size": model.options["batch_size"]}
    epochs = model.estimator_.state.epochs
    lines = ['"""The network of the studio, trained anew: the same data give the same weights."""', ""]
    lines += _imports(source)
    lines += ["", *_table(source), ""]
    if learnt:
        lines.append("# The page began with the weights of a model file; this begins with new ones.")
    if batches:
        done = f"{batches} more batches had" if batches > 1 else "1 more batch had"
        lines.append(f"# {done} been trained on the page since the end of epoch {epochs}.")
    lines += [
        "model = TableModel(",
        *(f"    {name}={_value(value)}," for name, value in options.items()),
        ")",
    ]
    lines += [
        _fit(model, settings, epochs),
        'print(model.report_["scores"])',
        'model.save("model.safetensors")',
    ]
    return "\n".join(lines) + "\n"


def _imports(source: Source) -> list[str]:
    origin = (
        "chainrule.studio.examples import table" if source.example else "chainrule.frames import read_table"
    )
    return ["from chainrule import TableModel", f"from {origin}"]


def _table(source: Source) -> list[str]:
    made = source.example
    if made is None:
        return [f'frame = read_table("{FILE}")  # the file that was handed to the page']
    return [f"frame = table({made.name!r}, rows={made.rows}, noise={made.noise!r}, seed={made.seed})"]


def _fit(model: OpenedModel, settings: Settings, epochs: int) -> str:
    target = model.target_
    parts = [f"model.fit(frame, {target.name!r}, task={target.task!r}"]
    if settings.drop:
        parts.append(f"drop={list(settings.drop)!r}")
    if epochs < settings.epochs:
        parts.append(f"callbacks=[lambda epoch: epoch.number == {max(epochs, 1)}]")
    return ", ".join(parts) + ")"


def _value(value: Any) -> str:
    return 'float("inf")' if isinstance(value, float) and math.isinf(value) else repr(value)
