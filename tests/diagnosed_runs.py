"""Training runs that are sick in a known way, and healthy ones, drawn from seeds.

The thresholds of the symptoms were chosen on runs of the families TUNING with seeds from 1000. The
tests use the families FINAL with seeds below 1000, which were looked at only after that.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from chainrule import DivergenceError, MLPClassifier, MLPRegressor, TrainingWarning

Rng = np.random.Generator
Data = tuple[np.ndarray, np.ndarray]


# ------------------------------------------------------------------ data


def blobs(rng: Rng, n: int) -> Data:
    """Two to five normal clouds, of which some overlap."""
    k, d = int(rng.integers(2, 6)), int(rng.integers(2, 13))
    y = rng.integers(0, k, n)
    return rng.normal(size=(n, d)) + rng.normal(size=(k, d))[y] * rng.uniform(0.8, 2.5), y


def quadric(rng: Rng, n: int) -> Data:
    """On which side of a random quadric a point lies, and some labels wrong."""
    d = int(rng.integers(3, 9))
    X, Q = rng.normal(size=(n, d)), rng.normal(size=(d, d))
    z = np.einsum("ni,ij,nj->n", X, Q, X) + X @ rng.normal(size=d)
    y = (z > np.median(z)) ^ (rng.random(n) < rng.uniform(0, 0.1))
    return X, y.astype(int)


def waves(rng: Rng, n: int) -> Data:
    """A sum of sines along random directions, with noise."""
    d = int(rng.integers(1, 9))
    X = rng.normal(size=(n, d))
    y = np.sin(X @ rng.normal(size=(d, 3)) / d**0.5) @ rng.normal(size=3) + X @ rng.normal(size=d)
    return X, y + rng.normal(size=n) * rng.uniform(0.05, 0.3) * y.std()


def products(rng: Rng, n: int) -> Data:
    """Products of pairs of features, heavy-tailed, with noise."""
    d = int(rng.integers(4, 11))
    X = rng.uniform(-1, 1, (n, d))
    y = X[:, 0] * X[:, 1] + 2 * X[:, 2] * X[:, 3] + np.exp(X @ rng.normal(size=d) / d**0.5)
    return X, y + rng.normal(size=n) * rng.uniform(0.05, 0.3) * y.std()


def moons(rng: Rng, n: int) -> Data:
    """Two interleaved half circles."""
    y, t = rng.integers(0, 2, n), rng.uniform(0, np.pi, n)
    X = np.where(y[:, None] == 0, np.c_[np.cos(t), np.sin(t)], np.c_[1 - np.cos(t), 0.5 - np.sin(t)])
    return X + rng.normal(size=(n, 2)) * rng.uniform(0.1, 0.3), y


def rings(rng: Rng, n: int) -> Data:
    """Two to four concentric rings."""
    k = int(rng.integers(2, 5))
    y, t = rng.integers(0, k, n), rng.uniform(0, 2 * np.pi, n)
    X = np.c_[np.cos(t), np.sin(t)] * (1 + y[:, None]) + rng.normal(size=(n, 2)) * 0.15
    return np.c_[X, rng.normal(size=(n, int(rng.integers(0, 4))))], y


def mixed(rng: Rng, n: int) -> Data:
    """Yes/no columns and skewed numbers; classes from a noisy logistic rule."""
    d = int(rng.integers(4, 15))
    X = np.c_[rng.lognormal(0, 0.7, (n, d)), rng.random((n, d // 2)) < rng.uniform(0.1, 0.5, d // 2)]
    z = (X - X.mean(0)) @ rng.normal(size=X.shape[1])
    return X, (z + rng.logistic(size=n) > np.quantile(z, rng.uniform(0.3, 0.7))).astype(int)


def friedman(rng: Rng, n: int) -> Data:
    """Friedman's first function of ten features."""
    X = rng.random((n, 10))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]
    return X, y + rng.normal(size=n) * rng.uniform(0.2, 1.5)


def steps(rng: Rng, n: int) -> Data:
    """A function that jumps, with noise."""
    d = int(rng.integers(2, 7))
    X = rng.normal(size=(n, d))
    y = (X @ rng.normal(size=(d, 4)) > rng.normal(size=4)) @ rng.normal(size=4) * 2 + X[:, 0]
    return X, y + rng.normal(size=n) * 0.2


TUNING = {"classes": [blobs, quadric], "numbers": [waves, products]}
FINAL = {"classes": [moons, rings, mixed], "numbers": [friedman, steps]}


@dataclass
class Draw:
    """Everything random of one run."""

    rng: Rng
    families: dict[str, list[Callable[[Rng, int], Data]]]

    def one(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def between(self, low: float, high: float) -> float:
        """Log-uniform."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def data(self, task: str, n: int | None = None) -> Data:
        """Standardised; numbers have mean 0 and deviation 1."""
        n = n or int(self.between(150, 800))
        X, y = self.one(*self.families[task])(self.rng, n)
        if task == "numbers":
            y = (y - y.mean()) / y.std()
        return (X - X.mean(0)) / X.std(0), y

    def model(self, task: str, **options: Any) -> Any:
        return (MLPClassifier if task == "classes" else MLPRegressor)(
            random_state=int(self.rng.integers(2**31)), **options
        )

    def weights(self, sizes: list[int], gain: float, bias: float = 0.0) -> Any:
        """Normal weights of variance gain² / inputs; biases around the given one."""
        W = [self.rng.normal(size=s) * gain / s[0] ** 0.5 for s in pairwise(sizes)]
        b = [bias * self.rng.uniform(0.8, 1.2, k) for k in sizes[1:]]
        b[-1] = np.zeros(sizes[-1])
        return W, b


def outputs(task: str, y: np.ndarray) -> int:
    classes = len(np.unique(y))
    return 1 if task == "numbers" or classes == 2 else classes


def trained(model: Any, X: np.ndarray, y: np.ndarray, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", TrainingWarning)
        try:
            model.fit(X, y, **more)
        except DivergenceError:
            assert model.stop_reason_ == "diverged"
    return model


# ------------------------------------------------------------------ healthy runs

GENTLE = {"adam": (5e-4, 1e-2), "adamw": (5e-4, 1e-2), "rmsprop": (3e-4, 3e-3), "sgd": (3e-3, 5e-2)}
GENTLE |= {"gradient_descent": (1e-2, 0.1), "lbfgs": (1e-3, 1e-3), "levenberg_marquardt": (1e-3, 1e-3)}
SMOOTH = ("tanh", "sigmoid", "softplus", "silu", "gelu", "elu", "selu", "softsign", "mish")
RECTIFIED = ("relu", "relu", "relu", "leaky_relu", "leaky_relu(alpha=0.2)")


def healthy(draw: Draw) -> Any:
    """Standardised inputs, usual sizes, sensible rates, some regularisation."""
    task = draw.one("classes", "numbers")
    X, y = draw.data(task)
    if task == "classes":  # the last class may be up to three times rarer than it was
        kept = (y < y.max()) | (draw.rng.random(len(y)) < draw.rng.uniform(0.33, 1.0))
        X, y = X[kept], y[kept]
    hidden = draw.one((), (8,), (16,), (32,), (64,), (16, 8), (32, 16), (24, 24, 12), (16, 16, 16, 16))
    activation = draw.one(*SMOOTH, *RECTIFIED, *RECTIFIED) if len(hidden) < 4 else draw.one("relu", "tanh")
    solver = draw.one("adam", "adam", "adam", *GENTLE)
    if solver == "levenberg_marquardt" and (task == "classes" or sum(hidden) > 40):
        solver = "adam"
    options: dict[str, Any] = {
        "hidden_layer_sizes": hidden,
        "activation": activation,
        "solver": solver,
        "learning_rate_init": draw.between(*GENTLE[solver]),
        "alpha": draw.between(1e-4, 1e-1),
        "batch_size": draw.one("auto", 16, 32, 64),
        "max_iter": draw.one(60, 100, 200, 300),
    }
    if solver not in ("lbfgs", "levenberg_marquardt"):
        options["dropout"] = draw.one(0.0, 0.0, 0.0, 0.1, 0.2)
        options["learning_rate"] = draw.one("constant", "constant", "cosine", "adaptive")
        options["l1"] = draw.one(0.0, 0.0, 0.0, 1e-4)
        stopping = draw.one({}, {"early_stopping": True}, {"early_stopping": True, "metric": "loss"})
        options |= stopping
        if stopping:
            options["validation_fraction"] = draw.one(0.1, 0.2, 0.3)
    if task == "numbers" and solver != "levenberg_marquardt":
        options["loss"] = draw.one("squared_error", "squared_error", "huber", "log_cosh", "absolute_error")
    return trained(draw.model(task, **options), X, y)


# ------------------------------------------------------------------ sick runs


def diverged(draw: Draw) -> Any:
    """Gradient descent with a rate at which squared errors grow without bound."""
    X, y = draw.data("numbers")
    return trained(
        draw.model(
            "numbers",
            solver=draw.one("sgd", "gradient_descent"),
            activation=draw.one("tanh", "sigmoid", "leaky_relu", "identity", "elu"),
            learning_rate_init=draw.between(20, 1e4),
            hidden_layer_sizes=draw.one((16,), (32,), (32, 16)),
        ),
        X,
        y,
    )


def dead_units(draw: Draw) -> Any:
    """Rectifiers that never fire: biases far below 0, or negative weights on positive inputs."""
    task = draw.one("classes", "numbers")
    X, y = draw.data(task)
    hidden = draw.one((16,), (32,), (32, 16))
    sizes = [X.shape[1], *hidden, outputs(task, y)]
    if draw.one(True, False):
        weights = draw.weights(sizes, 1.0, bias=-draw.between(8, 100))
    else:
        X = X - X.min(axis=0)
        weights = draw.weights(sizes, draw.between(0.5, 2.0))
        weights[0][0] = -np.abs(weights[0][0])
    options = {"hidden_layer_sizes": hidden, "init_weights": weights, "max_iter": draw.one(20, 50, 100)}
    return trained(draw.model(task, **options), X, y)


def saturated_units(draw: Draw) -> Any:
    """Bounded activations at their ends: large inputs, or large first weights."""
    task = draw.one("classes", "numbers")
    X, y = draw.data(task)
    hidden, activation = draw.one((16,), (32,), (24, 12)), draw.one("tanh", "sigmoid", "softsign")
    options = {"hidden_layer_sizes": hidden, "activation": activation, "max_iter": draw.one(50, 100)}
    if draw.one(True, False):
        X = X * draw.between(300, 1e5)
    else:
        sizes = [X.shape[1], *hidden, outputs(task, y)]
        options["init_weights"] = draw.weights(sizes, draw.between(100, 1000))
    return trained(draw.model(task, **options), X, y)


def vanishing_gradients(draw: Draw) -> Any:
    """Deep stacks of sigmoids, or of anything with small weights."""
    task = draw.one("classes", "numbers")
    X, y = draw.data(task)
    hidden = (draw.one(8, 16, 24),) * draw.one(6, 8, 10)
    options = {
        "hidden_layer_sizes": hidden,
        "solver": draw.one("adam", "sgd"),
        "learning_rate_init": 0.001,
        "max_iter": draw.one(30, 60),
    }
    if draw.one(True, True, False):
        return trained(draw.model(task, activation="sigmoid", **options), X, y)
    weights = draw.weights([X.shape[1], *hidden, outputs(task, y)], draw.between(0.05, 0.3))
    activation = draw.one("tanh", "relu", "gelu", "softsign")
    return trained(draw.model(task, activation=activation, init_weights=weights, **options), X, y)


def exploding_gradients(draw: Draw) -> Any:
    """Deep stacks of linear pieces with large first weights."""
    task = draw.one("classes", "numbers")
    X, y = draw.data(task)
    hidden = (draw.one(16, 32),) * draw.one(4, 6, 8)
    weights = draw.weights([X.shape[1], *hidden, outputs(task, y)], draw.between(5, 20))
    return trained(
        draw.model(
            task,
            hidden_layer_sizes=hidden,
            activation=draw.one("relu", "identity", "leaky_relu", "elu"),
            init_weights=weights,
            solver=draw.one("adam", "adam", "sgd"),
            max_iter=draw.one(20, 50),
        ),
        X,
        y,
    )


def unscaled_inputs(draw: Draw) -> Any:
    """Raw columns: one or all of them in small units, or far from zero."""
    task = draw.one("classes", "numbers")
    X, y = draw.data(task)
    which = slice(None) if draw.one(True, False) else int(draw.rng.integers(X.shape[1]))
    X[:, which] *= draw.between(1e4, 1e6) if draw.one(True, False) else 10.0
    X[:, which] += draw.between(2e3, 1e6)
    return trained(
        draw.model(
            task,
            hidden_layer_sizes=draw.one((16,), (32, 16)),
            activation=draw.one("relu", "tanh", "silu"),
            max_iter=draw.one(50, 100),
        ),
        X,
        y,
    )


def unscaled_targets(draw: Draw) -> Any:
    """Targets in small units, such as prices."""
    X, y = draw.data("numbers")
    y = y * draw.between(1e3, 1e6) + draw.one(0, 1e5)
    return trained(
        draw.model(
            "numbers",
            hidden_layer_sizes=draw.one((16,), (32, 16)),
            activation=draw.one("relu", "tanh"),
            max_iter=draw.one(50, 100),
        ),
        X,
        y,
    )


def overfitting(draw: Draw) -> Any:
    """Many weights, few and noisy rows, no stopping; half of the runs meet unseen rows only afterwards."""
    task = draw.one("classes", "numbers")
    n = int(draw.rng.integers(30, 70))
    X, y = draw.data(task, n + 300)
    X = np.c_[X, draw.rng.normal(size=(len(X), 10))]
    if task == "classes":
        wrong = draw.rng.random(len(y)) < 0.3
        y = np.where(wrong, draw.rng.permutation(y), y)
    else:
        y = y + draw.rng.normal(size=len(y))
    options = {
        "hidden_layer_sizes": draw.one((256,), (128, 64), (64, 64)),
        "activation": draw.one("relu", "tanh", "gelu"),
        "alpha": 0.0,
        "tol": 0.0,
        "learning_rate_init": draw.between(5e-3, 2e-2),
        "n_iter_no_change": np.inf,
        "max_iter": 300,
        "batch_size": 16,
    }
    train, held = (X[:n], y[:n]), (X[n:], y[n:])
    if draw.one(True, False):
        return trained(draw.model(task, **options), *train), held
    metric = draw.one("loss", "loss", None)
    return trained(draw.model(task, metric=metric, **options), *train, validation_data=held)


def imbalance(draw: Draw) -> Any:
    """One row in a hundred, or fewer, is of a class."""
    X, y = draw.data("classes", 6000)
    rare = np.flatnonzero(y == 1)
    share = draw.between(0.003, 0.015)
    rows = np.r_[np.flatnonzero(y != 1), rare[: max(3, int(share * len(y)))]]
    model = draw.model(
        "classes",
        hidden_layer_sizes=draw.one((16,), (32, 16)),
        activation=draw.one("relu", "tanh", "elu"),
        max_iter=draw.one(20, 40),
    )
    return trained(model, X[rows], y[rows])


def learning_rate_too_high(draw: Draw) -> Any:
    """Steps that leap over the minimum: the loss jumps up and down."""
    task = draw.one("classes", "numbers")
    X, y = draw.data(task)
    if task == "classes" and draw.one(True, False):
        rate = {"solver": draw.one("sgd", "gradient_descent"), "learning_rate_init": draw.between(10, 100)}
    else:
        rate = {"solver": draw.one("adam", "rmsprop"), "learning_rate_init": draw.between(0.5, 5)}
    return trained(
        draw.model(
            task,
            hidden_layer_sizes=draw.one((16,), (32,), (32, 16)),
            activation=draw.one("relu", "tanh", "leaky_relu", "silu"),
            batch_size=draw.one(32, 64, "auto"),
            max_iter=100,
            **rate,
        ),
        X,
        y,
    )


def learning_rate_too_low(draw: Draw) -> Any:
    """Steps so small that the loss has barely moved at the end."""
    task = draw.one("classes", "numbers")
    X, y = draw.data(task)
    solver = draw.one("adam", "rmsprop", "sgd", "gradient_descent")
    high = 1e-5 if solver in ("sgd", "gradient_descent") else 3e-6
    return trained(
        draw.model(
            task,
            solver=solver,
            learning_rate_init=draw.between(1e-8, high),
            hidden_layer_sizes=draw.one((16,), (32,), (32, 16)),
            activation=draw.one("relu", "tanh", "gelu", "sigmoid"),
            max_iter=draw.one(50, 100, 200),
            tol=draw.one(0.0, 1e-4),
        ),
        X,
        y,
    )


SICK: dict[str, Callable[[Draw], Any]] = {
    maker.__name__: maker
    for maker in (
        diverged,
        exploding_gradients,
        vanishing_gradients,
        dead_units,
        saturated_units,
        unscaled_inputs,
        unscaled_targets,
        learning_rate_too_high,
        learning_rate_too_low,
        overfitting,
        imbalance,
    )
}


def make(kind: str, seed: int, families: Any = None) -> tuple[Any, Data | tuple[()]]:
    """A fitted model, and the rows to hand to `diagnose`, if any."""
    number = ["healthy", *SICK].index(kind)
    draw = Draw(np.random.default_rng([number, seed]), families or (TUNING if seed >= 1000 else FINAL))
    found = healthy(draw) if kind == "healthy" else SICK[kind](draw)
    return found if isinstance(found, tuple) else (found, ())
