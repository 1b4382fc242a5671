"""One equation of a trace, and how numbers, matrices and formulas are printed in plain characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

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


def number(value: float, digits: int = 4) -> str:
    """A number with so many significant digits."""
    return f"{value:.{digits}g}".replace("-", "−")


def factor(value: float, digits: int = 4) -> str:
    """A number as a factor: in parentheses if it is negative."""
    text = number(value, digits)
    return f"({text})" if text.startswith("−") else text


LARGEST = 6  # rows and columns of a matrix that are printed


def shown(value: Any) -> tuple[Any, str]:
    """The part of a matrix that is printed, and what is said of the rest."""
    matrix = np.atleast_2d(value)
    part = matrix[:LARGEST, :LARGEST]
    if part.shape == matrix.shape:
        return part, ""
    rows, columns = matrix.shape
    return part, f"the first {part.shape[0]} of {rows} rows and {part.shape[1]} of {columns} columns"


def matrix_text(value: Any, digits: int) -> list[str]:
    """A matrix as aligned lines; of a large one the first rows and columns, and how many there are."""
    part, said = shown(value)
    cells = [[number(v, digits) for v in row] for row in part]
    width = max((len(cell) for row in cells for cell in row), default=0)
    lines = ["[" + "  ".join(cell.rjust(width) for cell in row) + "]" for row in cells]
    return [*lines, f"({said})"] if said else lines


def sections(equations: Iterable[Equation]) -> Iterator[tuple[Equation, bool, bool]]:
    """Each equation, and whether a part and whether a layer (or what belongs to none) begins with it."""
    part, layer = "", None
    for equation in equations:
        new_part = equation.part != part
        part, layer = equation.part, None if new_part else layer
        yield equation, new_part, equation.layer != layer
        layer = equation.layer


def plain(latex: str) -> str:
    """A formula of the tables in plain characters: ``\\frac{1}{1 + e^{-z}}`` is ``1 / (1 + e^(−z))``."""
    text = latex.replace(r"\mathsf T", "T")
    text = re.sub(r"\\(text|mathrm|mathsf|log|tanh|cosh|max|min)\b\s*", r"\1 ", text)
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
