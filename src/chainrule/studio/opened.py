"""A `TableModel` whose training is handed out in pieces, to be looked at between two of them."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from chainrule import targets, train
from chainrule.column_values import as_frame
from chainrule.columns import require
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.state import Outcome, State
from chainrule.table_model import TableModel


class Opened:
    """The part of an estimator whose `fit` gets everything ready and leaves training to others.

    Attributes
    ----------
    pieces : generator
        See `chainrule.train.stretches`.
    objective : Objective
    data : Batch
        The training rows.
    state : State
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    pieces: train.Pieces
    objective: Objective
    data: Batch
    state: State

    def _train(
        self, training: Any, data: Batch, held: Any, state: State, keeper: Any, *, incremental: bool
    ) -> Outcome:
        order = np.arange(len(data))

        def next_order() -> Any:
            nonlocal order
            order = self._shuffled(order)
            return order

        self.objective, self.data, self.state, self._plan = self._objective(), data, state, training
        self._runs = threading.local()
        run = train.make_run(self.objective, training, self.engine)
        self.pieces = train.stretches(
            self.objective, training, data, state, run=run, order=next_order, callbacks=self._callbacks()
        )
        next(self.pieces)
        self.history_ = state.history
        return Outcome("callback")

    def _note_end(self, *args: Any, **options: Any) -> None:
        """Training has not ended when `fit` does."""

    def settle(self) -> None:
        """Bring what is told of training up to its present state, as `fit` does at its end."""
        self._new_losses: list[float] = self.state.history.get("loss", [])
        if self._is_stochastic():
            self.loss_curve_: list[float] = []
        outcome = Outcome("callback", epochs=self.state.epochs)
        self._finish(self._plan, self.state, outcome, self.data, incremental=False)


class OpenedClassifier(Opened, MLPClassifier):
    """A classifier that is trained in pieces."""


class OpenedRegressor(Opened, MLPRegressor):
    """A regressor that is trained in pieces."""


class OpenedModel(TableModel):
    """A table model that is trained in pieces.

    Attributes
    ----------
    X_ : ndarray of shape (rows, features)
        All rows, encoded.
    y_ : ndarray of shape (rows,)
        Their targets, encoded: classes as numbers from 0 with -1 for a missing one, or NaN for that.
    """

    estimators: ClassVar[dict[str, Any]] = {
        "classification": OpenedClassifier,
        "regression": OpenedRegressor,
    }

    def _train(self, X: Any, y: Any, parts: Any, callbacks: Any) -> None:
        self.X_, self.y_ = X, y
        size = min(self.options["batch_size"], len(parts.training))  # else a warning says that it is clipped
        self.options = {**self.options, "batch_size": size}
        super()._train(X, y, parts, callbacks)

    def resume(self, data: Any, learnt: TableModel) -> OpenedModel:
        """Begin with what another model has learnt: its columns, its target and its weights.

        Parameters
        ----------
        data : data frame
            With the target.
        learnt : TableModel
            Fitted, with the layers of this one.
        """
        frame = as_frame(data)
        self.target_, self.encoder_ = learnt.target_, learnt.encoder_
        require(frame, [self.target_.name])
        y = self.target_.encode(frame[self.target_.name])
        self.parts_ = self._divide(np.flatnonzero(targets.present(y)), y)
        net = learnt.estimator_
        self.options = {**self.options, "init_weights": (list(net.coefs_), list(net.intercepts_))}
        self._train(self.encoder_.transform(frame), y, self.parts_, ())
        described = self._described(len(frame), learnt.report_["dropped"])
        self.report_ = {**described, "seconds": 0.0, **self._judged(self.X_, self.y_)}
        return self

    def rewind(self) -> None:
        """Go back to before the first step: the same seed gives the same weights and the same order."""
        self._train(self.X_, self.y_, self.parts_, ())

    def frozen(self, *, memory: bool = True) -> OpenedModel:
        """A copy with the present weights, which training no longer changes.

        Parameters
        ----------
        memory : bool
            Also copy the optimiser's memory and the history, which a picture does not need.
        """
        clone, net = copy.copy(self), copy.copy(self.estimator_)
        net._expose(net.theta_.copy())
        if memory:
            net._state = net.state = copy.copy(net.state)
            net.state.slots = net.state.slots.copy()
            net.state.history = {name: list(values) for name, values in net.state.history.items()}
            net.history_ = net.state.history
            net.state.theta = net.theta_
        clone.estimator_ = net
        return clone

    def settled(self) -> OpenedModel:
        """A copy with the present weights, whose report and scores are up to date."""
        clone = self.frozen()
        clone.estimator_.settle()
        clone.report_ = {**self.report_, **clone._judged(self.X_, self.y_)}
        return clone

    @property
    def theta(self) -> Array:
        """The present weights."""
        theta: Array = self.estimator_.theta_
        return theta
