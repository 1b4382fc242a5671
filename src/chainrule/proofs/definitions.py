"""The textbook definitions that the rows are compared with, written independently of them.

The rows are written to be fast and never to overflow; these say what they mean. They are in the rows'
vocabulary, so a proof reads them in the same way. A row without a definition here still has its derivative
proved, from its own forward function; what it computes is then its own definition.
"""

from __future__ import annotations

from math import e, pi

from chainrule.equation import (
    Function,
    absolute,
    erfc,
    exp,
    log,
    sqrt,
    tanh,
    where,
)

# ------------------------------------------------------------------ activations: (z, *parameters) -> a

ACTIVATIONS: dict[str, Function] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + exp(-z)),
    "tanh": lambda z: (exp(z) - exp(-z)) / (exp(z) + exp(-z)),
    "relu": lambda z: where(z > 0, z, 0),
    "leaky_relu": lambda z, alpha: where(z > 0, z, alpha * z),
    "elu": lambda z, alpha: where(z > 0, z, alpha * (exp(z) - 1)),
    "selu": lambda z, scale, alpha: where(z > 0, scale * z, scale * alpha * (exp(z) - 1)),
    "gelu": lambda z: z * (1 - erfc(z / sqrt(2)) / 2),  # z times the normal distribution function
    "gelu_tanh": lambda z: z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1 + exp(-z)),
    "mish": lambda z: z * tanh(log(1 + exp(z))),
    "softplus": lambda z: log(1 + exp(z)),
    "softsign": lambda z: z / (1 + absolute(z)),
    "exponential": lambda z: e**z,
}

# ------------------------------------------------------------------ losses: (a, y, *parameters) -> l
# Of the prediction a, the value of the loss's output link; a coupled loss is the sum over the outputs.

LOSSES: dict[str, Function] = {
    "binary_cross_entropy": lambda a, y: -y * log(a) - (1 - y) * log(1 - a),
    "categorical_cross_entropy": lambda a, y: -y * log(a),
    "squared_error": lambda a, y: (a - y) ** 2 / 2,
    "absolute_error": lambda a, y: where(a > y, a - y, y - a),
    "huber": lambda a, y, delta: where(
        absolute(a - y) < delta, (a - y) ** 2 / 2, delta * absolute(a - y) - delta**2 / 2
    ),
    "log_cosh": lambda a, y: log((exp(a - y) + exp(y - a)) / 2),
    "quantile": lambda a, y, q: where(a < y, q * (y - a), (1 - q) * (a - y)),
    "poisson": lambda a, y: where(y > 0, y * (log(y) - log(a)), 0) - (y - a),
}

# Losses whose link is the canonical one of their distribution: dl/dz is prediction minus target.
CANONICAL = frozenset({"binary_cross_entropy", "categorical_cross_entropy", "squared_error", "poisson"})

# ------------------------------------------------------------------ penalties: w -> value

PENALTIES: dict[str, Function] = {
    "l2": lambda w: w**2 / 2,
    "l1": lambda w: where(w < 0, -w, w),
}
