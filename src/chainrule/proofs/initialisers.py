"""Proves the initialisers: mean and variance of what is drawn, against the published formula.

The row's `draw` runs with a generator that draws nothing and only keeps the distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp

from chainrule.equations.initialisers import Initialiser
from chainrule.proofs.entries import entrywise, identity
from chainrule.proofs.proof import NOT_PROVED, Proof, Step, Steps, UnprovedError, attempt, compared
from chainrule.proofs.readings import read
from chainrule.proofs.zero import vanishes

TABLE = "initialiser"
INPUTS, UNITS, GAIN = sp.symbols("n_in n_out g", positive=True)

# Published variance of a weight, of a bias, and the shape of the distribution.
GLOROT, HE, LECUN = 2 / (INPUTS + UNITS), 2 / INPUTS, 1 / INPUTS
PUBLISHED: dict[str, tuple[str, Any, Any]] = {
    "glorot_uniform": ("uniform", GLOROT, 0),
    "glorot_normal": ("normal", GLOROT, 0),
    "he_uniform": ("uniform", HE, 0),
    "he_normal": ("normal", HE, 0),
    "lecun_uniform": ("uniform", LECUN, 0),
    "lecun_normal": ("normal", LECUN, 0),
    "scikit_learn": ("uniform", GLOROT, GLOROT),
    "zeros": ("constant", 0, 0),
}


@dataclass(frozen=True)
class Drawn:
    """A distribution in place of an array of numbers drawn from it."""

    law: str
    mean: Any
    variance: Any
    shape: Any

    def __rmul__(self, factor: Any) -> Drawn:
        return Drawn(self.law, factor * self.mean, factor**2 * self.variance, self.shape)

    __mul__ = __rmul__


class Generator:
    """A generator of random numbers that keeps their distribution."""

    @staticmethod
    def uniform(low: Any, high: Any, shape: Any) -> Drawn:
        """Uniform between two bounds."""
        return Drawn("uniform", (low + high) / 2, (high - low) ** 2 / 12, shape)

    @staticmethod
    def standard_normal(shape: Any) -> Drawn:
        """Normal with mean 0 and variance 1."""
        return Drawn("normal", sp.Integer(0), sp.Integer(1), shape)


def _no_numbers(shape: Any) -> Drawn:
    return Drawn("constant", sp.Integer(0), sp.Integer(0), shape)


def prove_initialiser(row: Initialiser) -> list[Proof]:
    """Proofs about an initialiser."""
    if row.name == "orthogonal":
        statement = "the columns (or rows) of W are orthogonal and of length g, given those of Q in W = QR"
        method = "matrix algebra with every entry written out, for each sign of R's diagonal"
        return [attempt(row.name, TABLE, statement, method, lambda: _orthogonal(row))]
    statement = "mean and variance of the weights and biases = the published ones times g^2"
    if row.name not in PUBLISHED:
        reason = "chainrule.proofs.initialisers has no published variance to compare it with"
        return [Proof(row.name, TABLE, statement, NOT_PROVED, reason=reason)]
    law, *variances = PUBLISHED[row.name]
    statement += ": {} with mean 0 and variance {}, and for the biases {}".format(law, *variances)
    method = "moments of the distribution, for any number of inputs and units"
    return [attempt(row.name, TABLE, statement, method, lambda: _moments(row))]


def _moments(row: Initialiser) -> Steps:
    law, weights, biases = PUBLISHED[row.name]
    meaning = entrywise({"sqrt": sp.sqrt, "zeros": _no_numbers})
    sizes = (INPUTS, UNITS, GAIN)
    expected = (
        ("weights", row.draw, law, weights, (INPUTS, UNITS)),
        ("biases", row.bias, law if biases else "constant", biases, UNITS),
    )
    for what, draw, its_law, variance, shape in expected:
        drawn = read(draw, meaning)(Generator(), *sizes)
        if (drawn.law, drawn.shape) != (its_law, shape):
            raise UnprovedError(
                f"the {what} are {drawn.law} of shape {drawn.shape}, not {its_law} of {shape}"
            )
        yield compared(what, drawn.mean, 0, vanishes(drawn.mean))
        true = GAIN**2 * variance
        yield compared(what, drawn.variance, true, vanishes(drawn.variance - true))


def _orthogonal(row: Initialiser) -> Steps:
    for inputs, units in ((2, 2), (3, 2), (2, 3)):
        for signs in product((1, -1), repeat=min(inputs, units)):
            W = read(row.draw, entrywise({"linalg": _with_qr(signs)}))(_Sizes(), inputs, units, GAIN)
            if W.shape != (inputs, units):
                raise UnprovedError(f"the weights have the shape {W.shape}, not {(inputs, units)}")
            small = W.T @ W if inputs >= units else W @ W.T
            residuals = small - GAIN**2 * identity(len(small))
            for entry in residuals.flat:
                yield Step(f"{inputs} inputs, {units} units", vanishes(entry))


class _Sizes:
    """A generator, of whose numbers only the shape matters here."""

    @staticmethod
    def standard_normal(shape: Any) -> Any:
        return np.empty(shape, object)


def _with_qr(signs: tuple[int, ...]) -> Any:
    """A factorisation Q R, Q any matrix with orthonormal columns, R with the given signs."""

    return SimpleNamespace(qr=lambda tall: (_orthonormal(*tall.shape), np.diag(signs)))


def _orthonormal(rows: int, columns: int) -> Any:
    """Some columns of any rotation of two or three dimensions, each turn by the tangent of half its angle."""
    rotation = sp.eye(rows)
    for k, (i, j) in enumerate(((0, 1),) if rows == 2 else ((0, 1), (1, 2), (0, 1))):
        t = sp.Symbol(f"t_{k}", real=True)
        turn = sp.eye(rows)
        turn[i, i] = turn[j, j] = (1 - t**2) / (1 + t**2)
        turn[j, i], turn[i, j] = 2 * t / (1 + t**2), -2 * t / (1 + t**2)
        rotation = rotation * turn
    return np.array(rotation[:, :columns].tolist(), object)
