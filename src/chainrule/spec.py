"""What a network is and how it is trained: frozen, validated descriptions, without any numbers learnt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

from chainrule.equations import ACTIVATIONS, LAYERS, LOSSES, OPTIMISERS, SCHEDULES
from chainrule.equations.activations import Activation
from chainrule.equations.layer_kinds import LayerKind, Wire
from chainrule.equations.losses import Loss
from chainrule.equations.optimisers import Optimiser
from chainrule.equations.schedules import Schedule
from chainrule.errors import OptionError
from chainrule.html_table import table

MOST_VALUES = 1 << 24  # of a row, over all layers: more would not fit into memory
MOST_PARAMETERS = 1 << 36
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
    units : int or None
        Number of values, at least 1; None where the kind and its input settle it.
    activation : str
        A name of the activation table, with parameters if wished: ``"leaky_relu(alpha=0.2)"``.
    dropout : float
        Share of this layer's values that is dropped while training, in [0, 1).
    kind : str
        A name of the layer table, with its sizes: ``"periodic(columns=5, frequencies=16)"``.
    members : int
        Number of equal parts of its input, to each of which the layer is applied by itself, with the
        same parameters: the shared layers of an ensemble.

    Raises
    ------
    OptionError
        If a value is not what it may be.
    """

    units: int | None = None
    activation: str = "identity"
    dropout: float = 0.0
    kind: str = "dense"
    members: int = 1

    def __post_init__(self) -> None:
        if self.units is not None:
            _whole("units", self.units, 1)
        _whole("members", self.members, 1)
        _real("dropout", self.dropout, 0.0, 1.0, open_high=True)
        object.__setattr__(self, "kind", LAYERS.spell(_sized(LAYERS.find(self.kind))))
        object.__setattr__(self, "activation", ACTIVATIONS.spell(ACTIVATIONS.find(self.activation)))

    @cached_property
    def row(self) -> LayerKind:
        """The row of the layer's kind."""
        return LAYERS.find(self.kind)

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each of its parameters, for a number of inputs in all."""
        assert self.units is not None
        return self.row.shapes(inputs // self.members, self.units // self.members, *self.row.sizes)

    def wire(self, j: int, inputs: int) -> Wire:
        """What its value j is made of, for a number of inputs in all."""
        assert self.units is not None
        own, width = self.units // self.members, inputs // self.members
        member, place = divmod(j, own)
        wire: Wire = self.row.wire(place, width, own, *self.row.sizes)
        first = member * width
        return replace(wire, inputs=range(first + wire.inputs.start, first + wire.inputs.stop))

    def settled(self, inputs: int, number: int) -> Layer:
        """The layer with its number of units; `number` names it in messages."""
        if inputs % self.members:
            raise OptionError(
                f"Layer {number} has {self.members} members, which must share its {inputs} inputs equally."
            )
        width = self.row.width
        if width is None:
            if self.units is None or self.units % self.members:
                raise OptionError(
                    f"Layer {number} ({self.kind}) needs units, a multiple of its members={self.members}."
                )
            return self
        units = self.members * int(width(inputs // self.members, *self.row.sizes))
        _check_room(self, inputs // self.members, units, number)
        if self.units not in (None, units):
            raise OptionError(f"Layer {number} ({self.kind}) has {units} units, not {self.units}.")
        return replace(self, units=units)

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


def _sized(row: LayerKind) -> LayerKind:
    for name, value in row.parameters.items():
        if value != int(value):
            raise OptionError(f"{name}={value!r} of the layer kind {row.name!r} must be a whole number.")
    return row


def _check_room(layer: Layer, inputs: int, units: int, number: int) -> None:
    """Kinds with a width take their first or last inputs: so many must be there."""
    taken = layer.row.taken
    if taken > inputs or units < 1:
        raise OptionError(f"Layer {number} ({layer.kind}) takes {taken} inputs, but there are {inputs}.")


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
    members : int
        Number of equal parts of the last layer's values, each of them a prediction: the loss is the mean
        of the members' losses, and the prediction the mean of their predictions.

    Raises
    ------
    OptionError
        If a value is not what it may be.
    """

    inputs: int
    layers: Sequence[Layer]
    loss: str = "squared_error"
    dtype: Literal["float64", "float32"] = "float64"
    members: int = 1

    def __post_init__(self) -> None:
        _whole("inputs", self.inputs, 1)
        _whole("members", self.members, 1)
        if not self.layers:
            raise OptionError("A network needs at least one layer.")
        settled, width = [], self.inputs
        for number, layer in enumerate(self.layers, 1):
            settled.append(layer.settled(width, number))
            width = settled[-1].units or 0
        object.__setattr__(self, "layers", tuple(settled))
        self._check_room()
        if width % self.members:
            raise OptionError(
                f"The {self.members} members of a network must share its last {width} values equally."
            )
        if self.dtype not in ("float64", "float32"):
            raise OptionError(f"dtype must be 'float64' or 'float32', not {self.dtype!r}.")
        if self.layers[-1].dropout:
            raise OptionError("The output layer cannot have dropout: set it on hidden layers.")
        object.__setattr__(self, "loss", LOSSES.spell(LOSSES.find(self.loss)))

    def _check_room(self) -> None:
        for what, count, most in (
            ("values for each row", sum(self.widths), MOST_VALUES),
            ("parameters", sum(self.parameters), MOST_PARAMETERS),
        ):
            if count > most:
                raise OptionError(
                    f"The network has {count:,} {what}, more than the {most:,} that would fit into any "
                    "memory: choose smaller layers (hidden_layer_sizes)."
                )

    @property
    def outputs(self) -> int:
        """Number of outputs, of each member if there are several."""
        return self.widths[-1] // self.members

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Number of values before each layer and after the last."""
        return (self.inputs, *(layer.units for layer in self.layers))  # type: ignore[arg-type]

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
            sum(math.prod(shape) for shape in layer.shapes(inputs).values())
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
                layer.kind
                + (f", shared by {layer.members} members" if layer.members > 1 else "")
                + (f", dropout {layer.dropout:g}" if layer.dropout else ""),
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
        mean = f", mean of {self.members} members" if self.members > 1 else ""
        return f"{sum(self.parameters):,} parameters ({self.dtype}), loss {self.loss}{link}{mean}"

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
        A name of the schedule table, for the learning rate.
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
    decay_schedule, dropout_schedule : str
        Likewise names of the schedule table, for the optimiser's weight decay and for the rates of
        dropout.
    rate_factors : mapping of str to float
        Factor on the learning rate of each parameter of that name (``"W"``, ``"b"``, ``"s"``, ...); 1 for
        those not named.
    decay_factors : mapping of str to float
        Factor on the optimiser's weight decay of each parameter of that name; for those not named 1 if
        they are weights (those that penalties apply to), else 0.
    clip : float
        Most length of the gradient: a longer one is shortened to it; 0 for no limit.

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
    decay_schedule: str = "constant"
    dropout_schedule: str = "constant"
    rate_factors: Mapping[str, float] = field(default_factory=dict)
    decay_factors: Mapping[str, float] = field(default_factory=dict)
    clip: float = 0.0

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
        for what, factors in (("rate", self.rate_factors), ("decay", self.decay_factors)):
            for name, factor in factors.items():
                _real(f"The {what} factor of {name!r}", factor, 0.0)
        _real("clip", self.clip, 0.0)
        object.__setattr__(self, "optimiser", OPTIMISERS.spell(OPTIMISERS.find(self.optimiser)))
        for name in ("schedule", "decay_schedule", "dropout_schedule"):
            object.__setattr__(self, name, SCHEDULES.spell(SCHEDULES.find(getattr(self, name))))

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
        mappings = ("penalties", "rate_factors", "decay_factors")
        return {**asdict(self), **{name: dict(getattr(self, name)) for name in mappings}}
