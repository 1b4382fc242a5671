"""The results as Markdown and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.tabular.scores import primary_error

Record = dict[str, Any]
REFERENCE = "cat"
TITLES = {
    "skmlp": "scikit-learn MLP",
    "skmlp_es": "scikit-learn MLP 3x256, early stopping",
    "realmlp_s": "RealMLP-TD-S",
    "realmlp": "RealMLP-TD",
    "histgb": "HistGradientBoosting",
    "lgbm": "LightGBM",
    "cat": "CatBoost",
}


class Board:
    """Results of models on data sets, ours beside the stored ones.

    Parameters
    ----------
    peers, ours : sequence of dict
        Records of `measure`; of several of the same model and data set the last one counts. Where a peer
        was measured anew, what its stored record lacks is taken from there.

    Attributes
    ----------
    data : list of str
        The data sets that every model of ours was measured on; all if there is none of ours.
    models : list of str
        Best first, by the mean of their primary error relative to CatBoost's.
    """

    def __init__(self, peers: Sequence[Record], ours: Sequence[Record]) -> None:
        stored = {(r["model"], r["data"]): r for r in peers}
        fresh = {(r["model"], r["data"]): r for r in ours if _counts(r)}
        self._records = fresh | {key: {**fresh.get(key, {}), **record} for key, record in stored.items()}
        theirs = list(dict.fromkeys(model for model, _ in stored))
        self.ours = list(dict.fromkeys(model for model, _ in fresh if model not in theirs))
        names = dict.fromkeys(r["data"] for r in peers)
        every = [*theirs, *self.ours]
        self.data = [d for d in names if all((m, d) in self._records for m in every)]
        self.models = sorted(every, key=self.relative_error) if self.data else every

    def record(self, model: str, data: str) -> Record:
        """What was measured."""
        return self._records[model, data]

    def error(self, model: str, data: str) -> float:
        """The primary error."""
        return primary_error(self.record(model, data))

    def relative_error(self, model: str) -> float:
        """The geometric mean of the primary error relative to CatBoost's."""
        return _geometric_mean(self.error(model, d) / self.error(REFERENCE, d) for d in self.data)

    def mean_rank(self, model: str) -> float:
        """The mean over the data sets of the place among all models; equals share theirs."""
        return fmean(self._rank(model, d) for d in self.data)

    def _rank(self, model: str, data: str) -> float:
        mine, errors = self.error(model, data), [self.error(m, data) for m in self.models]
        return 1 + sum(e < mine for e in errors) + (sum(e == mine for e in errors) - 1) / 2

    def mean(self, model: str, name: str) -> float | None:
        """The mean of a figure over the data sets that have it."""
        found = [r[name] for d in self.data if name in (r := self.record(model, d))]
        return fmean(found) if found else None

    def total(self, model: str, name: str) -> float | None:
        """The sum of a figure over the data sets, if all have it."""
        found = [self.record(model, d).get(name) for d in self.data]
        return None if None in found else math.fsum(found)


def _counts(record: Record) -> bool:
    return "error" not in record and record.get("split", "final") == "final"


def _geometric_mean(given: Iterable[float]) -> float:
    return math.exp(fmean(map(math.log, given)))


def markdown(board: Board) -> str:
    """One table of the models and one of the data sets."""
    lines = [
        "# Predictions on tables",
        "",
        f"{len(board.data)} data sets, one split each (75 : 25, at most 20,000 rows), defaults of every "
        "model. The primary error is the log-loss of classes, and the root of 1 - R² of numbers. The other "
        "libraries' results are stored in tabular_peers.jsonl: they were measured once, by the same "
        "protocol, on two cores of another run; compare times only where `beside` measured them.",
        "",
        *_summary(board),
        "",
        *_by_data_set(board),
    ]
    return "\n".join(lines) + "\n"


def _summary(board: Board) -> list[str]:
    titles = ["model", "primary error / CatBoost's", "mean rank", "fit, s", "predict, s"]
    titles += ["calibration error", "coverage of 90 % intervals"]
    rows = [
        [
            _title(board, model),
            f"{board.relative_error(model):.3f}",
            f"{board.mean_rank(model):.2f}",
            _seconds(board.total(model, "fit_s")),
            _seconds(board.total(model, "predict_s")),
            _share(board.mean(model, "ece")),
            _share(board.mean(model, "coverage")),
        ]
        for model in board.models
    ]
    return _lines(titles, rows)


def _by_data_set(board: Board) -> list[str]:
    """Primary errors, with what else was measured of ours behind them."""
    rows = []
    for data in board.data:
        errors = [board.error(model, data) for model in board.models]
        best = min(errors)
        cells = [f"**{e:.4f}**" if e == best else f"{e:.4f}" for e in errors]
        rows.append([data, *cells])
    own = [
        [data, _title(board, model), *(show(record.get(name)) for name, show in OWN.values())]
        for data in board.data
        for model in board.ours
        for record in [board.record(model, data)]
    ]
    table = _lines(["primary error", *(_title(board, model) for model in board.models)], rows)
    return [*table, "", *_lines(["data", "model", *OWN], own)] if own else table


def beside(records: Sequence[Record]) -> str:
    """Times of models that were measured in turns: medians of the rounds, and ratios to the last model."""
    models = list(dict.fromkeys(r["model"] for r in records))
    data = list(dict.fromkeys(r["data"] for r in records))
    rows, totals = [], dict.fromkeys(models, 0.0)
    for name in data:
        times = {m: _median(records, m, name, "fit_s") for m in models}
        if None in times.values():
            continue
        totals = {m: totals[m] + times[m] for m in models}
        errors = [f"{_median_error(records, m, name):.4f}" for m in models]
        rows.append([name, *(_seconds(times[m]) for m in models), _ratio(times, models), *errors])
    rows.append(
        ["total", *(_seconds(totals[m]) for m in models), _ratio(totals, models), *[""] * len(models)]
    )
    ratio = f"fit, {models[0]} / {models[-1]}"
    titles = ["data", *(f"fit {m}, s" for m in models), ratio, *(f"error {m}" for m in models)]
    return "\n".join(_lines(titles, rows))


def _median(records: Sequence[Record], model: str, data: str, name: str) -> float | None:
    found = [r[name] for r in records if (r["model"], r["data"]) == (model, data)]
    return median(found) if found else None


def _median_error(records: Sequence[Record], model: str, data: str) -> float:
    return median(primary_error(r) for r in records if (r["model"], r["data"]) == (model, data))


def _ratio(times: Mapping[str, float], models: Sequence[str]) -> str:
    return f"{times[models[0]] / times[models[-1]]:.2f}" if times[models[-1]] else "-"


def _title(board: Board, model: str) -> str:
    return f"chainrule: {model}" if model in board.ours else TITLES.get(model, model)


def _lines(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    head = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    return [*head, *("| " + " | ".join(row) + " |" for row in rows)]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.2f}"


OWN = {  # what is shown of each of our results
    "accuracy": ("acc", _figure),
    "log-loss": ("logloss", _figure),
    "AUC": ("auc", _figure),
    "calibration error": ("ece", _figure),
    "R²": ("r2", _figure),
    "RMSE": ("rmse", _figure),
    "coverage": ("coverage", _share),
    "fit, s": ("fit_s", _seconds),
    "predict, s": ("predict_s", _seconds),
}


def plot(board: Board, path: Path) -> None:
    """The primary error of every model on every data set, relative to CatBoost's."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "chainrule"  # the same picture from the same results
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 1.6 + 0.34 * len(board.data)), layout="constrained")
    places = range(len(board.data))
    for marker, model in zip("osD^v<>PX*" * 3, board.models, strict=False):
        ratios = [board.error(model, d) / board.error(REFERENCE, d) for d in board.data]
        mine = model in board.ours
        axes.scatter(
            ratios, places, marker=marker, label=_title(board, model), zorder=3 + mine, s=60 if mine else 22
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="primary error / CatBoost's (left is better)")
    axes.set_yticks(places, board.data)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.grid(alpha=0.3, which="both")
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
