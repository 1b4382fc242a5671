"""The compiled run: a whole stretch of training steps in one call, without the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import first_use, team, templates
from chainrule.equations.optimisers import Optimiser
from chainrule.native import COMPILED, LINE
from chainrule.parameters import Array
from chainrule.plan import (
    ALIGNED,
    INPUTS,
    P0,
    P1,
    PIECE,
    ROWS,
    SLICES,
    UNITS,
    WIDTH,
    Desk,
    Plan,
    Rows,
    Space,
    Team,
)
from chainrule.planning import loops, make_method, make_plan, make_rows, make_ticket
from chainrule.problem import Batch, Objective, Pace, Stretch

first_use.tell()
FEW = 32  # rows that are predicted by the short way
CHUNK = 2048  # rows of a full-batch pass that are in the workspace at once
MEMBER = 300_000  # multiplications of a forward pass that are worth a thread: some 20 microseconds of a step
CALL = 10 * MEMBER  # multiplications of a call that are worth waking the threads for


class Run:
    """The compiled run of a network's training: the same methods as `chainrule.reference.Run`.

    Parameters
    ----------
    objective : Objective
        Network, penalties and how they scale.
    optimiser : Optimiser, optional
        Needed by `steps` only.
    pace : Pace, optional
        How fast each parameter moves beside the others.
    """

    def __init__(
        self, objective: Objective, optimiser: Optimiser | None = None, pace: Pace | None = None
    ) -> None:
        self.objective = objective
        self.network = objective.network
        self.dtype = objective.network.dtype
        self.plan = make_plan(objective)
        self._sparse_plan: Plan | None = None
        self.loops = loops(self.dtype)
        self.method, self._scalars = None, 0
        if optimiser and optimiser.step:
            self.method, self._scalars = make_method(optimiser, pace or Pace(), objective.layout)
        self._spaces: list[Space] = []
        self._desks: list[Desk] = []
        self._data: tuple[Any, Rows] | None = None
        self._ticket: tuple[Any, ...] | None = None

    # -------------------------------------------------------------- room and threads

    def _plan_for(self, data: Rows) -> Plan:
        """The plan for these rows: a dense first layer takes those of a CSR matrix as they are."""
        first = self.network.layers[0]
        if not data.starts.size or first.kind != "dense" or first.members > 1:
            return self.plan
        if self._sparse_plan is None:
            self._sparse_plan = make_plan(self.objective, sparse=True)
        return self._sparse_plan

    def _space(self, rows: int, rank: int = 0, plan: Plan | None = None) -> Space:
        """A workspace for that many rows, kept from call to call."""
        while len(self._spaces) <= rank:
            self._spaces.append(Space(np.empty(0, self.dtype), np.empty(0, self.dtype)))
        work, weights = self._spaces[rank]
        size, members = rows * int((plan or self.plan).places[WIDTH]), rows * self.network.members
        if weights.size < members or work.size < size:
            size, members = max(size, work.size), max(members, weights.size)
            self._spaces[rank] = Space(np.empty(size, self.dtype), np.empty(members, self.dtype))
        return self._spaces[rank]

    def _desk(self, rows: int, rank: int) -> Desk:
        """What a member of the team needs for that many rows of its own."""
        scratch = self._scratch(rows)
        while len(self._desks) <= rank:
            self._desks.append(self._new_desk())
        desk = self._desks[rank]
        if desk.scratch.size < scratch:
            self._desks[rank] = desk._replace(scratch=np.empty(scratch))
        return self._desks[rank]

    def _new_desk(self) -> Desk:
        method = self.method
        groups, count = (1, 1) if method is None else (len(method.factors), method.parameters.size)
        return Desk(
            np.empty(0),
            np.empty(self._most_at_once(), self.dtype),
            np.zeros((groups, max(self._scalars, 1)), self.dtype),
            np.zeros((groups, count)),
        )

    def _scratch(self, rows: int) -> int:
        """Size of the scratch of the loss and of coupled activations."""
        pairs = zip(self.plan.layers[:, UNITS], self.network.activations, strict=True)
        widest = max([self.network.outputs, *(int(units) for units, row in pairs if row.coupled)])
        block = int(templates.block_rows(widest))
        return max(rows * self.network.widths[-1], block * (3 * widest + 5))

    def _most_at_once(self) -> int:
        """Parameters whose gradient is in a member's scratch at once."""
        most = 0
        for at in self.plan.layers:
            size, row = at[P1] - at[P0], at[UNITS]
            rest = size - at[INPUTS] * row  # the biases, which come with each piece
            most = max(most, min(size, max(PIECE, row) + rest) if at[SLICES] == ROWS else size)
        return int(most)

    def _members(self, rows: int, repeats: float) -> int:
        """The number of threads that are worth it for a step of so many rows, done so many times."""
        work = rows * int(self.objective.layout.size)
        if not COMPILED or work * repeats < CALL:  # without the compiler, threads have no place to meet
            return 1
        return max(1, min(work // MEMBER, rows // ALIGNED))

    def _team(self, count: int, rows: int) -> Team:
        blocks = int(self.plan.layers[:, INPUTS].sum())
        penalties = np.zeros(blocks if self.plan.penalties.size else 1)  # their sum is taken in each step
        clipped = self.method is not None and self.method.clip[0] > 0
        squares = np.zeros(blocks if clipped else 0)
        gradient = np.empty(self.objective.layout.size if clipped else 0, self.dtype)
        losses = np.empty(rows * self.network.members)
        counters = np.zeros(2 * LINE, np.int64)
        return Team(np.array([count]), counters, losses, penalties, squares, gradient)

    def _rows(self, batch: Batch) -> Rows:
        if self._data is None or self._data[0] is not batch:
            made = make_rows(batch.X, batch.Y, batch.weights, self.dtype)
            self._data = batch, made
        return self._data[1]

    # -------------------------------------------------------------- what it runs

    def values(self, theta: Array, X: Any, layer: int = -1, link: bool = False) -> Array:
        """Values of a layer after its activation (the loss's z for the last one)."""
        n, depth = X.shape[0], len(self.network.layers)
        layer %= depth
        rows, order = make_rows(X, None, None, self.dtype), np.arange(n)
        plan = self._plan_for(rows)
        width = self.network.outputs if link else self.network.widths[layer + 1]
        out = np.empty((n, width), self.dtype)
        chunk = max(1, min(n, CHUNK))
        with team.gathered(self._members(chunk, n / chunk)) as count:
            each = max(1, min(chunk, -(-n // count)))
            spaces = [self._space(each, rank, plan) for rank in range(count)]
            desks = [self._desk(each, rank) for rank in range(count)]

            def work(rank: int) -> None:
                self.loops.run_forward(
                    plan, rows, theta, spaces[rank], desks[rank], rank, count, order, each, layer,
                    link, out,
                )  # fmt: skip

            team.together(count, work)
        return out

    def predict(self, theta: Array, X: Any) -> Array:
        """Predictions: the last layer's values through the loss's output link."""
        if COMPILED and type(X) is np.ndarray and 0 < len(X) <= FEW:
            return self._few(theta, X)
        return self.values(theta, X, link=True)

    def _few(self, theta: Array, X: Array) -> Array:
        """Predictions of at most `FEW` rows, without delay."""
        if not (X.flags.writeable and X.flags.c_contiguous and X.dtype == self.dtype):
            X = np.array(X, self.dtype, order="C")  # the compiled call takes one sort of array
        if self._ticket is None or self._ticket[0] is not theta:
            space, desk = self._space(FEW), self._desk(FEW, 0)
            self._ticket = theta, space, desk, make_ticket(self.plan, theta, space, desk)
        out = np.empty((len(X), self.network.outputs), self.dtype)
        self.loops.run_rows(self._ticket[-1], X, out)
        return out

    def _evaluate(self, theta: Array, batch: Batch, want: bool) -> tuple[float, Array]:
        n = len(batch)
        chunk, gradient = max(1, min(n, CHUNK)), np.zeros(self.objective.layout.size, self.dtype)
        order, data = np.arange(n), self._rows(batch)
        plan = self._plan_for(data)
        space = self._space(chunk, plan=plan)
        with team.gathered(self._members(chunk, n / chunk)) as count:
            crew, desks = self._team(count, chunk), [self._desk(chunk, rank) for rank in range(count)]

            def work(rank: int) -> Any:
                return self.loops.run_gradient(
                    plan, data, theta, gradient, space, desks[rank], crew, rank, order, chunk, want
                )

            return float(team.together(count, work)), gradient

    def loss(self, theta: Array, batch: Batch) -> float:
        """Loss of all given rows with penalties."""
        return self._evaluate(theta, batch, False)[0]

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """Loss of all given rows with penalties, and its gradient."""
        return self._evaluate(theta, batch, True)

    def jacobian(self, theta: Array, X: Any) -> tuple[Array, Array]:
        """The last layer's values (n, outputs) and their derivatives (n, outputs, parameters)."""
        n, outputs = X.shape[0], self.network.widths[-1]
        rows, order = make_rows(X, None, None, self.dtype), np.arange(n)
        J = np.zeros((n, outputs, self.objective.layout.size), self.dtype)
        with team.gathered(1):
            self.loops.run_jacobian(self.plan, rows, theta, self._space(n), self._desk(n, 0), order, J)
        return self.values(theta, X), J

    def steps(self, stretch: Stretch) -> int:
        """Run the training steps of a stretch of an epoch; returns how many were done.

        It stops early, before the update, at a loss that is not finite.
        """
        s = stretch
        assert self.method is not None
        method, data = self.method, self._rows(s.batch)
        plan = self._plan_for(data)
        space = self._space(s.batch_size, plan=plan)
        span = np.array([s.first, s.last, s.batch_size, s.t])
        seed = np.array([s.seed], dtype=np.uint64)
        with team.gathered(self._members(s.batch_size, s.last - s.first)) as count:
            crew = self._team(count, s.batch_size)
            desks = [self._desk(s.batch_size, rank) for rank in range(count)]

            def work(rank: int) -> Any:
                return self.loops.run_steps(
                    plan, data, method, s.theta, s.slots, space, desks[rank], crew, rank, s.order,
                    span, s.rates, s.losses, seed,
                )  # fmt: skip

            return int(team.together(count, work))
