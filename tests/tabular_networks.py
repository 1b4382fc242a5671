"""Networks that have every layer kind between them, with data that suit them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from conftest import targets

from chainrule.equations import LAYERS
from chainrule.equations.layers_entrywise import bins_between
from chainrule.parameters import Array, Layout
from chainrule.problem import Batch
from chainrule.spec import Layer, Network

ROWS = 6  # of the tables


def _network(inputs: int, layers: list[Layer], loss: str = "squared_error", **options: Any) -> Network:
    return Network(inputs, layers, loss, **options)


def parametric(name: str) -> Network:
    """A network with a parametric activation."""
    layers = [Layer(5), Layer(kind=f"parametric_{name}"), Layer(4), Layer(2)]
    return _network(3, layers)


NETWORKS: dict[str, Callable[[], Network]] = {
    "scale": lambda: _network(3, [Layer(kind="scale"), Layer(4, "tanh"), Layer(kind="scale"), Layer(2)]),
    "affine": lambda: _network(3, [Layer(5, "tanh"), Layer(kind="affine"), Layer(2)]),
    "ntk_dense": lambda: _network(
        3, [Layer(5, "tanh", kind="ntk_dense"), Layer(1, kind="ntk_dense")], "binary_cross_entropy"
    ),
    "periodic": lambda: _network(
        4,
        [
            Layer(kind="periodic(columns=3, frequencies=5)"),
            Layer(kind="grouped(groups=3, size=5, units=2)"),
            Layer(4, "mish"),
            Layer(2),
        ],
    ),
    "periodic_inside": lambda: _network(
        3,
        [
            Layer(4, "tanh"),
            Layer(kind="periodic(columns=3, frequencies=2)"),
            Layer(kind="grouped(groups=3, size=2, units=2)"),
            Layer(4, "mish"),
            Layer(2),
        ],
    ),
    "embedding": lambda: _network(
        4, [Layer(kind=f"embedding(columns=2, rows={ROWS}, size=3)"), Layer(4, "tanh"), Layer(2)]
    ),
    "piecewise": lambda: _network(
        4,
        [
            Layer(kind="piecewise(columns=3, bins=4)"),
            Layer(kind="grouped(groups=3, size=4, units=2)"),
            Layer(4, "tanh"),
            Layer(2),
        ],
    ),
    "piecewise_inside": lambda: _network(
        3, [Layer(4, "tanh"), Layer(kind="piecewise(columns=3, bins=4)"), Layer(2)]
    ),
    "members": lambda: _network(
        3,
        [
            Layer(kind="repeat(times=4)"),
            Layer(kind="scale"),
            Layer(20, "softsign", members=4),
            Layer(kind="affine"),
            Layer(kind="grouped(groups=4, size=5, units=3)"),
        ],
        "categorical_cross_entropy",
        members=4,
    ),
    "members_coupled": lambda: _network(
        3,
        [
            Layer(4, "tanh"),
            Layer(kind="repeat(times=2)"),
            Layer(6, "softmax", members=2),
            Layer(kind="parametric_mish"),
            Layer(2, members=2),
        ],
        "binary_cross_entropy",
        members=2,
    ),
    "all": lambda: _network(
        5,
        [
            Layer(kind=f"embedding(columns=2, rows={ROWS}, size=2)"),
            Layer(kind="periodic(columns=3, frequencies=4)"),
            Layer(kind="grouped(groups=3, size=4, units=2)"),
            Layer(kind="scale"),
            Layer(6, kind="ntk_dense"),
            Layer(kind="parametric_mish"),
            Layer(5),
            Layer(kind="parametric_selu"),
            Layer(3, kind="ntk_dense"),
        ],
        "categorical_cross_entropy",
    ),
    **{
        name: lambda name=name: parametric(name.removeprefix("parametric_"))
        for name in LAYERS
        if name.startswith("parametric_")
    },
}


def codes_of(network: Network) -> int:
    """Number of inputs, the last ones, that are rows of a table."""
    first = network.layers[0].row
    return first.sizes[0] if first.name == "embedding" else 0


def make_tabular(
    name: str,
    *,
    rows: int = 16,
    weighted: bool = False,
    soft: bool = False,
    seed: int = 0,
    dtype: str = "float64",
) -> tuple[Network, Array, Batch]:
    """A network, parameters (none of them at a special value) and a batch."""
    rng = np.random.default_rng(seed)
    made = NETWORKS[name]()
    network = Network(made.inputs, made.layers, made.loss, dtype, made.members)
    layout = Layout(network)
    theta = 0.7 * rng.standard_normal(layout.size)
    for index, layer in enumerate(network.layers):
        if layer.row.frozen:
            columns, bins = layer.row.sizes
            edges = np.sort(rng.standard_normal((columns, bins + 1)), axis=1)
            layout.fill(theta, index, bins_between(list(edges), bins))
    X = rng.standard_normal((rows, network.inputs))
    codes = codes_of(network)
    if codes:
        X[:, -codes:] = rng.integers(0, ROWS, (rows, codes))
    Y = targets(network.loss, (rows, network.outputs), rng)
    if soft:
        Y = 0.9 * Y + 0.1 / max(2, Y.shape[1])
    weights = rng.uniform(0.2, 2.0, rows) if weighted else None
    cast = (None if weights is None else weights.astype(dtype)) if weighted else None
    return network, theta.astype(dtype), Batch(X.astype(dtype), Y.astype(dtype), cast)
