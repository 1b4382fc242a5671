"""What can be set on the page, as plain values: read from JSON, checked, and handed to a `TableModel`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from chainrule import equations
from chainrule.errors import OptionError
from chainrule.spec import Layer, Training
from chainrule.table_model import TableModel

MOST_LAYERS = 32
MOST_UNITS = 4096
TASKS = ("auto", "classification", "regression")


@dataclass(frozen=True)
class Settings:
    """A network and its training.

    Attributes
    ----------
    layers : tuple of Layer
        The hidden layers.
    loss : str
        For a regression; classes have their cross-entropy.
    init : str
        "auto", or a name of the initialiser table.
    optimiser, schedule : str
        Names of the tables.
    learning_rate : float
    batch_size, epochs, seed : int
    l1, l2 : float
        Strengths of the penalties.
    held_out : float
        Share of the rows that is only judged by, in [0, 0.9].
    task : str
        "auto", "classification" or "regression".
    drop : tuple of str
        Columns not to learn from.
    """

    layers: tuple[Layer, ...] = (Layer(6, "tanh"), Layer(4, "tanh"))
    loss: str = "squared_error"
    init: str = "glorot_uniform"
    optimiser: str = "adam"
    schedule: str = "constant"
    learning_rate: float = 0.01
    batch_size: int = 32
    epochs: int = 5000
    seed: int = 1
    l1: float = 0.0
    l2: float = 0.0
    held_out: float = 0.3
    task: str = "auto"
    drop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.layers) > MOST_LAYERS or any((layer.units or 0) > MOST_UNITS for layer in self.layers):
            raise OptionError(
                f"The page takes at most {MOST_LAYERS} hidden layers of at most {MOST_UNITS} units; larger "
                "networks are trained by chainrule train."
            )
        if self.init != "auto":
            equations.INITIALISERS.find(self.init)
        if equations.LOSSES.find(self.loss).task != "regression":
            raise OptionError(f"{self.loss!r} is a loss for classes, which have it anyway.")
        if self.task not in TASKS:
            raise OptionError(f"task must be one of {', '.join(TASKS)}, not {self.task!r}.")
        if not (_number(self.held_out) and 0 <= self.held_out <= 0.9):
            raise OptionError(f"The share held out must lie between 0 and 0.9, not {self.held_out!r}.")
        if not all(isinstance(name, str) for name in self.drop):
            raise OptionError("drop must list names of columns.")
        self._check_training()

    def _check_training(self) -> None:
        """The rest is checked by the description that training itself takes."""
        training = Training(
            self.optimiser,
            self.learning_rate,
            self.schedule,
            self.batch_size,
            self.epochs,
            seed=self.seed,
            penalties={"l1": self.l1, "l2": self.l2},
        )
        if self.seed >= 2**32:
            raise OptionError(f"The seed must be below 2^32, not {self.seed}.")
        if training.schedule_row.plateau and training.optimiser_row.name == "adam":
            raise OptionError(
                f"Adam takes no schedule {self.schedule!r}, as in scikit-learn: choose another optimiser or "
                "schedule."
            )

    @classmethod
    def from_dict(cls, facts: Any) -> Settings:
        """Read what JSON held.

        Raises
        ------
        OptionError
            If a name is unknown or a value is not what it may be.
        """
        if not isinstance(facts, Mapping):
            raise OptionError("Settings are an object of names and values.")
        known = {f.name for f in fields(cls)}
        for name in facts:
            if name not in known:
                raise OptionError(f"There is no setting {name!r}.")
        values = dict(facts)
        if "layers" in values:
            values["layers"] = _layers(values["layers"])
        if "drop" in values:
            values["drop"] = tuple(values["drop"]) if isinstance(values["drop"], list) else ()
        for name in ("optimiser", "schedule", "loss", "init", "task"):
            if name in values and not isinstance(values[name], str):
                raise OptionError(f"{name} must be a name, not {values[name]!r}.")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        layers = [_layer_facts(layer) for layer in self.layers]
        return {**asdict(self), "layers": layers, "drop": list(self.drop)}

    @classmethod
    def of(cls, model: TableModel) -> Settings:
        """The settings of a fitted model."""
        net = model.estimator_
        network, regression = net.network_, model.target_.task == "regression"
        return cls(
            layers=tuple(network.layers[:-1]),
            init="auto",
            optimiser=net._optimiser(),
            schedule=net._schedule(),
            learning_rate=float(net.learning_rate_init),
            batch_size=32 if net.batch_size == "auto" else int(net.batch_size),
            epochs=int(net.max_iter),
            seed=int(net.random_state or 0),
            l1=float(net.l1),
            l2=float(net.alpha),
            task=model.target_.task,
            drop=tuple(model.report_["dropped"]),
            **({"loss": network.loss} if regression else {}),
        )

    def options(self, task: str) -> dict[str, Any]:
        """The arguments of the `TableModel` that trains like this for a "classification" or "regression"."""
        loss = {"loss": self.loss} if task == "regression" else {}
        return {
            "test_size": self.held_out,
            "validation_size": 0.0,
            "random_state": self.seed,
            "hidden_layer_sizes": tuple(layer.units for layer in self.layers),
            "activation": [layer.activation for layer in self.layers],
            "dropout": [layer.dropout for layer in self.layers],
            "init": self.init,
            "solver": self.optimiser,
            "learning_rate": self.schedule,
            "learning_rate_init": self.learning_rate,
            "batch_size": self.batch_size,
            "max_iter": self.epochs,
            "alpha": self.l2,
            "l1": self.l1,
            "n_iter_no_change": 10 if self._plateau else math.inf,
            **loss,
        }

    @property
    def _plateau(self) -> bool:
        return equations.SCHEDULES.find(self.schedule).plateau


def choices() -> dict[str, Any]:
    """What the tables of equations offer, for the page's lists: names, formulas and parameters."""
    losses = [row for row in equations.LOSSES.values() if row.targets == "real"]  # it is scaled to mean 0
    return {
        "activation": [_choice(row) for row in equations.ACTIVATIONS.values() if not row.coupled],
        "loss": [_choice(row) for row in losses],
        "init": [{"name": "auto", "doc": "As scikit-learn starts."}, *_all(equations.INITIALISERS)],
        "optimiser": _all(equations.OPTIMISERS),
        "schedule": _all(equations.SCHEDULES),
    }


def _all(table: Any) -> list[dict[str, Any]]:
    return [_choice(row) for row in table.values()]


def _choice(row: Any) -> dict[str, Any]:
    return {"name": row.name, "doc": row.doc, "parameters": dict(row.parameters), "source": row.source}


def _layers(facts: Any) -> tuple[Layer, ...]:
    if not isinstance(facts, list):
        raise OptionError("layers must be a list.")
    made = []
    for layer in facts:
        known = {"units", "activation", "dropout"}
        if not isinstance(layer, Mapping) or "units" not in layer or set(layer) - known:
            raise OptionError("A layer has units, activation and dropout.")
        made.append(Layer(**layer))
        if made[-1].units is None:
            raise OptionError("units must be a whole number of at least 1, not None.")
    return tuple(made)


def _layer_facts(layer: Layer) -> dict[str, Any]:
    return {"units": layer.units, "activation": layer.activation, "dropout": layer.dropout}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
