"""Proves the layer kinds that are a function of each entry: its definition and its slopes, case by case.

A parametric activation is proved for any function f in the place of its own, whose slope is proved with the
activation itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from chainrule.equation import Function
from chainrule.equations.layer_kinds import LayerKind
from chainrule.proofs.entries import opaque
from chainrule.proofs.proof import NOT_PROVED, Proof, Steps, attempt, compared
from chainrule.proofs.readings import exactly, read
from chainrule.proofs.symbolic import Interval, Region, symbolic
from chainrule.proofs.zero import vanishes

TABLE = "layer kind"
VALUE = "entry(x, {}) = {}"
SLOPES = "slopes(x, {}) = d entry / d x{}"
X = sp.Symbol("x", real=True)
F, F_SLOPE = opaque("f")


@dataclass(frozen=True)
class Case:
    """Where an entry lies, and what its value is there.

    Attributes
    ----------
    what : str
    value : sympy.Expr
        In x and the parameters.
    place : mapping
        What some of these are, so that the case holds.
    """

    what: str
    value: Any
    place: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Meaning:
    """What an entry's value means, written independently of the row.

    Attributes
    ----------
    text : str
    theta : tuple of sympy.Symbol
        The parameters.
    cases : tuple of Case
    """

    text: str
    theta: tuple[Any, ...]
    cases: tuple[Case, ...]


def _everywhere(text: str, names: str, value: Callable[..., Any]) -> Meaning:
    theta = sp.symbols(names, real=True, seq=True)
    return Meaning(text, theta, (Case("all x", value(X, *theta)),))


def _bins() -> Meaning:
    theta = low, high, floor, ceiling = sp.symbols("low high floor ceiling", real=True)
    wide, less, more = sp.symbols("wide less more", positive=True)
    share = (X - low) / (high - low)
    bin_of, here = {high: low + wide}, (X - low) / wide
    cases = (
        Case("below the floor", floor, {**bin_of, floor: here + less, ceiling: here + less + more}),
        Case("at the floor", floor, {**bin_of, floor: here, ceiling: here + more}),
        Case("between", share, {**bin_of, floor: here - less, ceiling: here + more}),
        Case("at the ceiling", ceiling, {**bin_of, floor: here - less, ceiling: here}),
        Case("above the ceiling", ceiling, {**bin_of, floor: here - less - more, ceiling: here - less}),
        Case("without a floor", share, {**bin_of, floor: -sp.oo, ceiling: here + more}),
        Case("without a ceiling", share, {**bin_of, floor: here - less, ceiling: sp.oo}),
        Case("without either", share, {**bin_of, floor: -sp.oo, ceiling: sp.oo}),
    )
    return Meaning("min(max((x - low) / (high - low), floor), ceiling)", theta, cases)


MEANINGS: dict[str, Callable[[], Meaning]] = {
    "scale": lambda: _everywhere("s x", "s", lambda x, s: s * x),
    "affine": lambda: _everywhere("s x + b", "s b", lambda x, s, b: s * x + b),
    "periodic": lambda: _everywhere(
        "cos 2 pi (w x + phase)", "w phase", lambda x, w, phase: sp.cos(2 * sp.pi * (w * x + phase))
    ),
    "piecewise": _bins,
}


def _mixture() -> Meaning:
    text = "(1 - alpha) x + alpha f(x)"
    return _everywhere(text, "alpha", lambda x, alpha: (1 - alpha) * x + alpha * F(x))


def prove_entry(row: LayerKind) -> list[Proof]:
    """Proofs about the function of each entry."""
    names = ", ".join(row.shapes(1, 1, *row.sizes))
    if row.activation is None and row.name not in MEANINGS:
        reason = "chainrule.proofs.entry_functions has no definition to compare it with"
        return [Proof(row.name, TABLE, VALUE.format(names, "?"), NOT_PROVED, reason=reason)]
    meaning = MEANINGS[row.name]() if row.activation is None else _mixture()
    about = ", for any f" if row.activation else ""
    slopes = SLOPES.format(names, "" if row.frozen else " and each parameter")
    return [
        attempt(
            row.name, TABLE, VALUE.format(names, meaning.text), "substitution, case by case" + about,
            lambda: _values(row, meaning),
        ),
        attempt(
            row.name, TABLE, slopes, "differentiation, case by case" + about, lambda: _slopes(row, meaning)
        ),
    ]  # fmt: skip


def _values(row: LayerKind, meaning: Meaning) -> Steps:
    for case, (given,) in _given(row, meaning, row.entry):
        true = case.value.subs(case.place)
        yield compared(case.what, given, true, vanishes(given - true))


def _slopes(row: LayerKind, meaning: Meaning) -> Steps:
    symbols = [X] if row.frozen else [X, *meaning.theta]
    for case, slopes in _given(row, meaning, row.slopes):
        for symbol, given in zip(symbols, slopes, strict=True):
            true = sp.diff(case.value, symbol).subs(case.place)
            yield compared(f"{symbol}, {case.what}", given, true, vanishes(given - true))


def _given(row: LayerKind, meaning: Meaning, function: Function | None) -> Iterator[tuple[Case, Any]]:
    """What a function of the row gives in each case."""
    assert function is not None
    for case in meaning.cases:
        made = read(function, _words(row))
        given = made(X, *(parameter.subs(case.place) for parameter in meaning.theta))
        yield case, [exactly(value) for value in (given if isinstance(given, tuple) else (given,))]


def _words(row: LayerKind) -> Callable[[Any], Any]:
    """The symbolic meaning of the vocabulary, and any function for an activation."""
    usual = symbolic(Region(X, {X: Interval()}).sign)
    if row.activation is None:
        return usual
    f, slope = row.activation.f, row.activation.slope

    def words(value: Any) -> Any:
        if value is f:
            return lambda x, *constants: F(x)
        return (lambda x, a, *constants: F_SLOPE(x)) if value is slope else usual(value)

    return words
