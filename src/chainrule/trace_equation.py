"""One equation of a trace, and how numbers, matrices and formulas are printed in plain characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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
    operands : tuple
        Of a matrix equation the right side with its numbers put in: text and arrays, in their order.
    """

    part: str
    layer: int | None
    symbol: str
    formula: str
    numbers: str = ""
    value: Any = None
    shape: str = ""
    because: str = ""
    operands: tuple[Any, ...] = field(default=(), compare=False)


def number(value: float, digits: int = 4) -> str:
    """A number with so many significant digits."""
    return f"{value + 0.0:.{digits}g}".replace("-", "−")  # 0 is added so that -0 is 0


def factor(value: float, digits: int = 4) -> str:
    """A number as a factor: in parentheses if it is negative."""
    text = number(value, digits)
    return f"({text})" if text.startswith("−") else text


LARGEST = 6  # rows and columns of a matrix that are printed
WIDE = 100  # matrices that would take more characters side by side stand below each other


def cells(value: Any, digits: int) -> list[list[str]]:
    """The entries of a matrix that are printed; dots stand for the others of a large one."""
    matrix = np.atleast_2d(value)
    rows = [[number(v, digits) for v in row[:LARGEST]] for row in matrix[:LARGEST]]
    if matrix.shape[1] > LARGEST:
        rows = [[*row, "…"] for row in rows]
    if matrix.shape[0] > LARGEST:
        rows.append(["…"] * len(rows[0]))
    return rows


def left_out(value: Any) -> str:
    """What is said of a matrix that is printed in part."""
    rows, columns = np.atleast_2d(value).shape
    if max(rows, columns) <= LARGEST:
        return ""
    return f"the first {min(rows, LARGEST)} of {rows} rows and {min(columns, LARGEST)} of {columns} columns"


def matrix_text(value: Any, digits: int) -> list[str]:
    """A matrix as aligned lines."""
    printed = cells(value, digits)
    width = max((len(cell) for row in printed for cell in row), default=0)
    return ["[" + "  ".join(cell.rjust(width) for cell in row) + "]" for row in printed]


@dataclass(frozen=True)
class Stage:
    """What stands after one of an equation's signs of equality.

    Attributes
    ----------
    pieces : tuple
        Text and matrices.
    words : bool
        Whether the text is words and not mathematics.
    """

    pieces: tuple[Any, ...]
    words: bool = False


def stages(e: Equation, digits: int) -> list[Stage]:
    """The formula of an equation, the formula with its numbers, and the result, as far as they differ."""
    found = [Stage((e.formula,), words=not is_formula(e))]
    if e.numbers and e.numbers != e.formula:
        found.append(Stage((e.numbers,)))
    if e.operands:
        found.append(Stage(e.operands))
    if isinstance(e.value, list):
        found.append(Stage((e.value,)))
    elif e.value is not None and (said := number(e.value, digits)) != (e.numbers or e.formula):
        found.append(Stage((said,)))
    return found


def is_symbol(e: Equation) -> bool:
    """Whether the left side is mathematics, and not the name of the target's column."""
    return e.part != "forward" or bool(re.match(r"([zaãbxmfpsEFPαφlhcZAÃWXMŷŶ]|w)([_^]|$)", e.symbol))


def is_formula(e: Equation) -> bool:
    """Whether the right side is mathematics, and not words."""
    words = ("its weights", "its biases", "its parameters", "the targets", "what dropout keeps")
    return is_symbol(e) and e.part != "input" and e.symbol != "X" and e.formula not in words


def stage_text(stage: Stage, digits: int) -> list[str]:
    """A stage as lines: its matrices beside each other, or below each other where they are too wide."""
    blocks = [[p] if isinstance(p, str) else matrix_text(p, digits) for p in stage.pieces]
    if sum(len(block[0]) + 1 for block in blocks) > WIDE:
        return [line for block in blocks for line in block]
    height = max(map(len, blocks))
    padded = [[*block, *[" " * len(block[0])] * (height - len(block))] for block in blocks]
    return [" ".join(parts).rstrip() for parts in zip(*padded, strict=True)]


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
