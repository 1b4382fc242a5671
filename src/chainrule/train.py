"""Training: epochs, batches, schedules, stopping, callbacks. It knows arrays, and no estimator.

`fit` drives either run (compiled or interpreted) through the same loop. All that it remembers is in a
`State` and, within a call, a `Position`, so that training can go on later and give the same bits as if it had
never stopped. `stretches` is the same training in pieces, for whoever wants to look at the network between
two of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chainrule import full_batch, second_order
from chainrule.errors import OptionError
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective, Stretch
from chainrule.spec import Training
from chainrule.state import Callback, Epoch, Monitor, Outcome, Position, Rest, State

__all__ = [
    "Callback",
    "Epoch",
    "Monitor",
    "Outcome",
    "Position",
    "Rest",
    "State",
    "fit",
    "make_run",
    "stretches",
]

Engine = Literal["compiled", "interpreted"]
Pieces = Generator[None, int | None, Outcome]
SLICE_SECONDS = 0.2  # a long epoch is run in slices of about this length, so that Ctrl-C is heard


def make_run(objective: Objective, training: Training, engine: Engine = "compiled") -> Any:
    """The run of an objective: `chainrule.compiled.Run` or `chainrule.reference.Run`."""
    if engine == "compiled":
        from chainrule.compiled import Run
    elif engine == "interpreted":
        from chainrule.reference import Run  # type: ignore[assignment]
    else:
        raise OptionError(f"engine must be 'compiled' or 'interpreted', not {engine!r}.")
    return Run(objective, training.optimiser_row)


def shuffled(rows: int, seed: int) -> Callable[[], Any]:
    """The default order of rows: a new permutation at each call."""
    rng = np.random.default_rng(seed)
    return lambda: rng.permutation(rows)


def fit(
    objective: Objective,
    training: Training,
    batch: Batch,
    state: State,
    *,
    run: Any = None,
    order: Callable[[], Any] | None = None,
    monitor: Monitor | None = None,
    watched: Sequence[Monitor] = (),
    callbacks: Sequence[Callback] = (),
    epochs: int | None = None,
    announce: Callable[[str], None] | None = None,
    position: Position | None = None,
    rest: Rest | None = None,
) -> Outcome:
    """Train until the planned epochs are done or a reason to stop is met.

    Parameters
    ----------
    objective : Objective
        What to minimise.
    training : Training
        How.
    batch : Batch
        The training data.
    state : State
        Where to start; changed in place. On divergence its parameters are the last finite ones.
    run : optional
        A run made by `make_run`; by default the compiled one.
    order : callable, optional
        Gives the order of rows of each next epoch; by default from the seed of `training`.
    monitor : Monitor, optional
        What stopping goes by in place of the training loss; then the best parameters are restored.
    watched : sequence of Monitor
        Further figures for the history.
    callbacks : sequence of callable
        Each is called with an `Epoch` after every epoch; True from any of them ends training. One that
        has a method ``begin(objective, training, batch, state)`` is told of the start by it.
    epochs : int, optional
        Epochs of this call, if other than planned (schedules still go by the planned number).
    announce : callable, optional
        Receives a sentence each time that stopping is considered.
    position : Position, optional
        Where an earlier call with the same arguments stood, whose state is `state`: this one goes on there.
    rest : callable, optional
        Called with the position whenever it and the state are whole: before each epoch, about every
        SLICE_SECONDS within one, and before each iteration of a full-batch method.

    Returns
    -------
    Outcome
    """
    run = run or make_run(objective, training)
    pieces = stretches(
        objective,
        training,
        batch,
        state,
        run=run,
        order=order,
        monitor=monitor,
        watched=watched,
        callbacks=callbacks,
        epochs=epochs,
        announce=announce,
        position=position,
        rest=rest,
    )
    with run.quiet:
        try:
            while True:
                next(pieces)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


def stretches(
    objective: Objective,
    training: Training,
    batch: Batch,
    state: State,
    *,
    run: Any = None,
    order: Callable[[], Any] | None = None,
    monitor: Monitor | None = None,
    watched: Sequence[Monitor] = (),
    callbacks: Sequence[Callback] = (),
    epochs: int | None = None,
    announce: Callable[[str], None] | None = None,
    position: Position | None = None,
    rest: Rest | None = None,
) -> Pieces:
    """The training of `fit`, in pieces: a generator that pauses before each stretch of steps.

    The first `next` gets everything ready. Each `send(n)` then does at most n steps of an epoch (or one
    iteration of a full-batch method) and stops before the next stretch; `send(None)` lets the length
    follow from the time that steps take. After the last step of an epoch its figures are recorded and the
    callbacks are told. The outcome is the value of the `StopIteration` at the end.

    Parameters
    ----------
    objective, training, batch, state, run, order, monitor, watched, callbacks, epochs, announce, position
    rest
        As for `fit`.
    """
    run = run or make_run(objective, training)
    position = position or Position(state.theta.copy())
    loop = _Loop(
        run, training, batch, state, position, monitor, tuple(watched), tuple(callbacks), announce, rest
    )
    limit = training.epochs if epochs is None else epochs
    for callback in callbacks:
        if hasattr(callback, "begin"):
            callback.begin(objective, training, batch, state)
    if training.optimiser_row.full_batch:
        return (yield from _guarded(loop, _full_batch(loop, objective, limit)))
    order = order or (
        shuffled(len(batch), training.seed) if training.shuffle else lambda: np.arange(len(batch))
    )
    return (yield from _guarded(loop, _stochastic(loop, order, limit)))


def _guarded(loop: _Loop, pieces: Pieces) -> Pieces:
    """Train; whatever ends it, the best or the last finite parameters are in the state."""
    try:
        outcome = yield from pieces
    except KeyboardInterrupt:
        outcome = Outcome("interrupted", "Training interrupted by user.", loop.position.done)
        if not np.isfinite(loop.state.theta).all():
            loop.state.theta[:] = loop.position.safe
    if loop.monitor is not None and loop.state.best_theta is not None:
        loop.state.theta[:] = loop.state.best_theta
    return outcome


@dataclass
class _Loop:
    """What the epochs of one call of `fit` share."""

    run: Any
    training: Training
    batch: Batch
    state: State
    position: Position
    monitor: Monitor | None
    watched: tuple[Monitor, ...]
    callbacks: tuple[Callback, ...]
    announce: Callable[[str], None] | None
    rest: Rest | None
    steps_per_slice: int = 64

    def __post_init__(self) -> None:
        self.began = time.perf_counter()

    def pause(self) -> None:
        """State and position are whole: a good moment to look at them, or to leave."""
        if self.rest is not None:
            self.rest(self.position)

    def predict(self, X: Any) -> Array:
        return self.run.predict(self.state.theta, X)  # type: ignore[no-any-return]

    def close_epoch(self, loss: float, rate: float, limit: int) -> bool:
        """Record an epoch, judge it, tell the callbacks; True if one of them ends training."""
        state, metrics = self.state, {}
        state.history.setdefault("loss", []).append(loss)
        position = self.position
        position.done, position.step, position.losses = position.done + 1, 0, position.losses[:0]
        state.epochs += 1
        for watch in (*self.watched, *((self.monitor,) if self.monitor else ())):
            metrics[watch.name] = float(watch.measure(self.predict))
            state.history.setdefault(watch.name, []).append(metrics[watch.name])
        validation = metrics[self.monitor.name] if self.monitor else None
        self._judge(loss if validation is None else validation)
        theta = state.theta.view()
        theta.flags.writeable = False
        seconds = time.perf_counter() - self.began
        epoch = Epoch(position.done, limit, loss, validation, metrics, rate, seconds, theta)
        return any([callback(epoch) is True for callback in self.callbacks])  # noqa: C419 - all are told

    def _judge(self, figure: float) -> None:
        """Compare with the best so far. A NaN never counts as an improvement."""
        state = self.state
        value = -figure if self.monitor and self.monitor.higher_is_better else figure
        state.stale = 0 if value <= state.best_value - self.training.tol else state.stale + 1
        if value < state.best_value:
            state.best_value = value
            if self.monitor is not None:
                state.best_theta = state.theta.copy()

    def out_of_patience(self) -> bool:
        """Whether training should end (a plateau schedule may lower the rate in place of that)."""
        patience = self.training.patience
        if patience is None or self.state.stale <= patience:
            return False
        schedule = self.training.schedule_row
        what = "Validation score" if self.monitor else "Training loss"
        said = (
            f"{what} did not improve more than tol={self.training.tol:f} for {patience:d} consecutive epochs."
        )
        if not schedule.plateau:
            self.say(f"{said} Stopping.")
            return True
        if self.training.learning_rate * self.state.plateau <= schedule.parameters["minimum"]:
            self.say(f"{said} Learning rate too small. Stopping.")
            return True
        self.state.plateau /= schedule.parameters["divisor"]
        self.state.stale = 0
        rate = self.training.learning_rate * self.state.plateau
        self.say(f"{said} Setting learning rate to {rate:f}")
        return False

    def say(self, sentence: str) -> None:
        if self.announce is not None:
            self.announce(sentence)


# ------------------------------------------------------------------ mini-batches


def _stochastic(loop: _Loop, order: Callable[[], Any], limit: int) -> Pieces:
    training, state, position, rows = loop.training, loop.state, loop.position, len(loop.batch)
    size = min(training.batch_size, rows)
    steps = math.ceil(rows / size)
    sizes = np.full(steps, float(size))
    sizes[-1] = rows - size * (steps - 1)
    while position.done < limit:
        loop.pause()
        if not position.step:
            position.safe[:] = state.theta
            position.order = np.ascontiguousarray(order(), dtype=np.int64)
        losses, rates = np.empty(steps), learning_rates(training, state, steps)
        losses[: position.step] = position.losses
        done = yield from _epoch(loop, size, rates, losses)
        if done < steps:
            return _diverged(loop, done, losses[done])
        if not np.isfinite(state.theta).all():  # the last step's doing, which no loss has seen yet
            return _diverged(loop, steps - 1, math.nan)
        state.samples += rows
        loss = float(losses @ sizes / rows)
        if loop.close_epoch(loss, float(rates[-1]), limit):
            return Outcome("callback", "A callback ended training.", position.done)
        if loop.out_of_patience():
            return Outcome("converged", epochs=position.done)
    return Outcome("epochs", epochs=position.done)


def _epoch(loop: _Loop, size: int, rates: Any, losses: Any) -> Generator[None, int | None, int]:
    """The rest of an epoch, in slices of steps; returns how many of its steps were done."""
    state, position, steps = loop.state, loop.position, len(rates)
    while position.step < steps:
        wanted = yield
        first, last = position.step, min(position.step + (wanted or loop.steps_per_slice), steps)
        part = slice(first, last)
        before = time.perf_counter()
        done: int = loop.run.steps(
            Stretch(
                loop.batch, position.order, first, last, size, rates[part], state.theta, state.slots,
                losses[part], state.t, loop.training.seed,
            )
        )  # fmt: skip
        state.t += done
        if done < last - first:
            return first + done
        spent = (time.perf_counter() - before) / (last - first)
        loop.steps_per_slice = max(1, int(SLICE_SECONDS / max(spent, 1e-9)))
        position.step, position.losses = last, losses[:last]
        if last < steps:
            loop.pause()
    return steps


def learning_rates(training: Training, state: State, steps: int) -> Any:
    """The learning rate of each step of the next epoch, of shape (steps,)."""
    row = training.schedule_row
    place = np.arange(steps) / steps
    t = np.minimum((state.epochs + place) / training.epochs, 1.0)
    factor = row.factor(t, state.epochs + place, state.samples, *row.parameters.values())
    return np.ones(steps) * (training.learning_rate * state.plateau) * factor


def _diverged(loop: _Loop, step: int, loss: float) -> Outcome:
    """Go back to the last finite parameters and say where it happened."""
    state = loop.state
    if not np.isfinite(state.theta).all() or loop.position.done > 0:
        state.theta[:] = loop.position.safe
    what = f"the loss became {loss}" if not math.isnan(loss) else "the loss stopped being a number"
    return Outcome(
        "diverged",
        f"{what[0].upper()}{what[1:]} in epoch {loop.position.done + 1}, batch {step + 1}, "
        f"at a learning rate of {loop.training.learning_rate * state.plateau:g}.",
        loop.position.done,
    )


# ------------------------------------------------------------------ full batch


def _full_batch(loop: _Loop, objective: Objective, limit: int) -> Pieces:
    training, state, position = loop.training, loop.state, loop.position
    iterations = full_batch.iterations(
        loop.run, objective, training, loop.batch, state.theta, position.iterate
    )
    last = position.iterate or second_order.Iterate(state.theta, math.inf, state.theta, 0)
    loop.pause()
    yield
    for iterate in iterations:
        if not np.isfinite(iterate.value):
            return _diverged(loop, 0, iterate.value)
        position.iterate = last = iterate
        state.theta[:] = iterate.theta
        position.safe[:] = state.theta
        if loop.close_epoch(iterate.value, training.learning_rate, limit):
            return Outcome("callback", "A callback ended training.", position.done, last.evaluations)
        if iterate.status:
            break
        if loop.monitor is not None and loop.out_of_patience():
            return Outcome("converged", epochs=position.done, evaluations=last.evaluations)
        if position.done >= limit:
            return Outcome("epochs", epochs=position.done, evaluations=last.evaluations)
        if iterate.evaluations >= training.max_evaluations:
            return Outcome("evaluations", epochs=position.done, evaluations=last.evaluations)
        loop.pause()
        yield
    reason = "stuck" if last.status == "stuck" else "converged"
    return Outcome(reason, last.status, position.done, last.evaluations)
