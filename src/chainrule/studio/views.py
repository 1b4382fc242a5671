"""What the page draws, as bytes: surfaces of all units over a plane, weights, and judgements in figures."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import reference
from chainrule.parameters import Array, Layout
from chainrule.plot.judgement import reliability, trend, wilson
from chainrule.studio.opened import OpenedModel
from chainrule.studio.plane import FINE, GRID, Plane
from chainrule.targets import Classes

DRAWN_UNITS = 32  # of each layer; more would not be legible
DRAWN_INPUTS = 24
DRAWN_ROWS = 1500
BINS = 10


def pack(header: Mapping[str, Any], blobs: Mapping[str, bytes]) -> bytes:
    """A message: the length of its header, the header as JSON with the places of the blobs, the blobs.

    Each blob begins at a multiple of four, so that the page can look at it as numbers.
    """
    places, parts, at = {}, [], 0
    for name, blob in blobs.items():
        places[name] = [at, len(blob)]
        parts.append(blob + bytes(-len(blob) % 4))
        at += len(parts[-1])
    text = json.dumps(clean({**header, "blobs": places}), ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([struct.pack("<I", len(text)), text, *parts])


def clean(value: Any) -> Any:
    """The value with None in place of numbers that JSON does not know."""
    if isinstance(value, Mapping):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


# ------------------------------------------------------------------ surfaces and weights


def surfaces(
    model: OpenedModel, plane: Plane, *, fine: bool = False
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Every drawn unit's value over the plane, and the prediction (on request, at more points).

    A byte of 128 is 0; 1 and 255 are minus and plus the unit's largest value, which `scales` holds. Of a
    prediction, 0 to 255 goes from 0 to 1, for each class; of a number, from `low` to `high`.
    """
    net = model.estimator_
    with np.errstate(all="ignore"):
        run = reference.forward(net.network_, net.theta_, plane.grid().astype(net.network_.dtype))
        last = reference.forward(net.network_, net.theta_, plane.grid(FINE)).A[-1] if fine else run.A[-1]
        predicted = reference.predict(net.network_, last)
    blobs, scales = {}, []
    for index, A in enumerate(run.A[:-1]):
        shown = A[:, :DRAWN_UNITS]
        scale = np.abs(shown).max(axis=0)
        scales.append(scale.tolist())
        blobs[f"tiles{index}"] = _bytes(128 + 127 * shown / np.where(scale > 0, scale, 1))
    low, high = _range(model)
    blobs["output"] = _bytes(255 * (predicted[:, :DRAWN_UNITS] - low) / (high - low))
    header = {"grid": GRID, "fine": FINE if fine else GRID, "scales": scales, "low": low, "high": high}
    return header, blobs


def _bytes(values: Any) -> bytes:
    """Columns of numbers from 0 to 255, one column after the other."""
    rounded = np.clip(np.nan_to_num(values, nan=128.0), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(rounded.T).tobytes()


def _range(model: OpenedModel) -> tuple[float, float]:
    if isinstance(model.target_, Classes):
        return 0.0, 1.0
    y = model.y_[model.parts_.known]
    return float(y.min()), float(y.max())


def weights(model: OpenedModel) -> dict[str, bytes]:
    """The weights and biases of the drawn links."""
    net = model.estimator_
    return _drawn(Layout(net.network_), net.theta_, "W") | _drawn(Layout(net.network_), net.theta_, "b")


def _drawn(layout: Layout, vector: Array, name: str, prefix: str = "") -> dict[str, bytes]:
    """Views of a flat vector, as far as they are drawn."""
    blobs = {}
    for index, array in enumerate(layout.views(vector, name)):
        most = DRAWN_INPUTS if index == 0 else DRAWN_UNITS
        part = array[:most, :DRAWN_UNITS] if array.ndim > 1 else array[:DRAWN_UNITS]
        blobs[f"{prefix}{name}{index}"] = np.ascontiguousarray(part, dtype=np.float32).tobytes()
    return blobs


def row_pass(model: OpenedModel, row: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The engine's own numbers of one row, as far as they are drawn: x, A and, with a target, dZ and dW."""
    net, known = model.estimator_, known_target(model, row)
    y = model.y_[row : row + 1] if known else np.zeros(1, model.y_.dtype)
    _, theta, batch = net.problem(model.X_[row : row + 1], y)
    with np.errstate(all="ignore"):
        run = reference.forward(net.network_, theta, batch.X)
        if known:
            reference.backward(net.network_, theta, run, batch.Y, None)
        predicted = reference.predict(net.network_, run.A[-1])[0]
    header = {
        "row": row,
        "known": known,
        "x": run.X[0, :DRAWN_INPUTS].tolist(),
        "a": [A[0, :DRAWN_UNITS].tolist() for A in run.A],
        "dz": [dZ[0, :DRAWN_UNITS].tolist() for dZ in run.dZ],
        "predicted": predicted[:DRAWN_UNITS].tolist(),
    }
    return header, _drawn(Layout(net.network_), run.gradient, "W", "d") if known else {}


def known_target(model: OpenedModel, row: int) -> bool:
    """Whether a row has a target."""
    y = model.y_[row]
    return bool(y >= 0 if model.y_.dtype.kind == "i" else np.isfinite(y))


def points(model: OpenedModel, plane: Plane) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The rows on the plane: places, targets, and which were held out; of many, a part."""
    parts = model.parts_
    rows = np.sort(np.concatenate([parts.known, parts.held_out]))
    rows = rows[np.linspace(0, len(rows) - 1, min(DRAWN_ROWS, len(rows))).astype(np.int64)]
    places = plane.project(model.X_[rows])
    held = np.isin(rows, parts.held_out)
    blobs = {
        "rows": rows.astype(np.int32).tobytes(),
        "places": places.astype(np.float32).tobytes(),
        "targets": model.y_[rows].astype(np.float32).tobytes(),
        "held": held.astype(np.uint8).tobytes(),
        "inputs": _inputs(model, plane),
    }
    axes = [vars(axis) for axis in plane.axes]
    return {"axes": axes, "count": len(rows), "grid": GRID}, blobs


def _inputs(model: OpenedModel, plane: Plane) -> bytes:
    """The drawn features over the plane, as `surfaces` has the units."""
    X = plane.grid()[:, :DRAWN_INPUTS]
    scale = np.abs(X).max(axis=0)
    return _bytes(128 + 127 * X / np.where(scale > 0, scale, 1))


# ------------------------------------------------------------------ judgements


def judgement(model: OpenedModel) -> dict[str, Any]:
    """Confusion and calibration, or residuals: of the rows held out, if there are any."""
    parts, net = model.parts_, model.estimator_
    held = bool(len(parts.held_out))
    rows = parts.held_out if held else parts.known
    X, y = model.X_[rows], model.y_[rows]
    facts: dict[str, Any] = {"held": held, "rows": len(rows), "target": model.target_.name}
    if isinstance(model.target_, Classes):
        return {**facts, **_of_classes(net.predict_proba(X), y, list(map(str, model.target_.labels)))}
    predicted, true = model.target_.decode(net.predict(X)), model.target_.decode(y)
    error = true - predicted
    some = np.linspace(0, len(rows) - 1, min(600, len(rows))).astype(np.int64)
    line = trend(predicted, error)
    return {
        **facts,
        "kind": "residuals",
        "predicted": predicted[some].tolist(),
        "error": error[some].tolist(),
        "trend": [part.tolist() for part in line],
        "rmse": float(np.sqrt(np.square(error).mean())),
    }


def _of_classes(P: Array, truth: Any, labels: list[str]) -> dict[str, Any]:
    count = len(labels)
    found = P.argmax(axis=1)
    table = np.bincount(truth * count + found, minlength=count**2).reshape(count, count)
    p = P[:, 1] if count == 2 else P.max(axis=1)
    hit = truth == 1 if count == 2 else found == truth
    mean, share, sizes = reliability(p, hit, BINS)
    low, high = wilson(share, sizes)
    return {
        "kind": "classes",
        "labels": labels,
        "confusion": table.tolist(),
        "accuracy": float((found == truth).mean()),
        "calibration": [part.tolist() for part in (mean, share, sizes, low, high)],
        "of": f"probability of {labels[1]}" if count == 2 else "probability of the predicted class",
    }
