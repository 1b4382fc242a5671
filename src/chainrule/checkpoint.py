"""Checkpoints: training that stops at any moment, and goes on later with the same bits.

A checkpoint is a file as models have them (`chainrule.store`), written while training rests. It holds the
`State`, the `Position`, what tells this training from any other, and what the caller has to add. Here is
its form; `chainrule.keeper` says when one is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from chainrule import store
from chainrule.errors import FileError
from chainrule.parameters import Array
from chainrule.second_order import Iterate
from chainrule.snapshot import rebuild
from chainrule.state import Outcome, Position, State

KIND = "Checkpoint"
Contents = tuple[dict[str, Any], dict[str, Array]]


@dataclass(frozen=True)
class Remembered:
    """The plain numbers of a `State`."""

    t: int
    samples: int
    epochs: int
    plateau: float
    best_value: float
    stale: int


@dataclass(frozen=True)
class Place:
    """The plain numbers of a `Position`."""

    done: int
    step: int


@dataclass(frozen=True)
class Method:
    """The plain numbers of an `Iterate`."""

    value: float
    evaluations: int
    damping: float


def numbers_of(whole: Any, kind: type[Remembered] | type[Place] | type[Method]) -> dict[str, Any]:
    """The plain numbers of a state, a position or an iterate."""
    return asdict(rebuild(kind, {f.name: getattr(whole, f.name) for f in fields(kind)}))


@dataclass(frozen=True)
class Checkpoint:
    """A training that can go on.

    Attributes
    ----------
    run : dict
        What tells it from another training: see `difference`.
    state : State
    position : Position
    outcome : Outcome or None
        How it ended; None while it can go on.
    own : tuple of dict and dict
        What the caller has added: metadata and arrays.
    """

    run: dict[str, Any]
    state: State
    position: Position
    outcome: Outcome | None = None
    own: Contents = field(default_factory=lambda: ({}, {}))

    def write(self, path: str) -> None:
        """Save it: all of it, or, if that fails, nothing, and then the old file stays.

        Raises
        ------
        OSError
            If the operating system refuses.
        """
        state, position = self.state, self.position
        own, arrays = self.own
        names, histories = spell_history(state.history)
        metadata = {
            "run": self.run,
            "state": numbers_of(state, Remembered),
            "position": numbers_of(position, Place),
            "history": names,
            "outcome": None if self.outcome is None else asdict(self.outcome),
            "own": own,
        }
        kept = {
            "theta": state.theta,
            "slots": state.slots,
            "safe": position.safe,
            "losses": position.losses,
            "best": state.best_theta,
            "order": position.order,
            **histories,
            **{f"own {name}": array for name, array in arrays.items()},
        }
        if position.iterate is not None:
            metadata["method"], memory = _method(position.iterate)
            kept.update(memory)
        store.write(path, KIND, metadata, {name: a for name, a in kept.items() if a is not None})


def read(path: str) -> Checkpoint | None:
    """The checkpoint at a path; None if there is no file.

    Raises
    ------
    FileError
        If the file is damaged, or is no checkpoint.
    OSError
        If the operating system refuses.
    """
    try:
        contents = store.read(path)
    except FileNotFoundError:
        return None
    if contents.kind != KIND:
        raise FileError(
            f"{path} is not a checkpoint, but holds a model ({contents.kind}): name another file."
        )
    try:
        return _restore(contents.metadata, contents.arrays)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FileError(f"{path} is a checkpoint that does not fit together: {error}.") from error


def _restore(metadata: Mapping[str, Any], arrays: Mapping[str, Array]) -> Checkpoint:
    numbers = asdict(rebuild(Remembered, metadata["state"]))
    place = rebuild(Place, metadata["position"])
    history = read_history(metadata["history"], arrays)
    state = State(arrays["theta"], arrays["slots"], history=history, best_theta=arrays.get("best"), **numbers)
    iterate = _iterate(metadata["method"], arrays) if "method" in metadata else None
    position = Position(
        arrays["safe"], place.done, place.step, arrays["losses"], arrays.get("order"), iterate
    )
    _check(state, position)
    outcome = metadata["outcome"]
    own = {n.removeprefix("own "): a for n, a in arrays.items() if n.startswith("own ")}
    return Checkpoint(
        run=dict(metadata["run"]),
        state=state,
        position=position,
        outcome=None if outcome is None else rebuild(Outcome, outcome),
        own=(dict(metadata["own"]), own),
    )


def spell_history(history: Mapping[str, list[float]]) -> tuple[list[str], dict[str, Array]]:
    """A history as names and arrays: as text, millions of epochs would be too long for a header."""
    values = history.values()
    return list(history), {f"history {i}": np.array(v, np.float64) for i, v in enumerate(values)}


def read_history(names: Any, arrays: Mapping[str, Array]) -> dict[str, list[float]]:
    """The inverse of `spell_history`.

    Raises
    ------
    KeyError, TypeError, ValueError
        If an array is missing, or is no sequence of numbers.
    """
    history = {}
    for i, name in enumerate(names):
        values = arrays[f"history {i}"]
        if not isinstance(name, str) or values.dtype != np.float64 or values.ndim != 1:
            raise ValueError("its history is none")
        history[name] = values.tolist()
    return history


def _check(state: State, position: Position) -> None:
    """Refuse arrays that do not fit to each other."""
    best = [] if state.best_theta is None else [state.best_theta]
    check_alike(state.theta, position.safe, *best, *state.slots)
    if position.losses.dtype != np.float64 or position.losses.shape != (position.step,):
        raise ValueError("its losses are not those of its steps")
    if min(state.t, state.samples, state.epochs, position.done, position.step) < 0:
        raise ValueError("a count is negative")
    if position.order is not None:
        check_order(position.order)
    if position.iterate is not None and position.iterate.theta.shape != state.theta.shape:
        raise ValueError("its method has other parameters")
    if position.step and position.order is None:
        raise ValueError("it stands within an epoch that has no order")


def check_alike(theta: Array, *others: Array) -> None:
    """Refuse arrays that are not of the parameters' type and shape, for the compiled run trusts them.

    Raises
    ------
    ValueError
        If one is not.
    """
    if any((other.dtype, other.shape) != (theta.dtype, theta.shape) for other in others):
        raise ValueError("its parameters, or what goes with them, differ in type or shape")


def check_order(order: Array) -> None:
    """Refuse what is no order of rows, for the compiled run trusts it.

    Raises
    ------
    ValueError
        If it does not hold each row once.
    """
    if order.dtype != np.int64 or not np.array_equal(np.sort(order, axis=None), np.arange(len(order))):
        raise ValueError("its order of rows does not hold each row once")


# ---------------------------------------------------------------- full-batch methods


def _method(iterate: Iterate) -> Contents:
    """A full-batch method as metadata and arrays."""
    s, y, rho = zip(*iterate.pairs, strict=True) if iterate.pairs else ((), (), ())
    size = iterate.theta.size
    return numbers_of(iterate, Method), {
        "method theta": iterate.theta,
        "method gradient": iterate.gradient,
        "method s": np.reshape(s, (-1, size)),
        "method y": np.reshape(y, (-1, size)),
        "method rho": np.array(rho, np.float64),
    }


def _iterate(metadata: Mapping[str, Any], arrays: Mapping[str, Array]) -> Iterate:
    numbers = rebuild(Method, metadata)
    theta, gradient, s, y, rho = (arrays[f"method {name}"] for name in ("theta", "gradient", "s", "y", "rho"))
    if not gradient.shape == theta.shape == s.shape[1:] == y.shape[1:]:
        raise ValueError("its curvature is of other parameters")
    pairs = tuple((a.copy(), b.copy(), float(c)) for a, b, c in zip(s, y, rho, strict=True))
    return Iterate(theta, numbers.value, gradient, numbers.evaluations, "", pairs, numbers.damping)


# ---------------------------------------------------------------- which training it is of


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What tells one training from another, in words; "" if nothing does.

    Each is a dict of facts. A fact that is a dict itself is that of an array: its shape and its digest.
    """
    for name in {**now, **before}:
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            if old.get("shape") == new.get("shape"):
                return f"{name} held other values there"
            return (
                f"{name} had the shape {_spell(old.get('shape'))} there and has {_spell(new['shape'])} here"
            )
        if isinstance(old, dict) or isinstance(new, dict):
            there, here = (" no" if fact is None else "" for fact in (old, new))
            return f"there was{there or ' a'} {name} there, and there is{here or ' one'} here"
        return f"{name} was {_spell(old)} there and is {_spell(new)} here"
    return ""


def _spell(value: Any) -> str:
    return repr(tuple(value) if isinstance(value, list) else value)
