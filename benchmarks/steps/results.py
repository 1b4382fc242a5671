"""Measuring a cell with all libraries in turn, and what follows from its figures."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from steps.cells import Cell
from steps.libraries import MACHINE, OURS
from steps.pool import Process

AGREEMENT = 0.25  # the first epoch's losses differ by at most this part: they start from other orders


def measure(cell: Cell, processes: Mapping[str, Process], repeats: int, seconds: float) -> dict[str, Any]:
    """Figures of a cell: each repeat asks every library once, in an order that rotates."""
    names = [name for name in processes if processes[name].absent is None]
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            if repeat == 0 or ("unsupported" not in answers[name][0] and "error" not in answers[name][-1]):
                answers[name].append(processes[name].measure(cell, seconds))
    return _summary(cell, answers)


def _summary(cell: Cell, answers: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians, ratios of the same repeat's figures, the bound, and what is missing and why."""
    taken = [a["taken_by_others"] for given in answers.values() for a in given if a.get("taken_by_others")]
    bounds = [answer for answer in answers.pop(MACHINE, []) if "products_us" in answer]
    times = {
        name: [answer["us"] for answer in given]
        for name, given in answers.items()
        if all("us" in answer for answer in given)
    }
    ours = times.get(OURS, [])
    return {
        "name": cell.name,
        "cell": cell.as_dict(),
        "us": times,
        "median_us": {name: median(values) for name, values in times.items()},
        "least_us": {name: min(answer["least_us"] for answer in answers[name]) for name in times},
        "ratios": {
            name: median(theirs / mine for theirs, mine in zip(values, ours, strict=True))
            for name, values in times.items()
            if ours and name != OURS
        },
        "missing": {
            name: next(a.get("unsupported", a.get("error")) for a in given if "us" not in a)
            for name, given in answers.items()
            if name not in times
        },
        "first_loss": {name: answers[name][0]["first_loss"] for name in times},
        "bound": _bound(bounds),
        "taken_by_others": max(taken, default=0.0),
    }


def _bound(measured: list[dict[str, float]]) -> dict[str, float]:
    """The quickest of what was measured: least times, highest rates."""
    if not measured:
        return {}
    best = {
        key: (min if key.endswith("_us") else max)(answer[key] for answer in measured)
        for key in measured[0]
        if key != "taken_by_others"
    }
    return {**best, "us": best["products_us"] + best["update_us"]}


def reached(row: Mapping[str, Any]) -> float | None:
    """The part of the bound that chainrule's step reaches."""
    if OURS not in row["median_us"] or not row["bound"]:
        return None
    return float(row["bound"]["us"] / row["median_us"][OURS])


def disagreements(row: Mapping[str, Any]) -> dict[str, float]:
    """First losses that are far from the median of all: then the libraries do not do the same work."""
    losses = row["first_loss"]
    middle = median(losses.values()) if losses else 0.0
    return {name: loss for name, loss in losses.items() if not abs(loss - middle) <= AGREEMENT * middle}
