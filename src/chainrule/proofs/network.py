"""Proves back propagation itself: the interpreted run's passes, with every entry of a small network.

The activations, the loss and the penalty are functions of which nothing is known but their derivative, the
parameters, the data, the sample weights and the coins of dropout are symbols. So what is proved holds for
every row of the tables.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp

from chainrule import reference
from chainrule.equations import ACTIVATIONS, PENALTIES, dropout
from chainrule.equations.activations import Activation
from chainrule.equations.losses import Loss
from chainrule.equations.penalties import Penalty
from chainrule.parameters import Layout
from chainrule.proofs.entries import each, entrywise, symbols
from chainrule.proofs.proof import Proof, Steps, attempt, compared
from chainrule.proofs.readings import read
from chainrule.proofs.zero import vanishes

TABLE = "network"
METHOD = "differentiation with respect to every parameter, for any activations, loss and penalty"
ROWS, WIDTHS = 2, (2, 2, 2, 2)
RATE = sp.Symbol("p", positive=True)  # of dropout


def prove_back_propagation() -> list[Proof]:
    """Proofs about forward and backward passes."""
    claims = {
        "backward = d data_loss(forward) / d theta, weighted mean over the rows": _backward,
        "penalise: what it adds to the gradient = d of what it returns / d theta": _penalise,
    }
    found = [attempt("back_propagation", TABLE, s, METHOD, steps) for s, steps in claims.items()]
    statement = "deactivate: dZ = J^T dA, row by row, where the units are coupled"
    return [*found, attempt("back_propagation", TABLE, statement, "matrix algebra", _coupled)]


def prove_dropout() -> list[Proof]:
    """Proofs about passes with dropout."""
    claims = {
        "the expected value of a layer after dropout = its value without": _dropout_mean,
        "backward = d data_loss(forward) / d theta, with the same coins": _dropout_backward,
    }
    method = "expectation over the coins, each kept with probability 1 - p, and " + METHOD
    return [attempt("dropout", TABLE, s, method, steps) for s, steps in claims.items()]


def opaque(name: str) -> tuple[Any, Any]:
    """A function of which nothing is known but its derivative with respect to the first argument."""
    slope = sp.Function(f"{name}_slope", real=True)
    fdiff = lambda self, argindex=1: slope(*self.args)  # noqa: E731 - a method
    return type(name, (sp.Function,), {"fdiff": fdiff, "is_real": True}), slope


class Symbolic:
    """A network of symbols, a batch of data, and the passes of the interpreted run."""

    def __init__(self, rate: Any = 0) -> None:
        rows = []
        for index in range(1, len(WIDTHS)):
            f, slope = map(each, opaque(f"f{index}"))
            rows.append(Activation(f"f{index}", f=f, slope=_of_z(slope)))
        value, slope = map(each, opaque("l"))
        rates = [rate, *[0] * (len(WIDTHS) - 2)]
        network: Any = SimpleNamespace(
            inputs=WIDTHS[0],
            widths=WIDTHS,
            layers=[
                SimpleNamespace(units=units, kind="dense", dropout=rate)
                for units, rate in zip(WIDTHS[1:], rates, strict=True)
            ],
            activations=rows,
            loss_row=Loss("l", value=value, slope=slope),
        )
        self.network = network
        self.layout = Layout(self.network)
        self.theta = symbols("theta", self.layout.size)
        self.X, self.Y = symbols("x", ROWS, WIDTHS[0]), symbols("y", ROWS, WIDTHS[-1])
        self.weights = symbols("w", ROWS, positive=True)
        self.coins = symbols("k", ROWS, WIDTHS[1])
        self.meaning = entrywise(others=[(reference.coins, lambda *given: self.coins)])
        self.run = self._read(reference.forward)(self.network, self.theta, self.X, seed=0)

    def _read(self, function: Any) -> Any:
        return read(function, self.meaning)

    def loss(self) -> Any:
        """The batch's loss."""
        z = self.run.A[-1]
        return self._read(reference.data_loss)(self.network, z, self.Y, self.weights, slope=False)

    def backward(self) -> Any:
        """The gradient."""
        self._read(reference.backward)(self.network, self.theta, self.run, self.Y, self.weights)
        return self.run.gradient


def _of_z(slope: Any) -> Any:
    return lambda z, a: slope(z)


def _gradient(symbolic: Symbolic) -> Steps:
    loss, gradient = symbolic.loss(), symbolic.backward()
    rows = symbolic.network.loss_row
    total = sum(
        weight * rows.value(z, y)
        for weight, zs, ys in zip(symbolic.weights, symbolic.run.A[-1], symbolic.Y, strict=True)
        for z, y in zip(zs, ys, strict=True)
    )
    mean = total / sum(symbolic.weights)
    yield compared("the loss", loss, mean, vanishes(loss - mean))
    for block in symbolic.layout.blocks:
        for k in range(block.start, block.stop):
            true = sp.diff(loss, symbolic.theta[k])
            name = f"{block.name}[{block.layer + 1}]"
            yield compared(name, gradient[k], true, vanishes(gradient[k] - true))


def _backward() -> Steps:
    return _gradient(Symbolic())


def _dropout_backward() -> Steps:
    return _gradient(Symbolic(RATE))


def _dropout_mean() -> Steps:
    uniform = sp.Symbol("u", real=True)
    others = [(dropout.uniform, lambda key, index: uniform)]
    condition = read(dropout.kept, entrywise(others=others))(0, 0, RATE)
    if condition != (uniform >= RATE):
        raise ValueError(f"an entry is kept if {condition}, not if u >= p for a u drawn from [0, 1)")
    chance = 1 - RATE  # the length of [p, 1)
    symbolic = Symbolic(RATE)
    for k in np.ndindex(*symbolic.coins.shape):
        after, coin = symbolic.run.D[0][k], symbolic.coins[k]
        mean = chance * after.subs(coin, 1) + (1 - chance) * after.subs(coin, 0)
        true = symbolic.run.A[0][k]
        yield compared("the first layer", mean, true, vanishes(mean - true))


def _penalise() -> Steps:
    symbolic = Symbolic()
    value, slope = opaque("P")
    strength, scale = sp.symbols("lambda scale", positive=True)
    objective = SimpleNamespace(strengths={"P": strength}, layout=symbolic.layout)
    tables = {"P": Penalty("P", value=each(value), slope=each(slope))}
    penalise = read(reference.penalise, entrywise(others=[(PENALTIES, tables)]))
    gradient = np.zeros(symbolic.layout.size, object)
    total = penalise(objective, symbolic.theta, scale, gradient)
    for block in symbolic.layout.blocks:
        for k in range(block.start, block.stop):
            true = sp.diff(total, symbolic.theta[k])
            name = f"{block.name}[{block.layer + 1}]"
            yield compared(name, gradient[k], true, vanishes(gradient[k] - true))


def _coupled() -> Steps:
    row = ACTIVATIONS["softmax"]
    A, dA = symbols("a", ROWS, 3), symbols("da", ROWS, 3)
    dZ = reference.deactivate(row, A, A, dA)
    for i in range(ROWS):
        assert row.jacobian is not None
        for given, true in zip(dZ[i], row.jacobian(A[i]).T @ dA[i], strict=True):
            yield compared("softmax", given, true, vanishes(given - true))


PASSES = {"back_propagation": prove_back_propagation, "dropout": prove_dropout}
