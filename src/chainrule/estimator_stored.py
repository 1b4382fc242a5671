"""The fit of an estimator to rows in files."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from chainrule import estimator_random, evidence, train
from chainrule.errors import OptionError
from chainrule.keeper import Keeper
from chainrule.parameters import Array
from chainrule.problem import Objective
from chainrule.spec import Training
from chainrule.stored import Encode, StoredBatch, WindowRun, mean_loss

FIXED: dict[str, tuple[Any, ...]] = {
    "metric": ("loss",),
    "track": ((), []),
    "warm_start": (False,),
    "init_weights": (None,),
}


def encoding(classes: int) -> Encode:
    """From labels in a column, as floats, to what the loss wants; `classes` is 0 of a regression."""
    if classes <= 2:
        return lambda labels: labels

    def one_hot(labels: Array) -> Array:
        Y = np.zeros((len(labels), classes), labels.dtype)
        Y[np.arange(len(labels)), labels[:, 0].astype(np.intp)] = 1
        return Y

    return one_hot


def check(model: Any) -> None:
    """Refuse options that need all rows in memory.

    Raises
    ------
    OptionError
    """
    model._check_options()
    if not model._is_stochastic():
        raise OptionError(
            f"The solver {model.solver!r} needs all rows at once: to train in pieces, take one of "
            "mini-batches, such as 'adam'."
        )
    for name, values in FIXED.items():
        if getattr(model, name) not in values:
            raise OptionError(f"{name} cannot be set where rows are read in pieces: leave it out.")


def fit(model: Any, data: StoredBatch, held: StoredBatch | None, classes: int) -> Any:
    """Fit an estimator.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
    data : StoredBatch
        The training rows.
    held : StoredBatch or None
        The rows to stop by.
    classes : int
        Labels are 0 to classes - 1; 0 of a regression.
    """
    check(model)
    model._random_state = check_random_state(model.random_state)
    random = estimator_random.digest_of(model.random_state)
    model.n_features_in_ = data.X.shape[1]
    if classes:
        model._learn_classes(np.arange(classes))
    model._initialise(data.X.shape[1], classes if classes > 2 else 1, "float32")
    training = model._training(len(data))
    run = WindowRun(
        train.make_run(model._objective(), training, model.engine),
        data,
        training.batch_size,
        shuffle=training.shuffle,
    )
    keeper = _keeper(model, data, held, random)
    state = model._make_state(training, incremental=False)
    first, begun = model._begin(training, state, data, keeper, incremental=False, shuffled=run.blocks)
    outcome = _train(model, training, state, run, held, keeper)
    model._new_losses = state.history.get("loss", [])[begun:]
    model._notes = evidence.end(model._notes, model._objective(), (first, state.theta), data, held)
    model._finish(training, state, outcome, data, incremental=False)
    return model


def _keeper(model: Any, data: StoredBatch, held: StoredBatch | None, random: Any) -> Keeper | None:
    """What keeps checkpoints, if they are asked for."""
    if model.checkpoint is None:
        return None
    facts = {"the estimator": type(model).__name__, "random_state": random, **model._facts()}
    facts |= {"X": data.X.fact(), "y": data.labels.fact(), "the window": data.window}
    facts["validation_data"] = None if held is None else held.X.fact()
    keeper = Keeper(model.checkpoint, float(model.checkpoint_every), facts)
    if keeper.saved is not None:
        model._recall_saved(keeper, rows=len(data))
    return keeper


def _train(
    model: Any,
    training: Training,
    state: train.State,
    run: WindowRun,
    held: StoredBatch | None,
    keeper: Keeper | None,
) -> train.Outcome:
    model.history_ = state.history
    if keeper is not None and keeper.saved is not None and keeper.saved.outcome is not None:
        return keeper.saved.outcome
    outcome: train.Outcome = model._fit_in_order(
        np.arange(run.blocks),
        keeper,
        training,
        run.data,
        state,
        run=run,
        monitor=None if held is None else _monitor(model, held),
        callbacks=model._callbacks(),
    )[0]
    return outcome


def _monitor(model: Any, held: StoredBatch) -> train.Monitor:
    """The loss of the rows to stop by, without penalties."""
    plain = train.make_run(Objective(model.network_), Training(), model.engine)
    return train.Monitor("validation_loss", lambda predict: mean_loss(plain, model.theta_, held), False)
