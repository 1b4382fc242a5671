"""One network on one table: what a tab works with, and goes on with after a dropped connection."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, TypeVar

from chainrule import targets
from chainrule.column_values import as_frame
from chainrule.errors import ChainruleError, OptionError
from chainrule.studio import plane as planes
from chainrule.studio import views
from chainrule.studio.opened import OpenedModel
from chainrule.studio.settings import Settings
from chainrule.studio.source import ExampleChoice, Source, example
from chainrule.studio.trainer import Point, Trainer
from chainrule.studio.worker import Worker
from chainrule.table_model import TableModel

T = TypeVar("T")
SLICE = 0.008  # seconds of training between two looks at what the page asks for
SPEEDS = {"batch": 1 / 20, "epoch": 1 / 30, "fast": 0.0}  # seconds from one step to the next
MOST_PARAMETERS = 4_000_000
MOST_CELLS = 50_000_000


@dataclass(frozen=True)
class Moment:
    """A session at one moment: what is drawn is made of it, outside of the thread that trains.

    Attributes
    ----------
    version, shape : int
        They count changes of any kind, and changes of the table, the network or the plane.
    model : OpenedModel or None
    plane : Plane or None
    source : Source
    facts : dict
        Where training stands.
    points : list of Point
        The curve.
    """

    version: int
    shape: int
    model: OpenedModel | None
    plane: planes.Plane | None
    source: Source
    facts: dict[str, Any]
    points: list[Point]

    def opened(self) -> OpenedModel:
        """The model.

        Raises
        ------
        OptionError
            If there is none.
        """
        if self.model is None:
            raise OptionError("There is no network yet: choose a table and a target that can be learnt.")
        return self.model


class Session:
    """A table, a network and its training.

    Methods whose names begin with a verb are for the session's own thread: hand them to `ask`.

    Parameters
    ----------
    source : Source, optional
        By default an example.
    target : str, optional
    learnt : TableModel, optional
        Begin with the weights of this model.
    """

    def __init__(
        self, source: Source | None = None, target: str | None = None, learnt: TableModel | None = None
    ) -> None:
        self.name = secrets.token_hex(16)
        self.source = source or example(ExampleChoice())
        self.target = target or (learnt.target_.name if learnt else self.source.target)
        self.settings = Settings.of(learnt) if learnt else Settings()
        self.learnt = learnt
        self.model: OpenedModel | None = None
        self.trainer: Trainer | None = None
        self.plane: planes.Plane | None = None
        self.view: dict[str, Any] = {}
        self.problem = ""
        self.running = False
        self.speed = "epoch"
        self.version = self.shape = self.runs = 0
        self.listeners: set[Callable[[], None]] = set()
        self._worker = Worker(self._work)
        self.ask(self.build)

    def ask(self, function: Callable[[], T]) -> Future[T]:
        """Have a function called by the session's thread."""
        return self._worker.call(function)

    def close(self) -> None:
        """End the thread."""
        self._worker.call(self.pause)
        self._worker.close()

    # -------------------------------------------------------------- in the session's thread

    def build(self) -> None:
        """Make the network for the present table and settings; what is wrong with them is remembered."""
        self.running, self.model, self.trainer, self.plane = False, None, None, None
        self.problem = ""
        try:
            self.model = self._fitted()
            self._begin()
            if not self.view:
                wide = self.model.X_.shape[1] > 4
                self.view = {"kind": "components"} if wide else {"kind": "features", "x": 0, "y": 1}
            self._project()
        except (ChainruleError, ValueError) as error:
            self.model = None
            self.problem = str(error)
        self._changed(shape=True)

    def change_settings(self, settings: Settings) -> None:
        """Take other settings; the network begins anew."""
        if (settings.layers, settings.loss) != (self.settings.layers, self.settings.loss):
            self.learnt = None
        self.settings = settings
        self.build()

    def change_table(self, source: Source, target: str | None = None) -> None:
        """Take another table."""
        self.source, self.target = source, target or source.target
        self.learnt, self.view = None, {}
        self.build()

    def change_target(self, target: Any) -> None:
        """Predict another column."""
        if target not in self.source.frame.columns:
            raise OptionError(f"The table has no column {target!r}.")
        self.learnt = None
        self.target, self.view = target, {}
        self.build()

    def change_view(self, view: dict[str, Any]) -> None:
        """Show another plane."""
        before, self.view = self.view, view
        try:
            self._project()
        except OptionError:
            self.view = before
            raise
        self._changed(shape=True)

    def start(self, speed: str) -> None:
        """Train from now on, by the batch, by the epoch, or as fast as it goes."""
        if speed not in SPEEDS:
            raise OptionError(f"speed must be one of {', '.join(SPEEDS)}, not {speed!r}.")
        self.speed = speed
        trainer = self._ready()
        if trainer.outcome is not None:
            raise OptionError(f"{trainer.status} Rewind, or begin anew with other settings.")
        self.running = True
        self._changed()

    def pause(self) -> None:
        """Stop training for now."""
        if self.running and self.trainer is not None:
            self.trainer.note()
        self.running = False
        self._changed()

    def step(self, unit: str) -> None:
        """One batch or one epoch."""
        trainer = self._ready()
        self.running = False
        if unit == "batch":
            trainer.step_batch()
        elif unit == "epoch":
            trainer.step_epoch()
        else:
            raise OptionError(f"A step is a batch or an epoch, not {unit!r}.")
        self._changed()

    def rewind(self) -> None:
        """Go back to the same weights that training began with."""
        self._ready()
        assert self.model is not None
        self.running = False
        self.model.rewind()
        self._begin()
        self._changed()

    def moment(self, *, memory: bool = True) -> Moment:
        """The session as it is now, with what training remembers or, for a picture, without."""
        trainer = self.trainer
        facts: dict[str, Any] = {"running": self.running, "speed": self.speed, "status": "", "run": self.runs}
        if trainer is not None:
            facts |= {
                "epoch": trainer.epochs,
                "batch": trainer.batch,
                "batches": trainer.batches,
                "step": int(trainer.net.state.t),
                "status": trainer.status,
            }
        model = self.model.frozen(memory=memory) if self.model is not None else None
        points = list(trainer.points) if trainer is not None else []
        return Moment(self.version, self.shape, model, self.plane, self.source, facts, points)

    def describe(self) -> dict[str, Any]:
        """Table, settings and network, for the page."""
        facts: dict[str, Any] = {
            "session": self.name,
            "shape": self.shape,
            "settings": self.settings.to_dict(),
            "source": self.source.facts(),
            "target": self.target,
            "view": self.view,
            "problem": self.problem,
            "network": None,
        }
        if self.model is not None:
            facts["network"] = _network(self.model)
        return facts

    # -------------------------------------------------------------- steps of these

    def _fitted(self) -> OpenedModel:
        if self.learnt is not None:
            model = OpenedModel(**self.settings.options(self.learnt.target_.task))
            return model.resume(self.source.frame, self.learnt)
        return opened(self.source, self.target, self.settings)

    def _begin(self) -> None:
        assert self.model is not None
        self.trainer = Trainer(self.model)
        self.runs += 1

    def _project(self) -> None:
        assert self.model is not None
        rows = self.model.X_[self.model.parts_.known]
        self.plane = planes.make(self.model.encoder_, rows, self.view)

    def _ready(self) -> Trainer:
        if self.trainer is None:
            raise OptionError(self.problem or "There is no network yet.")
        return self.trainer

    def _work(self) -> float | None:
        """Train for a moment; how long to wait until the next."""
        if not self.running or self.trainer is None:
            return None
        if self.speed == "fast":
            self.trainer.run(SLICE)
        elif self.speed == "epoch":
            self.trainer.step_epoch()
        else:
            self.trainer.step_batch()
        if self.trainer.outcome is not None:
            self.running = False
        self._changed()
        return SPEEDS[self.speed] if self.running else None

    def _changed(self, *, shape: bool = False) -> None:
        self.version += 1
        self.shape += shape
        for listener in tuple(self.listeners):
            listener()


def opened(source: Source, target: str, settings: Settings) -> OpenedModel:
    """A model for a table, ready to be trained.

    Raises
    ------
    DataError
        If the table cannot be learnt from.
    OptionError
        If the network would be too large for the page, or has an impossible option.
    """
    frame = as_frame(source.frame)
    task = None if settings.task == "auto" else settings.task
    found = targets.learn(frame[target], task)
    model = OpenedModel(**settings.options(found.task))
    rows, widths = source.frame.height, [layer.units or 0 for layer in settings.layers]
    if sum(a * b for a, b in pairwise(widths)) > MOST_PARAMETERS:
        raise OptionError(f"The page takes networks of up to {MOST_PARAMETERS:,} weights.")
    if rows * source.frame.width > MOST_CELLS:
        raise OptionError(f"The page takes tables of up to {MOST_CELLS:,} cells.")
    drop = [name for name in settings.drop if name in source.frame.columns and name != target]
    model.fit(source.frame, target, task=task, drop=drop)
    return model


def _network(model: OpenedModel) -> dict[str, Any]:
    """What the page must know to draw the network."""
    network, parts = model.estimator_.network_, model.parts_
    labels = [str(label) for label in getattr(model.target_, "labels", ())]
    loss = network.loss_row
    return {
        "features": model.encoder_.feature_names,
        "columns": model.report_["columns"],
        "widths": list(network.widths),
        "activations": [layer.activation for layer in network.layers],
        "parameters": sum(network.parameters),
        "loss": network.loss,
        "link": loss.link,
        "task": model.target_.task,
        "labels": labels,
        "unit": {
            "centre": getattr(model.target_, "centre", 0.0),
            "scale": getattr(model.target_, "scale", 1.0),
        },
        "rows": {"known": len(parts.known), "held": len(parts.held_out), "all": len(model.X_)},
        "drawn": {"inputs": views.DRAWN_INPUTS, "units": views.DRAWN_UNITS},
        "metric": "R²" if model.target_.task == "regression" else "accuracy",
    }


def curve(points: list[Point]) -> list[list[float]]:
    """The curve as rows of figures."""
    return [[float(value) for value in asdict(point).values()] for point in points]
