"""One network of an estimator for tables: its rows, its training, the weights of its best epoch."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule import train
from chainrule.errors import DivergenceError
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.tabular_recipe import Recipe
from chainrule.tabular_time import Clock

REASONS = {
    "epochs": "all epochs were done",
    "stale": "the metric on the validation rows did not improve any more",
    "time": "the time limit",
    "interrupted": "an interruption",
    "diverged": "the loss was not finite any more",
}


@dataclass(frozen=True)
class Lot:
    """The rows of one network, and its seed.

    Attributes
    ----------
    training, validation : ndarray of int64
        Numbers of rows; the second ones of the table for evaluation, if there is one.
    seed : int
    """

    training: Any
    validation: Any
    seed: int


@dataclass(frozen=True)
class Held:
    """Rows to judge by.

    Attributes
    ----------
    X : ndarray of shape (n, inputs)
    measure : callable
        The metric of the network's values for these rows.
    loss : callable
        The metric as something to make small.
    """

    X: Any
    measure: Callable[[Array], float]
    loss: Callable[[float], float]


@dataclass
class Member:
    """A trained network.

    Attributes
    ----------
    theta : ndarray of shape (parameters,)
        Of the best epoch.
    facts : dict
        What there is to report: rows, epochs, best epoch, the metric there, why training ended, seconds.
    history : dict of str to list of float
        The training loss, and the metric on the validation rows.
    values : ndarray of shape (n, outputs) or None
        The network's values for its validation rows; not kept after fitting.
    """

    theta: Array
    facts: dict[str, Any]
    history: dict[str, list[float]] = field(default_factory=dict)
    values: Array | None = None


class Watcher:
    """Called after each epoch: judges it, keeps the best weights (the last of equals), and says when to end.

    Parameters
    ----------
    run : Run
    state : State
    held : Held or None
    patience : float
    clock : Clock
    stop : threading.Event
        Set from outside to end training.
    """

    def __init__(
        self,
        run: Any,
        state: train.State,
        held: Held | None,
        patience: float,
        clock: Clock,
        stop: threading.Event,
    ) -> None:
        self.run, self.state, self.held, self.patience = run, state, held, patience
        self.clock, self.stop = clock, stop
        self.best_loss, self.best_epoch, self.epochs = math.inf, 0, 0
        self.best: Array | None = None
        self.history: list[float] = []
        self.reason, self.seconds = "epochs", 0.0
        self.began = clock.spent()

    def __call__(self, epoch: train.Epoch) -> bool:
        """True, if training should end."""
        self.epochs = epoch.number
        if self.held is None:
            self._keep(epoch.number)
        else:
            value = self.held.measure(self.run.values(self.state.theta, self.held.X))
            self.history.append(value)
            loss = self.held.loss(value)
            if loss <= self.best_loss:
                self.best_loss = loss
                self._keep(epoch.number)
        self.seconds = (self.clock.spent() - self.began) / epoch.number
        self.reason = self._reason()
        return self.reason != "epochs"

    def _keep(self, number: int) -> None:
        self.best, self.best_epoch = self.state.theta.copy(), number

    def _reason(self) -> str:
        if self.stop.is_set():
            return "interrupted"
        if self.clock.left() < self.seconds:
            return "time"
        if self.epochs > 2 * self.best_epoch + self.patience:
            return "stale"
        return "epochs"


def fit_member(
    recipe: Recipe,
    batch: Batch,
    held: Held | None,
    seed: int,
    epochs: int,
    *,
    engine: train.Engine,
    clock: Clock,
    stop: threading.Event,
) -> tuple[Member, float]:
    """Train a network; also returns the seconds that an epoch took.

    Raises
    ------
    DivergenceError
        If the loss was not finite in the first epoch.
    """
    objective = Objective(recipe.network, recipe.penalties)
    training = replace(recipe.training, seed=seed, epochs=epochs)
    began = clock.spent()
    state = train.State.begin(recipe.draw(np.random.default_rng(seed), batch), training)
    run = train.make_run(objective, training, engine)
    watcher = Watcher(run, state, held, recipe.patience, clock, stop)
    outcome = train.fit(objective, training, batch, state, run=run, callbacks=[watcher])
    reason = outcome.reason if outcome.reason in ("diverged", "interrupted") else watcher.reason
    if reason == "diverged" and watcher.best is None:
        raise DivergenceError(
            f"Training did not survive its first epoch: {outcome.detail} Lower the learning_rate."
        )
    theta = state.theta if watcher.best is None else watcher.best
    facts = {
        "rows": len(batch),
        "validation_rows": 0 if held is None else len(held.X),
        "epochs": watcher.epochs,
        "best_epoch": watcher.best_epoch,
        "planned_epochs": epochs,
        "metric": watcher.history[watcher.best_epoch - 1] if watcher.history and watcher.best_epoch else None,
        "ended_by": REASONS[reason],
        "seconds": round(clock.spent() - began, 3),
    }
    history = {"loss": state.history.get("loss", []), "validation": watcher.history}
    values = None if held is None else run.values(theta, held.X)
    return Member(theta, facts, history, values), watcher.seconds
