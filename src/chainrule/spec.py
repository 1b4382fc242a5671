"""What a network is and how it is trained: frozen, validated descriptions, without any numbers learnt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

from chainrule.equations import ACTIVATIONS, LAYERS, LOSSES, OPTIMISERS, SCHEDULES
from chainrule.equations.activations import Activation
from chainrule.equations.losses import Loss
from chainrule.equations.optimisers import Optimiser
from chainrule.equations.schedules import Schedule
from chainrule.errors import OptionError
from chainrule.html_table import table

TITLES = ("Layer", "Kind", "Shape", "Activation", "Parameters")


def _whole(name: str, value: Any, low: int) -> None:
    if not (isinstance(value, int) and not isinstance(value, bool) and value >= low):
        raise OptionError(f"{name} must be a whole number of at least {low}, not {value!r}.")


def _real(name: str, value: Any, low: float, high: float = math.inf, *, open_high: bool = False) -> None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    if not good or (open_high and value == high):
        end = ")" if open_high else "]"
        raise OptionError(f"{name} must be a number in [{low}, {high}{end}, not {value!r}.")


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Parameters
    ----------
    units : int
        Number of units, at least 1.
    activation : str
        A name of the activation table, with parameters if wished: ``"leaky_relu(alpha=0.2)"``.
    dropout : float
        Share of this layer's values that is dropped while training, in [0, 1).
    kind : str
        A name of the layer table.

    Raises
    ------
    OptionError
        If a value is not what it may be.
    """

    units: int
    activation: str = "identity"
    dropout: float = 0.0
    kind: str = "dense"

    def __post_init__(self) -> None:
        _whole("units", self.units, 1)
        _real("dropout", self.dropout, 0.0, 1.0, open_high=True)
        LAYERS.find(self.kind)
        object.__setattr__(self, "activation", ACTIVATIONS.spell(ACTIVATIONS.find(self.activation)))


@dataclass(frozen=True)
class Network:
    """A feed-forward network: inputs, layers, a loss.

    The last layer's values are the loss's z: the loss applies its own output link (sigmoid for
    binary cross-entropy, softmax for categorical cross-entropy, ...), so that layer usually has no
    activation.

    Parameters
    ----------
    inputs : int
        Number of features, at least 1.
    layers : sequence of Layer
        At least one; the last has one unit for each output.
    loss : str
        A name of the loss table, with parameters if wished: ``"huber(delta=2)"``.
    dtype : {"float64", "float32"}
        Type of the parameters and of all arithmetic.

    Raises
    ------
    OptionError
        If a value is not what it may be.
    """

    inputs: int
    layers: Sequence[Layer]
    loss: str = "squared_error"
    dtype: Literal["float64", "float32"] = "float64"

    def __post_init__(self) -> None:
        _whole("inputs", self.inputs, 1)
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise OptionError("A network needs at least one layer.")
        if self.dtype not in ("float64", "float32"):
            raise OptionError(f"dtype must be 'float64' or 'float32', not {self.dtype!r}.")
        if self.layers[-1].dropout:
            raise OptionError("The output layer cannot have dropout: set it on hidden layers.")
        object.__setattr__(self, "loss", LOSSES.spell(LOSSES.find(self.loss)))

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.layers[-1].units

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Number of values before each layer and after the last."""
        return (self.inputs, *(layer.units for layer in self.layers))

    @cached_property
    def activations(self) -> tuple[Activation, ...]:
        """The activation row of each layer."""
        return tuple(ACTIVATIONS.find(layer.activation) for layer in self.layers)

    @cached_property
    def loss_row(self) -> Loss:
        """The row of the loss."""
        return LOSSES.find(self.loss)

    @property
    def parameters(self) -> tuple[int, ...]:
        """Number of parameters of each layer."""
        return tuple(
            sum(math.prod(shape) for shape in LAYERS[layer.kind].shapes(inputs, layer.units).values())
            for inputs, layer in zip(self.widths, self.layers, strict=False)
        )

    def summary(self) -> str:
        """The layers as a table of aligned text: kinds, shapes, activations and parameters."""
        rows = [TITLES, *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, self._totals()])

    def _rows(self) -> list[tuple[str, ...]]:
        """A row of text for each layer."""
        return [
            (
                "output" if number == len(self.layers) else f"hidden {number}",
                layer.kind + (f", dropout {layer.dropout:g}" if layer.dropout else ""),
                f"{inputs} → {layer.units}",
                layer.activation,
                f"{count:,}",
            )
            for number, (layer, inputs, count) in enumerate(
                zip(self.layers, self.widths, self.parameters, strict=False), 1
            )
        ]

    def _totals(self) -> str:
        link = "" if self.loss_row.link == "identity" else f", output through {self.loss_row.link}"
        return f"{sum(self.parameters):,} parameters ({self.dtype}), loss {self.loss}{link}"

    def _repr_html_(self) -> str:
        rows = [
            (*row[:4], f"${activation.latex}$", row[4])
            for row, activation in zip(self._rows(), self.activations, strict=True)
        ]
        titles = (*TITLES[:4], "Formula", TITLES[4])
        return table(self._totals(), titles, rows, numbers=(5,))

    def __getstate__(self) -> dict[str, Any]:
        # Without what is cached: rows hold functions, and not every function can be pickled.
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def as_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Network:
        """The inverse of `as_dict`."""
        return cls(**{**facts, "layers": tuple(Layer(**layer) for layer in facts["layers"])})


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Parameters
    ----------
    optimiser : str
        A name of the optimiser table, with parameters if wished: ``"adam(beta_2=0.95)"``.
    learning_rate : float
        Initial learning rate, positive.
    schedule : str
        A name of the schedule table.
    batch_size : int
        Rows in a batch; clipped to the number of rows. Full-batch optimisers take all.
    epochs : int
        Most passes over the data (most iterations, for a full-batch optimiser).
    shuffle : bool
        Whether rows are put in a new order for each epoch.
    seed : int
        Seed of the order and of dropout, in [0, 2**63).
    penalties : mapping of str to float
        Strength of each penalty, not negative.
    penalty_per_batch : bool
        Divide the penalties by the batch's sum of sample weights, as scikit-learn does.
    tol : float
        Least improvement that counts.
    patience : int or None
        Epochs without improvement after which training ends (or the plateau schedule acts); None: never.
    max_evaluations : int
        Most evaluations of the loss, for L-BFGS.

    Raises
    ------
    OptionError
        If a value is not what it may be.
    """

    optimiser: str = "adam"
    learning_rate: float = 0.001
    schedule: str = "constant"
    batch_size: int = 200
    epochs: int = 200
    shuffle: bool = True
    seed: int = 0
    penalties: Mapping[str, float] = field(default_factory=dict)
    penalty_per_batch: bool = False
    tol: float = 1e-4
    patience: int | None = 10
    max_evaluations: int = 15000

    def __post_init__(self) -> None:
        _real("learning_rate", self.learning_rate, 5e-324)
        _whole("batch_size", self.batch_size, 1)
        _whole("epochs", self.epochs, 1)
        _whole("seed", self.seed, 0)
        _whole("max_evaluations", self.max_evaluations, 1)
        _real("tol", self.tol, -math.inf)
        if self.patience is not None:
            _real("patience", self.patience, 0)
        for name, strength in self.penalties.items():
            _real(f"The strength of the penalty {name!r}", strength, 0.0)
        object.__setattr__(self, "optimiser", OPTIMISERS.spell(OPTIMISERS.find(self.optimiser)))
        object.__setattr__(self, "schedule", SCHEDULES.spell(SCHEDULES.find(self.schedule)))

    @cached_property
    def optimiser_row(self) -> Optimiser:
        """The row of the optimiser."""
        return OPTIMISERS.find(self.optimiser)

    @cached_property
    def schedule_row(self) -> Schedule:
        """The row of the schedule."""
        return SCHEDULES.find(self.schedule)

    def as_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {**asdict(self), "penalties": dict(self.penalties)}
