"""A trace: the equations of one row's way through a network and back, each with its numbers.

A trace is data. `chainrule.trace_units` and `chainrule.trace_matrices` write down the equations in the
two forms, `chainrule.explain` puts a model's own names and preprocessing around them, and `Trace` prints.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.trace_parts import PARTS

GREEK = "alpha beta gamma delta epsilon eta lambda mu rho sigma varphi Phi pi"
SIGNS = dict(zip(GREEK.split(), "αβγδεηλμρσφΦπ", strict=True)) | {
    "leftarrow": "← ",
    "partial": "∂",
    "sum": "Σ ",
    "le": "≤",
    "approx": "≈",
    "nabla": "∇",
    "quad": " ",
    "left": "",
    "right": "",
}


@dataclass(frozen=True)
class Equation:
    """One equation with its numbers.

    Attributes
    ----------
    part : str
        "input", "forward", "loss", "backward" or "update".
    layer : int or None
        The layer that it belongs to, from 1; None if to none.
    symbol, formula : str
        The left side and the right side.
    numbers : str
        The right side with its numbers put in; empty where the formula has none.
    value : float, list or None
        The result: a number, or a matrix as nested lists; None for a remark.
    shape : str
        The shapes of what goes in and comes out, in the form of matrices.
    because : str
        Where it comes from: which derivative times which.
    """

    part: str
    layer: int | None
    symbol: str
    formula: str
    numbers: str = ""
    value: Any = None
    shape: str = ""
    because: str = ""


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
        lines, part, layer = [self.title], "", None
        for equation in self.equations:
            if equation.part != part:
                part, layer = equation.part, None
                lines += ["", PARTS[part], "=" * len(PARTS[part])]
            if equation.layer != layer:
                layer = equation.layer
                lines += [""] if layer is None else ["", f"Layer {layer}", "-------"]
            lines += self._lines(equation)
        return "\n".join(lines) + "\n"

    def _lines(self, e: Equation) -> list[str]:
        margin = " " * len(e.symbol)
        why = f"    [{e.because}]" if e.because else ""
        if not e.symbol:
            return [f"({e.formula})"]
        lines = [f"{e.symbol} = {e.formula}{why}"]
        if e.shape:
            lines.append(f"{margin}   {e.shape}")
        if e.numbers and e.numbers != e.formula:
            lines.append(f"{margin} = {e.numbers}")
        if isinstance(e.value, list):
            rows = matrix_text(np.array(e.value), self.digits)
            lines += [f"{margin} {'=' if i == 0 else ' '} {row}" for i, row in enumerate(rows)]
        elif e.value is not None and number(e.value, self.digits) != lines[-1].split(" = ")[-1]:
            lines.append(f"{margin} = {number(e.value, self.digits)}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The trace as JSON can hold it; `docs/trace.md` lists the fields."""
        return {
            "schema": "chainrule.trace/1",
            "form": self.form,
            "title": self.title,
            "equations": [asdict(equation) for equation in self.equations],
        }

    def json(self) -> str:
        """The trace as JSON; numbers that JSON does not know (NaN, infinity) are null."""
        return json.dumps(_finite(self.to_dict()), ensure_ascii=False, allow_nan=False)

    def __str__(self) -> str:
        return self.text()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def number(value: float, digits: int = 4) -> str:
    """A number with so many significant digits."""
    return f"{value:.{digits}g}".replace("-", "−")


def factor(value: float, digits: int = 4) -> str:
    """A number as a factor: in parentheses if it is negative."""
    text = number(value, digits)
    return f"({text})" if text.startswith("−") else text


LARGEST = 6  # rows and columns of a matrix that are printed


def matrix_text(values: Any, digits: int) -> list[str]:
    """A matrix as aligned lines; of a large one the first rows and columns, and how many there are."""
    values = np.atleast_2d(values)
    shown = values[:LARGEST, :LARGEST]
    cells = [[number(v, digits) for v in row] for row in shown]
    width = max((len(cell) for row in cells for cell in row), default=0)
    lines = ["[" + "  ".join(cell.rjust(width) for cell in row) + "]" for row in cells]
    if shown.shape != values.shape:
        lines.append(
            f"(the first {shown.shape[0]} of {values.shape[0]} rows and "
            f"{shown.shape[1]} of {values.shape[1]} columns)"
        )
    return lines


def plain(latex: str) -> str:
    """A formula of the tables in plain characters: ``\\frac{1}{1 + e^{-z}}`` is ``1 / (1 + e^(−z))``."""
    text = re.sub(r"\\(text|mathrm|mathsf|log|tanh|cosh|max|min)\b\s*", r"\1 ", latex)
    text = re.sub(r"\b(text|mathrm|mathsf) \{([^{}]*)\}", r"\2", text)
    fraction = re.compile(r"\\t?frac\{((?:[^{}]|\{[^{}]*\})*)\}\{((?:[^{}]|\{[^{}]*\})*)\}")
    while fraction.search(text):
        text = fraction.sub(lambda m: f"{_grouped(m[1])} / {_grouped(m[2])}", text)
    text = re.sub(r"\\sqrt\{([^{}]*)\}", r"√(\1)", text)
    text = re.sub(r"\\([A-Za-z]+)", lambda m: SIGNS.get(m[1], m[1]), text).replace("-", "−")
    text = re.sub(r"\^\{([^{}]*)\}", lambda m: f"^{_grouped(m[1])}", text)
    text = re.sub(r"\\[,;! ]", " ", text).replace("{", "").replace("}", "").replace("\\", "")
    for space, mended in ((r"\s+", " "), (r"\( ", "("), (r" \)", ")"), (r" _", "_")):
        text = re.sub(space, mended, text)
    return text.strip()


def _grouped(text: str) -> str:
    return text if re.fullmatch(r"\w+", text) else f"({text})"


def largest(values: Any, count: int) -> tuple[list[int], list[int]]:
    """Places of the largest values by size, in their own order, and the places of the others."""
    order = np.argsort(-np.abs(np.asarray(values, dtype=float)), kind="stable")
    chosen = {int(i) for i in order[:count]}
    return sorted(chosen), [i for i in range(len(values)) if i not in chosen]
