"""Decides whether an expression is zero, by rules that can only err towards "not known".

`sympy.simplify` searches for a short form and may or may not find 0. Here each residual is brought to one
normal form instead: hyperbolic and trigonometric functions are written in exponentials, each
exponential becomes a product of powers of symbols (exp(2z - m) = u^2 / v), and what is left is a fraction
of polynomials in those and in all other quantities, which are taken as unrelated. It is zero if its
numerator expands to 0. Relations that are not used could only make a true statement unproved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

EXPANSION = "expansion"
NORMAL_FORM = "normal form in exponentials"
LOGARITHMS = "expanded logarithms"
CONSTANT = "zero derivative and zero at a point"

OTHER_FUNCTIONS = (sp.tanh, sp.sinh, sp.cosh, sp.coth, sp.sech, sp.csch, sp.sin, sp.cos, sp.tan)


def normal_numerator(expression: Any) -> Any:
    """The numerator of the normal form."""
    expression = (
        _without_sums(sp.sympify(expression)).rewrite(OTHER_FUNCTIONS, sp.exp).rewrite(sp.erfc, sp.erf)
    )
    numerator, _ = sp.fraction(sp.together(_without_exponentials(expression)))
    return sp.expand(numerator)


def _without_sums(expression: Any) -> Any:
    """Replace each sum by a symbol, so that nothing is done inside of one."""
    if not expression.has(sp.Sum):
        return expression
    expression = expression.as_dummy()  # equal sums become the same, however their index is called
    return expression.xreplace({each: sp.Dummy(real=True) for each in expression.atoms(sp.Sum)})


def _without_exponentials(expression: Any) -> Any:
    """Replace exp(2z - m) by u**2 / v, with one symbol for each independent exponent."""
    exponents = {e: _terms(e.args[0]) for e in expression.atoms(sp.exp)}
    denominators: dict[Any, int] = {}
    for terms in exponents.values():
        for monomial, coefficient in terms.items():
            denominators[monomial] = int(sp.ilcm(denominators.get(monomial, 1), coefficient.q))
    symbols = {monomial: sp.Dummy(positive=monomial.is_real or None) for monomial in denominators}
    powers = {
        e: sp.Mul(*(symbols[m] ** (coefficient * denominators[m]) for m, coefficient in terms.items()))
        for e, terms in exponents.items()
    }
    return expression.xreplace(powers)


def _terms(exponent: Any) -> dict[Any, Any]:
    terms: dict[Any, Any] = {}
    for term in sp.Add.make_args(sp.expand(exponent)):
        coefficient, monomial = sp.factor_terms(term).as_coeff_Mul()
        if not coefficient.is_Rational:
            coefficient, monomial = sp.Integer(1), term
        terms[monomial] = terms.get(monomial, sp.Integer(0)) + coefficient
    return terms


def _expanded(expression: Any) -> bool:
    return bool(sp.expand(_without_sums(expression)) == 0)


def _normal(expression: Any) -> bool:
    return bool(normal_numerator(expression) == 0)


def _logarithms(expression: Any) -> bool:
    return bool(expression.has(sp.log) and normal_numerator(sp.expand_log(expression)) == 0)


STRATEGIES: dict[str, Callable[[Any], bool]] = {
    EXPANSION: _expanded,
    NORMAL_FORM: _normal,
    LOGARITHMS: _logarithms,
}


def vanishes(expression: Any) -> str | None:
    """How an expression is seen to be 0; None if it is not known to be.

    Parameters
    ----------
    expression : sympy.Expr

    Returns
    -------
    str or None
        Name of the rule that reduced it to exactly 0.
    """
    expression = sp.sympify(expression)
    for name, reduces in STRATEGIES.items():
        if reduces(expression):
            return name
    return None


def vanishes_along(expression: Any, variable: Any, point: Any) -> str | None:
    """The same for a function of a variable on an interval.

    If no rule applies to the function itself, it is zero if its derivative is, and it is at one point.

    Parameters
    ----------
    expression : sympy.Expr
        Differentiable on the interval, and continuous at `point`.
    variable : sympy.Symbol
    point : sympy.Expr
        Inside of the interval or one of its ends.
    """
    found = vanishes(expression)
    others = expression.atoms(sp.Function) - expression.atoms(sp.exp, *OTHER_FUNCTIONS)
    if found or not others:  # without other functions the normal form decides
        return found
    if vanishes(sp.diff(expression, variable)) and vanishes(at(expression, variable, point)):
        return CONSTANT
    return None


def at(expression: Any, variable: Any, point: Any) -> Any:
    """The value at a point."""
    return sp.sympify(expression).subs(variable, point)
