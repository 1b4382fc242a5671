"""Proves the schedules: the share of the initial learning rate, against the published formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from chainrule.equations.schedules import Schedule
from chainrule.proofs.proof import NOT_PROVED, Proof, Steps, attempt, compared
from chainrule.proofs.symbolic import Interval, Region, in_region
from chainrule.proofs.zero import vanishes

TABLE = "schedule"
STATEMENT = "factor(t, epoch, samples) = the published formula"
METHOD = "substitution, case by case"

ZERO, ONE = sp.Integer(0), sp.Integer(1)
TINY = sp.Rational("1e-12")  # the margin by which the rows keep away from divisions by zero
UNIT = Interval(ZERO, ONE)
T, EPOCH, SAMPLES = sp.symbols("t epoch samples", nonnegative=True)
SHARE = sp.Symbol("u", real=True)  # of a cycle
NUMBER = sp.Symbol("n", integer=True, nonnegative=True)  # of cycles done


@dataclass(frozen=True)
class Case:
    """Where training stands, in one case of a schedule, and what the published formula says there.

    Attributes
    ----------
    what : str
    true : sympy.Expr
        The published value.
    parameters : tuple
        In the order of the row's function.
    t, epoch, samples : sympy.Expr
        The arguments of the row's function.
    where : mapping
        Intervals of the symbols.
    premise : sympy.Expr
        What must be 0 for the arguments to be what the case says.
    """

    what: str
    true: Any
    parameters: tuple[Any, ...] = ()
    t: Any = T
    epoch: Any = EPOCH
    samples: Any = SAMPLES
    where: dict[Any, Interval] = field(default_factory=dict)
    premise: Any = ZERO


def prove_schedule(row: Schedule) -> list[Proof]:
    """Proofs about a schedule."""
    if row.name not in PUBLISHED:
        reason = "chainrule.proofs.schedules has no published formula to compare it with"
        return [Proof(row.name, TABLE, STATEMENT, NOT_PROVED, reason=reason)]
    return [attempt(row.name, TABLE, STATEMENT, METHOD, lambda: _steps(row))]


def _steps(row: Schedule) -> Steps:
    for case in PUBLISHED[row.name]():
        what = f"{case.what}: {case.true}"
        yield compared(what, case.premise, ZERO, vanishes(case.premise))
        factor = in_region(row.factor, Region(T, case.where))
        given = factor(case.t, case.epoch, case.samples, *case.parameters)
        yield compared(what, given, case.true, vanishes(given - case.true))


def _symbols(names: str) -> Any:
    return sp.symbols(names, positive=True, seq=True)


def _half_cosine(share: Any, low: Any) -> Any:
    """From 1 down to `low` along half a cosine, by the half-angle formula."""
    return low + (1 - low) * sp.cos(sp.pi * share / 2) ** 2


def _constant() -> Iterator[Case]:
    yield Case("all steps", ONE)


def _adaptive() -> Iterator[Case]:
    yield Case("all steps, until training stops to improve", ONE, _symbols("divisor minimum"))


def _inverse_scaling() -> Iterator[Case]:
    (power,) = _symbols("power")
    yield Case("all steps", 1 / (SAMPLES + 1) ** power, (power,))


def _step() -> Iterator[Case]:
    every, gamma = _symbols("every gamma")
    for what, share in (("inside of a stretch", SHARE), ("at the start of a stretch", ZERO)):
        yield Case(what, gamma**NUMBER, (every, gamma), epoch=every * (NUMBER + share), where={SHARE: UNIT})


def _cosine() -> Iterator[Case]:
    (low,) = _symbols("floor")
    yield Case("all steps", _half_cosine(T, low), (low,))


def _one_cycle() -> Iterator[Case]:
    parameters = peak, start, low = _symbols("peak_at start floor")
    inner = {peak: Interval(TINY, 1 - TINY)}
    up = start + (1 - start) * sp.sin(sp.pi * T / (2 * peak)) ** 2
    down = _half_cosine((T - peak) / (1 - peak), low)
    yield Case("t < peak_at", up, parameters, where={**inner, T: Interval(ZERO, peak)})
    yield Case("t > peak_at", down, parameters, where={**inner, T: Interval(peak, ONE)})
    for t, true in ((ZERO, start), (peak, ONE), (ONE, low)):
        yield Case(f"t = {t}", true, parameters, t=t, where=inner)


def _warm_restarts() -> Iterator[Case]:
    period, low = _symbols("period floor")
    for what, share in (("cycles of equal length", SHARE), ("the start of one", ZERO)):
        yield Case(
            what,
            _half_cosine(share, low),
            (period, ONE, low),
            epoch=period * (NUMBER + share),
            where={SHARE: UNIT} if share else {},
        )
    # With the growth exp(c), the share u is (exp(c s) - 1) / (exp(c) - 1) for an s between
    # 0 and 1. The row counts a cycle as done when s > 1 - 1e-12, so what is proved ends there.
    c, s = _symbols("c s")
    growth, length = sp.exp(c), period * sp.exp(c * NUMBER)
    share = (sp.exp(c * s) - 1) / (growth - 1)
    before = period * (sp.exp(c * NUMBER) - 1) / (growth - 1)
    epoch = period * (sp.exp(c * NUMBER + c * s) - 1) / (growth - 1)
    yield Case(
        "cycles that grow, with growth = exp(c)",
        _half_cosine(share, low),
        (period, growth, low),
        epoch=epoch,
        premise=before + share * length - epoch,
        where={s: Interval(ZERO, 1 - TINY)},
    )
    yield Case("the start of one", ONE, (period, growth, low), epoch=before)


def _log_cosine() -> Iterator[Case]:
    (cycles,) = _symbols("cycles")
    # With t = (2^s - 1) / (2^c - 1), the logarithm is s: the number of cycles done, c of them at the end.
    done = sp.Symbol("s", positive=True)
    t = (2**done - 1) / (2**cycles - 1)
    where = {done: Interval(ZERO, cycles)}
    yield Case("s cycles done", sp.sin(sp.pi * done) ** 2, (cycles,), t=t, where=where)
    for what, share, true in (("a cycle's start", ZERO, ZERO), ("its middle", sp.Rational(1, 2), ONE)):
        t = (2 ** (NUMBER + share) - 1) / (2**cycles - 1)
        yield Case(what, true, (cycles,), t=t)


def _flat_cosine() -> Iterator[Case]:
    (hold,) = _symbols("hold")
    inner = {hold: Interval(TINY, 1 - TINY)}
    down = _half_cosine((T - hold) / (1 - hold), ZERO)
    yield Case("t < hold", ONE, (hold,), where={**inner, T: Interval(ZERO, hold)})
    yield Case("t > hold", down, (hold,), where={**inner, T: Interval(hold, ONE)})
    for t, true in ((ZERO, ONE), (hold, ONE), (ONE, ZERO)):
        yield Case(f"t = {t}", true, (hold,), t=t, where=inner)


PUBLISHED: dict[str, Callable[[], Iterator[Case]]] = {
    "constant": _constant,
    "inverse_scaling": _inverse_scaling,
    "adaptive": _adaptive,
    "step": _step,
    "cosine": _cosine,
    "one_cycle": _one_cycle,
    "log_cosine": _log_cosine,
    "flat_cosine": _flat_cosine,
    "warm_restarts": _warm_restarts,
}
