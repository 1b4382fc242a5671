"""The results as Markdown and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from steps.libraries import OURS
from steps.machine import QUIET
from steps.results import disagreements, reached

Row = Mapping[str, Any]


def markdown(study: Mapping[str, Any]) -> str:
    """Machine, table, and each peer in one sentence."""
    rows = study["rows"]
    lines = ["# Microseconds per training step", "", *_machine(study), "", *_table(study), ""]
    lines += [f"- {sentence}" for peer in study["peers"] for sentence in _peer(peer, study)]
    lines += [f"- {sentence}" for sentence in _bound(rows)]
    if any(map(_disturbed, rows)):
        worst = max(row["taken_by_others"] for row in rows)
        lines.append(
            f"- \\* Other programs took part of the processors before a measurement, up to {worst:.0%}. "
            "Libraries that spread small work over threads suffer most: measure again on a quiet machine."
        )
    for row in rows:
        lines += [
            f"- **Losses differ** ({row['name']}): {name} {loss:.4g} in the first epoch."
            for name, loss in disagreements(row).items()
        ]
    return "\n".join(lines) + "\n"


def _machine(study: Mapping[str, Any]) -> list[str]:
    machine = study["machine"]
    versions = "; ".join(
        f"{library}: " + ", ".join(f"{name} {version}" for name, version in given.items())
        for library, given in study["versions"].items()
    )
    settings = ", ".join(f"{name}={value}" for name, value in machine["settings"].items()) or "none"
    return [
        f"{machine['processor']}, {machine['cores']} cores, {machine['vector_instructions']}; "
        f"{machine['system']}; Python {machine['python']}; load before {machine['load_before']}.",
        f"{versions}. Settings in the environment: {settings}. Measured {study['began']}.",
        "",
        f"Each figure is the median of {study['repeats']} repeats, in each of which every library ran alone "
        f"for at least {study['seconds']:g} s, one after the other. In brackets is the median ratio to "
        "chainrule's time of the same repeat: above 1, the library takes longer than chainrule.",
        "",
        "The bound is the time of the step's matrix products alone in the same BLAS plus that of the "
        "update's bytes; at the end, in brackets, the part that remains if the products ran at the rate of "
        "the machine's best large product.",
    ]


def _table(study: Mapping[str, Any]) -> list[str]:
    titles = ["network, training", OURS, *study["peers"], "bound", "bound reached (at peak rate)"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in study["rows"]:
        cells = [row["name"] + _disturbed(row), _time(row["median_us"].get(OURS), row["missing"].get(OURS))]
        cells += [_against(row, peer, study["absent"]) for peer in study["peers"]]
        cells += _of_bound(row)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _disturbed(row: Row) -> str:
    return r" \*" if row["taken_by_others"] > QUIET else ""


def _time(us: float | None, why: str | None) -> str:
    return why or "-" if us is None else f"{us:,.0f}" if us >= 100 else f"{us:.1f}"


def _against(row: Row, peer: str, absent: Mapping[str, str]) -> str:
    if peer in absent:
        return "absent"
    if peer not in row["ratios"]:
        return str(row["missing"].get(peer, "-"))
    return f"{_time(row['median_us'][peer], None)} ({_ratio(row['ratios'][peer])})"


def _spread(ratios: Iterable[float]) -> str:
    """The extremes and the geometric mean, in words."""
    given = sorted(ratios)
    mean = math.exp(sum(map(math.log, given)) / len(given))
    return f"from {_ratio(given[0])} to {_ratio(given[-1])}, geometric mean {_ratio(mean)}"


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def _of_bound(row: Row) -> list[str]:
    share, bound = reached(row), row["bound"]
    if share is None:
        return ["-", "-"]
    at_peak = (bound["products_at_peak_us"] + bound["update_us"]) / row["median_us"][OURS]
    return [_time(bound["us"], None), f"{share:.0%} ({at_peak:.0%})"]


def _peer(peer: str, study: Mapping[str, Any]) -> list[str]:
    """How chainrule stands against a peer; every cell in which it is slower is named."""
    if peer in study["absent"]:
        return [f"{peer} is absent: {study['absent'][peer]}."]
    ratios = {row["name"]: row["ratios"][peer] for row in study["rows"] if peer in row["ratios"]}
    if not ratios:
        return [f"{peer}: nothing measured."]
    slower = {name: ratio for name, ratio in ratios.items() if ratio < 1}
    lost = "; ".join(f"{name}: {ratio:.2f}" for name, ratio in slower.items())
    least = [row["least_us"] for row in study["rows"] if peer in row["ratios"]]
    quickest = [us[peer] / us[OURS] for us in least]
    return [
        f"{peer}: chainrule is faster in {len(ratios) - len(slower)} of {len(ratios)} cells; "
        f"ratios {_spread(ratios.values())}."
        + (f" Slower in: {lost}." if lost else "")
        + f" By each library's quickest epoch instead: {_spread(quickest)}."
    ]


def _bound(rows: Sequence[Row]) -> list[str]:
    shares = [share for row in rows if (share := reached(row)) is not None]
    if not shares:
        return ["The bound was not measured."]
    return [f"chainrule reaches {min(shares):.0%} to {max(shares):.0%} of the bound."]


def plot(study: Mapping[str, Any], path: Path) -> None:
    """Ratios to each peer, and the part of the bound, cell by cell."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = study["rows"]
    places = range(len(rows))
    figure, (left, right) = plt.subplots(
        1, 2, sharey=True, figsize=(12, 1.8 + 0.36 * len(rows)), width_ratios=(3, 1), layout="constrained"
    )
    left.axvline(1, color="black", linewidth=1)
    for marker, peer in zip("osD^v", study["peers"], strict=False):
        points = [(row["ratios"][peer], i) for i, row in enumerate(rows) if peer in row["ratios"]]
        label = peer if points else f"{peer} (absent)"
        left.scatter(
            *(zip(*points, strict=True) if points else ((), ())), marker=marker, label=label, zorder=3
        )
    left.set(xscale="log", xlabel=f"time of a step / time of {OURS}'s step (left of 1: {OURS} is slower)")
    left.set_yticks(places, [row["name"] for row in rows])
    left.invert_yaxis()
    left.xaxis.set_major_formatter("{x:g}")
    left.grid(alpha=0.3)
    right.barh(places, [100 * (reached(row) or 0) for row in rows], color="0.6")
    right.axvline(100, color="black", linewidth=1)
    right.set_xlabel("bound reached, %")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(study["peers"]))
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
