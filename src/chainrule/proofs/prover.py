"""Which proofs there are of which row."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from chainrule.equation import Row
from chainrule.equations import TABLES
from chainrule.equations.activations import Activation
from chainrule.equations.initialisers import Initialiser
from chainrule.equations.layer_kinds import LayerKind
from chainrule.equations.losses import Loss
from chainrule.equations.optimisers import Optimiser
from chainrule.equations.penalties import Penalty
from chainrule.equations.schedules import Schedule
from chainrule.errors import OptionError
from chainrule.proofs.coupled import prove_coupled_loss, prove_softmax
from chainrule.proofs.curves import prove_activation, prove_loss, prove_penalty
from chainrule.proofs.initialisers import prove_initialiser
from chainrule.proofs.layers import prove_layer
from chainrule.proofs.measurements import rounding_error
from chainrule.proofs.network import PASSES
from chainrule.proofs.proof import Proof
from chainrule.proofs.schedules import prove_schedule
from chainrule.proofs.updates import prove_optimiser

PROVERS: dict[type[Row], Callable[[Any], list[Proof]]] = {
    Activation: lambda row: prove_softmax(row) if row.coupled else prove_activation(row),
    Loss: lambda row: prove_coupled_loss(row) if row.coupled else prove_loss(row),
    LayerKind: prove_layer,
    Penalty: prove_penalty,
    Optimiser: prove_optimiser,
    Schedule: prove_schedule,
    Initialiser: prove_initialiser,
}


def prove(row: Row | str, *, measure: bool = True) -> tuple[Proof, ...]:
    """Prove what can be said about a row of the tables.

    Parameters
    ----------
    row : Row or str
        A row, or a name of one in any table. A row that a user has registered is proved like the built-in
        ones. Parameters stay symbols: what is proved holds for every value in their ranges. Two names
        stand for passes through a whole network: ``"back_propagation"`` and ``"dropout"``.
    measure : bool
        Whether to measure the rounding error, too.

    Returns
    -------
    tuple of Proof
        One for each statement. The first of a row carries its rounding error.

    Raises
    ------
    OptionError
        If nothing has that name.

    Examples
    --------
    >>> import chainrule
    >>> [proof.status for proof in chainrule.prove("softplus")]
    ['proved', 'proved']
    """
    if isinstance(row, str):
        if row in PASSES:
            return tuple(PASSES[row]())
        return tuple(proof for found in _named(row) for proof in prove(found, measure=measure))
    first, *rest = PROVERS[type(row)](row)
    return (replace(first, error=rounding_error(row)) if measure and first.proved else first, *rest)


def prove_all(*, measure: bool = True) -> tuple[Proof, ...]:
    """Prove every row of every table, and the passes through a network.

    Parameters
    ----------
    measure : bool
        Whether to measure the rounding errors, too.

    Returns
    -------
    tuple of Proof
    """
    proofs = [proof for row in rows() for proof in prove(row, measure=measure)]
    return (*proofs, *(proof for name in PASSES for proof in prove(name)))


def rows() -> Iterator[Row]:
    """Every row of every table."""
    for table in TABLES.values():
        yield from table.values()


def _named(name: str) -> list[Row]:
    bare = name.partition("(")[0].strip()
    found: list[Row] = [table.find(name) for table in TABLES.values() if bare in table.names()]
    if not found:
        names = [*PASSES, *(name for table in TABLES.values() for name in table.names())]
        close = difflib.get_close_matches(bare, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise OptionError(f"There is nothing to prove with the name {name!r}.{hint}")
    return found
