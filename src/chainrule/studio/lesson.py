"""The equations behind what is clicked, and a guided walk through one training step.

Both are parts of the trace that `chainrule.explain` writes down; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from chainrule import trace_markup
from chainrule.errors import DataError, OptionError
from chainrule.explanation import explain
from chainrule.studio.opened import OpenedModel
from chainrule.trace import Trace
from chainrule.trace_equation import Equation

ALL = 10**9
TERMS = 10  # of a sum; what the others add up to is said
MOST_WEIGHTS = 60_000  # a trace of all units of more could not be made while one waits
MOST_LINKS = 15_000  # and neither one with each weight of more
WALK_TERMS, WALK_UNITS = 5, 3
WORDS = {
    "input": "Each cell of the row becomes a number. Columns of numbers are shifted and scaled; each text "
    "becomes a 1 in a column of its own.",
    "forward": "A unit multiplies what it receives by its weights, adds them up with its bias, and bends the "
    "sum by its activation.",
    "prediction": "The output link turns the last sums into the prediction.",
    "loss": "The loss is a single number: how far the prediction is from the target.",
    "backward": "How much would the loss change if this changed a little? The chain rule multiplies the "
    "change behind a unit by the change inside of it.",
    "rule": "The optimiser makes a step out of each derivative.",
    "update": "Each weight goes a little way downhill.",
}
TITLES = {"forward": "Layer {}, forward", "backward": "Layer {}, backward", "update": "Layer {}, new weights"}
ALONE = {
    "input": ("From the cells to the input", "input"),
    "forward": ("The prediction", "prediction"),
    "loss": ("The loss", "loss"),
    "backward": ("Backward", "backward"),
    "update": ("The rule of the update", "rule"),
}


def traced(model: OpenedModel, frame: Any, row: int, *, terms: int = TERMS) -> Trace:
    """The trace of a row with all units, and so many terms of each sum and weights of each unit.

    Raises
    ------
    DataError
        If there is no such row.
    OptionError
        If the network is too large to be written out.
    """
    count = model.theta.size
    if count > MOST_WEIGHTS:
        return explain(model, frame, row=row)
    return explain(model, frame, row=row, units=ALL, terms=terms)


def equations(model: OpenedModel, frame: Any, row: int, element: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The equations of an element of the network for a row, as the page shows them.

    Parameters
    ----------
    model : OpenedModel
    frame : data frame
    row : int
    element : mapping
        ``{"kind": "unit", "layer": l, "unit": j}``, ``{"kind": "link", "layer": l, "from": i, "to": j}``,
        ``{"kind": "input", "unit": i}``, ``{"kind": "output", "unit": k}`` or ``{"kind": "loss"}``; layers
        are counted from 1.

    Raises
    ------
    DataError
        If there is no such row, or if the trace of so large a network leaves the element out.
    OptionError
        If there is no such element.
    """
    wanted = symbols(element, model)
    trace = traced(model, frame, row)
    found = list(_chosen(trace, wanted))
    if element["kind"] == "link" and not any(e.symbol == wanted[-1][1] for e in found):
        if model.theta.size > MOST_LINKS:
            raise DataError(
                f"In so large a network only the {TERMS} weights of each unit that matter most for a row are "
                "written out, and this is none of them: click the unit to read them."
            )
        sums, own = wanted[:2], wanted[2:]  # the sums stay short, but this term of theirs is written out
        trace = traced(model, frame, row, terms=ALL)
        found = [e for e in found if (e.part, e.symbol) in sums] + list(_chosen(trace, own))
    if not found:
        raise DataError(
            "The trace of so large a network leaves this out: choose a smaller network to read it."
        )
    return [shown(trace, equation) for equation in found]


def symbols(element: Mapping[str, Any], model: OpenedModel) -> list[tuple[str, str]]:
    """The parts and symbols of a trace that tell of an element, in order."""
    widths = model.estimator_.network_.widths
    depth = len(widths) - 1
    kind = element.get("kind")
    if kind == "loss":
        count = min(widths[-1], TERMS)
        each = [("loss", f"l_{k}") for k in range(count)]
        slopes = [("backward", f"da_{k}^[{depth}]") for k in range(count)]
        return [("loss", model.estimator_.network_.loss_row.name), *each, ("loss", "L"), *slopes]
    if kind == "input":
        return [("input", f"x_{_place(element, 'unit', widths[0])}")]
    if kind == "output":
        k = _place(element, "unit", widths[-1])
        names = [("forward", f"z_{k}^[{depth}]"), ("forward", f"a_{k}^[{depth}]"), ("forward", f"ŷ_{k}")]
        after = [("loss", f"l_{k}"), ("loss", "L")]
        back = [("backward", f"{d}_{k}^[{depth}]") for d in ("da", "dz", "db")]
        target = [("forward", model.target_.name)]
        return [*names, *target, *after, *back, ("update", f"b_{k}^[{depth}]")]
    layer = _place(element, "layer", depth + 1)
    if kind == "unit" and layer:
        j = _place(element, "unit", widths[layer])
        forward = [("forward", f"{s}_{j}^[{layer}]") for s in "za"]
        back = [("backward", f"{s}_{j}^[{layer}]") for s in ("da", "dz", "db")]
        return [*forward, *back, ("update", f"b_{j}^[{layer}]")]
    if kind == "link" and layer:
        i, j = _place(element, "from", widths[layer - 1]), _place(element, "to", widths[layer])
        weight = f"w_{{{i},{j}}}^[{layer}]"
        used = [("forward", f"z_{j}^[{layer}]"), ("backward", f"dz_{j}^[{layer}]")]
        return [*used, ("backward", f"d{weight}"), ("update", weight)]
    raise OptionError("There is no such element of the network.")


def _place(element: Mapping[str, Any], name: str, count: int) -> int:
    value = element.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
        raise OptionError(f"The network has no {name} {value!r} there.")
    return value


def _chosen(trace: Trace, wanted: list[tuple[str, str]]) -> Iterator[Equation]:
    """The equations with these symbols; with an update also those of what the optimiser remembers."""
    for part, symbol in wanted:
        for equation in trace.equations:
            same = equation.symbol == symbol or (part == "update" and equation.symbol[1:] == symbol[1:])
            if equation.part == part and same:
                yield equation


def shown(trace: Trace, equation: Equation) -> dict[str, Any]:
    """An equation as the page takes it: MathML from the trace's own rendering, its place and its value."""
    html = trace_markup.fragment(Trace(trace.form, "", (equation,), trace.digits))
    return {
        "part": equation.part,
        "layer": equation.layer,
        "symbol": equation.symbol,
        "value": equation.value,
        "html": html,
    }


def walk(model: OpenedModel, frame: Any, row: int) -> list[dict[str, Any]]:
    """The steps of a guided walk: from the row's cells to the new weights.

    Returns
    -------
    list of dict
        Of each step its part, layer, title, words and equations.
    """
    trace = explain(model, frame, row=row, terms=WALK_TERMS, units=WALK_UNITS)
    steps = []
    for (part, layer), group in groupby(trace.equations, key=_place_of):
        title, words = ALONE[part] if layer is None else (TITLES[part].format(layer), part)
        steps.append(
            {
                "part": part,
                "layer": layer,
                "title": title,
                "words": WORDS[words],
                "equations": [shown(trace, equation) for equation in group],
            }
        )
    return steps


def _place_of(equation: Equation) -> tuple[str, int | None]:
    return equation.part, None if equation.part == "loss" else equation.layer
