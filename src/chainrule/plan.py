"""What the compiled loops work on: plans, data, room, and what each thread of a team has."""

from __future__ import annotations

from typing import Any, NamedTuple

# Columns of Plan.layers: addresses, sizes, and places in the parameters, constants and workspace. SLICES is
# the sort of pieces that a layer's parameters fall into: NONE to learn, WHOLE for one piece, or ROWS of the
# first. INPUTS and UNITS are those of each of its MEMBERS, the equal parts of a row.
COLUMNS = 19
(
    FORWARD, BACKWARD, ACTIVATE, DEACTIVATE, INPUTS, UNITS, P0, P1, C0, C1, X_AT, Z_AT, A_AT, D_AT,
    DZ_AT, SLICES, MEMBERS, S0, S1,
) = range(COLUMNS)  # fmt: skip
NONE, WHOLE, ROWS = range(3)
RATE, DECAY, DROPOUT = range(3)  # rows of what is scheduled for each step
# Entries of Plan.places: where Y is, columns in all, the network's members and outputs, the first layer that
# learns, and the address of dropout.
Y_AT, WIDTH, PARTS, OUTPUTS, FIRST, DROP = range(6)
ALIGNED = 8  # rows are shared out in multiples of this, and slices of parameters, which are summed so, too
PIECE = 1 << 17  # most parameters whose gradient is in the scratch at once


class Plan(NamedTuple):
    """What the loops need to know of a network and its objective, in arrays."""

    layers: Any  # int64 (depth, COLUMNS): see the column names above
    constants: Any  # parameters of the activations, one after the other
    sizes: Any  # int64: those of the layer kinds
    dropout: Any  # float64 (depth,)
    loss: Any  # int64 (2,): addresses of the loss and of its link
    loss_constants: Any
    penalties: Any  # int64: address of each penalty
    strengths: Any  # float64: strength of each penalty
    penalised: Any  # int64 (pieces, 2): start, stop of what penalties apply to
    places: Any  # int64: see the names of its entries above
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
    scalars: Any  # of the optimiser's step, for each group of parameters
    parameters: Any  # float64: the optimiser's, for each group


class Team(NamedTuple):
    """The threads that share a step."""

    count: Any  # int64 (1,)
    counters: Any  # int64: where they meet
    losses: Any  # float64: the loss of each row
    penalties: Any  # float64: the penalties of each block of parameters
    squares: Any  # likewise the squares of the gradient, where its length is limited
    gradient: Any  # then, of all parameters


class Method(NamedTuple):
    """An optimiser: addresses of its update and of its scalars, its parameters, and groups of the network's.

    A group of parameters shares a factor on the learning rate and one on the weight decay.
    """

    address: Any
    parameters: Any
    decay: Any  # int64 (1,): which of its parameters is the weight decay; -1 for none
    factors: Any  # float64 (groups, 2): on the learning rate, on the weight decay
    segments: Any  # int64 (pieces, 3): start, stop, group
    clip: Any  # float64 (1,): most length of the gradient; 0 for no limit
