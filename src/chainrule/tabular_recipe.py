"""The network for a table and how it is trained: the defaults of the estimators for tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from chainrule import data_start
from chainrule.parameters import Array, Layout
from chainrule.problem import Batch
from chainrule.spec import Layer, Network, Training
from chainrule.tabular_encoder import Columns, Encoding

ENCODING = Encoding(widest=8)
HIDDEN = (128, 128, 128)
BINS, FEATURES = 16, 4  # bins of each number, and what is made of them
MOST_BINNED = 128  # with more numbers they are taken as they are
EMBEDDED = 8  # numbers that stand for a category
RATES = {"regression": 0.1, "binary": 0.02, "multiclass": 0.02}
DECAY, DROPOUT = 0.02, 0.15
# Factors on learning rate and weight decay by the parameters' names: input scales, biases, and the shares of
# activations.
RATE_FACTORS = {"s": 6.0, "b": 0.1, "alpha": 0.1}
DECAY_FACTORS = {"s": 6.0, "alpha": 0.1}
BATCHES = ((1_000, 32), (3_000, 64), (8_000, 128))  # up to so many rows batches of that many, then:
BATCH = 256
LEAST_EPOCHS, LEAST_STEPS = 48, 3_000


@dataclass(frozen=True)
class Task:
    """What is to be predicted.

    Attributes
    ----------
    kind : {"binary", "multiclass", "regression"}
    outputs : int
        Classes, or 1 for a number (which has mean 0 and standard deviation 1).
    """

    kind: Literal["binary", "multiclass", "regression"]
    outputs: int


@dataclass(frozen=True)
class Recipe:
    """A network for a table and how it is trained.

    Attributes
    ----------
    network : Network
        It takes the matrix of a `TableEncoder`. Its last layer has a logit for each class, or a single one
        for two classes; or the number.
    training : Training
        Its seed is replaced by that of each member, and stopping is left to the validation rows.
    draw : callable
        ``draw(rng, batch) -> theta``: the first parameters, for these training rows.
    penalties : mapping of str to float
        Of the objective.
    patience : float
        Training ends when so many epochs, plus as many as the best one took, have passed since the best one.
    """

    network: Network
    training: Training
    draw: Callable[[np.random.Generator, Batch], Array]
    penalties: Mapping[str, float] = field(default_factory=dict)
    patience: float = float("inf")


LOSSES = {
    "binary": "binary_cross_entropy",
    "multiclass": "categorical_cross_entropy",
    "regression": "squared_error",
}


def recipe(task: Task, columns: Columns, rows: int, options: Mapping[str, Any]) -> Recipe:
    """The default network for a table.

    Parameters
    ----------
    task : Task
    columns : Columns
        What the columns of its inputs are.
    rows : int
        Training rows of a member.
    options : mapping
        What the user has set: hidden_layer_sizes, learning_rate, batch_size, epochs, dropout.
    """
    dropout = float(options.get("dropout", DROPOUT))
    layers = front(columns)
    for units in options.get("hidden_layer_sizes", HIDDEN):
        layers += [Layer(int(units), kind="ntk_dense"), Layer(kind="parametric_mish", dropout=dropout)]
    layers.append(Layer(task.outputs if task.kind == "multiclass" else 1, kind="ntk_dense"))
    network = Network(columns.total, layers, LOSSES[task.kind], "float32")
    batch_size = int(options.get("batch_size", next((b for most, b in BATCHES if rows < most), BATCH)))
    training = Training(
        optimiser=f"adamw(beta_2=0.95, weight_decay={DECAY})",
        learning_rate=float(options.get("learning_rate", RATES[task.kind])),
        schedule="log_cosine(cycles=3)",
        decay_schedule="flat_cosine",
        dropout_schedule="flat_cosine",
        rate_factors=RATE_FACTORS,
        decay_factors=DECAY_FACTORS,
        batch_size=min(batch_size, rows),
        epochs=int(options.get("epochs", max(LEAST_EPOCHS, -(-LEAST_STEPS * batch_size // rows)))),
        patience=None,
    )

    def draw(rng: np.random.Generator, batch: Batch) -> Array:
        return _draw(network, columns, rng, batch)

    return Recipe(network, training, draw, patience=20)


def front(columns: Columns) -> list[Layer]:
    """The layers between the matrix of a table and the first hidden layer."""
    layers = []
    if 0 < columns.numbers <= MOST_BINNED:
        groups = f"groups={columns.numbers}, size={BINS}, units={FEATURES}"
        layers.append(Layer(kind=f"piecewise(columns={columns.numbers}, bins={BINS})"))
        layers.append(Layer(kind=f"grouped({groups})"))
    if columns.cardinalities:
        count, rows = len(columns.cardinalities), sum(columns.cardinalities)
        layers.append(Layer(kind=f"embedding(columns={count}, rows={rows}, size={EMBEDDED})"))
    return [*layers, Layer(kind="scale")]


def _draw(network: Network, columns: Columns, rng: np.random.Generator, batch: Batch) -> Array:
    """The first parameters; what is not known of a category begins as the mean of all that is."""
    theta, layout = data_start.initial(network, rng, batch.X), Layout(network)
    first = np.cumsum([0, *columns.cardinalities])[:-1]
    for E in layout.views(theta, "E"):
        E[first] = 0
    return theta
