"""Training as the page wants it: by the batch, by the epoch or by the clock, with a curve of figures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import reference, train
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.spec import Network, Training
from chainrule.state import Outcome
from chainrule.studio.opened import OpenedModel

SAMPLE = 1000  # so many rows of each part are judged while training
BETWEEN = 0.06  # seconds from one point of the curve to the next, at least
MOST_POINTS = 4000
SPEAKS = {
    "epochs": "All planned epochs are done.",
    "converged": "Converged: no further improvement.",
    "evaluations": "No more evaluations of the loss are allowed.",
    "stuck": "No step improves the loss any more.",
}


@dataclass(frozen=True)
class Point:
    """Figures after some training.

    Attributes
    ----------
    epoch : float
    loss, held_loss : float
        Mean loss without penalties and without dropout on a sample of the training rows and of the rows
        held out; NaN without such rows.
    metric, held_metric : float
        Accuracy for classes, R² for numbers.
    rate : float
        The learning rate.
    """

    epoch: float
    loss: float
    held_loss: float
    metric: float
    held_metric: float
    rate: float


class Trainer:
    """Drives the pieces of an opened model.

    Parameters
    ----------
    model : OpenedModel
        Just fitted, or rewound.
    """

    def __init__(self, model: OpenedModel) -> None:
        self.model = model
        self.net = model.estimator_
        self.outcome: Outcome | None = None
        self.points: list[Point] = []
        self.batches = self._batches()
        self._steps = 64
        network = self.net.network_
        self._run = train.make_run(Objective(network), Training())
        parts = model.parts_
        self._judged = [_sample(model, rows) for rows in (parts.known, parts.held_out)]
        self._last = 0.0
        self.note()

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return int(self.net.state.epochs)

    @property
    def batch(self) -> int:
        """Batches done in the epoch that is going on."""
        return max(0, int(self.net.state.t) - self.epochs * self.batches) if self.batches > 1 else 0

    @property
    def status(self) -> str:
        """Why training has ended, or nothing."""
        if self.outcome is None:
            return ""
        return SPEAKS.get(self.outcome.reason) or f"{self.outcome.detail} The last finite weights were kept."

    def step(self, steps: int | None) -> None:
        """At most so many steps of an epoch, or one iteration of a full-batch method."""
        if self.outcome is not None:
            return
        try:
            self.net.pieces.send(steps)
        except StopIteration as end:
            self.outcome = end.value

    def step_batch(self) -> None:
        """One step."""
        self.step(1)
        self.note()

    def step_epoch(self) -> None:
        """The rest of an epoch."""
        before = self.epochs
        while self.epochs == before and self.outcome is None:
            self.step(None)
        self.note()

    def run(self, seconds: float) -> None:
        """Train for about so long."""
        began = time.perf_counter()
        while self.outcome is None:
            before = time.perf_counter()
            self.step(self._steps)
            now = time.perf_counter()
            if now - began >= seconds:
                break
            if now - before < seconds / 4:
                self._steps = min(2 * self._steps, self.batches)
        if now - before > seconds:
            self._steps = max(1, self._steps // 2)
        if now - self._last >= BETWEEN or self.outcome is not None:
            self.note()

    def note(self) -> None:
        """A point of the curve."""
        network, theta = self.net.network_, self.model.theta
        (loss, metric), (held_loss, held_metric) = (
            judge(network, self._run.values(theta, batch.X), batch) if batch else (np.nan, np.nan)
            for batch in self._judged
        )
        at = self.epochs + self.batch / self.batches
        if self.points and self.points[-1].epoch == at:
            self.points.pop()
        self.points.append(Point(at, loss, held_loss, metric, held_metric, self._rate()))
        if len(self.points) > MOST_POINTS:
            del self.points[1::2]
        self._last = time.perf_counter()

    def _rate(self) -> float:
        plan = self.net._plan
        if plan.optimiser_row.full_batch:
            return float("nan")
        rates = train.scheduled(plan, self.net.state, self.batches)[0]
        return float(rates[min(self.batch, self.batches - 1)])

    def _batches(self) -> int:
        plan, rows = self.net._plan, len(self.net.data)
        return 1 if plan.optimiser_row.full_batch else -(-rows // min(plan.batch_size, rows))


def judge(network: Network, z: Array, batch: Batch) -> tuple[float, float]:
    """The mean loss of a batch, and its accuracy or R², from the last layer's values."""
    with np.errstate(all="ignore"):
        loss = float(reference.data_loss(network, z, batch.Y, batch.weights, slope=False))
        if network.loss_row.task == "regression":
            predicted = reference.predict(network, z)
            spread = float(np.square(batch.Y - batch.Y.mean(axis=0)).mean())
            return loss, 1 - float(np.square(predicted - batch.Y).mean()) / spread if spread else np.nan
    if network.loss_row.task == "binary":
        return loss, float(((z > 0) == (batch.Y > 0.5)).mean())
    return loss, float((z.argmax(axis=1) == batch.Y.argmax(axis=1)).mean())


def _sample(model: OpenedModel, rows: Any) -> Batch | None:
    """Some of the rows as the network takes them."""
    if not len(rows):
        return None
    chosen = rows[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(np.int64)]
    batch: Batch = model.estimator_.problem(model.X_[chosen], model.y_[chosen])[2]
    return batch
