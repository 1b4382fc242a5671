"""What must stay the same, or change in a known way, when a problem is changed.

Each relation makes a problem and a changed one and returns what must agree: to the bit, or to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from conftest import make_network, make_problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule import compiled, reference, train
from chainrule.equations import ACTIVATIONS, LOSSES
from chainrule.parameters import Array, Layout
from chainrule.problem import Batch, Objective
from chainrule.spec import Layer, Network, Training

SMOOTH = tuple(name for name in ACTIVATIONS if name != "exponential")  # which overflows in many layers
ALL = tuple(LOSSES)
HOMOGENEOUS = ["relu", "leaky_relu", "identity"]  # f(2z) = 2 f(z)
ODD = ["tanh", "softsign", "identity"]
ROUNDING = 100  # units in the last place of the largest value, where sums are taken in another order


@dataclass(frozen=True)
class Problem:
    """A network with its parameters, and rows."""

    network: Network
    theta: Array
    batch: Batch
    seed: int

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def copies(self) -> tuple[list[Array], list[Array]]:
        """Copies of the weights and of the biases, by layer."""
        layout = Layout(self.network)
        return tuple([array.copy() for array in layout.views(self.theta, name)] for name in ("W", "b"))  # type: ignore[return-value]

    def pack(self, W: list[Array], b: list[Array]) -> Array:
        return Layout(self.network).pack(W, b)

    def with_batch(self, **changes: Any) -> Batch:
        return replace(self.batch, **changes)


Pairs = list[tuple[Any, Any]]


@dataclass(frozen=True)
class Relation:
    """A relation that holds for every problem of a strategy.

    Attributes
    ----------
    name : str
    pairs : callable
        ``pairs(problem) -> [(a, b), ...]``: what must agree.
    problems : strategy
    bitwise : bool
        Whether to the bit.
    """

    name: str
    pairs: Callable[[Problem], Pairs]
    problems: st.SearchStrategy[Problem]
    bitwise: bool


RELATIONS: dict[str, Relation] = {}


@st.composite
def problems(
    draw: Any, activations: Sequence[str] = SMOOTH, losses: Sequence[str] = ALL, weighted: bool | None = None
) -> Problem:
    """Networks of one to three hidden layers, and up to 40 rows."""
    network = make_network(
        draw(st.sampled_from(losses)),
        draw(st.sampled_from(activations)),
        inputs=draw(st.integers(1, 6)),
        hidden=tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))),
        dtype=draw(st.sampled_from(["float64", "float32"])),
    )
    seed, rows = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 40))
    with_weights = draw(st.booleans()) if weighted is None else weighted
    theta, batch = make_problem(network, rows=rows, weighted=with_weights, seed=seed)
    return Problem(network, theta, batch, seed)


def relation(name: str, *, bitwise: bool, **which: Any) -> Callable[[Any], Any]:
    """Decorator: a function of a problem becomes a relation."""

    def add(pairs: Callable[[Problem], Pairs]) -> Callable[[Problem], Pairs]:
        assert name not in RELATIONS
        RELATIONS[name] = Relation(name, pairs, problems(**which), bitwise)
        return pairs

    return add


def disagreement(relation: Relation, problem: Problem) -> str:
    """How the two sides differ; an empty text if they do not."""
    unit = float(np.finfo(problem.theta.dtype).eps)
    for a, b in (map(np.asarray, pair) for pair in relation.pairs(problem)):
        if a.dtype != b.dtype or a.shape != b.shape or not np.isfinite(a).all():
            return f"{a.dtype}{a.shape} against {b.dtype}{b.shape}"
        if relation.bitwise and not np.array_equal(a, b):
            return f"{np.count_nonzero(a != b)} of {a.size} values differ"
        difference = float(np.max(np.abs(a - b), initial=0.0))
        if difference > ROUNDING * unit * max(1.0, float(np.max(np.abs(b), initial=0.0))):
            return f"they differ by {difference:.3g}"
    return ""


def holds(relation: Relation, examples: int) -> str:
    """Whether a relation holds on so many examples; else how the simplest counterexample differs."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(relation.problems)
    def run(problem: Problem) -> None:
        found = disagreement(relation, problem)
        assert not found, found

    try:
        run()
    except AssertionError as error:
        return str(error)
    return ""


# ---------------------------------------------------------------- what a network does


def run_of(network: Network, **options: Any) -> Any:
    return compiled.Run(Objective(network, **options))


def predicted(network: Network, theta: Array, X: Array) -> Array:
    return run_of(network).predict(theta, np.ascontiguousarray(X))  # type: ignore[no-any-return]


def loss_and_gradient(network: Network, theta: Array, batch: Batch, **options: Any) -> tuple[float, Array]:
    return run_of(network, **options).loss_and_gradient(theta, batch)  # type: ignore[no-any-return]


def trained(p: Problem, network: Network | None = None, batch: Batch | None = None, **plan: Any) -> Array:
    """The parameters after some epochs."""
    network = network or p.network
    training = Training(**{"epochs": 3, "batch_size": 7, "learning_rate": 0.01, "patience": None, **plan})
    theta = p.theta.copy()
    state = train.State.begin(theta, training)
    train.fit(Objective(network, {"l2": 1e-3}), training, batch or p.batch, state)
    return state.theta


def as_before(p: Problem, batch: Batch, theta: Array | None = None) -> Pairs:
    """The same loss and the same gradient."""
    found = loss_and_gradient(p.network, p.theta if theta is None else theta, batch)
    return [*zip(found, loss_and_gradient(p.network, p.theta, p.batch), strict=True)]


def both(p: Problem, theta: Array, batch: Batch | None = None, network: Network | None = None) -> Pairs:
    """The same predictions and the same loss."""
    network, batch = network or p.network, batch or p.batch
    before, after = (
        loss_and_gradient(n, t, b)[0] for n, t, b in ((p.network, p.theta, p.batch), (network, theta, batch))
    )
    return [
        (predicted(network, theta, batch.X), predicted(p.network, p.theta, p.batch.X)),
        (after, before),
    ]


# ---------------------------------------------------------------- to the bit: scales and signs


def power(p: Problem) -> Any:
    return p.theta.dtype.type(2.0 ** int(p.rng.integers(-6, 7)))


@relation("inputs times 2^k, first weights times 2^-k", bitwise=True)
def _(p):
    W, b = p.copies()
    k = power(p)
    W[0] /= k
    return both(p, p.pack(W, b), p.with_batch(X=p.batch.X * k))


@relation("one input times 2^k, its weights times 2^-k", bitwise=True)
def _(p):
    W, b = p.copies()
    X, k, j = p.batch.X.copy(), power(p), int(p.rng.integers(p.network.inputs))
    X[:, j] *= k
    W[0][j] /= k
    return both(p, p.pack(W, b), p.with_batch(X=X))


@relation("an input and its weights with the other sign", bitwise=True)
def _(p):
    W, b = p.copies()
    X, j = p.batch.X.copy(), int(p.rng.integers(p.network.inputs))
    X[:, j] *= -1
    W[0][j] *= -1
    return both(p, p.pack(W, b), p.with_batch(X=X))


@relation("a homogeneous unit times 2^k, its weights times 2^-k", bitwise=True, activations=HOMOGENEOUS)
def _(p):
    W, b = p.copies()
    k, j = power(p), int(p.rng.integers(p.network.layers[0].units))
    W[0][:, j] *= k
    b[0][j] *= k
    W[1][j] /= k
    return both(p, p.pack(W, b))


@relation("an odd unit with the other sign, and its outgoing weights", bitwise=True, activations=ODD)
def _(p):
    W, b = p.copies()
    j = int(p.rng.integers(p.network.layers[0].units))
    W[0][:, j] *= -1
    b[0][j] *= -1
    W[1][j] *= -1
    return both(p, p.pack(W, b))


@relation("targets and the last layer times 2^k", bitwise=True, losses=["squared_error", "absolute_error"])
def _(p):
    W, b = p.copies()
    k = power(p)
    W[-1] *= k
    b[-1] *= k
    theta, batch = p.pack(W, b), p.with_batch(Y=p.batch.Y * k)
    factor = float(k if p.network.loss == "absolute_error" else k * k)
    return [
        (predicted(p.network, theta, batch.X), predicted(p.network, p.theta, batch.X) * k),
        (
            loss_and_gradient(p.network, theta, batch)[0],
            loss_and_gradient(p.network, p.theta, p.batch)[0] * factor,
        ),
    ]


@relation("all sample weights times 2^k", bitwise=True, weighted=True)
def _(p):
    batch = p.with_batch(weights=p.batch.weights * power(p))
    return as_before(p, batch)


@relation("sample weights of 1", bitwise=True, weighted=False)
def _(p):
    batch = p.with_batch(weights=np.ones(len(p.batch), p.theta.dtype))
    return as_before(p, batch)


# ---------------------------------------------------------------- to the bit: names for the same thing


def renamed(p: Problem, name: str) -> Network:
    """The network with another activation in its hidden layers."""
    hidden = [replace(layer, activation=name) for layer in p.network.layers[:-1]]
    return replace(p.network, layers=[*hidden, p.network.layers[-1]])


def same_training(p: Problem, network: Network) -> Pairs:
    return [*both(p, p.theta, network=network), (trained(p, network), trained(p))]


@relation("leaky ReLU of slope 0 is ReLU", bitwise=True, activations=["relu"])
def _(p):
    return same_training(p, renamed(p, "leaky_relu(alpha=0)"))


@relation("leaky ReLU of slope 1 is the identity", bitwise=True, activations=["identity"])
def _(p):
    return same_training(p, renamed(p, "leaky_relu(alpha=1)"))


@relation("the median is half the absolute error", bitwise=True, losses=["absolute_error"])
def _(p):
    median = replace(p.network, loss="quantile(q=0.5)")
    a, b = (loss_and_gradient(network, p.theta, p.batch) for network in (median, p.network))
    return [(a[0], b[0] / 2), (a[1], b[1] / 2)]


@relation("dropout that hits no unit is none", bitwise=True)
def _(p):
    layers = [*(replace(layer, dropout=1e-300) for layer in p.network.layers[:-1]), p.network.layers[-1]]
    return same_training(p, replace(p.network, layers=layers))


@relation("momentum 0 is gradient descent", bitwise=True)
def _(p):
    return [(trained(p, optimiser="momentum(momentum=0)"), trained(p, optimiser="gradient_descent"))]


@relation("AdamW without decay is Adam", bitwise=True)
def _(p):
    return [(trained(p, optimiser="adamw(weight_decay=0)"), trained(p, optimiser="adam"))]


@relation("a batch larger than the table is the table", bitwise=True)
def _(p):
    return [(trained(p, batch_size=10_000), trained(p, batch_size=len(p.batch)))]


@relation("the same seed gives the same parameters", bitwise=True)
def _(p):
    return [(trained(p), trained(p))]


@relation("rows in the order in which they would be shuffled", bitwise=True)
def _(p):
    """One epoch in file order over shuffled rows is one shuffled epoch."""
    order = train.shuffled(len(p.batch), 0)()
    return [
        (trained(p, batch=p.batch.take(order), epochs=1, shuffle=False), trained(p, epochs=1, shuffle=True)),
    ]


# ---------------------------------------------------------------- to rounding: order and division


@relation("rows in another order", bitwise=False)
def _(p):
    order = p.rng.permutation(len(p.batch))
    X = p.batch.X
    return [
        (predicted(p.network, p.theta, X[order]), predicted(p.network, p.theta, X)[order]),
        *as_before(p, p.batch.take(order)),
    ]


@relation("hidden units in another order", bitwise=False)
def _(p):
    W, b = p.copies()
    order = p.rng.permutation(p.network.layers[0].units)
    W[0], b[0], W[1] = W[0][:, order], b[0][order], W[1][order]
    return both(p, p.pack(W, b))


@relation("inputs in another order", bitwise=False)
def _(p):
    W, b = p.copies()
    order = p.rng.permutation(p.network.inputs)
    W[0] = W[0][order]
    return both(p, p.pack(W, b), p.with_batch(X=np.ascontiguousarray(p.batch.X[:, order])))


@relation("a weight of 2 is the row twice", bitwise=False, weighted=False)
def _(p):
    row = int(p.rng.integers(len(p.batch)))
    weights = np.ones(len(p.batch), p.theta.dtype)
    weights[row] = 2
    twice = p.batch.take(np.append(np.arange(len(p.batch)), row))
    found = loss_and_gradient(p.network, p.theta, p.with_batch(weights=weights))
    return [*zip(found, loss_and_gradient(p.network, p.theta, twice), strict=True)]


@relation("a weight of 0 is the row left out", bitwise=False, weighted=True)
def _(p):
    extra = p.batch.take([0])
    batch = Batch(
        np.concatenate([p.batch.X, extra.X]),
        np.concatenate([p.batch.Y, extra.Y]),
        np.append(p.batch.weights, 0 * extra.weights),
    )
    return as_before(p, batch)


@relation("the table twice", bitwise=False)
def _(p):
    twice = p.batch.take(np.tile(np.arange(len(p.batch)), 2))
    return as_before(p, twice)


@relation("a table is the mean of its parts", bitwise=False, weighted=False)
def _(p):
    cut = int(p.rng.integers(len(p.batch) + 1))
    parts = [part for part in (np.arange(cut), np.arange(cut, len(p.batch))) if len(part)]
    found = [loss_and_gradient(p.network, p.theta, p.batch.take(part)) for part in parts]
    shares = [len(part) / len(p.batch) for part in parts]
    mean = sum(s * value for s, (value, _) in zip(shares, found, strict=True))
    slope = sum(p.theta.dtype.type(s) * g for s, (_, g) in zip(shares, found, strict=True))
    value, gradient = loss_and_gradient(p.network, p.theta, p.batch)
    return [(mean, value), (slope, gradient)]


@relation(
    "softmax of two is the sigmoid of the difference", bitwise=False, losses=["categorical_cross_entropy"]
)
def _(p):
    network = make_network("categorical_cross_entropy", "tanh", hidden=(4,), outputs=2)
    theta, batch = make_problem(network, rows=9, seed=p.seed)
    single = replace(network, layers=[network.layers[0], Layer(1)], loss="binary_cross_entropy")
    W, b = Problem(network, theta, batch, p.seed).copies()
    W[1], b[1] = W[1][:, 1:] - W[1][:, :1], b[1][1:] - b[1][:1]
    one = Layout(single).pack(W, b)
    half = Batch(batch.X, np.ascontiguousarray(batch.Y[:, 1:]))
    return [
        (predicted(single, one, batch.X)[:, 0], predicted(network, theta, batch.X)[:, 1]),
        (loss_and_gradient(single, one, half)[0], loss_and_gradient(network, theta, batch)[0]),
    ]


@relation("all logits of a softmax plus a number", bitwise=False, losses=["categorical_cross_entropy"])
def _(p):
    W, b = p.copies()
    b[-1] += p.theta.dtype.type(p.rng.normal())
    return both(p, p.pack(W, b))


@relation("a unit that nothing listens to", bitwise=False, activations=["tanh", "relu"])
def _(p):
    first = p.network.layers[0]
    network = replace(p.network, layers=[replace(first, units=first.units + 1), *p.network.layers[1:]])
    W, b = p.copies()
    W[0] = np.column_stack([W[0], p.rng.normal(size=len(W[0])).astype(W[0].dtype)])
    b[0], W[1] = np.append(b[0], b[0].dtype.type(1)), np.vstack([W[1], np.zeros_like(W[1][:1])])
    return both(p, Layout(network).pack(W, b), network=network)


@relation("an input of 1 is a bias", bitwise=False)
def _(p):
    W, b = p.copies()
    network = replace(p.network, inputs=p.network.inputs + 1)
    W[0], b[0] = np.vstack([W[0], b[0]]), np.zeros_like(b[0])
    X = np.column_stack([p.batch.X, np.ones(len(p.batch), p.batch.X.dtype)])
    return both(p, Layout(network).pack(W, b), p.with_batch(X=X), network)


@relation("targets and last biases plus a number", bitwise=False, losses=["squared_error", "huber"])
def _(p):
    W, b = p.copies()
    shift = p.theta.dtype.type(p.rng.normal())
    b[-1] += shift
    return as_before(p, p.with_batch(Y=p.batch.Y + shift), p.pack(W, b))


@relation("the penalty adds its slope", bitwise=False)
def _(p):
    plain, penalised = (
        loss_and_gradient(p.network, p.theta, p.batch, strengths=strengths) for strengths in ({}, {"l2": 0.5})
    )
    W, b = p.copies()
    slope = p.pack([0.5 * w for w in W], [0 * v for v in b])
    square = 0.25 * sum(float(np.sum(np.square(w, dtype=np.float64))) for w in W)
    return [(penalised[0], plain[0] + square), (penalised[1], plain[1] + slope)]


@relation("the interpreted run", bitwise=False)
def _(p):
    other = reference.Run(Objective(p.network))
    return [
        (predicted(p.network, p.theta, p.batch.X), other.predict(p.theta, p.batch.X)),
        *zip(
            loss_and_gradient(p.network, p.theta, p.batch),
            other.loss_and_gradient(p.theta, p.batch),
            strict=True,
        ),
    ]
