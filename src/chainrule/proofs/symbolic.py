"""The symbolic reading: SymPy's meaning for the words that rows are written with.

`where`, `maximum`, `sign` and the like ask where their arguments lie. A `Region` answers: it says in which
open interval each symbol lies. Where it cannot tell because the answer changes inside of an interval, it
raises `Split` with the points of change, and `pieces` cuts the interval there. So a function falls into
smooth pieces by itself, and nothing has to be said about where its cases meet.

One thing is not seen: SymPy cancels common factors at once, so z**2 / z is z here, but NaN at 0 where it
runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import scipy.special
import sympy as sp

from chainrule import equation
from chainrule.equation import Function
from chainrule.proofs.proof import UnprovedError
from chainrule.proofs.readings import Meaning, exact, exactly, read, reading

MOST_PIECES = 20


class Split(UnprovedError):  # noqa: N818 - `pieces` can mend it
    """A condition changes inside of a region, at these points."""

    def __init__(self, expression: Any, points: list[Any]) -> None:
        super().__init__(f"{expression} changes its sign at {', '.join(map(str, points))}")
        self.points = points


@dataclass(frozen=True)
class Interval:
    """The open interval (low, high)."""

    low: Any = -sp.oo
    high: Any = sp.oo

    def parametrised(self, symbol: Any) -> Any:
        """The symbol in terms of a positive one, such that SymPy knows where it lies."""
        p = sp.Dummy(f"{symbol}_plus", positive=True)
        if self.low == -sp.oo:
            return symbol if self.high == sp.oo else self.high - p
        return self.low + (p if self.high == sp.oo else (self.high - self.low) * p / (1 + p))

    def inner_point(self) -> Any:
        """Some point of it, an end if one is finite."""
        return self.low if self.low != -sp.oo else (self.high if self.high != sp.oo else sp.Integer(0))

    def describe(self, name: str) -> str:
        """Write it as an inequality."""
        low = "" if self.low == -sp.oo else f"{self.low} < "
        high = "" if self.high == sp.oo else f" < {self.high}"
        if low and not high:
            return f"{name} > {self.low}"
        return f"{low}{name}{high}" if low or high else f"all {name}"


@dataclass(frozen=True)
class Region:
    """Where the symbols lie.

    Attributes
    ----------
    variable : sympy.Symbol
        The symbol that functions are differentiated with respect to.
    intervals : mapping of sympy.Symbol to Interval
        Symbols that are not named may have any value that their own assumptions allow.
    """

    variable: Any
    intervals: Mapping[Any, Interval] = field(default_factory=dict)

    @cached_property
    def _places(self) -> dict[Any, Any]:
        """Each symbol in terms of positive ones."""
        places = {symbol: interval.parametrised(symbol) for symbol, interval in self.intervals.items()}
        outer = {s: place for s, place in places.items() if s != self.variable}
        # The variable's interval may end at a parameter, which lies in an interval of its own.
        inner = {s: place.subs(outer) for s, place in places.items() if s == self.variable}
        return {**outer, **inner}

    @property
    def interval(self) -> Interval:
        """Where the variable lies."""
        return self.intervals.get(self.variable, Interval())

    def within(self, low: Any, high: Any) -> Region:
        """The same region, with the variable in another interval."""
        return Region(self.variable, {**self.intervals, self.variable: Interval(low, high)})

    def sign(self, expression: Any) -> int:
        """-1, 0 or 1.

        Raises
        ------
        Split
            If it changes inside of the variable's interval.
        UnprovedError
            If it cannot be told.
        """
        expression = exactly(expression)
        if expression in (sp.oo, -sp.oo):
            return 1 if expression == sp.oo else -1
        known = self._known(expression)
        if known is not None:
            return known
        result = 1
        numerator, denominator = sp.fraction(sp.together(expression))
        for factor in _factors(numerator * denominator):
            base, power = factor.as_base_exp() if factor.is_Pow else (factor, sp.Integer(1))
            sign = self._known(base)
            result *= (self._search(base) if sign is None else sign) ** (2 - int(power) % 2)
        return result

    def require_smooth(self, expression: Any) -> None:
        """Make sure that an expression is differentiable everywhere in the region.

        Raises
        ------
        Split, UnprovedError
            If it is not, or is not known to be.
        """
        for function in expression.atoms(sp.Function):
            if not isinstance(function, (*ENTIRE, sp.log)):
                raise UnprovedError(f"{function} is not known to be smooth")
            if isinstance(function, sp.log) and self.sign(function.args[0]) <= 0:
                raise UnprovedError(f"{function} is not a real number")
        for power in expression.atoms(sp.Pow):
            base, exponent = power.as_base_exp()
            if exponent.is_integer and exponent.is_nonnegative:
                continue
            if (sign := self.sign(base)) == 0 or (sign < 0 and not exponent.is_integer):
                raise UnprovedError(f"{power} is not a real number")

    def _known(self, expression: Any) -> int | None:
        placed = expression.xreplace(self._places)
        for form in (placed, sp.Mul(*_factors(placed))):
            for sign, holds in ((1, form.is_positive), (-1, form.is_negative), (0, form.is_zero)):
                if holds:
                    return sign
        return self._of_exponentials(placed)

    def _of_exponentials(self, placed: Any) -> int | None:
        """The sign of p - q with p, q > 0 is that of log p - log q."""
        terms = sp.Add.make_args(placed)
        if len(terms) != 2 or not placed.has(sp.exp):
            return None
        up, down = terms if terms[0].is_positive else reversed(terms)
        if not (up.is_positive and down.is_negative):
            return None
        return self._known(sp.expand(sp.expand_log(sp.log(up) - sp.log(-down))))

    def _search(self, expression: Any) -> int:
        """The sign of a factor from its roots: without any in an interval, it keeps one sign there."""
        z, interval = self.variable, self.interval
        if expression.free_symbols == {z}:
            self.require_smooth(expression)
            inside = sp.Interval.open(interval.low, interval.high)
            roots = sp.solveset(expression, z, inside)
            if roots is sp.S.EmptySet:
                return int(sp.sign(expression.subs(z, _sample(interval))))
            if isinstance(roots, sp.FiniteSet):
                raise Split(expression, sorted(roots))
        elif expression.is_polynomial(z) and sp.degree(expression, z) == 1:
            (root,) = sp.solve(expression, z)
            bounds = [(root - interval.low, interval.low), (interval.high - root, interval.high)]
            if all(bound.is_infinite or self._known(distance) == 1 for distance, bound in bounds):
                raise Split(expression, [root])
        raise UnprovedError(f"the sign of {expression} is not known for {interval.describe(str(z))}")


def _factors(expression: Any) -> tuple[Any, ...]:
    """Factors, with exponentials as unrelated symbols: as powers of each other their degree may be huge."""
    masks = {e: sp.Dummy(positive=True) for e in expression.atoms(sp.exp)}
    back = {mask: e for e, mask in masks.items()}
    factored = sp.factor(sp.together(expression.xreplace(masks)))
    return tuple(factor.xreplace(back) for factor in sp.Mul.make_args(factored))


def _sample(interval: Interval) -> Any:
    if interval.low == -sp.oo:
        return interval.high - 1 if interval.high != sp.oo else sp.Integer(0)
    return interval.low + 1 if interval.high == sp.oo else (interval.low + interval.high) / 2


def pieces(run: Callable[[Region, Any], Any], region: Region) -> list[tuple[Interval, Any]]:
    """Cut the variable's interval where a function's cases change.

    Parameters
    ----------
    run : callable
        ``run(region, variable) -> result``, asks for signs in the region.
    region : Region

    Returns
    -------
    list of (Interval, result)
        In ascending order. The points between them are left out.
    """
    todo, done = [region], []
    while todo:
        part = todo.pop()
        try:
            done.append((part.interval, run(part, part.variable)))
        except Split as split:
            bounds = [part.interval.low, *split.points, part.interval.high]
            todo += reversed([part.within(*ends) for ends in pairwise(bounds)])
        if len(todo) + len(done) > MOST_PIECES:
            raise UnprovedError("the function falls into too many pieces")
    return done


# ------------------------------------------------------------------ the vocabulary


def _holds(condition: Any, sign: Callable[[Any], int]) -> bool:
    if condition in (True, False):
        return bool(condition)
    if isinstance(condition, sp.And | sp.Or):
        parts = [_holds(part, sign) for part in condition.args]
        return all(parts) if isinstance(condition, sp.And) else any(parts)
    if isinstance(condition, sp.Not):
        return not _holds(condition.args[0], sign)
    if not isinstance(condition, sp.core.relational.Relational):
        raise UnprovedError(f"{condition} is not a condition that can be read")
    difference = sign(condition.lhs - condition.rhs)
    return bool(condition.func(difference, 0))


def _cases(sign: Callable[[Any], int]) -> dict[str, Function]:
    """The words that distinguish cases."""

    def choose(condition: Any, a: Any, b: Any) -> Any:
        return sp.sympify(a if _holds(condition, sign) else b)

    def maximum(a: Any, b: Any) -> Any:
        return sp.sympify(a if sign(sp.sympify(a) - b) >= 0 else b)

    def minimum(a: Any, b: Any) -> Any:
        return sp.sympify(b if sign(sp.sympify(a) - b) >= 0 else a)

    def floor(x: Any) -> Any:
        terms = sp.Add.make_args(sp.expand(exactly(x)))
        whole = sp.Add(*(term for term in terms if term.is_integer))
        rest = sp.Add(*(term for term in terms if not term.is_integer))
        if sign(rest) < 0 or sign(1 - rest) <= 0:
            raise UnprovedError(f"the integer part of {x} is not known")
        return whole

    return {
        "where": choose,
        "maximum": maximum,
        "minimum": minimum,
        "max": maximum,
        "min": minimum,
        "clip": lambda x, low, high: minimum(maximum(x, low), high),
        "sign": lambda x: sp.Integer(sign(x)),
        "absolute": lambda x: x * sign(x),
        "abs": lambda x: x * sign(x),
        "floor": floor,
        "mod": lambda x, y: x - y * floor(x / y),
    }


SMOOTH: dict[str, Function] = {
    **{name: getattr(sp, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tan")},
    **{name: getattr(sp, name) for name in ("sinh", "cosh", "tanh", "erf", "erfc")},
    "expm1": lambda x: sp.exp(x) - 1,
    "log1p": lambda x: sp.log(1 + exactly(x)),
    "exp2": lambda x: sp.Integer(2) ** x,
    "log2": lambda x: sp.log(x) / sp.log(2),
    "expit": lambda x: 1 / (1 + sp.exp(-x)),
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / sp.sympify(x),
    "power": lambda x, y: sp.sympify(x) ** y,
    "arctan": sp.atan,
    "cos_turns": lambda u: sp.cos(2 * sp.pi * u),
    "sin_turns": lambda u: sp.sin(2 * sp.pi * u),
    "arcsinh": sp.asinh,
    "logaddexp": lambda x, y: sp.log(sp.exp(x) + sp.exp(y)),
    "asarray": lambda x, dtype=None: x,
    "ones_like": lambda x, dtype=None: sp.Integer(1),
    "zeros_like": lambda x, dtype=None: sp.Integer(0),
    "float": lambda x: x,
}

# Differentiable on the whole line.
ENTIRE = (sp.exp, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh, sp.erf, sp.erfc, sp.atan, sp.asinh)

LIBRARIES = (np, math, scipy.special)
BUILT_INS = (abs, max, min, float)


class Library:
    """A module of functions, as far as they have a meaning."""

    def __init__(self, name: str, functions: Mapping[str, Function]) -> None:
        self._name, self._functions = name, functions

    def __getattr__(self, name: str) -> Any:
        constants = {"pi": sp.pi, "e": sp.E, "inf": sp.oo}
        if name in constants:
            return constants[name]
        if name not in self._functions:
            raise UnprovedError(f"{self._name}.{name} has no symbolic meaning here")
        return self._functions[name]


def symbolic(sign: Callable[[Any], int]) -> Meaning:
    """The symbolic meaning of the vocabulary, given how to tell a sign."""
    functions = {**SMOOTH, **_cases(sign)}

    def words(value: Any) -> Any:
        if isinstance(value, ModuleType):
            return Library(value.__name__, functions) if value in LIBRARIES else None
        name = getattr(value, "__name__", None)
        if not callable(value) or not _in_vocabulary(value, name):
            return None
        if name not in functions:
            raise UnprovedError(f"{name} has no symbolic meaning here")
        return functions[name]

    return reading(words, exact)


def _in_vocabulary(value: Any, name: str | None) -> bool:
    if name is None:
        return False
    homes = (equation, *LIBRARIES)
    return value in BUILT_INS or any(getattr(home, name, None) is value for home in homes)


def in_region(function: Function, region: Region) -> Function:
    """A function of the tables, read on the symbols of a region; its results hold exact numbers."""
    made = read(function, symbolic(region.sign))

    def in_cases(*arguments: Any) -> Any:
        # SymPy itself makes the root of a square an absolute value.
        result = exactly(made(*arguments))
        if result.has(sp.nan, sp.oo, sp.zoo):
            raise UnprovedError(f"the result at {', '.join(map(str, arguments))} is {result}")
        result = result.replace(sp.Abs, lambda x: x * region.sign(x))
        return result.replace(sp.sign, lambda x: sp.Integer(region.sign(x)))

    return in_cases


def parameters_of(ranges: Mapping[str, tuple[float, float]], names: Any) -> dict[Any, Interval]:
    """A symbol for each parameter, and the interior of the range that it lies in."""
    found = {}
    for name in names:
        low, high = ranges.get(name, (-math.inf, math.inf))
        low = 0.0 if 0 < low < 1e-100 else low  # "positive" is written as a tiny bound
        found[sp.Symbol(name, real=True)] = Interval(exact(low), exact(high))
    return found


def finite_ends(found: list[tuple[Interval, Any]]) -> Iterator[tuple[Any, Any, Any]]:
    """The points between pieces: each with the results on its left and on its right."""
    for (left, before), (_, after) in pairwise(found):
        yield left.high, before, after
