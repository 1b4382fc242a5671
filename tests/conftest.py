"""What tests share."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import compiled, team
from chainrule.equations import LOSSES
from chainrule.parameters import initial
from chainrule.problem import Batch
from chainrule.spec import Layer, Network


def targets(loss: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Targets that a loss accepts."""
    kind = LOSSES.find(loss).targets
    if kind == "simplex":
        return np.eye(shape[1])[rng.integers(0, shape[1], shape[0])]
    if kind == "unit":
        return rng.integers(0, 2, shape).astype(float)
    if kind == "nonnegative":
        return rng.poisson(2.0, shape).astype(float)
    return rng.normal(size=shape)


def make_network(
    loss: str,
    activation: str | list[str] = "tanh",
    *,
    inputs: int = 4,
    hidden: tuple[int, ...] = (5,),
    outputs: int | None = None,
    dtype: str = "float64",
    dropout: float = 0.0,
) -> Network:
    """A small network for a loss."""
    outputs = outputs or (3 if LOSSES.find(loss).targets == "simplex" else 2)
    names = [activation] * len(hidden) if isinstance(activation, str) else activation
    layers = [Layer(units, name, dropout) for units, name in zip(hidden, names, strict=True)]
    return Network(inputs, [*layers, Layer(outputs)], loss, dtype)


def make_problem(network: Network, *, rows: int = 16, weighted: bool = False, seed: int = 0):
    """Parameters (biases too are not zero) and a batch for a network."""
    rng = np.random.default_rng(seed)
    theta = initial(network, rng, "scikit_learn")
    X = rng.normal(size=(rows, network.inputs)).astype(network.dtype)
    Y = targets(network.loss, (rows, network.outputs), rng).astype(network.dtype)
    weights = rng.uniform(0.2, 2.0, rows).astype(network.dtype) if weighted else None
    return theta, Batch(X, Y, weights)


def rates(rate: float, steps: int) -> np.ndarray:
    """What is scheduled for each of so many steps: this learning rate, decay and dropout as they are."""
    scheduled = np.ones((3, steps))
    scheduled[0] = rate
    return scheduled


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(0)


@pytest.fixture
def threads(monkeypatch):
    """Sets how many threads take part, whatever the work and the machine."""

    def allow(count):
        monkeypatch.setattr(compiled, "MEMBER", 1)
        monkeypatch.setattr(compiled, "CALL", 1)
        monkeypatch.setattr(team, "processors", lambda: count)
        monkeypatch.setattr(team.QUIET, "threads", lambda: count)
        monkeypatch.setattr(team.CREW, "pool", None)

    return allow
