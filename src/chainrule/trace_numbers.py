"""A formula of the tables with numbers in the place of its letters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chainrule.trace_equation import factor, number, plain

LETTERS = {
    "alpha": "α", "beta_1": "β_1", "beta_2": "β_2", "delta": "δ", "epsilon": "ε", "momentum": "μ",
    "rho": "ρ", "scale": "λ", "weight_decay": "λ",
}  # fmt: skip
PARAMETERS = {"W": "w", "alpha": "α", "phase": "φ", "low": "l", "high": "h", "floor": "f", "ceiling": "c"}
TOKEN = re.compile(r"[A-Za-zα-ωΦ∂](?:\w*)'?|\d[\d.]*|\s+|.")
WORDS = ("if", "else", "then")
FUNCTIONS = ("log", "tanh", "cosh", "cos", "sin", "max", "min", "sign", "softmax", "σ", "Φ", "φ")


def letter_of(parameter: str) -> str:
    """The letter of a layer's parameter in the formulas of one unit."""
    return PARAMETERS.get(parameter, parameter)


def symbol_of(parameter: str) -> str:
    """The symbol of a layer's parameter as a matrix."""
    return parameter if parameter == "W" else letter_of(parameter)


def parameters(row: Any) -> dict[str, float]:
    """A row's parameters under the letters of its formula."""
    return {LETTERS.get(name, name): value for name, value in row.parameters.items()}


def constants(row: Any) -> str:
    """The values of a row's parameters, as in "α = 0.01"."""
    return ", ".join(f"{letter} = {value:.4g}" for letter, value in parameters(row).items())


def put_in(formula: str, values: Mapping[str, float], digits: int) -> str:
    """A plain formula with numbers for its letters.

    Parameters
    ----------
    formula : str
        As `plain` gives it.
    values : mapping of str to float
        What each letter stands for; other letters stay.
    digits : int

    Returns
    -------
    str
        As in "0.1 · 0.5 + max (0, −0.2)". An explanation of a letter in which nothing is put is left out.
    """
    head, said = where(formula)
    filled = _filled(said, values, digits)
    return _filled(head, values, digits) + (filled if filled != said else "")


def _filled(formula: str, values: Mapping[str, float], digits: int) -> str:
    out = ""
    before, was_number = "", False
    tokens = TOKEN.findall(formula)
    for place, token in enumerate(tokens):
        if token.isspace():
            out += " "
            continue
        is_number = token in values
        text = _number(values[token], digits, out, tokens[place + 1 :]) if is_number else token
        if (is_number or was_number) and out.endswith(" ") and _factors(before, token):
            out += "· "
        out += text
        before, was_number = token, is_number
    return out


def _number(value: float, digits: int, out: str, after: list[str]) -> str:
    """A number in its place: in parentheses where a bare minus sign would be misread."""
    last = out.rstrip()[-1:]
    text = number(value, digits)
    if after[:1] == ["^"]:
        return text if text.replace(".", "").isdigit() else f"({text})"
    return text if last in ("", "(", "|", "[", ",", "=") else factor(value, digits)


def _factors(before: str, token: str) -> bool:
    """Whether two tokens with only a space between them are multiplied."""
    if before in WORDS or token in WORDS or before in FUNCTIONS:
        return False
    return bool(re.match(r"[\w)]", before[-1:])) and bool(re.match(r"[\w(√]", token))


def where(formula: str) -> tuple[str, str]:
    """A formula, and what follows it to explain a letter: ", a = softmax(z)"."""
    head, comma, tail = formula.rpartition(", ")
    return (head, comma + tail) if head and re.match(r"\w = ", tail) else (formula, "")


def assignments(latex: str) -> list[tuple[str, str]]:
    """The steps of an optimiser's formula: ``v \\leftarrow \\mu v`` is ("v", "μ v")."""
    steps = [part.partition(" ← ") for part in plain(latex).split(", ")]
    return [(left, right) for left, sign, right in steps if sign]


def renamed(formula: str, names: Mapping[str, str]) -> str:
    """A plain formula with other names for its letters: in parentheses where a power follows."""
    tokens = TOKEN.findall(formula)
    return "".join(
        names.get(t, t) if t not in names or after != "^" else f"({names[t]})"
        for t, after in zip(tokens, [*tokens[1:], ""], strict=True)
    )


def with_matrices(formula: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """A plain formula as text and matrices: a matrix for each of the given letters."""
    pieces: list[Any] = [""]
    for token in TOKEN.findall(formula):
        if token in values:
            pieces += [values[token], ""]
        else:
            pieces[-1] += token
    return tuple(
        p.strip() if isinstance(p, str) else p for p in pieces if not isinstance(p, str) or p.strip()
    )
