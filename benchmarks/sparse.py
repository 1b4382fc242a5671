"""Training steps on wide sparse rows: 50,000 inputs of which one in a thousand is there, beside the others.

    python benchmarks/sparse.py [--inputs 50000] [--rows 2000] [--seconds 3]

Compared are the sparse rows as they are, the same rows made dense batch by batch, as they were before the
compiled run took sparse ones, and scikit-learn's own class on the sparse rows.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as Theirs

from chainrule import compiled, train
from chainrule.problem import Batch, Objective
from chainrule.spec import Layer, Network, Training

HIDDEN, BATCH, DENSITY = 100, 200, 0.001


class Densifying(compiled.Run):
    """The compiled run that makes each batch dense in its workspace."""

    def _plan_for(self, data: Any) -> Any:
        return self.plan


def steps_of(Run: type[compiled.Run], X: Any, Y: Any, seconds: float) -> tuple[float, float]:
    """Seconds of a training step, the best of some epochs, and the loss of the last."""
    network = Network(X.shape[1], [Layer(HIDDEN), Layer(1)], "binary_cross_entropy", "float32")
    objective, training = Objective(network), Training(batch_size=BATCH, patience=None)
    rng = np.random.default_rng(0)
    theta = (rng.standard_normal(objective.layout.size) / 30).astype(np.float32)
    state, run = train.State.begin(theta, training), Run(objective, training.optimiser_row)
    best, began = np.inf, time.perf_counter()
    while time.perf_counter() - began < seconds or state.epochs < 3:
        before = time.perf_counter()
        train.fit(objective, training, Batch(X, Y), state, run=run, epochs=1, order=lambda: np.arange(len(Y)))
        best = min(best, time.perf_counter() - before)
    return best * BATCH / len(Y), state.history["loss"][2]


def theirs(X: Any, y: Any) -> float:
    """The same of scikit-learn, whose first epoch is left out."""
    spent = []
    for epochs in (1, 3):
        model = Theirs((HIDDEN,), batch_size=BATCH, max_iter=epochs, random_state=0, alpha=0)
        began = time.perf_counter()
        model.fit(X, y)
        spent.append(time.perf_counter() - began)
    return (spent[1] - spent[0]) / 2 * BATCH / len(y)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(1)
    X = sparse.random(options.rows, options.inputs, DENSITY, "csr", np.float32, rng)
    y = (np.asarray(X.sum(axis=1)).ravel() > options.inputs * DENSITY / 2).astype(np.int64)
    Y = y[:, None].astype(np.float32)
    own, loss = steps_of(compiled.Run, X, Y, options.seconds)
    dense, same = steps_of(Densifying, X, Y, options.seconds)
    if not np.isclose(loss, same, rtol=1e-3):
        raise SystemExit(f"the two ways do not compute the same: losses {loss} and {same}")
    other = theirs(X, y)
    print(f"{options.inputs:,} inputs, {DENSITY:.1%} there, {HIDDEN} hidden units, Adam, batches of {BATCH}")
    for name, seconds in (("sparse rows", own), ("batches made dense", dense), ("scikit-learn", other)):
        print(f"{name:20s} {seconds * 1e3:8.2f} ms a step, {seconds / own:6.2f} times")


if __name__ == "__main__":
    main()
