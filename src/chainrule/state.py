"""What training watches, remembers, tells its callbacks, and how it ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.parameters import Array
from chainrule.second_order import Iterate
from chainrule.spec import Training


@dataclass(frozen=True)
class Monitor:
    """A figure that is watched while training.

    Attributes
    ----------
    name : str
        As it appears in the history.
    measure : callable
        ``measure(predict) -> float``, where ``predict(X)`` gives the present network's predictions.
    higher_is_better : bool
    """

    name: str
    measure: Callable[[Callable[[Any], Array]], float]
    higher_is_better: bool = True


@dataclass(frozen=True)
class Epoch:
    """What a callback is told after an epoch (or an iteration of a full-batch method).

    Attributes
    ----------
    number, epochs : int
        This epoch, from 1, and how many are planned.
    loss : float
        Mean training loss over the epoch's batches, with penalties.
    validation : float or None
        The figure that stopping goes by, where it is not the training loss.
    metrics : dict of str to float
        All watched figures.
    learning_rate : float
        Of the epoch's last step.
    seconds : float
        Since `fit` began.
    theta : ndarray of shape (parameters,)
        The parameters; a read-only view.
    """

    number: int
    epochs: int
    loss: float
    validation: float | None
    metrics: dict[str, float]
    learning_rate: float
    seconds: float
    theta: Array


Callback = Callable[[Epoch], Any]


@dataclass
class State:
    """What training remembers from one call to the next.

    Attributes
    ----------
    theta : ndarray of shape (parameters,)
    slots : ndarray of shape (slots, parameters)
        The optimiser's memory.
    t : int
        Optimiser steps done.
    samples : int
        Rows seen in finished epochs.
    epochs : int
        Epochs finished.
    plateau : float
        What the plateau schedule has multiplied the learning rate by.
    history : dict of str to list of float
        "loss" and each watched figure, an entry an epoch.
    best_value : float
        The lowest monitored value so far (negated, where higher is better).
    best_theta : ndarray or None
        The parameters at the best value, where stopping goes by a monitor.
    stale : int
        Epochs in a row without enough improvement.
    """

    theta: Array
    slots: Array
    t: int = 0
    samples: int = 0
    epochs: int = 0
    plateau: float = 1.0
    history: dict[str, list[float]] = field(default_factory=dict)
    best_value: float = math.inf
    best_theta: Array | None = None
    stale: int = 0

    @classmethod
    def begin(cls, theta: Array, training: Training) -> State:
        """The state before the first step."""
        state = cls(theta, np.empty((0, theta.size), theta.dtype))
        state.restart_optimiser(training)
        return state

    def restart_optimiser(self, training: Training) -> None:
        """Forget the optimiser's memory and the schedule's drops, but not the parameters."""
        rows = len(training.optimiser_row.slots)
        self.slots = np.zeros((rows, self.theta.size), self.theta.dtype)
        self.t, self.plateau = 0, 1.0


@dataclass
class Position:
    """How far a call of `fit` has come: with the `State`, all that is needed to go on with the same bits.

    Attributes
    ----------
    safe : ndarray of shape (parameters,)
        The parameters that a divergence leads back to.
    done : int
        Epochs finished in this call.
    step : int
        Steps done in the epoch after those.
    losses : ndarray of float64, shape (step,)
        The loss of each of these steps.
    order : ndarray of int64, shape (rows,), or None
        The rows in the order of the latest epoch; None before the first.
    iterate : Iterate or None
        Where a full-batch method stands; None before its first iteration.
    """

    safe: Array
    done: int = 0
    step: int = 0
    losses: Any = field(default_factory=lambda: np.empty(0))
    order: Any = None
    iterate: Iterate | None = None


Rest = Callable[[Position], Any]


@dataclass(frozen=True)
class Outcome:
    """How training ended.

    Attributes
    ----------
    reason : str
        "epochs" (all planned ones are done), "converged" (no improvement for too long, or a full-batch
        method is at a minimum), "callback", "interrupted", "diverged", "evaluations" or "stuck".
    detail : str
        A sentence about it, where there is more to say.
    epochs : int
        Epochs done in this call.
    evaluations : int
        Evaluations of the objective, for a full-batch method.
    """

    reason: str
    detail: str = ""
    epochs: int = 0
    evaluations: int = 0
