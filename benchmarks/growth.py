"""How the time of an epoch grows with rows and with parameters: a table, slopes and a picture.

    python benchmarks/growth.py [--write]

A slope of 1 in the logarithms of both is linear growth. It is fitted to the figures past the place where
fixed costs count, and of parameters past the place where they fill the cache.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from chainrule import train
from chainrule.problem import Batch, Objective
from chainrule.spec import Layer, Network, Training

PICTURE = Path(__file__).parent / "results" / "growth.svg"
ROWS = (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
WIDTHS = (20, 60, 120, 250, 500, 1000, 1900)  # of two hidden layers: about 1e3 to 4e6 parameters
FROM_ROWS, FROM_PARAMETERS = 10_000, 200_000
SECONDS = 0.6


def epoch(inputs: int, hidden: tuple[int, ...], rows: int) -> tuple[int, float]:
    """Parameters, and the least time of an epoch in seconds."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, inputs), np.float32)
    Y = X[:, :1].copy()
    network = Network(inputs, [*(Layer(n) for n in hidden), Layer(1)], "squared_error", "float32")
    objective, training = Objective(network), Training(batch_size=200, learning_rate=1e-4, patience=None)
    theta = (rng.standard_normal(objective.layout.size) * 0.02).astype(np.float32)
    state, run = train.State.begin(theta, training), train.make_run(objective, training)
    best, began = np.inf, time.perf_counter()
    while time.perf_counter() - began < SECONDS or state.epochs < 2:
        before = time.perf_counter()
        train.fit(objective, training, Batch(X, Y), state, run=run, epochs=1)
        best = min(best, time.perf_counter() - before)
    return objective.layout.size, best


def slope(x: list[float], y: list[float], least: float) -> float:
    """The slope of log y over log x, where x is at least that."""
    chosen = [(np.log(a), np.log(b)) for a, b in zip(x, y, strict=True) if a >= least]
    return float(np.polyfit(*zip(*chosen, strict=True), 1)[0])


def picture(curves: dict[str, tuple[list[float], list[float], float, float]]) -> None:
    """Draw both curves, each with a line of slope 1."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "chainrule"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for ax, (name, (x, y, least, fitted)) in zip(axes, curves.items(), strict=True):
        line = np.array([least, max(x)])
        ax.loglog(x, y, "o-", color="#1f5fa8", label=f"measured: slope {fitted:.2f} from {least:,.0f} on")
        ax.loglog(line, y[-1] * line / x[-1], "--", color="#c05a2c", label="slope 1")
        ax.set(xlabel=name, ylabel="seconds of an epoch")
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    """Print a table and the slopes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="draw benchmarks/results/growth.svg")
    options = parser.parse_args()
    by_rows = [(float(rows), epoch(20, (32,), rows)[1]) for rows in ROWS]
    by_size = [epoch(n, (n,), 2000) for n in WIDTHS]
    curves = {}
    for name, found, least in (
        ("rows", by_rows, FROM_ROWS),
        ("parameters", by_size, FROM_PARAMETERS),
    ):
        x, y = [float(a) for a, _ in found], [b for _, b in found]
        curves[name] = x, y, float(least), slope(x, y, least)
        for a, b in found:
            print(f"{a:12,.0f} {name:10s} {b * 1e3:10.2f} ms an epoch")
        print(f"slope from {least:,} {name} on: {curves[name][3]:.3f}")
    if options.write:
        picture(curves)


if __name__ == "__main__":
    main()
