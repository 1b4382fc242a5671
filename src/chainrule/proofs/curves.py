"""Proves functions of one number: activations, losses of one output, penalties.

On each piece between the points where a function's cases meet, SymPy differentiates the value that the
row's own source computes, and the difference to the row's slope must reduce to 0. At such a point the
one-sided derivatives are compared: where they agree, the slope must be that derivative; where they do not,
the point is a kink, the row must say so, and the slope must not lie outside of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from chainrule.equation import Function, Row
from chainrule.equations import ACTIVATIONS
from chainrule.equations.activations import Activation
from chainrule.equations.losses import Loss
from chainrule.equations.penalties import Penalty
from chainrule.proofs import definitions
from chainrule.proofs.proof import NOT_PROVED, OBSTACLES, PROVED, Proof
from chainrule.proofs.readings import exact, exactly, read
from chainrule.proofs.symbolic import (
    Interval,
    Region,
    finite_ends,
    in_region,
    parameters_of,
    pieces,
    symbolic,
)
from chainrule.proofs.zero import at, vanishes, vanishes_along

VALUE, SLOPE = "value", "slope"
Expressions = dict[str, Any]


@dataclass(frozen=True)
class Curve:
    """A function of one variable, its slope, and what is claimed of them.

    Attributes
    ----------
    region : Region
        Its variable and where the parameters lie.
    run : callable
        ``run(region, x) -> {"value": ..., "slope": ..., statement: residual, ...}``: expressions in x.
    slope_statement : str
        The claim that the slope is the derivative.
    declared : callable
        ``declared(point) -> bool``: whether the row says that it has a kink there.
    case : str
        What holds of the other quantities, like ``"y = 0"``; empty if nothing is distinguished.
    """

    region: Region
    run: Callable[[Region, Any], Expressions]
    slope_statement: str
    declared: Callable[[Any], bool]
    case: str = ""

    def parts(self) -> list[tuple[Interval, Expressions]]:
        """The smooth pieces."""

        def smooth(region: Region, x: Any) -> Expressions:
            values = self.run(region, x)
            region.require_smooth(values[VALUE])
            return values

        return pieces(smooth, self.region)


@dataclass
class Findings:
    """What was found about one statement."""

    pieces: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def note(self, place: str, residual: Any, method: str | None) -> None:
        """Add a piece, on which a residual was or was not reduced to 0."""
        self.pieces.append(place)
        if method is None:
            self.reasons.append(f"for {place} the difference {residual} is not 0")
        elif method not in self.methods:
            self.methods.append(method)


def study(curves: list[Curve]) -> dict[str, Findings]:
    """Every statement about some curves (the cases of one row), and what was found."""
    found: dict[str, Findings] = {}
    for curve in curves:
        parts = curve.parts()
        z = curve.region.variable
        points = iter([*finite_ends(parts), None])
        for interval, values in parts:
            place = _place(curve, interval.describe(str(z)))
            residuals = {curve.slope_statement: sp.diff(values[VALUE], z) - values[SLOPE]}
            residuals |= {key: value for key, value in values.items() if key not in (VALUE, SLOPE)}
            for statement, residual in residuals.items():
                method = vanishes_along(residual, z, interval.inner_point())
                found.setdefault(statement, Findings()).note(place, residual, method)
            if joint := next(points):
                _study_point(curve, *joint, found)
    return found


def _place(curve: Curve, place: str) -> str:
    return f"{place}, {curve.case}" if curve.case else place


def _study_point(
    curve: Curve, point: Any, before: Expressions, after: Expressions, found: dict[str, Findings]
) -> None:
    """What holds where two pieces meet."""
    z = curve.region.variable
    here = curve.run(Region(z, {s: i for s, i in curve.region.intervals.items() if s != z}), point)
    place = _place(curve, f"{z} = {point}")
    for statement, residual in here.items():
        if statement not in (VALUE, SLOPE):
            found[statement].note(place, residual, vanishes(residual))
    note = found[curve.slope_statement].note
    for side in (before, after):
        if not vanishes(jump := at(side[VALUE], z, point) - here[VALUE]):
            note(f"{place}, where the value jumps,", jump, None)
            return
    left, right = (at(sp.diff(side[VALUE], z), z, point) for side in (before, after))
    if method := vanishes(left - right):
        residual = left - here[SLOPE]
        note(f"{place}: the pieces join smoothly", residual, vanishes(residual) and method)
        return
    between = _between(curve.region, left, here[SLOPE], right)
    if between is None:
        note(f"{place}: kink, slope {here[SLOPE]}, derivatives {left} and {right},", "from both", None)
    elif not curve.declared(point):
        note(f"{place}: there is a kink that the row does not list;", right - left, None)
    else:
        note(f"{place}: kink, {between}", 0, "one-sided derivatives")


def _between(region: Region, left: Any, slope: Any, right: Any) -> str | None:
    """Which one-sided derivative the slope at a kink is; None if it lies outside of them."""
    if vanishes(slope - left):
        return f"the slope {slope} is the derivative from the left"
    if vanishes(slope - right):
        return f"the slope {slope} is the derivative from the right"
    inside = region.sign((slope - left) * (right - slope)) > 0
    return f"the slope {slope} lies between the derivatives {left} and {right}" if inside else None


def proofs_of(row: Row, table: str, make: Callable[[], list[Curve]], statements: list[str]) -> list[Proof]:
    """Proofs of each statement about a row; an obstacle leaves all of them unproved."""
    try:
        found = study(make())
    except OBSTACLES as error:
        reason = str(error) or type(error).__name__
        return [Proof(row.name, table, s, NOT_PROVED, reason=reason) for s in statements]
    return [_proof(row, table, s, found[s]) for s in statements]


def _proof(row: Row, table: str, statement: str, found: Findings) -> Proof:
    how = "differentiation" if statement in DERIVATIVES else "substitution"
    method = f"{how}, piece by piece; " + ", ".join(found.methods)
    places = tuple(found.pieces)
    if found.reasons:
        return Proof(row.name, table, statement, NOT_PROVED, places, method, "; ".join(found.reasons))
    return Proof(row.name, table, statement, PROVED, places, method)


# ------------------------------------------------------------------ the three tables

Z, A, Y, W = sp.symbols("z a y w", real=True)
DERIVATIVE = "slope(z, a) = d f(z) / dz"
LOSS_DERIVATIVE = "slope(z, y) = d value(z, y) / dz"
PENALTY_DERIVATIVE = "slope(w) = d value(w) / dw"
FUSED = "slope(z, y) = dl/da f'(z) for the prediction a = f(z)"
LOSS_VALUE = "value(z, y) = {} for the prediction a = f(z)"
DERIVATIVES = (DERIVATIVE, LOSS_DERIVATIVE, PENALTY_DERIVATIVE, FUSED)
SHORT = "slope(z, y) = a - y for the prediction a = f(z)"


def prove_activation(row: Activation) -> list[Proof]:
    """Proofs about an activation of one number."""
    definition = definitions.ACTIVATIONS.get(row.name)
    statements = [DERIVATIVE] + ([f"f(z) = {definition.text}"] if definition else [])
    return proofs_of(row, "activation", lambda: [activation_curve(row)], statements)


def activation_curve(row: Activation) -> Curve:
    """The function with its slope."""
    definition = definitions.ACTIVATIONS.get(row.name)
    parameters = parameters_of(row.ranges, row.parameters)

    def run(region: Region, z: Any) -> Expressions:
        a = in_region(row.f, region)(z, *parameters)
        values = {VALUE: a, SLOPE: in_region(_slope(row), region)(z, a, *parameters)}
        if definition is not None:
            true = in_region(definition.function, region)(z, *parameters)
            values[f"f(z) = {definition.text}"] = a - true
        return values

    kinks = [exact(float(kink)) for kink in row.kinks]
    return Curve(Region(Z, parameters), run, DERIVATIVE, lambda point: point in kinks)


def _slope(row: Activation) -> Function:
    assert row.slope is not None
    return row.slope


TARGETS: Mapping[str, list[tuple[str, Any, Interval | None]]] = {
    "real": [("", Y, None)],
    "nonnegative": [("y > 0", Y, Interval(sp.Integer(0))), ("y = 0", sp.Integer(0), None)],
    "unit": [
        ("0 < y < 1", Y, Interval(sp.Integer(0), sp.Integer(1))),
        ("y = 0", sp.Integer(0), None),
        ("y = 1", sp.Integer(1), None),
    ],
}


def prove_loss(row: Loss) -> list[Proof]:
    """Proofs about a loss of one output."""
    statements = [LOSS_DERIVATIVE]
    if definition := definitions.LOSSES.get(row.name):
        statements.append(LOSS_VALUE.format(definition.text))
        statements += [FUSED] * (row.link != "identity")
    statements += [SHORT] * (row.name in definitions.CANONICAL)
    return proofs_of(row, "loss", lambda: [curve for _, curve in loss_curves(row)], statements)


def loss_curves(row: Loss) -> Iterator[tuple[Any, Curve]]:
    """For each kind of target, inside of its range and at the ends: the target, and the loss in z."""
    parameters = parameters_of(row.ranges, row.parameters)
    for case, y, interval in TARGETS[row.targets]:
        intervals = parameters if interval is None else {**parameters, Y: interval}
        run = _loss_run(row, y, tuple(parameters))
        yield y, Curve(Region(Z, intervals), run, LOSS_DERIVATIVE, lambda point: row.kink, case)


def _loss_run(row: Loss, y: Any, parameters: tuple[Any, ...]) -> Callable[[Region, Any], Expressions]:
    definition, link = definitions.LOSSES.get(row.name), ACTIVATIONS[row.link]

    def run(region: Region, z: Any) -> Expressions:
        value = in_region(row.value, region)(z, y, *parameters)
        slope, a = in_region(row.slope, region)(z, y, *parameters), in_region(link.f, region)(z)
        values = {VALUE: value, SLOPE: slope}
        if row.name in definitions.CANONICAL:
            values[SHORT] = slope - (a - y)
        if definition is None:
            return values
        true = in_region(definition.function, region)(a, y, *parameters)
        values[LOSS_VALUE.format(definition.text)] = value - true
        if row.link != "identity":
            # Of the prediction as a symbol of its own, which lies where the link's value does.
            of_a = read(definition.function, symbolic(lambda e: region.sign(e.subs(A, a))))(A, y, *parameters)
            outer = sp.diff(exactly(of_a), A).subs(A, a)
            values[FUSED] = slope - outer * in_region(_slope(link), region)(z, a)
        return values

    return run


def prove_penalty(row: Penalty) -> list[Proof]:
    """Proofs about a penalty."""
    definition = definitions.PENALTIES.get(row.name)
    statements = [PENALTY_DERIVATIVE] + ([f"value(w) = {definition.text}"] if definition else [])
    return proofs_of(row, "penalty", lambda: [penalty_curve(row)], statements)


def penalty_curve(row: Penalty) -> Curve:
    """The penalty of one weight with its slope."""
    definition = definitions.PENALTIES.get(row.name)

    def run(region: Region, w: Any) -> Expressions:
        values = {VALUE: in_region(row.value, region)(w), SLOPE: in_region(row.slope, region)(w)}
        if definition is not None:
            true = in_region(definition.function, region)(w)
            values[f"value(w) = {definition.text}"] = values[VALUE] - true
        return values

    return Curve(Region(W), run, PENALTY_DERIVATIVE, lambda point: True)
