"""Training beside scikit-learn, and beside the same equations in extended precision."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import sklearn.neural_network as theirs
from conftest import make_network, make_problem, rates
from sklearn.datasets import make_classification, make_regression

import chainrule
from chainrule import compiled, reference, train
from chainrule.equations import OPTIMISERS
from chainrule.problem import Batch, Objective, Stretch
from chainrule.spec import Training

STEPS = 50
SOLVERS: dict[str, dict[str, Any]] = {
    "SGD": {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False, "learning_rate_init": 0.02},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.02},
    "Nesterov": {"solver": "sgd", "learning_rate_init": 0.02},
    "Adam": {"solver": "adam"},
    "L-BFGS": {"solver": "lbfgs", "max_iter": STEPS},
}
DATA: dict[str, tuple[str, Any, Any]] = {
    "classes": ("MLPClassifier", *make_classification(200, 8, n_informative=6, n_classes=3, random_state=0)),
    "numbers": ("MLPRegressor", *make_regression(200, 8, random_state=0)),
}
STREAMED = [name for name, row in OPTIMISERS.items() if not row.full_batch]


def beside_scikit_learn(solver: str, data: str, activation: str = "tanh") -> float:
    """The largest difference of a parameter after 50 steps, relative to the largest parameter."""
    return _beside(solver, data, activation, chainrule, 1.0)


def scikit_learn_beside_itself(solver: str, data: str, activation: str = "tanh") -> float:
    """How far scikit-learn's own parameters move if each input is larger by one rounding."""
    return _beside(solver, data, activation, theirs, 1.0 + 2.0**-52)


def _beside(solver: str, data: str, activation: str, other: Any, factor: float) -> float:
    name, X, y = DATA[data]
    options = {
        "hidden_layer_sizes": (9, 5),
        "activation": activation,
        "random_state": 3,
        "batch_size": 40,  # 5 batches an epoch
        "max_iter": STEPS // 5,
        **SOLVERS[solver],
    }
    y = y if name == "MLPClassifier" else y / 100
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a = getattr(theirs, name)(**options).fit(X, y)
        b = getattr(other, name)(**options).fit(X * factor, y)
    return _relative(zip(b.coefs_ + b.intercepts_, a.coefs_ + a.intercepts_, strict=True))


def beside_extended_precision(optimiser: str, loss: str = "categorical_cross_entropy") -> float:
    """The same, for the compiled run beside the interpreted one in long double."""
    network = make_network(loss, "tanh", hidden=(6,))
    theta, batch = make_problem(network, rows=STEPS * 4, seed=1)
    training = Training(optimiser, 0.01, batch_size=4)
    objective = Objective(network, {"l2": 1e-3})
    results = []
    for Run, kind in ((compiled.Run, np.float64), (reference.Run, np.longdouble)):
        wide = Batch(batch.X.astype(kind), batch.Y.astype(kind))
        state = train.State.begin(theta.astype(kind), training)
        stretch = Stretch(
            wide, np.arange(len(wide)), 0, STEPS, 4, rates(0.01, STEPS), state.theta, state.slots,
            np.empty(STEPS), 0, 0,
        )  # fmt: skip
        assert Run(objective, training.optimiser_row).steps(stretch) == STEPS
        results.append(state.theta)
    return _relative([tuple(results)])


def _relative(pairs: Any) -> float:
    pairs = [*pairs]
    largest = max(float(np.max(np.abs(q))) for _, q in pairs)
    return max(float(np.max(np.abs(p - q))) for p, q in pairs) / max(largest, 1.0)
