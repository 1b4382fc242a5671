"""Training beside scikit-learn, and beside the same equations in extended precision."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn.neural_network as theirs
from conftest import make_network, make_problem, rates
from sklearn.datasets import make_classification, make_regression
from threadpoolctl import threadpool_limits

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
}
DATA: dict[str, tuple[str, Any, Any]] = {
    "classes": ("MLPClassifier", *make_classification(200, 8, n_informative=6, n_classes=3, random_state=0)),
    "numbers": ("MLPRegressor", *make_regression(200, 8, random_state=0)),
}
STREAMED = [name for name, row in OPTIMISERS.items() if not row.full_batch]


def beside_scikit_learn(solver: str, data: str, activation: str = "tanh") -> float:
    """The largest difference of a parameter after 50 steps, relative to the largest parameter."""
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
        return _apart(
            getattr(chainrule, name)(**options).fit(X, y), getattr(theirs, name)(**options).fit(X, y)
        )


# ---------------------------------------------------------------- L-BFGS
# 50 iterations may magnify a rounding a millionfold. So a problem counts only if scikit-learn's own result
# is steady: if it hardly moves when each input is changed by its last bit. Our result has no say in that.

STEADY = 1e-13
SHAPES = (((), "identity"), ((5,), "tanh"), ((5,), "relu"), ((9, 5), "tanh"), ((9, 5), "relu"))
ALPHAS = (1e-4, 1.0, 100.0)
SEEDS = range(4)


@dataclass(frozen=True)
class Compared:
    """A problem that both have solved by 50 iterations of L-BFGS, or fewer if it has converged.

    Attributes
    ----------
    name : str
    iterations : int
        Of scikit-learn.
    moved : float
        How far scikit-learn's parameters move if each input is changed to its neighbour: the most of four
        times, up, down, and twice to either side at random.
    apart : float
        How far ours are from scikit-learn's.
    """

    name: str
    iterations: int
    moved: float
    apart: float


def by_lbfgs(seeds: range = SEEDS) -> Iterator[Compared]:
    """All the problems: each shape, penalty, kind of target and seed."""
    for seed in seeds:
        data = {
            "MLPClassifier": make_classification(200, 8, n_informative=6, n_classes=3, random_state=seed),
            "MLPRegressor": make_regression(200, 8, random_state=seed),
        }
        data["MLPRegressor"][1][:] /= 100
        for (kind, (X, y)), (hidden, activation), alpha in itertools.product(data.items(), SHAPES, ALPHAS):
            options = {"hidden_layer_sizes": hidden, "activation": activation, "alpha": alpha}
            options |= {"solver": "lbfgs", "max_iter": STEPS, "random_state": 3}
            # BLAS's own threads cost scikit-learn ten times as much as they gain it on arrays so small.
            with warnings.catch_warnings(), threadpool_limits(1):
                warnings.simplefilter("ignore")
                right = getattr(theirs, kind)(**options).fit(X, y)
                moved = [_apart(getattr(theirs, kind)(**options).fit(Z, y), right) for Z in _neighbours(X)]
                ours = getattr(chainrule, kind)(**options).fit(X, y)
            name = f"{kind}{hidden}, {activation}, alpha={alpha:g}, seed {seed}"
            yield Compared(name, right.n_iter_, max(moved), _apart(ours, right))


def _neighbours(X: Any) -> Iterator[Any]:
    rng = np.random.default_rng(0)
    yield np.nextafter(X, np.inf)
    yield np.nextafter(X, -np.inf)
    for _ in range(2):
        yield np.nextafter(X, np.where(rng.random(X.shape) < 0.5, np.inf, -np.inf))


def _apart(a: Any, b: Any) -> float:
    return _relative(zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True))


# ---------------------------------------------------------------- long double


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
