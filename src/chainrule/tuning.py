"""Search for a table model's best options with Optuna: resumable, pruned by epochs, within a time."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import DataError, DivergenceError, OptionError
from chainrule.table_model import TableModel
from chainrule.tuning_space import TABLE_MODEL, Space
from chainrule.tuning_study import facts, opened, require_package

if TYPE_CHECKING:
    import optuna

STARTUP = 5  # trials that end before others are pruned
VALIDATION = 0.2  # share of the rows to stop by: options are compared on them
WARM_UP = 10  # epochs before a trial can be pruned
REPORTS = 25  # of the validation loss in a trial: each is a write to the study's file

Callback = Callable[[Any], Any]


class _TimeIsOverError(Exception):
    """The time of the search is over."""


@dataclass(frozen=True)
class Tuning:
    """What a search has found.

    Attributes
    ----------
    model : TableModel
        Fitted with the best options.
    best_options : dict
        Of all that were tried.
    best_loss : float
        The least loss of that model on the rows to stop by, by which options were compared. It flatters:
        the rows held out, which the search never saw, are scored in ``model.report_["scores"]``.
    importances : dict
        The share of each option in the variation of the loss over the trials (functional analysis of
        variance, Hutter et al. 2014, ICML), largest first; empty with fewer than two different losses.
    trials : list of dict
        Of each trial its number, its state ("complete" or "pruned"), its options and its loss.
    stopped : str
        "trials", "time" or "interrupted".
    """

    model: Any
    best_options: dict[str, Any]
    best_loss: float
    importances: dict[str, float]
    trials: list[dict[str, Any]]
    stopped: str

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON can hold, without the model."""
        states = [trial["state"] for trial in self.trials]
        return {
            "best": {"loss": self.best_loss, "options": self.best_options},
            "importances": self.importances,
            "complete": states.count("complete"),
            "pruned": states.count("pruned"),
            "stopped": self.stopped,
            "trials": self.trials,
        }


def tune(
    data: Any,
    target: str,
    *,
    task: str | None = None,
    drop: Collection[str] = (),
    trials: int = 50,
    time_limit: float | None = None,
    study: str | os.PathLike[str] | None = None,
    random_state: int = 0,
    model: Callable[..., Any] = TableModel,
    space: Space = TABLE_MODEL,
    callbacks: Sequence[Callback] = (),
    on_trial: Callable[[dict[str, Any]], Any] | None = None,
    **options: Any,
) -> Tuning:
    """Search for the options with the least loss on the rows to stop by.

    Options are drawn by the tree-structured Parzen estimator (Bergstra et al. 2011, NeurIPS); a trial
    whose loss is worse than the median of the others at the same epoch is pruned. The rows held out take
    no part in the search. Needs the extra ``chainrule[tune]``.

    Parameters
    ----------
    data : data frame
    target : str
        The column to predict.
    task, drop
        As for `TableModel.fit`.
    trials : int
        Ends the search when so many trials are complete or pruned, earlier ones of the study included.
    time_limit : float, optional
        Ends it after so many seconds; the trial under way is given up.
    study : path, optional
        File to keep the trials in (SQLite), for one process at a time. The same search goes on from it
        after it was killed at any moment, and finds what it would have found without.
    random_state : int
        Seed of the search, of the rows' parts and of training.
    model : callable
        Makes the model from its options; it has the `fit` and the `report_` of `TableModel`.
    space : mapping
        What is varied: `Choice` and `Interval` by the option's name (see `chainrule.tuning_space`).
    callbacks : sequence of callable
        Called after each epoch of each trial.
    on_trial : callable, optional
        Called after each trial with its entry of `Tuning.trials`.
    **options
        Options of the model that are the same in every trial; a fifth of the rows that are not held out
        are those to stop by, unless `validation_size` is among them.

    Returns
    -------
    Tuning

    Raises
    ------
    MissingPackageError
        If Optuna is not installed.
    OptionError
        If the study belongs to another search, or no trial was finished.
    KeyboardInterrupt
        If the search is interrupted before a trial was finished; later on, what was found is returned.

    Examples
    --------
    >>> found = chainrule.tune(frame, "price", trials=30)  # doctest: +SKIP
    >>> found.best_options, found.model.report_["scores"]  # doctest: +SKIP
    """
    require_package()
    if trials < 1:
        raise OptionError(f"trials must be at least 1, not {trials}.")
    if time_limit is not None and not time_limit > 0:
        raise OptionError(f"time_limit must be above 0 s, not {time_limit:g}.")
    varied = {name: row for name, row in space.items() if name not in options}
    fixed = {"random_state": random_state, "validation_size": VALIDATION, **options}

    def fit(drawn: Mapping[str, Any], more: Sequence[Callback] = ()) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # bad options are what a search is there to find
            made = model(**fixed, **drawn)
            return made.fit(data, target, task=task, drop=drop, callbacks=[*callbacks, *more])

    with opened(study, facts(data, target, task, drop, fixed, varied)) as stored:
        search = _Search(stored, varied, fit, random_state, time_limit, on_trial)
        stopped = search.run(trials)
        return search.found(stopped)


class _Search:
    """The trials of one call, after those that the study already holds."""

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        fit: Callable[..., Any],
        seed: int,
        time_limit: float | None,
        on_trial: Callable[[dict[str, Any]], Any] | None,
    ) -> None:
        from optuna.pruners import MedianPruner

        self.study, self.space, self.fit, self.seed, self.on_trial = study, space, fit, seed, on_trial
        self.end = math.inf if time_limit is None else time.monotonic() + time_limit
        self.best: tuple[int, Any] | None = None  # the best trial of this call, and its model
        study.pruner = MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=WARM_UP)

    def run(self, trials: int) -> str:
        """Try until there are so many trials; why it ended."""
        from optuna.trial import TrialState

        while (done := len(self._finished())) < trials:
            self.study.sampler = self._sampler(done)
            trial = self.study.ask()
            try:
                self._try(trial)
            except _TimeIsOverError:
                self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
                return "time"
            except KeyboardInterrupt:
                self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
                return "interrupted"
            if self.on_trial is not None:
                self.on_trial(self._entry(self.study.trials[trial.number]))
        return "trials"

    def found(self, stopped: str) -> Tuning:
        """What all trials say; the best model is trained again if an earlier call has tried it."""
        from optuna.trial import TrialState

        if not self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if stopped == "interrupted":
                raise KeyboardInterrupt
            raise OptionError(
                "No trial could be finished in the time." if stopped == "time" else
                "Training diverged in every trial: search among smaller learning rates."
            )  # fmt: skip
        best = self.study.best_trial
        drawn = self._options(best)
        kept = self.best is not None and self.best[0] == best.number
        return Tuning(
            model=self.best[1] if self.best is not None and kept else self.fit(drawn),
            best_options=drawn,
            best_loss=float(best.value),  # type: ignore[arg-type]  # a complete trial has a value
            importances=self._importances(),
            trials=[self._entry(trial) for trial in self._finished()],
            stopped=stopped,
        )

    def _sampler(self, done: int) -> optuna.samplers.BaseSampler:
        """A seed for each trial, so that one is drawn alike after an interruption and without one."""
        from optuna.samplers import TPESampler

        seed = np.random.SeedSequence([self.seed, done]).generate_state(1)[0]
        return TPESampler(seed=int(seed))

    def _try(self, trial: optuna.Trial) -> None:
        from optuna.exceptions import TrialPruned
        from optuna.trial import TrialState

        drawn = {name: row.draw(trial, name) for name, row in self.space.items()}
        options = {name: self.space[name].read(value) for name, value in drawn.items()}
        watch = _Watch(trial, self.end)
        try:
            model = self.fit(options, [watch])
        except (TrialPruned, DivergenceError):
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        if model.report_["training"]["stopped"] == "interrupted":
            raise KeyboardInterrupt
        if not math.isfinite(watch.least):
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        self.study.tell(trial, watch.least)
        if self.study.best_trial.number == trial.number:
            self.best = trial.number, model

    def _finished(self) -> list[Any]:
        from optuna.trial import TrialState

        states = TrialState.COMPLETE, TrialState.PRUNED
        return self.study.get_trials(deepcopy=False, states=states)

    def _options(self, trial: Any) -> dict[str, Any]:
        return {name: self.space[name].read(value) for name, value in trial.params.items()}

    def _entry(self, trial: Any) -> dict[str, Any]:
        """A pruned trial's loss is the last one that it reported."""
        return {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "loss": trial.value,
            "options": self._options(trial),
        }

    def _importances(self) -> dict[str, float]:
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        losses = {trial.value for trial in self._finished() if trial.state.name == "COMPLETE"}
        if len(losses) < 2:
            return {}
        evaluator = FanovaImportanceEvaluator(seed=self.seed)
        found = get_param_importances(self.study, evaluator=evaluator)
        return {name: float(share) for name, share in found.items()}


class _Watch:
    """A callback that tells Optuna the validation loss, and ends a trial that is pruned or late."""

    def __init__(self, trial: optuna.Trial, end: float) -> None:
        self.trial, self.end = trial, end
        self.least = math.inf

    def __call__(self, epoch: Any) -> None:
        from optuna.exceptions import TrialPruned

        if time.monotonic() > self.end:
            raise _TimeIsOverError
        if epoch.validation is None:
            raise DataError("There are too few rows to stop training by, and so to compare options by.")
        self.least = min(self.least, epoch.validation)
        if epoch.number % max(1, epoch.epochs // REPORTS) == 0:
            self.trial.report(epoch.validation, epoch.number)
            if self.trial.should_prune():
                raise TrialPruned
