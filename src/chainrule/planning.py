"""Turns an objective into what the compiled loops need: addresses of kernels, sizes, places in the room."""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from chainrule import entry_templates, passes, products, sparse_rows, templates, workspace
from chainrule import loops as loop_module
from chainrule.equations import ACTIVATIONS, LAYERS, PENALTIES
from chainrule.equations.activations import Activation
from chainrule.equations.dropout import kept, stream_key
from chainrule.equations.layer_kinds import LayerKind
from chainrule.equations.layers_entrywise import mixed, mixed_slopes
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
from chainrule.loops import LOOPS
from chainrule.native import COMPILED, vectors
from chainrule.parameters import Array, Layout
from chainrule.plan import (
    A_AT,
    ACTIVATE,
    BACKWARD,
    C0,
    C1,
    COLUMNS,
    D_AT,
    DEACTIVATE,
    DZ_AT,
    FORWARD,
    INPUTS,
    MEMBERS,
    NONE,
    P0,
    P1,
    ROWS,
    S0,
    S1,
    SLICES,
    UNITS,
    WHOLE,
    X_AT,
    Z_AT,
    Desk,
    Method,
    Plan,
    Rows,
    Space,
)
from chainrule.problem import Objective, Pace, Some, decay_place, paces


@lru_cache
def signatures(dtype: str) -> dict[str, Any]:
    """The signature of each sort of kernel."""
    k = array_types(dtype)
    F, V, M, R = k["F"], k["V"], k["M"], k["R"]
    integer, real = types.int64, types.float64
    return {
        "call_forward": types.void(M, V, k["I"], M),
        "call_backward": types.void(M, k["A"], V, k["I"], M, V),
        "call_activate": types.void(M, V, M, R),
        "call_deactivate": types.void(M, M, V, M),
        "call_drop": types.void(M, M, types.uint64, integer, real),
        "call_loss": types.void(M, M, V, F, V, M, R, R),
        "call_penalty": real(V, F, V),
        "call_update": types.void(V, V, M, integer, V),
        "call_scalars": types.void(real, integer, R, V),
    }


@lru_cache
def loops(dtype: str) -> SimpleNamespace:
    """The loops of a dtype, each compiled at its first call."""
    scope = {**vars(workspace), **vars(sparse_rows), **vars(passes), **vars(loop_module)}
    scope.update({name: caller(signature) for name, signature in signatures(dtype).items()})
    if COMPILED:
        scope.update(integers_at=vectors("int64"), reals_at=vectors("float64"), numbers_at=vectors(dtype))
    scope.update(layer_key=specialise(stream_key, literals=False))
    for helper in (*passes.HELPERS, *loop_module.HELPERS):
        scope[helper.__name__] = register_jitable(rebind(helper, scope))
    made = {
        loop.__name__: compile_function(rebind(loop, scope, template_name(loop, dtype.encode())))
        for loop in LOOPS
    }
    return SimpleNamespace(**made)


# ------------------------------------------------------------------ kernels of rows


def _address(sort: str, dtype: str, template: Any, **parts: Any) -> int:
    products.ready(dtype)
    return address_of(bind(template, dtype, **parts), signatures(dtype)[sort])


@lru_cache
def _layer_addresses(kind: str, dtype: str) -> tuple[int, int]:
    """Of the forward and the backward kernel of a kind; its sizes are not part of a kernel."""
    row = LAYERS[kind]
    if row.entry is None:
        forward = templates.layer_forward, {"f": row.forward, "N": len(row.parameters)}
        backward = templates.layer_backward, {"f": row.backward, "N": len(row.parameters)}
    else:
        forward, backward = _entry_templates(row)
    return (
        _address("call_forward", dtype, forward[0], **forward[1]),
        _address("call_backward", dtype, backward[0], **backward[1]),
    )


def _entry_templates(row: LayerKind) -> tuple[tuple[Any, dict[str, Any]], tuple[Any, dict[str, Any]]]:
    """Template and parts of the two kernels of a kind that is a function of each entry."""
    if row.activation is not None:
        f = {"f": row.activation.f, "C": tuple(row.activation.parameters.values())}
        slope = {"slope": row.activation.slope, "mix_slopes": mixed_slopes}
        return (entry_templates.parametric_forward, {**f, "mix": mixed}), (
            entry_templates.parametric_backward, {**f, **slope},
        )  # fmt: skip
    pieces = len(row.shapes(1, 1, *row.sizes))
    access = {"cut": entry_templates.CUT[pieces], "pick": entry_templates.PICK[pieces]}
    if row.parameters:
        access["narrow"] = entry_templates.NARROW[pieces]
        pair = entry_templates.fan_forward, entry_templates.fan_backward
    else:
        pair = entry_templates.columns_forward, entry_templates.columns_backward
    add = entry_templates.ADD[0 if row.frozen else pieces]
    return (pair[0], {"entry": row.entry, **access}), (pair[1], {"slopes": row.slopes, "add": add, **access})


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
def _dropout_address(dtype: str) -> int:
    return _address("call_drop", dtype, templates.layer_drop, coin=kept)


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


def make_method(row: Optimiser, pace: Pace, layout: Layout) -> tuple[Method, int]:
    """An optimiser as the loops take it, and the number of its scalars."""
    assert row.step is not None and row.scalars is not None
    dtype = layout.network.dtype
    parameters = np.array(list(row.parameters.values()), dtype=np.float64)
    count = len(row.scalars(1.0, 1, *parameters))
    addresses = _method_addresses(
        row.name, row.step, row.scalars, len(row.slots), (len(row.parameters), count), dtype
    )
    stretches = paces(layout, row, pace)
    groups = list(dict.fromkeys((rate, decay) for *_, rate, decay in stretches))
    segments = [(start, stop, groups.index((rate, decay))) for start, stop, rate, decay in stretches]
    method = Method(
        address=np.array(addresses),
        parameters=parameters,
        decay=np.array([decay_place(row)]),
        factors=np.array(groups, dtype=np.float64).reshape(-1, 2),
        segments=np.array(segments, dtype=np.int64).reshape(-1, 3),
        clip=np.array([pace.clip]),
    )
    return method, count


def make_plan(objective: Objective, *, sparse: bool = False) -> Plan:
    """The plan of an objective: addresses, sizes and places.

    With `sparse` the workspace has no room for the rows of X, which are a CSR matrix and stay there.
    """
    network, dtype = objective.network, objective.network.dtype
    table = np.full((len(network.layers), COLUMNS), -1, dtype=np.int64)
    constants: list[float] = []
    sizes: list[int] = []
    column = 0 if sparse else network.inputs
    for index, (layer, row) in enumerate(zip(network.layers, network.activations, strict=True)):
        stretch, at = objective.layout.layer_slice(index), table[index]
        units = network.widths[index + 1]
        at[[FORWARD, BACKWARD]] = _layer_addresses(layer.row.name, dtype)
        at[[INPUTS, UNITS]] = network.widths[index] // layer.members, units // layer.members
        at[MEMBERS], at[SLICES] = layer.members, _slices(layer.row, stretch)
        at[[P0, P1]] = stretch.start, stretch.stop
        at[[S0, S1]] = len(sizes), len(sizes) + len(layer.row.sizes)
        sizes += layer.row.sizes
        at[[C0, C1]] = len(constants), len(constants) + len(row.parameters)
        constants += row.parameters.values()
        if index or not sparse:
            at[X_AT] = table[index - 1, D_AT] if index else 0
        at[[Z_AT, A_AT, D_AT]] = column
        if row.name != "identity":
            at[[ACTIVATE, DEACTIVATE]] = _activation_addresses(row, dtype)
            column += units
            at[[A_AT, D_AT]] = column
        if layer.dropout:
            column += units
            at[D_AT] = column
        column += units
    outputs_at = column
    column += network.widths[-1]
    for index, units in enumerate(network.widths[1:]):
        table[index, DZ_AT] = column
        column += units
    learns = np.flatnonzero(table[:, SLICES] != NONE)
    first = int(learns[0]) if len(learns) else len(network.layers)
    drop = _dropout_address(dtype) if any(layer.dropout for layer in network.layers) else -1
    places = np.array([outputs_at, column, network.members, network.outputs, first, drop])
    strengths = {name: s for name, s in objective.strengths.items() if s}
    return Plan(
        layers=table,
        constants=np.array(constants, dtype=dtype),
        sizes=np.array(sizes, dtype=np.int64),
        dropout=np.array([layer.dropout for layer in network.layers]),
        loss=np.array(_loss_addresses(network.loss_row, dtype)),
        loss_constants=np.array(list(network.loss_row.parameters.values()), dtype=dtype),
        penalties=np.array([_penalty_address(name, dtype) for name in strengths], dtype=np.int64),
        strengths=np.array(list(strengths.values()), dtype=np.float64),
        penalised=np.array(objective.penalised(), dtype=np.int64).reshape(-1, 2),
        places=places,
        per_batch=np.array([int(objective.per_batch)]),
    )


def _slices(row: LayerKind, stretch: slice) -> int:
    """The sort of pieces that a layer's parameters fall into."""
    if row.frozen or stretch.start == stretch.stop:
        return NONE
    return ROWS if row.sliced else WHOLE


def _loss_addresses(row: Loss, dtype: str) -> tuple[int, int]:
    link = ACTIVATIONS[row.link]
    return (
        _loss_address(row.value, row.slope, row.coupled, len(row.parameters), dtype),
        _activate_address(link.f, link.coupled, len(link.parameters), dtype),
    )


def make_ticket(plan: Plan, theta: Array, space: Space, desk: Desk) -> Array:
    """Addresses and sizes of what `run_rows` needs; who holds the ticket keeps the arrays alive."""
    arrays = (
        plan.layers, plan.places, plan.constants, theta, plan.dropout, plan.loss, plan.loss_constants,
        space.work, desk.scratch, plan.sizes,
    )  # fmt: skip
    entries = [*plan.layers.shape, *(fact for a in arrays for fact in (a.ctypes.data, a.size))]
    return np.array(entries, dtype=np.int64)


def make_rows(X: Any, Y: Array | None, weights: Array | None, dtype: str) -> Rows:
    """Data as the loops take them: read-only, contiguous views; no copy where they are so already."""
    none, whole = np.empty(0, dtype), np.empty(0, np.int64)
    where = whole
    if isinstance(X, Some):
        X, where = X.whole, X.rows
    n = len(where) if where.size else X.shape[0]
    if hasattr(X, "indptr"):
        X = X.tocsr()  # a compressed column matrix has the same attributes
        dense = np.empty((0, 0), dtype)
        sparse = (X.data.astype(dtype, copy=False), *(a.astype(np.int64) for a in (X.indices, X.indptr)))
    else:
        dense, sparse = np.ascontiguousarray(X, dtype=dtype), (none, whole, whole)
    if Y is None:
        Y = np.empty((n, 0), dtype)
    w = none if weights is None else np.ascontiguousarray(weights, dtype=dtype)
    return Rows(*(frozen(a) for a in (dense, where, *sparse, np.ascontiguousarray(Y, dtype=dtype), w)))


def frozen(array: Any) -> Any:
    """A read-only view, so that all data have one type in the compiled code."""
    view_of = array.view()
    view_of.flags.writeable = False
    return view_of
