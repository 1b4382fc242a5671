"""The tables. Each module is one table; importing this package registers every row."""

from chainrule.equations import layers, layers_entrywise  # noqa: F401 - they fill the table
from chainrule.equations.activations import ACTIVATIONS
from chainrule.equations.initialisers import INITIALISERS
from chainrule.equations.layer_kinds import LAYERS
from chainrule.equations.losses import LOSSES
from chainrule.equations.optimisers import OPTIMISERS
from chainrule.equations.penalties import PENALTIES
from chainrule.equations.schedules import SCHEDULES

TABLES = {
    table.kind: table
    for table in (ACTIVATIONS, LOSSES, LAYERS, PENALTIES, OPTIMISERS, SCHEDULES, INITIALISERS)
}

__all__ = [
    "ACTIVATIONS",
    "INITIALISERS",
    "LAYERS",
    "LOSSES",
    "OPTIMISERS",
    "PENALTIES",
    "SCHEDULES",
    "TABLES",
]
