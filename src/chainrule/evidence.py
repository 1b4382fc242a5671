"""What a diagnosis goes by: a few figures noted while a network is trained, and its history."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from chainrule import reference, snapshot
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.snapshot import Fit, Snapshot, rebuild

SAMPLE = 256  # rows of a snapshot: some milliseconds even for a wide network
LOOKED_AT = 10_000  # rows that the scale of the columns is taken from
HELD = 2_000  # rows that the fit to unseen rows is taken from


@dataclass(frozen=True)
class Scale:
    """How large the columns of a matrix are.

    Attributes
    ----------
    column : int
        The largest one, by its root mean square,
    mean, deviation : float
        and its mean and standard deviation.
    typical : float
        Median over columns of their root mean squares.
    length : float
        Root mean square of the rows' lengths.
    """

    column: int
    mean: float
    deviation: float
    typical: float
    length: float

    @property
    def size(self) -> float:
        """Root mean square of the largest column."""
        return float(np.hypot(self.mean, self.deviation))


def scale_of(X: Any) -> Scale:
    """The scale of the columns of an array or a CSR matrix of shape (n, columns)."""
    n = X.shape[0]
    if n > LOOKED_AT:
        X = X[np.linspace(0, n - 1, LOOKED_AT).astype(np.int64)]
        n = LOOKED_AT
    with np.errstate(all="ignore"):
        if hasattr(X, "toarray"):
            squares = np.asarray(X.multiply(X).sum(axis=0, dtype=np.float64)).ravel()
            column = X[:, [int(squares.argmax())]].toarray()
        else:
            squares = np.einsum("ij,ij->j", X, X, dtype=np.float64)
            column = X[:, int(squares.argmax())]
        sizes = np.sqrt(squares / n)
        column = column.astype(np.float64)
        return Scale(
            column=int(squares.argmax()),
            mean=float(column.mean()),
            deviation=float(column.std()),
            typical=float(np.median(sizes)),
            length=float(np.sqrt(squares.sum() / n)),
        )


@dataclass(frozen=True)
class Notes:
    """What is remembered of a fit, in place of its data.

    Attributes
    ----------
    inputs, targets : Scale or None
        Of the training rows; targets only of a regression.
    classes : tuple of float
        Sum of the sample weights of each class, in the order of the outputs; empty unless each row has
        one class.
    begin, end : Snapshot or None
        On a sample of the training rows, before and after training.
    held : Fit or None
        To rows that stopping went by, after training.
    moved : float or None
        How far training moved the parameters, relative to the length of the first ones.
    penalty : float
        What penalties added to the first loss.
    """

    inputs: Scale | None = None
    targets: Scale | None = None
    classes: tuple[float, ...] = ()
    begin: Snapshot | None = None
    end: Snapshot | None = None
    held: Fit | None = None
    moved: float | None = None
    penalty: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Notes:
        """The inverse of `as_dict`, also after JSON has made lists of the tuples."""
        known: dict[str, Any] = {n: None if v is None else FROM_JSON[n](v) for n, v in facts.items()}
        return cls(**known)


FROM_JSON: Mapping[str, Any] = {
    "inputs": lambda v: rebuild(Scale, v),
    "targets": lambda v: rebuild(Scale, v),
    "classes": lambda v: tuple(map(float, v)),
    "begin": Snapshot.from_dict,
    "end": Snapshot.from_dict,
    "held": lambda v: rebuild(Fit, v),
    "moved": float,
    "penalty": float,
}


def begin(objective: Objective, theta: Array, data: Batch, batch_size: int | None) -> Notes:
    """Notes at the start of training.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (parameters,)
        The first parameters.
    data : Batch
        The training rows.
    batch_size : int or None
        Rows of a training step; None if there will be no end to note, so that no pass is worth it.
    """
    task = objective.network.loss_row.task
    looked_at = snapshot.sample(data, LOOKED_AT)
    notes = Notes(
        inputs=scale_of(looked_at.X),
        targets=scale_of(looked_at.Y) if task == "regression" else None,
        classes=_class_weights(data, task),
    )
    if batch_size is None:
        return notes
    batch = snapshot.sample(data, SAMPLE)
    factor = objective.scale(snapshot.sample(data, batch_size))
    with np.errstate(all="ignore"):
        penalty = float(reference.penalise(objective, theta, factor, None))
    return replace(notes, begin=snapshot.take(objective, theta, batch), penalty=penalty)


def end(
    notes: Notes,
    objective: Objective,
    thetas: tuple[Array, Array],
    data: Batch,
    held: Batch | None,
) -> Notes:
    """Notes at the end of training.

    Parameters
    ----------
    notes : Notes
        From the start.
    objective : Objective
    thetas : tuple of two ndarrays of shape (parameters,)
        The first parameters and the last.
    data : Batch
        The training rows,
    held : Batch or None
        and those that stopping went by.
    """
    first, last = (theta.astype(np.float64) for theta in thetas)
    with np.errstate(all="ignore"):
        way, length = (float(np.sqrt(np.square(v).sum())) for v in (last - first, first))
    return replace(
        notes,
        end=snapshot.take(objective, thetas[1], snapshot.sample(data, SAMPLE)),
        held=fit_to(objective, thetas[1], held) if held is not None else None,
        moved=way / length if length else None,
    )


def fit_to(objective: Objective, theta: Array, batch: Batch) -> Fit:
    """How well a network fits some rows, or a sample of them."""
    batch = snapshot.sample(batch, HELD)
    run = snapshot.propagate(objective.network, theta, batch, targets=False)
    return snapshot.measure(objective.network, run.A[-1], batch)


def _class_weights(data: Batch, task: str) -> tuple[float, ...]:
    """The weight of each class; none for numbers, and none for several labels to a row."""
    if task == "regression" or (task == "binary" and data.Y.shape[1] > 1):
        return ()
    totals = data.sums()
    if task == "multiclass":
        return tuple(map(float, totals))
    whole = len(data) if data.weights is None else data.weights.sum(dtype=np.float64)
    return float(whole - totals[0]), float(totals[0])


@dataclass(frozen=True)
class Evidence:
    """All that symptoms are looked for in.

    Attributes
    ----------
    notes : Notes
    losses, validation : sequence of float
        Of each epoch, the training loss with penalties and the loss of rows set apart; empty if not known.
    stopped : str
        Why training ended, as `chainrule.train.Outcome` has it, or "going on".
    detail : str
        A sentence about it, where there is more to say.
    kept : int
        The epoch whose parameters were kept, from 1; 0 if those of the last were.
    learning_rate : float or None
        None if the optimiser finds its own steps.
    given : Snapshot or None
        On rows that were handed over for the diagnosis.
    columns, labels : sequence of str
        Names of the features and of the classes.
    """

    notes: Notes = field(default_factory=Notes)
    losses: Sequence[float] = ()
    validation: Sequence[float] = ()
    stopped: str = ""
    detail: str = ""
    kept: int = 0
    learning_rate: float | None = None
    given: Snapshot | None = None
    columns: Sequence[str] = ()
    labels: Sequence[str] = ()

    @property
    def last(self) -> Snapshot | None:
        """The latest look at the layers that means something: none after a divergence."""
        if self.given is not None:
            return self.given
        return self.notes.begin if self.stopped == "diverged" else self.notes.end

    @property
    def unseen(self) -> Fit | None:
        """The worst fit to rows that may not have been trained on."""
        fits = [self.given.fit if self.given is not None else None, self.notes.held]
        return max((fit for fit in fits if fit is not None), key=lambda fit: fit.loss, default=None)

    @property
    def first_loss(self) -> float | None:
        """The loss before training, with penalties, on a sample of the training rows."""
        begin = self.notes.begin
        return begin.fit.loss + self.notes.penalty if begin is not None and begin.fit is not None else None

    @property
    def baseline(self) -> float:
        """The loss that others are measured against: of predicting the mean, or else the first one."""
        begin = self.notes.begin
        known = begin.fit.baseline if begin is not None and begin.fit is not None else None
        return known or self.first_loss or math.inf
