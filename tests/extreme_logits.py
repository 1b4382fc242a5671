"""Cross-entropies and their gradients at logits where careless formulas overflow, cancel or clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp
from ulp import distance

from chainrule.problem import Batch, Objective
from chainrule.spec import Layer, Network

LOGITS = (20.0, 37.43, 40.0, 745.0, 1e4, 1e300)
CLASSES = (2, 3, 10, 100, 1000)
DIGITS = 1100  # binary ones: exp(-745) must be seen beside 1


@dataclass(frozen=True)
class Found:
    """What a run computes at one place, and how far it is from the truth.

    Attributes
    ----------
    where : str
    loss : float
    slope : ndarray of shape (outputs,)
        Derivative with respect to the logits.
    ulps : float
        The largest distance of the loss and the slopes from the exact ones.
    """

    where: str
    loss: float
    slope: Any
    ulps: float


def both(dtype: str) -> list[float]:
    """The logits of both signs that the dtype holds."""
    largest = float(np.finfo(dtype).max)
    known = [v for v in LOGITS if v < largest]
    return [float(np.dtype(dtype).type(sign * v)) for v in known for sign in (1, -1)]


def measure(Run: Any, loss: str, dtype: str, logits: Any, target: Any) -> tuple[float, Any]:
    """Loss and slope of a network that passes on its inputs as logits."""
    outputs = len(logits)
    network = Network(outputs, [Layer(outputs)], loss, dtype)
    objective = Objective(network)
    theta = objective.layout.pack([np.eye(outputs, dtype=dtype)], [np.zeros(outputs, dtype)])
    batch = Batch(np.array([logits], dtype), np.array([target], dtype))
    value, gradient = Run(objective).loss_and_gradient(theta, batch)
    return value, objective.layout.view(gradient, 0, "b")


def binary(Run: Any, dtype: str) -> Iterator[Found]:
    """One logit, both labels."""
    for z in both(dtype):
        for label in (0, 1):
            loss, slope = measure(Run, "binary_cross_entropy", dtype, [z], [label])
            with mp.workprec(DIGITS):
                exact = mp.mpf(z)
                sigmoid = 1 / (1 + mp.exp(-exact)) if z > -1e5 else mp.mpf(0)
                softplus = mp.log1p(mp.exp(-abs(exact))) + max(exact if not label else -exact, 0)
                worst = _worst(dtype, loss, slope, softplus, [sigmoid - label])
            yield Found(f"z = {z:g}, label {label}, {dtype}", loss, slope, worst)


def categorical(Run: Any, dtype: str) -> Iterator[Found]:
    """One extreme logit among zeros; the target is its class, or another."""
    for outputs in CLASSES:
        for z in both(dtype):
            for target in (0, 1):
                logits = np.zeros(outputs)
                logits[0] = z
                loss, slope = measure(
                    Run, "categorical_cross_entropy", dtype, logits, np.eye(outputs)[target]
                )
                with mp.workprec(DIGITS):
                    top = max(mp.mpf(z), 0)
                    terms = _exponentials(z, top)
                    total = terms[0] + (outputs - 1) * terms[1]
                    value = mp.log1p(total - 1) + top - (mp.mpf(z) if target == 0 else 0)
                    slopes = [terms[0] / total - (target == 0)]
                    slopes += [terms[1] / total - (target == k) for k in range(1, min(outputs, 3))]
                    worst = _worst(dtype, loss, slope[: len(slopes)], value, slopes)
                yield Found(f"z = {z:g} of {outputs}, target {target}, {dtype}", loss, slope, worst)


def _exponentials(z: float, top: Any) -> tuple[Any, Any]:
    """exp of the extreme logit and of a zero, less the largest; 0 below all that a double can tell."""
    return tuple(mp.exp(v - top) if v - top > -1e5 else mp.mpf(0) for v in (mp.mpf(z), mp.mpf(0)))


def _worst(dtype: str, loss: float, slope: Any, exact: Any, slopes: list[Any]) -> float:
    """The largest distance; what is below the smallest number may be 0."""
    values = [np.dtype(dtype).type(loss), *slope]
    return max(distance(value, truth) for value, truth in zip(values, [exact, *slopes], strict=True))


def asymmetric(Run: Any, dtype: str) -> list[str]:
    """Places where the two branches differ: the loss of z and label 1 is that of -z and label 0."""
    wrong = []
    for z in both(dtype):
        a, da = measure(Run, "binary_cross_entropy", dtype, [z], [1])
        b, db = measure(Run, "binary_cross_entropy", dtype, [-z], [0])
        if a != b or da[0] != -db[0]:
            wrong.append(f"z = {z:g}, {dtype}")
    return wrong
