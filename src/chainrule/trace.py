"""A trace: the equations of one row's way through a network and back, each with its numbers.

A trace is data. `chainrule.trace_units` and `chainrule.trace_matrices` write down the equations in the
two forms, `chainrule.explanation` puts a model's own names and preprocessing around them, and `Trace` prints.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import trace_markup
from chainrule.errors import OptionError
from chainrule.trace_equation import Equation, left_out, sections, stage_text, stages
from chainrule.trace_parts import PARTS


@dataclass(frozen=True)
class Trace:
    """The equations of one pass: forward, the loss, backward, and the update.

    Attributes
    ----------
    form : str
        "units" or "matrix".
    title : str
        What is explained.
    equations : tuple of Equation
        In the order in which they are computed.
    digits : int
        Significant digits of printed numbers.
    """

    form: str
    title: str
    equations: tuple[Equation, ...]
    digits: int = 4

    def part(self, name: str) -> Trace:
        """The equations of one part.

        Raises
        ------
        OptionError
            If there is no such part.
        """
        if name not in PARTS:
            raise OptionError(f"There is no part {name!r} of a trace. Choose one of: {', '.join(PARTS)}.")
        chosen = tuple(e for e in self.equations if e.part == name)
        return Trace(self.form, self.title, chosen, self.digits)

    def find(self, symbol: str) -> Equation:
        """The last equation with that symbol on its left side.

        Raises
        ------
        KeyError
            If there is none.
        """
        for equation in reversed(self.equations):
            if equation.symbol == symbol:
                return equation
        raise KeyError(symbol)

    def text(self) -> str:
        """The trace as plain text."""
        lines = [self.title]
        for equation, new_part, new_layer in sections(self.equations):
            layer = equation.layer
            if new_part:
                title = PARTS[equation.part]
                lines += ["", title, "=" * len(title)]
            if new_layer:
                lines += [""] if layer is None else ["", f"Layer {layer}", "-------"]
            lines += self._lines(equation)
        return "\n".join(lines) + "\n"

    def _lines(self, e: Equation) -> list[str]:
        if not e.symbol:
            return [f"({e.formula})"]
        margin = " " * len(e.symbol)
        first, *others = stages(e, self.digits)
        why = f"    [{e.because}]" if e.because else ""
        lines = [f"{e.symbol} = {first.pieces[0]}{why}"]
        if e.shape:
            lines.append(f"{margin}   {e.shape}")
        for stage in others:
            rows = stage_text(stage, self.digits)
            lines += [f"{margin} {'=' if i == 0 else ' '} {row}" for i, row in enumerate(rows)]
        said = left_out(e.value) if isinstance(e.value, list) else ""
        return [*lines, f"{margin}   ({said})"] if said else lines

    def to_dict(self) -> dict[str, Any]:
        """The trace as JSON can hold it; `docs/trace.md` lists the fields."""
        return {
            "schema": "chainrule.trace/1",
            "form": self.form,
            "title": self.title,
            "equations": [vars(equation) for equation in self.equations],
        }

    def json(self) -> str:
        """The trace as JSON; numbers that JSON does not know (NaN, infinity) are null."""
        return json.dumps(_finite(self.to_dict()), ensure_ascii=False, allow_nan=False)

    def latex(self) -> str:
        """The trace as a LaTeX document, which pdflatex takes."""
        return trace_markup.latex(self)

    def html(self) -> str:
        """The trace as a web page by itself: MathML, no script, nothing from the network."""
        return trace_markup.to_html(self)

    def _repr_html_(self) -> str:
        return trace_markup.fragment(self)

    def __str__(self) -> str:
        return self.text()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value
