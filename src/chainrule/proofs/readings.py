"""Reads the functions of the tables with other meanings for their words.

A row's function is not parsed or translated. Its own code is executed, with each constant, global
name and closed-over value replaced by what it means in the reading: `exp` is SymPy's, 0.5 is one half.
"""

from __future__ import annotations

import builtins
import dis
import inspect
import types
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import sympy as sp

from chainrule.equation import Function

Meaning = Callable[[Any], Any]

LARGEST_DENOMINATOR = 100
NAMED = (
    sp.pi,
    2 * sp.pi,
    sp.E,
    sp.log(2),
    sp.sqrt(2),
    sp.sqrt(2) / 2,
    sp.sqrt(3),
    sp.sqrt(sp.pi),
    1 / sp.sqrt(sp.pi),
    2 / sp.sqrt(sp.pi),
    sp.sqrt(2 * sp.pi),
    1 / sp.sqrt(2 * sp.pi),
    sp.sqrt(2 / sp.pi),
)


@cache
def exact(value: float) -> Any:
    """The real number that a floating-point number in a source stands for.

    It is a constant of mathematics (pi, log 2, the square root of one half, ...), a fraction with a small
    denominator or else the shortest decimal, and in each case `value` is the double nearest to it. So two
    numbers that differ in the source stand for two different real numbers.
    """
    if value != value or value in (float("inf"), float("-inf")):
        return sp.nan if value != value else sp.oo * (1 if value > 0 else -1)
    for constant in NAMED:
        if float(constant) == abs(value):
            return constant if value > 0 else -constant
    fraction = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
    if float(fraction) == value:
        return sp.Rational(fraction.numerator, fraction.denominator)
    return sp.Rational(repr(float(value)))


def exactly(expression: Any) -> Any:
    """An expression with each floating-point number replaced by what it stands for."""
    expression = sp.sympify(expression)
    return expression.xreplace({number: exact(float(number)) for number in expression.atoms(sp.Float)})


def read(function: Function, meaning: Meaning) -> Function:
    """A copy of a Python function, the constants, globals and closure of which have another meaning.

    Parameters
    ----------
    function : function
        Written in Python.
    meaning : callable
        ``meaning(value) -> value``. It is asked about floating-point constants, about what global and
        built-in names stand for, and about closed-over values.

    Returns
    -------
    function
    """
    code = function.__code__
    scope = {"__builtins__": builtins, **{name: meaning(value) for name, value in _globals(function)}}
    closure = tuple(types.CellType(meaning(cell.cell_contents)) for cell in function.__closure__ or ())
    made = types.FunctionType(
        _constants(code, meaning), scope, function.__name__, function.__defaults__, closure
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _constants(code: types.CodeType, meaning: Meaning) -> types.CodeType:
    def mean(constant: Any) -> Any:
        if isinstance(constant, types.CodeType):
            return _constants(constant, meaning)
        if isinstance(constant, tuple):
            return tuple(mean(part) for part in constant)
        return meaning(constant) if isinstance(constant, float) else constant

    return code.replace(co_consts=tuple(mean(constant) for constant in code.co_consts))


def _names(code: types.CodeType) -> Iterator[str]:
    """The global names that a code looks up."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _globals(function: Function) -> Iterator[tuple[str, Any]]:
    for name in dict.fromkeys(_names(function.__code__)):
        if name in function.__globals__:
            yield name, function.__globals__[name]
        elif hasattr(builtins, name):
            yield name, getattr(builtins, name)


def reading(words: Callable[[Any], Any], number: Callable[[float], Any]) -> Meaning:
    """A meaning from the meaning of words and of numbers.

    Parameters
    ----------
    words : callable
        What a function or module stands for, or None where it stands for itself.
    number : callable
        What a floating-point number stands for.

    Returns
    -------
    callable
        Python functions outside of the vocabulary are read with the same meaning.
    """

    def meaning(value: Any) -> Any:
        if isinstance(value, float):
            return number(value)
        if isinstance(value, tuple):
            return tuple(map(meaning, value))
        found = words(value)
        if found is not None:
            return found
        return read(value, meaning) if inspect.isfunction(value) else value

    return meaning
