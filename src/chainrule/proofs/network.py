"""Proves back propagation itself: the interpreted run's passes, with every entry of a small network.

The activations, the loss and the penalty are functions of which nothing is known but their derivative, the
parameters, the data, the sample weights and the coins of dropout are symbols. So what is proved holds for
every row of the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp

from chainrule import reference
from chainrule.equations import ACTIVATIONS, PENALTIES, dropout
from chainrule.equations.activations import Activation
from chainrule.equations.layers_entrywise import parametric
from chainrule.equations.losses import Loss
from chainrule.equations.penalties import Penalty
from chainrule.parameters import Layout
from chainrule.proofs.entries import each, entrywise, opaque, symbols
from chainrule.proofs.proof import Proof, Steps, attempt, compared
from chainrule.proofs.readings import read
from chainrule.proofs.zero import vanishes
from chainrule.spec import Layer, Network

TABLE = "network"
METHOD = "differentiation with respect to every parameter, for any activations, loss and penalty"
ROWS, INPUTS = 2, 2
PLAIN = (Layer(2, "tanh"), Layer(2, "tanh"), Layer(2, "tanh"))
ENSEMBLE = (
    Layer(kind="repeat(times=2)"),
    Layer(kind="scale"),
    Layer(4, "tanh", members=2),
    Layer(kind="affine"),
    Layer(kind="grouped(groups=2, size=2, units=1)"),
)
TABULAR = (
    Layer(kind="embedding(columns=1, rows=2, size=2)"),
    Layer(kind="periodic(columns=1, frequencies=2)"),
    Layer(kind="grouped(groups=1, size=2, units=1)"),
    Layer(kind="scale"),
    Layer(1, kind="ntk_dense"),
    Layer(kind="parametric_tanh"),
    Layer(1),
)
RATE = sp.Symbol("p", positive=True)  # of dropout


def prove_back_propagation() -> list[Proof]:
    """Proofs about forward and backward passes."""
    claims = {
        "backward = d data_loss(forward) / d theta, weighted mean over the rows": _backward,
        "backward = d data_loss(forward) / d theta, of members that share a layer": _members_backward,
        "backward = d data_loss(forward) / d theta, of tables, waves, factors and mixtures": _tables_backward,
        "predict = the mean of the members' predictions": _members_mean,
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


class Symbolic:
    """A network of symbols, a batch of data, and the passes of the interpreted run.

    Parameters
    ----------
    layers : sequence of Layer
        Their activations stand for functions of which nothing is known.
    inputs : int
    members : int
        Of the network.
    rate : sympy.Expr
        Of dropout, in the first layer.
    codes : int
        Number of inputs, the last ones, that are rows of a table.
    """

    def __init__(
        self,
        layers: Sequence[Layer] = PLAIN,
        inputs: int = INPUTS,
        members: int = 1,
        rate: Any = 0,
        codes: int = 0,
    ) -> None:
        # Under the name of one that is not the identity, any function may stand for the activation.
        real = Network(inputs, layers, members=members)
        value, slope = map(each, opaque("l"))
        rates = [rate, *[0] * (len(layers) - 1)]
        network: Any = SimpleNamespace(
            inputs=inputs,
            outputs=real.outputs,
            members=members,
            widths=real.widths,
            parameters=real.parameters,
            layers=[_symbolic(layer, rate) for layer, rate in zip(real.layers, rates, strict=True)],
            activations=[_any(index, layer) for index, layer in enumerate(real.layers, 1)],
            loss_row=Loss("l", value=value, slope=slope),
        )
        self.network = network
        self.layout = Layout(self.network)
        self.theta = symbols("theta", self.layout.size)
        self.X, self.Y = symbols("x", ROWS, inputs), symbols("y", ROWS, real.outputs)
        if codes:
            self.X[:, inputs - codes :] = np.resize(np.array([1, 0, 1, 1], object), (ROWS, codes))
        self.weights = symbols("w", ROWS, positive=True)
        self.coins = symbols("k", ROWS, real.widths[1])
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


def _symbolic(layer: Layer, rate: Any) -> Any:
    """A layer whose equations take symbols."""
    row = layer.row
    if row.activation is not None:
        f, slope = map(each, opaque(f"g_{row.activation.name}"))
        row = parametric(replace(row.activation, f=f, slope=_of_z(slope), parameters={}))
    if row.entry is None:
        forward, backward = (read(function, entrywise()) for function in (row.forward, row.backward))
        row = replace(row, forward=forward, backward=backward)
    else:
        assert row.slopes is not None
        row = replace(row, entry=read(row.entry, entrywise()), slopes=read(row.slopes, entrywise()))
    facts = {"units": layer.units, "kind": layer.kind, "members": layer.members}
    return SimpleNamespace(**facts, dropout=rate, row=row, shapes=layer.shapes)


def _any(index: int, layer: Layer) -> Activation:
    if layer.activation == "identity":
        return ACTIVATIONS["identity"]
    f, slope = map(each, opaque(f"f{index}"))
    return Activation(f"f{index}", f=f, slope=_of_z(slope))


def _of_z(slope: Any) -> Any:
    return lambda z, a: slope(z)


def _gradient(symbolic: Symbolic) -> Steps:
    loss, gradient = symbolic.loss(), symbolic.backward()
    network = symbolic.network
    members = range(network.members)
    total = sum(
        weight * network.loss_row.value(zs[member * network.outputs + k], y)
        for weight, zs, ys in zip(symbolic.weights, symbolic.run.A[-1], symbolic.Y, strict=True)
        for member in members
        for k, y in enumerate(ys)
    )
    mean = total / sum(symbolic.weights) / len(members)
    yield compared("the loss", loss, mean, vanishes(loss - mean))
    for block in symbolic.layout.blocks:
        for k in range(block.start, block.stop):
            true = sp.diff(loss, symbolic.theta[k])
            name = f"{block.name}[{block.layer + 1}]"
            yield compared(name, gradient[k], true, vanishes(gradient[k] - true))


def _backward() -> Steps:
    return _gradient(Symbolic())


def _members_backward() -> Steps:
    return _gradient(Symbolic(ENSEMBLE, inputs=2, members=2))


def _tables_backward() -> Steps:
    return _gradient(Symbolic(TABULAR, inputs=2, codes=1))


def _members_mean() -> Steps:
    """A prediction is the mean of the members' predictions."""
    symbolic = Symbolic(ENSEMBLE, inputs=2, members=2)
    link = sp.Function("link", real=True)
    rows = {"l": Activation("l", f=each(link), slope=_of_z(link))}
    predict = read(reference.predict, entrywise(others=[(ACTIVATIONS, rows)]))
    network = SimpleNamespace(**{**vars(symbolic.network), "loss_row": SimpleNamespace(link="l")})
    z = symbols("z", ROWS, 2 * symbolic.network.outputs)
    for (i, k), given in np.ndenumerate(predict(network, z)):
        true = (link(z[i, k]) + link(z[i, symbolic.network.outputs + k])) / 2
        yield compared("the prediction", given, true, vanishes(given - true))


def _dropout_backward() -> Steps:
    return _gradient(Symbolic(rate=RATE))


def _dropout_mean() -> Steps:
    uniform = sp.Symbol("u", real=True)
    others = [(dropout.uniform, lambda key, index: uniform)]
    condition = read(dropout.kept, entrywise(others=others))(0, 0, RATE)
    if condition != (uniform >= RATE):
        raise ValueError(f"an entry is kept if {condition}, not if u >= p for a u drawn from [0, 1)")
    chance = 1 - RATE  # the length of [p, 1)
    symbolic = Symbolic(rate=RATE)
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


def prove_clipping() -> list[Proof]:
    """Proofs about the length of the gradient."""
    statement = "shortened(g) = min(1, most / |g|) g, and g itself without a limit"
    return [attempt("clipping", TABLE, statement, "matrix algebra, in several directions", _shortened)]


DIRECTIONS = ((1,), (sp.Rational(3, 5), sp.Rational(-4, 5)), (sp.Rational(2, 3),) * 2 + (sp.Rational(1, 3),))


def _shortened() -> Steps:
    shortened = read(reference.shortened, entrywise({"sqrt": lambda x: sp.sqrt(sp.factor(x))}))
    most, more = sp.symbols("most more", positive=True)
    for direction in DIRECTIONS:
        unit = np.array(direction, object)
        for what, length, limit, new in (
            ("a longer one", most + more, most, most),
            ("a shorter one", most, most + more, most),
            ("one just as long", most, most, most),
            ("no limit", most, sp.Integer(0), most),
        ):
            for given, true in zip(shortened(length * unit, limit), new * unit, strict=True):
                yield compared(what, given, true, vanishes(given - true))


PASSES = {
    "back_propagation": prove_back_propagation,
    "dropout": prove_dropout,
    "clipping": prove_clipping,
}
