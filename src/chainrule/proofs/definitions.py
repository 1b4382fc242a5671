"""The textbook definitions that the rows are compared with, written independently of them.

The rows are written to be fast and never to overflow; these say what they mean. They are in the rows'
vocabulary, so a proof reads them in the same way. A row without a definition here still has its derivative
proved, from its own forward function; what it computes is then its own definition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from chainrule import equation
from chainrule.equation import Function


@dataclass(frozen=True)
class Definition:
    """A formula in the rows' vocabulary.

    Attributes
    ----------
    arguments : str
        Its arguments, parameters last: ``"z, alpha"``.
    text : str
        The formula as a Python expression.
    """

    arguments: str
    text: str

    @cached_property
    def function(self) -> Function:
        """The formula as a function."""
        words = {**vars(equation), "pi": math.pi, "e": math.e}
        made: Function = eval(f"lambda {self.arguments}: {self.text}", words)
        return made


def _of(first: str, texts: Mapping[str, str]) -> dict[str, Definition]:
    """Definitions from texts: parameters, if any, stand before a colon."""
    made = {}
    for name, line in texts.items():
        parameters, _, text = line.rpartition(": ")
        made[name] = Definition(", ".join(filter(None, [first, parameters])), text)
    return made


ACTIVATIONS = _of(
    "z",
    {
        "identity": "z",
        "sigmoid": "1 / (1 + exp(-z))",
        "tanh": "(exp(z) - exp(-z)) / (exp(z) + exp(-z))",
        "relu": "where(z > 0, z, 0)",
        "leaky_relu": "alpha: where(z > 0, z, alpha * z)",
        "elu": "alpha: where(z > 0, z, alpha * (exp(z) - 1))",
        "selu": "scale, alpha: where(z > 0, scale * z, scale * alpha * (exp(z) - 1))",
        "gelu": "z * (1 - erfc(z / sqrt(2)) / 2)",
        "gelu_tanh": "z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z**3)))",
        "silu": "z / (1 + exp(-z))",
        "mish": "z * tanh(log(1 + exp(z)))",
        "softplus": "log(1 + exp(z))",
        "softsign": "z / (1 + absolute(z))",
        "exponential": "e**z",
    },
)

# Of the prediction a, the value of the loss's output link; a coupled loss is the sum over the outputs.
LOSSES = _of(
    "a, y",
    {
        "binary_cross_entropy": "-y * log(a) - (1 - y) * log(1 - a)",
        "categorical_cross_entropy": "-y * log(a)",
        "squared_error": "(a - y)**2 / 2",
        "absolute_error": "where(a > y, a - y, y - a)",
        "huber": "delta: where(abs(a - y) < delta, (a - y)**2 / 2, delta * (abs(a - y) - delta / 2))",
        "log_cosh": "log((exp(a - y) + exp(y - a)) / 2)",
        "quantile": "q: where(a < y, q * (y - a), (1 - q) * (a - y))",
        "poisson": "where(y > 0, y * (log(y) - log(a)), 0) - (y - a)",
    },
)

# Losses whose link is the canonical one of their distribution: dl/dz is prediction minus target.
CANONICAL = frozenset({"binary_cross_entropy", "categorical_cross_entropy", "squared_error", "poisson"})

PENALTIES = _of("w", {"l2": "w**2 / 2", "l1": "where(w < 0, -w, w)"})
