"""Epochs of `chainrule.train.fit`, the loop under the estimators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.parameters import Layout
from chainrule.problem import Batch, Objective
from chainrule.spec import Layer, Network, Training
from chainrule.state import State
from chainrule.train import fit, make_run
from steps.cells import LEARNING_RATE, Cell
from steps.clock import Clock

LOSSES = {"classification": "categorical_cross_entropy", "regression": "squared_error"}
FOREVER = 10**9


def versions() -> dict[str, str]:
    import numba
    import scipy

    return {"numpy": np.__version__, "scipy": scipy.__version__, "numba": numba.__version__}


def prepare(cell: Cell) -> Callable[[Clock], None]:
    inputs, *hidden, outputs = cell.widths
    layers = [Layer(units, cell.activation, dropout=cell.dropout) for units in hidden]
    network = Network(inputs, (*layers, Layer(outputs)), LOSSES[cell.task], cell.dtype)
    training = Training(
        cell.optimiser, LEARNING_RATE, batch_size=cell.rows_in_batch, epochs=FOREVER, patience=None
    )
    X, y = cell.data()
    Y = np.eye(outputs, dtype=cell.dtype)[y] if cell.task == "classification" else y
    objective = Objective(network)
    W, b = zip(*cell.weights(), strict=True)
    state = State.begin(Layout(network).pack(W, b), training)
    run = make_run(objective, training)

    # chainrule sums the squared errors of a row's outputs, of which the others take the mean.
    parts = outputs if cell.task == "regression" else 1

    def train(clock: Clock) -> None:
        fit(
            objective, training, Batch(X, Y), state, run=run,
            callbacks=[lambda epoch: clock.tick(epoch.loss / parts)],
        )  # fmt: skip

    return train
