"""What the compiled loops work on: plans, data, room, and what each thread of a team has."""

from __future__ import annotations

from typing import Any, NamedTuple

# Columns of Plan.layers: addresses, sizes, and places in the parameters, constants and workspace. SLICES is
# the number of slices that a layer's parameters fall into along its inputs (0: they are one piece).
COLUMNS = 16
(
    FORWARD, BACKWARD, ACTIVATE, DEACTIVATE, INPUTS, UNITS, P0, P1, C0, C1, X_AT, Z_AT, A_AT, D_AT,
    DZ_AT, SLICES,
) = range(COLUMNS)  # fmt: skip
ALIGNED = 8  # rows are shared out in multiples of this
PIECE = 1 << 17  # most parameters whose gradient is in the scratch at once


class Plan(NamedTuple):
    """What the loops need to know of a network and its objective, in arrays."""

    layers: Any  # int64 (depth, COLUMNS): see the column names above
    constants: Any  # parameters of the activations, one after the other
    dropout: Any  # float64 (depth,)
    loss: Any  # int64 (2,): addresses of the loss and of its link
    loss_constants: Any
    penalties: Any  # int64: address of each penalty
    strengths: Any  # float64: strength of each penalty
    segments: Any  # int64 (pieces, 3): start, stop, free of decay
    places: Any  # int64 (2,): where Y is, columns in all
    per_batch: Any  # int64 (1,)


class Rows(NamedTuple):
    """The data: a dense X, or a CSR one (values, columns, starts) with an empty X."""

    X: Any
    where: Any  # int64 (n,): the rows of X that are meant; empty if they are all, in their order
    values: Any
    columns: Any
    starts: Any
    Y: Any
    weights: Any


class Space(NamedTuple):
    """Room for the rows of a step: for all their arrays, and for their weights."""

    work: Any
    weights: Any


class Desk(NamedTuple):
    """What a member of the team has to itself."""

    scratch: Any  # float64: for the loss and for activations that are coupled
    gradient: Any  # of the parameters at hand
    scalars: Any  # of the optimiser's step, and of one without weight decay


class Team(NamedTuple):
    """The threads that share a step."""

    counters: Any  # int64: where they meet
    losses: Any  # float64 (count, LINE): each member's share of the loss
    penalties: Any  # likewise of the penalties


class Method(NamedTuple):
    """An optimiser: addresses of its update and of its scalars, its parameters (second row: no decay)."""

    address: Any
    parameters: Any
    decays: Any  # int64 (1,): whether it shrinks weights, and so moves biases differently
