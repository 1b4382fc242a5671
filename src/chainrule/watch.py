"""A callback that looks into the layers while a network is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule import evidence, snapshot
from chainrule.diagnose import Diagnosis, Finding, diagnose
from chainrule.errors import OptionError
from chainrule.evidence import Evidence, Notes
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.snapshot import Snapshot
from chainrule.spec import Network, Training
from chainrule.state import Epoch, State

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


@dataclass(frozen=True)
class Record:
    """The layers after an epoch, on the watched rows.

    Attributes
    ----------
    epoch : int
        0 is before training.
    snapshot : Snapshot
        Dead and saturated units, sizes, gradients, and the loss.
    values : ndarray of shape (layers, 7)
        Of each layer, the QUANTILES of its values after the activation.
    gradients : ndarray of shape (layers, 7)
        Of each layer, the QUANTILES of the size of the loss's derivatives with respect to its
        parameters.
    """

    epoch: int
    snapshot: Snapshot
    values: npt.NDArray[np.float64]
    gradients: npt.NDArray[np.float64]


class Watch:
    """Records the distributions of values and gradients in each layer while a network is trained.

    It is handed to an estimator or a `TableModel` as a callback. It keeps a sample of the training rows.

    Parameters
    ----------
    every : int
        Epochs from one look to the next, at least 1.
    rows : int
        How many of the training rows are looked at, at least 1.
    tell : callable, optional
        Called with each `Finding` as soon as it is made, once for a symptom: ``tell=print``.

    Attributes
    ----------
    records : list of Record
        The first is of the network before training.
    network : Network or None
        What was watched.
    findings : list of Finding
        What was found while training.

    Raises
    ------
    OptionError
        If a parameter is not what it may be.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from chainrule import MLPClassifier, Watch
    >>> watch = Watch(every=10)
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8,), max_iter=2000, callbacks=[watch], random_state=0).fit(X, y)
    >>> [record.epoch for record in watch.records[:4]]
    [0, 10, 20, 30]
    >>> watch.diagnose().healthy
    True
    """

    def __init__(self, every: int = 1, rows: int = 256, tell: Callable[[Finding], Any] | None = None) -> None:
        counts: dict[str, Any] = {"every": every, "rows": rows}
        for name, value in counts.items():
            if not isinstance(value, int) or value < 1:
                raise OptionError(f"{name} must be a whole number of at least 1, not {value!r}.")
        self.every = every
        self.rows = rows
        self.tell = tell
        self.network: Network | None = None
        self.records: list[Record] = []
        self.findings: list[Finding] = []
        self._losses: list[float] = []

    def begin(self, objective: Objective, training: Training, batch: Batch, state: State) -> None:
        """Take a sample of the rows; look at the network, unless its training is only gone on with."""
        if state.epochs == 0 or self.network != objective.network:
            self.records, self.findings, self._losses = [], [], []
            self.network = objective.network
        self._objective, self._before = objective, state.epochs
        self._sample = snapshot.sample(batch, self.rows)
        full = training.optimiser_row.full_batch
        self._rate = None if full else training.learning_rate
        size = len(batch) if full else training.batch_size
        self._notes = evidence.begin(objective, state.theta, batch, size)
        if not self.records:
            self._look(state.epochs, state.theta)

    def __call__(self, epoch: Epoch) -> None:
        """Look at the network after an epoch."""
        self._losses.append(epoch.loss)
        if epoch.number % self.every == 0:
            self._look(self._before + epoch.number, epoch.theta)
            self._report()

    def diagnose(self) -> Diagnosis:
        """The diagnosis up to the latest record.

        Raises
        ------
        OptionError
            If nothing has been watched yet.
        """
        if not self.records:
            raise OptionError(
                "This Watch has seen no training yet: give it to a model as a callback and fit."
            )
        notes: Notes = replace(self._notes, end=self.records[-1].snapshot)
        return diagnose(
            Evidence(notes=notes, losses=self._losses, stopped="going on", learning_rate=self._rate)
        )

    def _look(self, epoch: int, theta: Array) -> None:
        objective, batch = self._objective, self._sample
        network, layout = objective.network, objective.layout
        run = snapshot.propagate(network, theta, batch)
        gradients = [np.abs(run.gradient[layout.layer_slice(index)]) for index in range(len(run.A))]
        taken = snapshot.figures(network, run, batch)
        self.records.append(Record(epoch, taken, _quantiles(run.A), _quantiles(gradients)))

    def _report(self) -> None:
        known = {finding.name for finding in self.findings}
        for finding in self.diagnose():
            if finding.name not in known:
                self.findings.append(finding)
                if self.tell is not None:
                    self.tell(finding)


def _quantiles(arrays: list[Array]) -> npt.NDArray[np.float64]:
    """Quantiles of each array's entries, of shape (arrays, 7)."""
    with np.errstate(invalid="ignore"):  # after a divergence values may be infinite
        return np.array([np.quantile(array.astype(np.float64), QUANTILES) for array in arrays])
