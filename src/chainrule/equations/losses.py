r"""Losses: l(z, y), their derivative dl/dz, and the link that turns z into a prediction.

A loss is a function of the network's last value z *before* its output link (sigmoid for binary
cross-entropy, softmax for categorical cross-entropy, ...): only there is it stable at any logit, and
its derivative takes the famous form prediction minus target. The value of a batch is

    L = sum_i w_i sum_k l(z_ik, y_ik) / sum_i w_i,

the sum over outputs, the weighted mean over rows; value and gradient share this one reduction.

Coupled losses take, of each logit of a row, e = exp(z - m), and of the row m = max_k z_k, r = the sum of e
over the others, q = 1 / (1 + r) and s = log(1 + r). The prediction is then e q, and log sum exp is m + s,
both to full precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from chainrule.equation import (
    Function,
    Row,
    Table,
    absolute,
    exp,
    log,
    log1p,
    maximum,
    minimum,
    sign,
    tanh,
    where,
)


@dataclass(frozen=True)
class Loss(Row):
    """A loss with its output link.

    Attributes
    ----------
    value : callable
        ``value(z, y, *parameters) -> l``, entry by entry; a coupled row takes ``(z, y, m, s)``.
    slope : callable
        ``slope(z, y, *parameters) -> dl/dz``; a coupled row takes ``(e, y, r, q)``.
    link : str
        Name of the activation that turns z into the prediction.
    targets : str
        What y must be: "real", "nonnegative", "unit" (in [0, 1]) or "simplex" (each row sums to 1).
    task : str
        "regression", "binary" (also each column of a multilabel target) or "multiclass".
    coupled : bool
        Whether the outputs of a row depend on each other.
    kink : bool
        Whether the derivative jumps somewhere.
    """

    value: Function = lambda z, y: z
    slope: Function = lambda z, y: z
    link: str = "identity"
    targets: str = "real"
    task: str = "regression"
    coupled: bool = False
    kink: bool = False


LOSSES: Table[Loss] = Table("loss", Loss)
loss = LOSSES.define


@loss(
    latex=r"-y \log \sigma(z) - (1 - y) \log(1 - \sigma(z)) = \max(z, 0) - z y + \log(1 + e^{-|z|})",
    slope_latex=r"\sigma(z) - y",
    source="Good 1952, J. R. Stat. Soc. B 14; stable form of the logistic deviance",
    link="sigmoid",
    targets="unit",
    task="binary",
)
class binary_cross_entropy:
    """Negative log-likelihood of yes/no targets.

    The derivative is written so that no digit is lost when the prediction is nearly right.
    """

    def value(z, y):
        return maximum(z, 0) - z * y + log1p(exp(-absolute(z)))

    def slope(z, y):
        e = exp(-absolute(z))
        return where(z >= 0, (1 - y) - y * e, (1 - y) * e - y) / (1 + e)


@loss(
    latex=r"-\sum_k y_k \log a_k = \sum_k y_k \left(\log \sum_j e^{z_j} - z_k\right)",
    slope_latex=r"a_k - y_k, \quad a = \mathrm{softmax}(z)",
    source="Bridle 1990, NATO ASI Series F68",
    link="softmax",
    targets="simplex",
    task="multiclass",
    coupled=True,
)
class categorical_cross_entropy:
    """Negative log-likelihood of one class of many. Each row of targets sums to 1."""

    def value(z, y, m, s):
        return y * ((m - z) + s)

    def slope(e, y, r, q):
        return ((e - y) - y * r) * q


@loss(
    latex=r"\tfrac{1}{2} (z - y)^2",
    slope_latex=r"z - y",
    source="Legendre 1805; Gauss 1809 (least squares)",
)
class squared_error:
    """Half of the squared difference."""

    def value(z, y):
        return (z - y) * (z - y) / 2

    def slope(z, y):
        return z - y


@loss(
    latex=r"|z - y|",
    slope_latex=r"\mathrm{sign}(z - y)",
    source="Boscovich 1757; Laplace 1793 (least absolute deviations)",
    kink=True,
)
class absolute_error:
    """The absolute difference; its minimiser is the median."""

    def value(z, y):
        return absolute(z - y)

    def slope(z, y):
        return sign(z - y)


@loss(
    latex=r"\tfrac{1}{2} d^2 \text{ if } |d| \le \delta \text{ else } \delta (|d| - \delta / 2), "
    r"\quad d = z - y",
    slope_latex=r"\max(-\delta, \min(\delta, z - y))",
    source="Huber 1964, Ann. Math. Stat. 35",
    parameters={"delta": 1.0},
    ranges={"delta": (1e-300, inf)},
)
class huber:
    """Squared near zero, absolute far from it: robust to outliers."""

    def value(z, y, delta):
        d = absolute(z - y)
        return where(d <= delta, d * d / 2, delta * (d - delta / 2))

    def slope(z, y, delta):
        return maximum(-delta, minimum(delta, z - y))


@loss(
    latex=r"\log\cosh(z - y)",
    slope_latex=r"\tanh(z - y)",
    source="Green 1990, IEEE Trans. Med. Imaging 9",
)
class log_cosh:
    """A smooth neighbour of Huber's loss."""

    def value(z, y):
        d = absolute(z - y)
        return d + log1p(exp(-2 * d)) - 0.69314718055994530942

    def slope(z, y):
        return tanh(z - y)


@loss(
    latex=r"\max(q \, (y - z), (q - 1) (y - z))",
    slope_latex=r"1 - q \text{ if } z > y \text{ else } -q",
    source="Koenker & Bassett 1978, Econometrica 46",
    parameters={"q": 0.5},
    ranges={"q": (0, 1)},
    aliases=("pinball",),
    kink=True,
)
class quantile:
    """The pinball loss: its minimiser is the q-th quantile. The slope at z = y is taken as 0."""

    def value(z, y, q):
        return maximum(q * (y - z), (q - 1) * (y - z))

    def slope(z, y, q):
        return where(z > y, 1 - q, where(z < y, -q, 0))


@loss(
    latex=r"e^z - y z + y \log y - y",
    slope_latex=r"e^z - y",
    source="McCullagh & Nelder 1989, Generalized Linear Models (half of the deviance)",
    link="exponential",
    targets="nonnegative",
)
class poisson:
    """Half of the Poisson deviance of counts, with a log link."""

    def value(z, y):
        return exp(z) - y * z + y * log(where(y > 0, y, 1)) - y

    def slope(z, y):
        return exp(z) - y
