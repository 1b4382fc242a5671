"""Epochs of JAX: one compiled call each, that scans over the batches and gives its buffers back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from steps.cells import LEARNING_RATE, Cell
from steps.clock import Clock

jax.config.update("jax_enable_x64", True)

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": partial(jax.nn.gelu, approximate=False),
}
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def versions() -> dict[str, str]:
    return {"jax": jax.__version__, "jaxlib": jax.lib.__version__}


def dropped(A: Any, share: float, key: Any) -> Any:
    return jnp.where(jax.random.bernoulli(key, 1 - share, A.shape), A / (1 - share), 0)


def loss_of(theta: Any, X: Any, y: Any, key: Any, cell: Cell) -> Any:
    A = X
    for number, (W, b) in enumerate(theta[:-1]):
        A = ACTIVATIONS[cell.activation](A @ W + b)
        if cell.dropout:
            A = dropped(A, cell.dropout, jax.random.fold_in(key, number))
    W, b = theta[-1]
    Z = A @ W + b
    if cell.task == "regression":
        return jnp.mean((Z - y) ** 2) / 2
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(Z), y[:, None], axis=1))


def adam(theta: Any, gradient: Any, slots: Any, t: Any) -> tuple[Any, Any]:
    real = jax.tree.leaves(theta)[0].dtype
    rate = (LEARNING_RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)).astype(real)
    m = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, slots[0], gradient)
    v = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, slots[1], gradient)
    return jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), theta, m, v), (m, v)


def sgd(theta: Any, gradient: Any, slots: Any, t: Any) -> tuple[Any, Any]:
    return jax.tree.map(lambda w, g: w - LEARNING_RATE * g, theta, gradient), slots


UPDATES = {"adam": (adam, 2), "sgd": (sgd, 0)}


def prepare(cell: Cell) -> Callable[[Clock], None]:
    update, count = UPDATES[cell.optimiser]
    X, y = map(jnp.asarray, cell.data())

    @partial(jax.jit, donate_argnums=0)
    def epoch(carry: Any, order: Any) -> tuple[Any, Any]:
        def step(carry: Any, rows: Any) -> tuple[Any, Any]:
            theta, slots, t, key = carry
            used, key = jax.random.split(key) if cell.dropout else (key, key)
            loss, gradient = jax.value_and_grad(loss_of)(theta, X[rows], y[rows], used, cell)
            theta, slots = update(theta, gradient, slots, t + 1)
            return (theta, slots, t + 1, key), loss

        carry, losses = jax.lax.scan(step, carry, order)
        return carry, losses.mean()

    theta = [(jnp.array(W), jnp.array(b)) for W, b in cell.weights()]
    slots = tuple(jax.tree.map(jnp.zeros_like, theta) for _ in range(count))
    carry = (theta, slots, jnp.zeros((), jnp.float64), jax.random.key(0))
    rng = np.random.default_rng(0)

    def train(clock: Clock) -> None:
        nonlocal carry
        while True:
            order = rng.permutation(cell.rows).reshape(cell.steps, cell.rows_in_batch)
            carry, loss = epoch(carry, order)
            if clock.tick(loss):
                return

    return train
