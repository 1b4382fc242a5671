"""The compiled run: a whole stretch of training steps in one call, without the interpreter.

This module turns an objective into what the loops of `chainrule.loops` need: addresses of kernels, sizes,
and places in one workspace.
"""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from chainrule import loops as loop_module
from chainrule import team, templates
from chainrule.equations import ACTIVATIONS, LAYERS, PENALTIES
from chainrule.equations.activations import Activation
from chainrule.equations.dropout import kept, stream_key
from chainrule.equations.losses import Loss
from chainrule.equations.optimisers import Optimiser
from chainrule.kernels import (
    address_of,
    array_types,
    bind,
    caller,
    compile_function,
    rebind,
    specialise,
    template_name,
)
from chainrule.loops import HELPERS, LOOPS
from chainrule.native import LINE
from chainrule.parameters import Array
from chainrule.plan import (
    A_AT,
    ACTIVATE,
    ALIGNED,
    BACKWARD,
    C0,
    C1,
    D_AT,
    DEACTIVATE,
    DZ_AT,
    FORWARD,
    INPUTS,
    P0,
    P1,
    PIECE,
    SLICES,
    UNITS,
    X_AT,
    Z_AT,
    Desk,
    Method,
    Plan,
    Rows,
    Space,
    Team,
)
from chainrule.problem import Batch, Objective, Stretch, decay_free

CHUNK = 2048  # rows of a full-batch pass that are in the workspace at once
MEMBER = 1_000_000  # multiplications of a step that are worth a thread: some 20 microseconds
CALL = 20 * MEMBER  # multiplications of a call that are worth waking the threads for


@lru_cache
def signatures(dtype: str) -> dict[str, Any]:
    """The signature of each sort of kernel."""
    k = array_types(dtype)
    F, V, M, R = k["F"], k["V"], k["M"], k["R"]
    integer, real = types.int64, types.float64
    return {
        "call_forward": types.void(M, V, M),
        "call_backward": types.void(M, k["A"], V, M, V),
        "call_jacobian": types.void(M, M, M),
        "call_activate": types.void(M, V, M, R),
        "call_deactivate": types.void(M, M, V, M),
        "call_loss": real(M, M, V, F, V, M, R),
        "call_penalty": real(V, F, V),
        "call_update": types.void(V, V, M, integer, V),
        "call_scalars": types.void(real, integer, R, V),
    }


@lru_cache
def loops(dtype: str) -> SimpleNamespace:
    """The loops of a dtype, each compiled at its first call."""
    scope = dict(vars(loop_module))
    scope.update({name: caller(signature) for name, signature in signatures(dtype).items()})
    scope.update(layer_key=specialise(stream_key, literals=False), coin=specialise(kept, literals=False))
    for helper in HELPERS:
        scope[helper.__name__] = register_jitable(rebind(helper, scope))
    made = {
        loop.__name__: compile_function(rebind(loop, scope, template_name(loop, dtype.encode())))
        for loop in LOOPS
    }
    return SimpleNamespace(**made)


# ------------------------------------------------------------------ kernels of rows


def _address(sort: str, dtype: str, template: Any, **parts: Any) -> int:
    return address_of(bind(template, dtype, **parts), signatures(dtype)[sort])


@lru_cache
def _layer_addresses(kind: str, dtype: str) -> tuple[int, int]:
    row = LAYERS[kind]
    forward = _address("call_forward", dtype, templates.layer_forward, f=row.forward)
    return forward, _address("call_backward", dtype, templates.layer_backward, f=row.backward)


@lru_cache
def _jacobian_address(kind: str, dtype: str) -> int:
    return _address("call_jacobian", dtype, templates.layer_jacobian, f=LAYERS[kind].row_gradients)


def _activation_addresses(row: Activation, dtype: str) -> tuple[int, int]:
    return _activate_address(row.f, row.coupled, len(row.parameters), dtype), (
        _address_of_pullback(row.pullback, dtype)
        if row.coupled
        else _address_of_slope(row.slope, len(row.parameters), dtype)
    )


@lru_cache
def _activate_address(f: Any, coupled: bool, count: int, dtype: str) -> int:
    if coupled:
        return _address(
            "call_activate", dtype, templates.activate_coupled, f=f, statistics=templates.row_statistics
        )
    return _address("call_activate", dtype, templates.activate_entries, f=f, N=count)


@lru_cache
def _address_of_slope(slope: Any, count: int, dtype: str) -> int:
    return _address("call_deactivate", dtype, templates.deactivate_entries, slope=slope, N=count)


@lru_cache
def _address_of_pullback(pullback: Any, dtype: str) -> int:
    return _address("call_deactivate", dtype, templates.deactivate_coupled, pullback=pullback)


@lru_cache
def _loss_address(value: Any, slope: Any, coupled: bool, count: int, dtype: str) -> int:
    parts = {"value": value, "slope": slope, "weighted": templates.weigh}
    if coupled:
        parts["statistics"] = templates.row_statistics
        return _address("call_loss", dtype, templates.loss_coupled, **parts)
    return _address("call_loss", dtype, templates.loss_entries, N=count, **parts)


@lru_cache
def _penalty_address(name: str, dtype: str) -> int:
    row = PENALTIES[name]
    return _address("call_penalty", dtype, templates.penalty, value=row.value, slope=row.slope)


@lru_cache
def _method_addresses(
    name: str, step: Any, scalars: Any, slots: int, counts: tuple[int, int], dtype: str
) -> tuple[int, int]:
    update = _address("call_update", dtype, templates.UPDATES[slots], step=step, M=counts[1])
    return update, _address("call_scalars", dtype, templates.optimiser_scalars, scalars=scalars, N=counts[0])


def make_method(row: Optimiser, dtype: str) -> tuple[Method, int]:
    """An optimiser as the loops take it, and the number of its scalars."""
    assert row.step is not None and row.scalars is not None
    parameters = np.array([list(row.parameters.values()), decay_free(row)], dtype=np.float64)
    count = len(row.scalars(1.0, 1, *parameters[0]))
    addresses = _method_addresses(
        row.name, row.step, row.scalars, len(row.slots), (len(row.parameters), count), dtype
    )
    decays = np.array([int((parameters[0] != parameters[1]).any())])
    return Method(np.array(addresses), parameters.reshape(2, -1), decays), count


def make_plan(objective: Objective) -> Plan:
    """The plan of an objective: addresses, sizes and places."""
    network, dtype = objective.network, objective.network.dtype
    table = np.full((len(network.layers), 16), -1, dtype=np.int64)
    constants: list[float] = []
    column = network.inputs
    for index, (layer, row) in enumerate(zip(network.layers, network.activations, strict=True)):
        stretch, at = objective.layout.layer_slice(index), table[index]
        at[[FORWARD, BACKWARD]] = _layer_addresses(layer.kind, dtype)
        at[[INPUTS, UNITS]] = network.widths[index], layer.units
        at[SLICES] = int(LAYERS[layer.kind].sliced)
        at[[P0, P1]] = stretch.start, stretch.stop
        at[[C0, C1]] = len(constants), len(constants) + len(row.parameters)
        constants += row.parameters.values()
        at[X_AT] = table[index - 1, D_AT] if index else 0
        at[[Z_AT, A_AT, D_AT]] = column
        if row.name != "identity":
            at[[ACTIVATE, DEACTIVATE]] = _activation_addresses(row, dtype)
            column += layer.units
            at[[A_AT, D_AT]] = column
        if layer.dropout:
            column += layer.units
            at[D_AT] = column
        column += layer.units
    outputs_at = column
    column += network.outputs
    for index, layer in enumerate(network.layers):
        table[index, DZ_AT] = column
        column += layer.units
    coupled = [
        layer.units for layer, row in zip(network.layers, network.activations, strict=True) if row.coupled
    ]
    places = np.array([outputs_at, column, 3 * max([network.outputs, *coupled])])
    strengths = {name: s for name, s in objective.strengths.items() if s}
    return Plan(
        layers=table,
        constants=np.array(constants, dtype=dtype),
        dropout=np.array([layer.dropout for layer in network.layers]),
        loss=np.array(_loss_addresses(network.loss_row, dtype)),
        loss_constants=np.array(list(network.loss_row.parameters.values()), dtype=dtype),
        penalties=np.array([_penalty_address(name, dtype) for name in strengths], dtype=np.int64),
        strengths=np.array(list(strengths.values()), dtype=np.float64),
        segments=np.array(objective.segments(), dtype=np.int64),
        places=places,
        per_batch=np.array([int(objective.per_batch)]),
    )


def _loss_addresses(row: Loss, dtype: str) -> tuple[int, int]:
    link = ACTIVATIONS[row.link]
    return (
        _loss_address(row.value, row.slope, row.coupled, len(row.parameters), dtype),
        _activate_address(link.f, link.coupled, len(link.parameters), dtype),
    )


def make_rows(X: Any, Y: Array | None, weights: Array | None, outputs: int, dtype: str) -> Rows:
    """Data as the loops take them: read-only, contiguous views; no copy where they are so already."""
    none, whole = np.empty(0, dtype), np.empty(0, np.int64)
    if hasattr(X, "indptr"):
        X = X.tocsr()  # a compressed column matrix has the same attributes
        dense = np.empty((0, 0), dtype)
        sparse = (X.data.astype(dtype, copy=False), *(a.astype(np.int64) for a in (X.indices, X.indptr)))
    else:
        dense, sparse = np.ascontiguousarray(X, dtype=dtype), (none, whole, whole)
    if Y is None:
        Y = np.broadcast_to(np.zeros((), dtype), (X.shape[0], 0)).copy()
    w = none if weights is None else np.ascontiguousarray(weights, dtype=dtype)
    return Rows(*(frozen(a) for a in (dense, *sparse, np.ascontiguousarray(Y, dtype=dtype), w)))


def frozen(array: Any) -> Any:
    """A read-only view, so that all data have one type in the compiled code."""
    view_of = array.view()
    view_of.flags.writeable = False
    return view_of


class Run:
    """The compiled run of a network's training: the same methods as `chainrule.reference.Run`.

    Parameters
    ----------
    objective : Objective
        Network, penalties and how they scale.
    optimiser : Optimiser, optional
        Needed by `steps` only.
    """

    def __init__(self, objective: Objective, optimiser: Optimiser | None = None) -> None:
        self.objective = objective
        self.network = objective.network
        self.dtype = objective.network.dtype
        self.plan = make_plan(objective)
        self.loops = loops(self.dtype)
        self.method, self._scalars = None, 0
        if optimiser and optimiser.step:
            self.method, self._scalars = make_method(optimiser, self.dtype)
        self._spaces: list[Space] = []
        self._desks: list[Desk] = []
        self._data: tuple[Any, Rows] | None = None

    # -------------------------------------------------------------- room and threads

    def _space(self, rows: int, rank: int = 0) -> Space:
        """A workspace for that many rows, kept from call to call."""
        while len(self._spaces) <= rank:
            self._spaces.append(Space(np.empty(0, self.dtype), np.empty(0, self.dtype)))
        if self._spaces[rank].weights.size < rows:
            columns = int(self.plan.places[1])
            self._spaces[rank] = Space(np.empty(rows * columns, self.dtype), np.empty(rows, self.dtype))
        return self._spaces[rank]

    def _desk(self, rows: int, rank: int) -> Desk:
        """What a member of the team needs for that many rows of its own."""
        scratch = rows * int(self.plan.places[2])
        while len(self._desks) <= rank:
            scalars = np.zeros((2, max(self._scalars, 1)), self.dtype)
            self._desks.append(Desk(np.empty(0), np.empty(self._most_at_once(), self.dtype), scalars))
        desk = self._desks[rank]
        if desk.scratch.size < scratch:
            self._desks[rank] = desk._replace(scratch=np.empty(scratch))
        return self._desks[rank]

    def _most_at_once(self) -> int:
        """Parameters whose gradient is in a member's scratch at once."""
        most = 0
        for at in self.plan.layers:
            size, row = at[P1] - at[P0], at[UNITS]
            rest = size - at[INPUTS] * row  # the biases, which come with each piece
            most = max(most, min(size, max(PIECE, row) + rest) if at[SLICES] else size)
        return int(most)

    def _members(self, rows: int, repeats: float) -> int:
        """The number of threads that are worth it for a step of so many rows, done so many times."""
        work = rows * self.objective.layout.size
        if work * repeats < CALL:
            return 1
        return int(max(1, min(work // MEMBER, rows // ALIGNED)))

    def _team(self, count: int) -> Team:
        shares = np.zeros((2, count, LINE))
        return Team(np.zeros(2 * LINE, np.int64), shares[0], shares[1])

    def _rows(self, batch: Batch) -> Rows:
        if self._data is None or self._data[0] is not batch:
            made = make_rows(batch.X, batch.Y, batch.weights, self.network.outputs, self.dtype)
            self._data = batch, made
        return self._data[1]

    # -------------------------------------------------------------- what it runs

    def values(self, theta: Array, X: Any, layer: int = -1, link: bool = False) -> Array:
        """Values of a layer after its activation (the loss's z for the last one)."""
        n, depth = X.shape[0], len(self.network.layers)
        layer %= depth
        rows = make_rows(X, np.zeros((n, self.network.outputs), self.dtype), None, 0, self.dtype)
        chunk = max(1, min(n, CHUNK))
        out = np.empty((n, self.network.layers[layer].units), self.dtype)
        order = np.arange(n)

        with team.gathered(self._members(chunk, n / chunk)) as count:

            def work(rank: int) -> None:
                self.loops.run_forward(
                    self.plan, rows, theta, spaces[rank], desks[rank], rank, count, order, chunk, layer,
                    link, out,
                )  # fmt: skip

            if count > 1:
                chunk = min(chunk, -(-n // count))
            spaces = [self._space(chunk, rank) for rank in range(count)]
            desks = [self._desk(chunk, rank) for rank in range(count)]
            team.together(count, work)
        return out

    def predict(self, theta: Array, X: Any) -> Array:
        """Predictions: the last layer's values through the loss's output link."""
        return self.values(theta, X, link=True)

    def _evaluate(self, theta: Array, batch: Batch, want: bool) -> tuple[float, Array]:
        n = len(batch)
        chunk, gradient = max(1, min(n, CHUNK)), np.empty(self.objective.layout.size, self.dtype)
        space, order, data = self._space(chunk), np.arange(n), self._rows(batch)
        if not want:
            gradient[:] = 0  # the penalties' derivative is added to it all the same
        with team.gathered(self._members(chunk, n / chunk)) as count:
            crew, desks = self._team(count), [self._desk(chunk, rank) for rank in range(count)]

            def work(rank: int) -> float:
                return self.loops.run_gradient(  # type: ignore[no-any-return]
                    self.plan, data, theta, gradient, space, desks[rank], crew, rank, order, chunk, want
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
        n, outputs = X.shape[0], self.network.outputs
        rows = make_rows(X, np.zeros((n, outputs), self.dtype), None, 0, self.dtype)
        J = np.zeros((n, outputs, self.objective.layout.size), self.dtype)
        kinds = [_jacobian_address(layer.kind, self.dtype) for layer in self.network.layers]
        order = np.arange(n)
        with team.gathered(1):
            self.loops.run_jacobian(
                self.plan, np.array(kinds), rows, theta, self._space(n), self._desk(n, 0), order, J
            )
        return self.values(theta, X), J

    def steps(self, stretch: Stretch) -> int:
        """Run the training steps of a stretch of an epoch; returns how many were done.

        It stops early, before the update, at a loss that is not finite.
        """
        s = stretch
        assert self.method is not None
        method, data, space = self.method, self._rows(s.batch), self._space(s.batch_size)
        span = np.array([s.first, s.last, s.batch_size, s.t])
        seed = np.array([s.seed], dtype=np.uint64)
        with team.gathered(self._members(s.batch_size, s.last - s.first)) as count:
            crew, desks = self._team(count), [self._desk(s.batch_size, rank) for rank in range(count)]

            def work(rank: int) -> int:
                return self.loops.run_steps(  # type: ignore[no-any-return]
                    self.plan, data, method, s.theta, s.slots, space, desks[rank], crew, rank, s.order,
                    span, s.rates, s.losses, seed,
                )  # fmt: skip

            return int(team.together(count, work))
