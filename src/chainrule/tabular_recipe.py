"""The network for a table and how it is trained: the defaults of the estimators for tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from chainrule.parameters import Array, initial
from chainrule.problem import Batch
from chainrule.spec import Layer, Network, Training
from chainrule.tabular_encoder import Columns, Encoding

# A dense layer takes no codes: every category has columns of its own, for its most frequent levels.
ENCODING = Encoding(widest=64, most=64)


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
    sizes = options.get("hidden_layer_sizes", (256, 256, 256))
    dropout = float(options.get("dropout", 0.1))
    hidden = [Layer(int(units), "silu", dropout) for units in sizes]
    outputs = task.outputs if task.kind == "multiclass" else 1
    network = Network(columns.total, [*hidden, Layer(outputs)], LOSSES[task.kind], "float32")
    training = Training(
        optimiser="adamw(beta_2=0.95)",
        learning_rate=float(options.get("learning_rate", 0.002)),
        schedule="cosine",
        batch_size=int(options.get("batch_size", min(256, max(32, rows // 16)))),
        epochs=int(options.get("epochs", 64)),
        patience=None,
    )

    def draw(rng: np.random.Generator, batch: Batch) -> Array:
        return initial(network, rng, "he_normal")

    return Recipe(network, training, draw, patience=20)
