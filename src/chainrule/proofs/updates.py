"""Proves the optimisers: one step of each, from any state, against its published recurrence.

The step number t stays a symbol and so does the state. Since a step takes any state to what the recurrence
says, and both start at zero, the whole sequences are equal, by induction.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp

from chainrule import full_batch, reference, second_order
from chainrule.equations.optimisers import Optimiser
from chainrule.problem import Batch
from chainrule.proofs.entries import entrywise, identity, symbols
from chainrule.proofs.proof import NOT_PROVED, Proof, Step, Steps, attempt, compared
from chainrule.proofs.readings import exactly, read
from chainrule.proofs.symbolic import Region, in_region
from chainrule.proofs.zero import vanishes

TABLE = "optimiser"
W, G, RATE = sp.symbols("w g eta", real=True)
T = sp.Symbol("t", integer=True, positive=True)
STATE = sp.symbols("v_0 v_1", nonnegative=True)
METHOD = "substitution, for every step t = 1, 2, ... and any state"
PACE = (
    "update with a group's factors r and c = the recurrence at the rate r eta and the weight decay c lambda"
)

Published = Callable[..., Sequence[Any]]  # (w, g, state, eta, t, *parameters) -> new w, *new state


# ------------------------------------------------------------------ the published recurrences


def gradient_descent(w: Any, g: Any, state: Any, rate: Any, t: Any) -> Sequence[Any]:
    """Robbins & Monro 1951, equation (8), for a gradient: w' = w - eta g."""
    return (w - rate * g,)


def momentum(w: Any, g: Any, state: Any, rate: Any, t: Any, mu: Any) -> Sequence[Any]:
    """Polyak 1964: w' = w - eta g + mu (w - w_before); what is remembered is v = w - w_before."""
    (v,) = state
    before = w - v
    new = w - rate * g + mu * (w - before)
    return new, new - w


def nesterov(w: Any, g: Any, state: Any, rate: Any, t: Any, mu: Any) -> Sequence[Any]:
    """Sutskever et al. 2013, equations (3) and (4): v' = mu v - eta grad(theta + mu v), theta' = theta + v'.

    What is kept as w is the point theta + mu v at which the gradient g is taken.
    """
    (v,) = state
    theta = w - mu * v
    new = mu * v - rate * g
    return theta + new + mu * new, new


def rmsprop(w: Any, g: Any, state: Any, rate: Any, t: Any, rho: Any, epsilon: Any) -> Sequence[Any]:
    """Tieleman & Hinton 2012, lecture 6.5: the gradient divided by the root of its running mean square."""
    (v,) = state
    mean_square = rho * v + (1 - rho) * g**2
    return w - rate / (sp.sqrt(mean_square) + epsilon) * g, mean_square


def adam(
    w: Any, g: Any, state: Any, rate: Any, t: Any, beta_1: Any, beta_2: Any, epsilon: Any
) -> Sequence[Any]:
    """Kingma & Ba 2015, algorithm 1, with the paper's epsilon = epsilon-hat / sqrt(1 - beta_2^t)."""
    m, v = state
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    return w - rate * m_hat / (sp.sqrt(v_hat) + epsilon / sp.sqrt(1 - beta_2**t)), m, v


def adamw(
    w: Any, g: Any, state: Any, rate: Any, t: Any, beta_1: Any, beta_2: Any, epsilon: Any, decay: Any
) -> Sequence[Any]:
    """Loshchilov & Hutter 2019, algorithm 2 with the decay scaled by the rate: Adam less eta lambda w."""
    new, m, v = adam(w, g, state, rate, t, beta_1, beta_2, epsilon)
    return new - rate * decay * w, m, v


PUBLISHED: dict[str, Published] = {
    "gradient_descent": gradient_descent,
    "momentum": momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}


# ------------------------------------------------------------------ the proofs


def prove_optimiser(row: Optimiser) -> list[Proof]:
    """Proofs about an optimiser."""
    if row.full_batch and row.name in FULL_BATCH:
        return [attempt(row.name, TABLE, s, WRITTEN_OUT, steps) for s, steps in FULL_BATCH[row.name].items()]
    statement = "step(w, g, state) = the published recurrence"
    if row.full_batch or row.name not in PUBLISHED:
        reason = "chainrule.proofs.updates has no published recurrence to compare it with"
        return [Proof(row.name, TABLE, statement, NOT_PROVED, reason=reason)]
    published = inspect.getdoc(PUBLISHED[row.name]) or ""
    return [
        attempt(
            row.name,
            TABLE,
            f"{statement}: {published.splitlines()[0].rstrip('.')}",
            METHOD,
            lambda: _step(row),
        ),
        attempt(row.name, TABLE, PACE, METHOD, lambda: _paced(row)),
    ]


def parameter(name: str) -> Any:
    """A symbol for a parameter."""
    return sp.Symbol(name, positive=True)


def computed_step(row: Optimiser, parameters: Sequence[Any]) -> Sequence[Any]:
    """What the row computes at step t, as expressions: the new parameter and the new state."""
    assert row.scalars is not None and row.step is not None
    everywhere = Region(W)
    scalars = in_region(_tuple(row.scalars), everywhere)(RATE, T, *parameters)
    state = STATE[: len(row.slots)]
    return tuple(in_region(_tuple(row.step), everywhere)(W, G, *state, *scalars))


def _tuple(function: Callable[..., Any]) -> Callable[..., Any]:
    def gathered(*arguments: Any) -> Any:
        result = function(*arguments)
        return sp.Tuple(*result) if isinstance(result, tuple) else sp.Tuple(result)

    return gathered


def _step(row: Optimiser) -> Steps:
    parameters = [parameter(name) for name in row.parameters]
    computed = computed_step(row, parameters)
    published = PUBLISHED[row.name](W, G, STATE[: len(row.slots)], RATE, T, *parameters)
    names = ("w", *row.slots)
    for name, given, true in zip(names, computed, published, strict=True):
        yield compared(name, given, true, vanishes(_corrections(given - exactly(true))))


def _paced(row: Optimiser) -> Steps:
    """What the interpreted run does with a parameter whose group has factors of its own."""
    rate, decay = sp.symbols("r c", positive=True)
    names = list(row.parameters)
    parameters = [parameter(name) for name in names]
    state = STATE[: len(row.slots)]
    w, g, slots = np.array([W]), np.array([G]), np.array(state, object)[:, None]
    reference.update(_symbolic(row, parameters), w, g, slots, RATE * rate, T, decay)
    slower = [p * decay if name == "weight_decay" else p for name, p in zip(names, parameters, strict=True)]
    published = PUBLISHED[row.name](W, G, state, RATE * rate, T, *slower)
    for name, given, true in zip(("w", *row.slots), [*w, *slots[:, 0]], published, strict=True):
        yield compared(name, given, true, vanishes(_corrections(given - exactly(true))))


def _symbolic(row: Optimiser, parameters: Sequence[Any]) -> Optimiser:
    """The row with symbols for its parameters, on arrays of one symbol."""
    assert row.scalars is not None and row.step is not None
    everywhere = Region(W)
    scalars, step = (in_region(_tuple(f), everywhere) for f in (row.scalars, row.step))

    def of_arrays(*given: Any) -> Any:
        found = step(*(value[0] if isinstance(value, np.ndarray) else value for value in given))
        return list(found) if row.slots else found[0]

    return replace(
        row, parameters=dict(zip(row.parameters, parameters, strict=True)), scalars=scalars, step=of_arrays
    )


def _corrections(expression: Any) -> Any:
    """Write each power beta^t, which lies between 0 and 1, as 1 / (1 + q), so that roots can be split."""
    powers = [power for power in expression.atoms(sp.Pow) if power.exp == T]
    return expression.subs({power: 1 / (1 + sp.Dummy(positive=True)) for power in powers})


# ------------------------------------------------------------------ the methods that need all rows


def _two_loops() -> Steps:
    """The direction of two_loops is -H g, with H made by the BFGS updates of the last pairs."""
    for count in (0, 1, 2):
        n = 2
        g = symbols("g", n)
        steps = [(symbols(f"s{k}", n), symbols(f"y{k}", n)) for k in range(count)]
        pairs = deque((s, y, 1 / (s @ y)) for s, y in steps)
        d = second_order.two_loops(g, pairs)
        H = identity(n)
        if steps:
            s, y = steps[-1]
            H = H * (s @ y) / (y @ y)
        for s, y in steps:
            left = identity(n) - np.outer(s, y) / (s @ y)
            H = left @ H @ left.T + np.outer(s, s) / (s @ y)
        for entry in d + H @ g:
            yield Step(f"{count} remembered steps", vanishes(entry))


def _damped_step() -> Steps:
    """The step of damped_step solves (H + mu I) step = g, for a symmetric H."""
    for n in (1, 2):
        g, H, mu = symbols("g", n), symbols("H", n, n), sp.Symbol("mu", positive=True)
        H = np.array([[H[min(i, j), max(i, j)] for j in range(n)] for i in range(n)], object)
        step = read(second_order.damped_step, entrywise())(H, g, mu)
        for entry in H @ step + mu * step - g:
            yield Step(f"n = {n}", vanishes(entry))


def _normal_equations() -> Steps:
    """normal_equations gives J^T e and J^T J of the weighted mean, with the penalty's derivatives."""
    n, outputs, size = 2, 2, 3
    Z, Y, J = symbols("z", n, outputs), symbols("y", n, outputs), symbols("J", n, outputs, size)
    theta, w = symbols("theta", size), symbols("w", n, positive=True)
    strength = sp.Symbol("lambda", positive=True)
    weight = SimpleNamespace(is_weight=True, start=0, stop=size - 1)
    bias = SimpleNamespace(is_weight=False, start=size - 1, stop=size)
    objective = SimpleNamespace(
        layout=SimpleNamespace(size=size, blocks=(weight, bias)),
        network=SimpleNamespace(outputs=outputs, dtype=object),
        strengths={"l2": strength},
        scale=lambda batch: 1,
    )
    run = SimpleNamespace(jacobian=lambda theta, X: (Z, J))
    batch = Batch(np.zeros((n, 1)), Y, w)
    value, g, H = read(full_batch.normal_equations, entrywise())(run, objective, theta, batch)
    # Near theta the outputs are Z + J d; the Gauss-Newton model is the loss of those.
    d = symbols("d", size)
    e = Z + J @ d - Y
    penalty = strength * sum((theta + d)[: weight.stop] ** 2) / 2
    model = sum(w[:, None] * e**2 / 2 / sum(w), start=np.zeros(outputs, object)).sum() + penalty
    at_theta = dict.fromkeys(d, 0)
    yield Step("the value", vanishes(value - model.subs(at_theta)))
    for j in range(size):
        yield Step("g", vanishes(g[j] - sp.diff(model, d[j]).subs(at_theta)))
        for k in range(size):
            yield Step("H", vanishes(H[j, k] - sp.diff(model, d[j], d[k])))


WRITTEN_OUT = "matrix algebra and differentiation with every entry written out"
BFGS = "two_loops(g) = -H g with BFGS's H' = (I - r s y^T) H (I - r y s^T) + r s s^T and r = 1 / s^T y"
GAUSS_NEWTON = "normal_equations: g and H are the derivatives of the loss with the outputs made linear"
DAMPED = "damped_step solves (H + mu I) step = g"
FULL_BATCH: dict[str, dict[str, Callable[[], Steps]]] = {
    "lbfgs": {BFGS: _two_loops},
    "levenberg_marquardt": {GAUSS_NEWTON: _normal_equations, DAMPED: _damped_step},
}
