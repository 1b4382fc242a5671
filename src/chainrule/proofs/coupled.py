"""Proves the rows that couple the outputs of a layer: the softmax, and the cross-entropy of many classes.

Their functions take e = exp(z - m) and, of a row, m, r, q = 1 / (1 + r) and s = log(1 + r), with 1 + r =
S exp(-m) for the sum S of all exp(z_k). First m is shown to cancel. Then, for any number K of outputs, the
derivative of a function F of z_i and S is dF/dz_i delta_ij + dF/dS dS/dz_j, and dS/dz_j = exp(z_j) is itself
derived by index calculus. For K = 2, 3 and 4 the same is proved with every entry written out, wherever the
largest logit may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import sympy as sp

from chainrule import reference
from chainrule.equations import ACTIVATIONS
from chainrule.equations.activations import Activation
from chainrule.equations.losses import Loss
from chainrule.proofs import definitions
from chainrule.proofs.curves import LOSS_VALUE, SHORT
from chainrule.proofs.entries import entrywise, symbols
from chainrule.proofs.indices import Array, agree, contract, for_any_size, index, size, total
from chainrule.proofs.proof import Proof, Step, Steps, UnprovedError, attempt
from chainrule.proofs.readings import read
from chainrule.proofs.symbolic import Region, in_region
from chainrule.proofs.zero import vanishes

OUTPUTS = (2, 3, 4)
K = size("K")
I, J = index("i", K), index("j", K)  # noqa: E741 - the names of the indices
LOGITS, Y = sp.IndexedBase("z", real=True), sp.IndexedBase("y", real=True)
M = sp.Symbol("m", real=True)
S = sp.Symbol("S", positive=True)  # sum_k exp(z_k)
R = S * sp.exp(-M) - 1
Q = 1 / (1 + R)
ANYWHERE = Region(sp.Symbol("z", real=True))

ANY_K = "index calculus for any number of outputs, i = j and i ≠ j apart"
EACH_K = "differentiation of every entry"


def prove_softmax(row: Activation) -> list[Proof]:
    """Proofs about a coupled activation."""
    claims = {
        "f(z) = exp(z_i) / sum_k exp(z_k), whatever m": (ANY_K, _softmax_value),
        "jacobian(a) = d f(z)_i / dz_j": (ANY_K, _softmax_jacobian),
        "pullback(a, da, s) = J^T da": (ANY_K, _softmax_pullback),
        "f, jacobian and pullback with every entry written out": (EACH_K, _softmax_explicit),
    }
    return [_attempt(row, "activation", s, method, made) for s, (method, made) in claims.items()]


def prove_coupled_loss(row: Loss) -> list[Proof]:
    """Proofs about a coupled loss."""
    claims: dict[str, tuple[str, Callable[[Any], Steps]]] = {
        "slope(z, y) = d (sum_k value(z, y)_k) / dz": (ANY_K, _loss_slope),
    }
    if definition := definitions.LOSSES.get(row.name):
        claims["slope(z, y) = J^T dl/da with the link's jacobian J"] = (ANY_K, _loss_fused)
        claims[LOSS_VALUE.format(definition.text)] = (ANY_K, _loss_value)
    if row.name in definitions.CANONICAL:
        claims[SHORT] = (ANY_K, _loss_short)
    claims["value and slope with every entry written out"] = (EACH_K, _loss_explicit)
    return [_attempt(row, "loss", s, method, made) for s, (method, made) in claims.items()]


def _attempt(row: Any, table: str, statement: str, method: str, claims: Callable[[Any], Steps]) -> Proof:
    return attempt(row.name, table, statement, method, lambda: claims(row))


# ------------------------------------------------------------------ any number of outputs


def derivative_of_sum() -> Any:
    """dS/dz_j, derived from S = sum_k exp(z_k)."""
    return contract(sp.diff(total(lambda k: sp.exp(LOGITS[k]), K), LOGITS[J]))


def derivative(F: Any) -> Any:
    """dF/dz_j of a function of some z_i and of S."""
    return sp.diff(F, LOGITS[J]) + sp.diff(F, S) * derivative_of_sum()


def _softmax(k: Any) -> Any:
    return sp.exp(LOGITS[k]) / S


def _softmax_value(row: Activation) -> Steps:
    yield Step("all z", vanishes(in_region(row.f, ANYWHERE)(sp.exp(LOGITS[I] - M), Q) - _softmax(I)))


def _softmax_jacobian(row: Activation) -> Steps:
    given = read(_function(row.jacobian), for_any_size())(Array((K,), _softmax)).entry(I, J)
    residual = given - derivative(_softmax(I))
    yield Step("i = j", vanishes(residual.subs(J, I)))
    yield Step("i ≠ j", vanishes(residual.subs(sp.KroneckerDelta(I, J), 0)))


def _softmax_pullback(row: Activation) -> Steps:
    a, da = Array.named("a", K), Array.named("da", K)
    jacobian = read(_function(row.jacobian), for_any_size())(a)
    s = total(lambda k: a.entry(k) * da.entry(k), K)
    given = in_region(_function(row.pullback), ANYWHERE)(a.entry(J), da.entry(J), s)
    yield Step("any da", agree(given, total(lambda i: jacobian.entry(i, J) * da.entry(i), K)))


def _function(part: Callable[..., Any] | None) -> Callable[..., Any]:
    if part is None:
        raise UnprovedError("the row has no jacobian and pullback")
    return part


def _loss_of(row: Loss, k: Any) -> Any:
    """The loss of one output in terms of z_k and S; m must cancel."""
    value = in_region(row.value, ANYWHERE)(LOGITS[k], Y[k], M, sp.log(1 + R))
    without = sp.expand(sp.expand_log(value))
    if without.has(M):
        raise UnprovedError(f"the value {value} depends on m")
    return without


def _given_slope(row: Loss) -> Any:
    return in_region(row.slope, ANYWHERE)(sp.exp(LOGITS[J] - M), Y[J], R, Q)


def _one(expression: Any) -> Any:
    """Use that the targets sum to 1."""
    expression = contract(expression)
    sums = {s: sp.Integer(1) for s in expression.atoms(sp.Sum) if s.as_dummy() == _targets().as_dummy()}
    return expression.xreplace(sums)


def _targets() -> Any:
    return total(lambda k: Y[k], K)


def _loss_value(row: Loss) -> Steps:
    definition = in_region(definitions.LOSSES[row.name].function, ANYWHERE)
    yield Step("all z", vanishes(_loss_of(row, I) - definition(_softmax(I), Y[I])))


def _loss_slope(row: Loss) -> Steps:
    summed = total(lambda k: derivative(_loss_of(row, k)), K)
    yield Step("targets that sum to 1", vanishes(_one(summed) - _given_slope(row)))


def _loss_fused(row: Loss) -> Steps:
    link = ACTIVATIONS[row.link]
    a = sp.IndexedBase("a", positive=True)
    definition = in_region(definitions.LOSSES[row.name].function, ANYWHERE)
    jacobian = read(_function(link.jacobian), for_any_size())(Array((K,), lambda k: a[k]))
    summed = total(lambda i: jacobian.entry(i, J) * sp.diff(definition(a[i], Y[i]), a[i]), K)
    fused = _one(summed)
    yield Step("targets that sum to 1", vanishes(fused.subs(a[J], _softmax(J)) - _given_slope(row)))


def _loss_short(row: Loss) -> Steps:
    yield Step("all z", vanishes(_given_slope(row) - (_softmax(J) - Y[J])))


# ------------------------------------------------------------------ every entry written out


def written_out() -> Iterator[tuple[str, Any, Any]]:
    """For each K and each place of the largest logit: what it is, z, and its statistics."""
    for count in OUTPUTS:
        z = symbols("z", count)
        for largest in range(count):
            place = {"argmax": lambda Z, axis, largest=largest: np.full(len(Z), largest)}
            logits = read(reference.statistics, entrywise(place))(z[None, :])
            yield f"K = {count}, the largest is z_{largest}", z, logits


def _softmax_explicit(row: Activation) -> Steps:
    for what, z, logits in written_out():
        a = [in_region(row.f, ANYWHERE)(each, logits.q[0, 0]) for each in logits.e[0]]
        true = [sp.exp(each) / sum(map(sp.exp, z)) for each in z]
        yield Step(what, _all(vanishes(given - each) for given, each in zip(a, true, strict=True)))
        given, da = _function(row.jacobian)(np.array(true, object)), symbols("da", len(z))
        jacobian = np.array([[sp.diff(each, at) for at in z] for each in true], object)
        yield Step(what, _all(vanishes(entry) for entry in (given - jacobian).flat))
        pulled = _function(row.pullback)(np.array(true, object), da, np.dot(true, da))
        yield Step(what, _all(vanishes(entry) for entry in pulled - jacobian.T @ da))


def _loss_explicit(row: Loss) -> Steps:
    for what, z, logits in written_out():
        m, r, q, s = (each[0, 0] for each in logits[1:])
        y = symbols("y", len(z))
        y[-1] = 1 - sum(y[:-1])
        read_value, read_slope = in_region(row.value, ANYWHERE), in_region(row.slope, ANYWHERE)
        value = sum(read_value(*pair, m, s) for pair in zip(z, y, strict=True))
        slope = [read_slope(*pair, r, q) for pair in zip(logits.e[0], y, strict=True)]
        yield Step(what, _all(vanishes(sp.diff(value, at) - g) for at, g in zip(z, slope, strict=True)))


def _all(shown: Iterator[str | None]) -> str | None:
    methods = list(shown)
    return None if None in methods else ", ".join(dict.fromkeys(map(str, methods)))
