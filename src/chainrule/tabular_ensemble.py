"""The networks of an estimator for tables: which rows each one learns from, and their training side by side.

One network is trained by the team of threads. Several are trained each on one core, so that their bits do not
depend on how many are trained at once.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from chainrule import team, train
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.tabular_member import REASONS, Held, Lot, Member, fit_member
from chainrule.tabular_recipe import Recipe
from chainrule.tabular_time import Budget, Clock, seconds_of_epoch

GOLDEN = (math.sqrt(5) - 1) / 2
FEWEST_HELD = 5  # with fewer rows to stop by, none are set apart
PAUSE = 0.1  # seconds


def lots(groups: Any, members: int, share: float, seed: int, evaluated: int | None) -> list[Lot]:
    """The rows of each network.

    Networks take turns as in a cross-validation: the validation rows of the first 1 / share of them are
    disjoint, and then the rows are divided anew.

    Parameters
    ----------
    groups : ndarray of int64, shape (n,)
        The class of each row, of which each part gets its share; all 0 for numbers.
    members : int
    share : float
        Of rows that are set apart for validation, in [0, 1).
    seed : int
    evaluated : int or None
        Rows of a table for evaluation, which then stands in for the validation rows.
    """
    streams = np.random.SeedSequence(seed).spawn(members + 1)
    seeds = [int(stream.generate_state(1, np.uint64)[0] >> np.uint64(1)) for stream in streams]
    every = np.arange(len(groups))
    if evaluated is not None:
        return [Lot(every, np.arange(evaluated), s) for s in seeds[1:]]
    if len(groups) * share < FEWEST_HELD:
        return [Lot(every, every[:0], s) for s in seeds[1:]]
    turns = max(1, math.floor(1 / share + 1e-9))
    found = []
    for member in range(members):
        place = _places(groups, seeds[0] + member // turns)
        held = np.floor(place / share) == member % turns
        _leave_one(groups, held)
        found.append(Lot(every[~held], every[held], seeds[1 + member]))
    return found


def _places(groups: Any, seed: int) -> Any:
    """A place in [0, 1) for each row: any stretch of it has about its share of the rows of each group.

    The rows of a group, in a random order, take consecutive numbers of the sequence n φ mod 1, which fills
    the interval evenly from any of its numbers on (Weyl 1916).
    """
    order = np.random.default_rng(seed).permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    places = np.empty(len(groups))
    places[order] = np.mod(np.arange(len(groups)) * GOLDEN, 1.0)
    return places


def _leave_one(groups: Any, held: Any) -> None:
    """Each group keeps at least one row to train on."""
    left = np.bincount(groups[~held], minlength=int(groups.max()) + 1)
    for group in np.unique(groups[held]):
        if not left[group]:
            held[np.flatnonzero(groups == group)[0]] = False


class Ensemble:
    """The training of all networks.

    Parameters
    ----------
    recipe : Recipe
    batch : Batch
        All rows.
    lots : list of Lot
    held : callable
        ``held(rows) -> Held`` for validation rows.
    jobs : int or None
        Threads; None for as many as there may be.
    engine : {"compiled", "interpreted"}
    clock : Clock
    """

    def __init__(
        self,
        recipe: Recipe,
        batch: Batch,
        lots: list[Lot],
        held: Callable[[Any], Held],
        *,
        jobs: int | None,
        engine: train.Engine,
        clock: Clock,
    ) -> None:
        self.recipe, self.batch, self.lots, self.held = recipe, batch, lots, held
        self.jobs = min(len(lots), team.allowed() if jobs in (None, -1) else jobs)
        self.engine, self.clock = engine, clock
        self.stop = threading.Event()

    def fit(self) -> list[Member | None]:
        """Train; None stands for a network that there was no time for."""
        alone = len(self.lots) == 1
        with nullcontext() if alone else threadpool_limits(1, "blas"):
            seconds = self._seconds_of_epoch() if math.isfinite(self.clock.limit) else 0.0
            self.budget = Budget(self.clock, len(self.lots), self.recipe.training.epochs, self.jobs, seconds)
            if self.jobs == 1:
                return [self._member(number) for number in range(len(self.lots))]
            return self._side_by_side()

    def _side_by_side(self) -> list[Member | None]:
        with ThreadPoolExecutor(self.jobs, "chainrule-member") as pool:
            futures = [pool.submit(self._member, number) for number in range(len(self.lots))]
            try:
                waiting = set(futures)
                while waiting:  # with short pauses, in which Ctrl-C is heard
                    done, waiting = wait(waiting, PAUSE, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                return [future.result() for future in futures]
            except KeyboardInterrupt:
                self._end(futures)
                found = [None if future.cancelled() else future.result() for future in futures]
                if found[0] is None:
                    raise
                return found
            except BaseException:
                self._end(futures)
                raise

    def _end(self, futures: list[Any]) -> None:
        """Networks in training end after their epoch; others do not begin."""
        self.stop.set()
        for future in futures:
            future.cancel()
        wait(futures)

    def _batch(self, rows: Any) -> Batch:
        return self.batch if len(rows) == len(self.batch) else self.batch.take(rows)

    def _member(self, number: int) -> Member | None:
        lot = self.lots[number]
        epochs = self.budget.begin(needed=number == 0)
        if not epochs or (self.stop.is_set() and number):
            return None
        held = self.held(lot.validation) if len(lot.validation) else None
        member, seconds = fit_member(
            self.recipe,
            self._batch(lot.training),
            held,
            lot.seed,
            epochs,
            engine=self.engine,
            clock=self.clock,
            stop=self.stop,
        )
        self.budget.measured(seconds)
        if member.facts["ended_by"] == REASONS["interrupted"]:
            self.stop.set()
        return member

    def _seconds_of_epoch(self) -> float:
        """How long an epoch takes while as many networks are trained at once as there will be."""
        if self.jobs == 1:
            return self._seconds_of(0)
        with ThreadPoolExecutor(self.jobs, "chainrule-probe") as pool:
            return max(pool.map(self._seconds_of, range(self.jobs)))

    def _seconds_of(self, number: int) -> float:
        """How long an epoch of a network takes, with the look at its validation rows."""
        lot = self.lots[number]
        batch = self._batch(lot.training)
        objective = Objective(self.recipe.network, self.recipe.penalties)
        training = replace(self.recipe.training, seed=lot.seed)
        theta: Array = self.recipe.draw(np.random.default_rng(lot.seed), batch)
        run = train.make_run(objective, training, self.engine)
        state = train.State.begin(theta, training)
        seconds = seconds_of_epoch(objective, training, batch, state, run, self.clock)
        if len(lot.validation):
            held = self.held(lot.validation)
            held.measure(run.values(state.theta, held.X))
            began = self.clock.spent()
            held.measure(run.values(state.theta, held.X))
            seconds += self.clock.spent() - began
        return seconds
