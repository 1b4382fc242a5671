"""The part of an estimator that trains: from a state to an outcome, with checkpoints if asked for."""

from __future__ import annotations

import hashlib
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from chainrule import estimator_random, train
from chainrule.checkpoint import Contents, check_order
from chainrule.errors import FileError
from chainrule.evidence import Notes
from chainrule.keeper import Keeper
from chainrule.parameters import Array
from chainrule.problem import Batch
from chainrule.spec import Training

# Options that change nothing that is learnt, or that are looked at by themselves.
ASIDE = (
    "callbacks",
    "checkpoint",
    "checkpoint_every",
    "verbose",
    "warm_start",
    "random_state",
    "init_weights",
)


class TrainingMixin:
    """A call of `train.fit`, and what it begins with."""

    if TYPE_CHECKING:  # parameters and attributes are those of the estimators
        _state: train.State | None

        def __getattr__(self, name: str) -> Any: ...

    def _make_state(self, training: Training, *, incremental: bool) -> train.State:
        theta = self._current()
        if self._state is None:
            self._state = train.State.begin(theta, training)
        self._state.theta = theta
        rows = len(training.optimiser_row.slots)
        if not incremental or self._state.slots.shape != (rows, theta.size):
            self._state.restart_optimiser(training)
        return self._state

    def _begin(
        self,
        training: Training,
        state: train.State,
        data: Batch,
        keeper: Keeper | None,
        *,
        incremental: bool,
        shuffled: int | None = None,
    ) -> tuple[Array, int]:
        """The first parameters and how many losses the history held, from the checkpoint if there is one.

        `shuffled` is what an epoch's order counts, if not the rows.
        """
        first, begun = state.theta.copy(), len(state.history.get("loss", []))
        if keeper is None or keeper.saved is None:
            self._note_begin(training, first, data, incremental=incremental)
        else:
            facts, arrays = keeper.saved.own
            first, begun = arrays["first"], facts["begun"]
        if keeper is not None:
            keeper.begin(state, training, len(data), lambda: self._own(first, begun), shuffled=shuffled)
        return first, begun

    def _train(
        self,
        training: Training,
        data: Batch,
        held: Any,
        state: train.State,
        keeper: Keeper | None,
        *,
        incremental: bool,
    ) -> train.Outcome:
        self._runs = threading.local()  # the network may have changed
        self.history_ = state.history
        if keeper is not None and keeper.saved is not None and keeper.saved.outcome is not None:
            return keeper.saved.outcome
        monitor, watched = self._monitors(held, data)
        # Each epoch shuffles the order of the one before, so partial_fit must remember it.
        order = getattr(self, "_order", ()) if incremental else ()
        if len(order) != len(data):
            order = np.arange(len(data))
        callbacks = [*self._callbacks()]
        if self.verbose:
            callbacks.insert(0, lambda epoch: self._report(epoch, monitor))
        outcome, order = self._fit_in_order(
            order,
            keeper,
            training,
            data,
            state,
            run=train.make_run(self._objective(), training, self.engine),
            monitor=monitor,
            watched=watched,
            callbacks=callbacks,
            epochs=1 if incremental else None,
            announce=print if self.verbose else None,
        )
        if incremental:
            self._order = order
        return outcome

    def _fit_in_order(
        self,
        order: Any,
        keeper: Keeper | None,
        training: Training,
        data: Batch,
        state: train.State,
        **options: Any,
    ) -> tuple[train.Outcome, Any]:
        """`train.fit` with checkpoints, if they are kept; each epoch's order is drawn from the one before.

        Also returns the last order.
        """
        if keeper is not None and keeper.position.order is not None:
            order = keeper.position.order

        def next_order() -> Any:
            nonlocal order
            order = self._shuffled(order)
            return order

        with keeper or nullcontext():
            outcome = train.fit(
                self._objective(),
                training,
                data,
                state,
                order=next_order,
                position=None if keeper is None else keeper.position,
                rest=None if keeper is None else keeper.rest,
                **options,
            )
        if keeper is not None:
            keeper.finish(outcome)
        return outcome, order

    def _shuffled(self, order: Any) -> Any:
        """The next epoch's order: the draw of sklearn.utils.shuffle, without its checks."""
        if not self.shuffle:
            return order
        places = np.arange(len(order))
        self._random_state.shuffle(places)
        return order[places]

    # -------------------------------------------------------------- checkpoints

    def _keeper(self, data: Batch, validation: Any, random: Any, *, fresh: bool) -> Keeper | None:
        """What keeps checkpoints, if they are asked for; the model is brought to the one that is there.

        `random` tells what the generator of random numbers was at the beginning of the call.
        """
        if self.checkpoint is None:
            return None
        run = {"the estimator": type(self).__name__, "random_state": random, **self._facts()}
        given = self.init_weights
        run["init_weights"] = None if given is None else fact_of(*given[0], *given[1])
        run["the first weights"] = None if fresh else fact_of(self._current())
        run |= {"X": fact_of(data.X), "y": fact_of(data.Y)}
        run["sample_weight"] = None if data.weights is None else fact_of(data.weights)
        run["validation_data"] = None if validation is None else fact_of(*validation)
        keeper = Keeper(self.checkpoint, float(self.checkpoint_every), run)
        if keeper.saved is not None:
            self._recall_saved(keeper, rows=len(data))
        return keeper

    def _recall_saved(self, keeper: Keeper, *, rows: int) -> None:
        assert keeper.saved is not None
        try:
            self._recall(*keeper.saved.own, rows=rows)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise FileError(f"{keeper.path} does not fit to this estimator: {error}.") from error

    def _facts(self) -> dict[str, Any]:
        """The options, as a file can hold them and as they can be compared."""
        options = self.get_params(deep=False).items()
        facts = {name: fact_of_option(value) for name, value in options if name not in ASIDE}
        return {**facts, "hidden_layer_sizes": self._hidden()}

    def _own(self, first: Array, begun: int) -> Contents:
        """What a checkpoint holds of the estimator."""
        facts, key = estimator_random.spell(self._random_state)
        arrays = {"first": first, "random": key}
        if self._split is not None:
            arrays["kept"], arrays["held"] = self._split
        return {
            "begun": begun,
            "random": facts,
            "dropout_seed": self._dropout_seed,
            "notes": self._notes.as_dict(),
        }, arrays

    def _recall(self, facts: dict[str, Any], arrays: dict[str, Array], *, rows: int) -> None:
        """The inverse of `_own`, but for what `_begin` takes.

        Raises
        ------
        KeyError, TypeError, ValueError, IndexError, AttributeError
            If something is missing or does not fit.
        """
        first = arrays["first"]
        if first.shape != self.theta_.shape or type(facts["begun"]) is not int:
            raise ValueError("its first parameters are those of another network")
        self._dropout_seed = int(facts["dropout_seed"])
        self._notes = Notes.from_dict(facts["notes"])
        if "held" in arrays:
            self._split = [arrays["kept"], arrays["held"]]
            check_order(np.concatenate(self._split))
            if sum(map(len, self._split)) != rows:
                raise ValueError("its parts of the rows are of other rows")
        estimator_random.restore(self._random_state, facts["random"], arrays["random"])


def fact_of(*parts: Any) -> dict[str, Any]:
    """The shape of the first of some arrays, matrices or lists, and a digest of all."""
    digest = hashlib.sha256()
    for part in parts:
        for array in _arrays(part):
            form = array.shape, array.dtype.str
            digest.update(repr(form).encode())
            if array.dtype.hasobject:
                digest.update(repr(array.tolist()).encode())
            else:
                digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    shape = parts[0].shape if hasattr(parts[0], "shape") else np.shape(parts[0])
    return {"shape": list(shape), "sha256": digest.hexdigest()}


def _arrays(part: Any) -> list[Any]:
    if sparse.issparse(part):
        part = part.tocsr()
        return [part.data, part.indices, part.indptr]
    return [np.asarray(part)]


def fact_of_option(value: Any) -> Any:
    """An option's value in Python's own types; of a function, its name."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return sorted([repr(key), fact_of_option(item)] for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return [fact_of_option(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(getattr(value, "__qualname__", type(value).__qualname__))
