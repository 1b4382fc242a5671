r"""Activations: a = f(z), and the slope f'(z) that back propagation multiplies by, dz = da f'(z).

`f(z, ...)` takes the pre-activation and the row's parameters, `slope(z, a, ...)` also the value
a = f(z) where that saves work. A coupled activation (softmax) mixes the units of a layer: its
function takes, of each logit of a row, e = exp(z - m) with m = max_k z_k, and of the row q = 1 / (1 + r) with
r = the sum of e over the others; its derivative is a whole Jacobian.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, pi

import numpy as np

from chainrule.equation import (
    Function,
    Row,
    Table,
    absolute,
    erfc,
    exp,
    expm1,
    log1p,
    maximum,
    minimum,
    sign,
    tanh,
    where,
)


@dataclass(frozen=True)
class Activation(Row):
    """An activation function.

    Attributes
    ----------
    f : callable
        ``f(z, *parameters) -> a``; for a coupled row ``f(e, q) -> a``.
    slope : callable or None
        ``slope(z, a, *parameters) -> f'(z)``; None for a coupled row.
    jacobian : callable or None
        Coupled rows: ``jacobian(a) -> J`` with ``J[i, j] = da_i / dz_j`` for one row `a`.
    pullback : callable or None
        Coupled rows: ``pullback(a, da, s) -> dz`` with ``s = sum_k a_k da_k``, the product of the
        Jacobian with `da`, entry by entry.
    image : tuple[float, float]
        The interval that the values lie in.
    kinks : tuple[float, ...]
        Where f is not differentiable; the slope there is a one-sided derivative or zero.
    """

    f: Function = lambda z: z
    slope: Function | None = None
    jacobian: Function | None = None
    pullback: Function | None = None
    image: tuple[float, float] = (-inf, inf)
    kinks: tuple[float, ...] = ()

    @property
    def coupled(self) -> bool:
        """Whether a unit's value depends on the other units of its layer."""
        return self.slope is None


ACTIVATIONS: Table[Activation] = Table("activation", Activation)
activation = ACTIVATIONS.define


@activation(latex=r"z", slope_latex=r"1", source="-")
class identity:
    """No activation: the layer stays linear."""

    def f(z):
        return z

    def slope(z, a):
        return 1


@activation(
    latex=r"\frac{1}{1 + e^{-z}}",
    slope_latex=r"a \, (1 - a)",
    source="Rumelhart, Hinton & Williams 1986, Nature 323",
    image=(0, 1),
    aliases=("logistic",),
)
class sigmoid:
    """The logistic function, computed from e = exp(-|z|) so that it never overflows.

    The slope is e / (1 + e)^2: where a is near 1, the digits of 1 - a are lost.
    """

    def f(z):
        e = exp(-absolute(z))
        return where(z >= 0, 1, e) / (1 + e)

    def slope(z, a):
        e = exp(-absolute(z))
        return e / (1 + e * (2 + e))


@activation(
    name="tanh",
    latex=r"\tanh z",
    slope_latex=r"1 - a^2",
    source="LeCun, Bottou, Orr & Mueller 1998, Efficient BackProp",
    image=(-1, 1),
)
class tanh_row:
    """Hyperbolic tangent: a sigmoid centred on zero.

    The slope is 4 e / (1 + e)^2 in e = exp(-2 |z|): where a is near 1, the digits of 1 - a^2 are lost.
    """

    def f(z):
        return tanh(z)

    def slope(z, a):
        e = exp(-2 * absolute(z))
        return 4 * e / (1 + e * (2 + e))


@activation(
    latex=r"\max(0, z)",
    slope_latex=r"[z > 0]",
    source="Nair & Hinton 2010, ICML",
    image=(0, inf),
    kinks=(0,),
)
class relu:
    """Rectified linear unit; the slope at 0 is taken as 0."""

    def f(z):
        return maximum(z, 0)

    def slope(z, a):
        return sign(a)


@activation(
    latex=r"z \text{ if } z > 0 \text{ else } \alpha z",
    slope_latex=r"1 \text{ if } z > 0 \text{ else } \alpha",
    source="Maas, Hannun & Ng 2013, ICML workshop",
    parameters={"alpha": 0.01},
    ranges={"alpha": (-inf, inf)},
    kinks=(0,),
)
class leaky_relu:
    """Rectified linear unit with a slope of alpha below zero."""

    def f(z, alpha):
        return where(z > 0, z, alpha * z)

    def slope(z, a, alpha):
        return where(z > 0, 1, alpha)


@activation(
    latex=r"z \text{ if } z > 0 \text{ else } \alpha (e^z - 1)",
    slope_latex=r"1 \text{ if } z > 0 \text{ else } \alpha e^z",
    source="Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289",
    parameters={"alpha": 1.0},
    ranges={"alpha": (0, inf)},
    kinks=(0,),
)
class elu:
    """Exponential linear unit; smooth at 0 for alpha = 1."""

    def f(z, alpha):
        return where(z > 0, z, alpha * expm1(minimum(z, 0)))

    def slope(z, a, alpha):
        return where(z > 0, 1, alpha * exp(minimum(z, 0)))


SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717


@activation(
    latex=r"\lambda z \text{ if } z > 0 \text{ else } \lambda \alpha (e^z - 1)",
    slope_latex=r"\lambda \text{ if } z > 0 \text{ else } \lambda \alpha e^z",
    source="Klambauer, Unterthiner, Mayr & Hochreiter 2017, arXiv:1706.02515",
    parameters={"scale": SELU_SCALE, "alpha": SELU_ALPHA},
    ranges={"scale": (0, inf), "alpha": (0, inf)},
    kinks=(0,),
)
class selu:
    """Self-normalising exponential linear unit: the two constants keep mean 0 and variance 1."""

    def f(z, scale, alpha):
        return scale * where(z > 0, z, alpha * expm1(minimum(z, 0)))

    def slope(z, a, scale, alpha):
        return scale * where(z > 0, 1, alpha * exp(minimum(z, 0)))


SQRT_HALF = 0.5**0.5
NORMAL_PEAK = 1 / (2 * pi) ** 0.5


@activation(
    latex=r"z \, \Phi(z)",
    slope_latex=r"\Phi(z) + z \, \varphi(z)",
    source="Hendrycks & Gimpel 2016, arXiv:1606.08415",
)
class gelu:
    """Gaussian error linear unit with the exact normal distribution function."""

    def f(z):
        return z * (erfc(-z * SQRT_HALF) / 2)

    def slope(z, a):
        return erfc(-z * SQRT_HALF) / 2 + z * NORMAL_PEAK * exp(-z * z / 2)


GELU_SCALE = (2 / pi) ** 0.5


@activation(
    latex=r"\tfrac{z}{2} \left(1 + \tanh\left(\sqrt{2/\pi}\,(z + 0.044715 z^3)\right)\right)",
    slope_latex=r"\tfrac{1+t}{2} + \tfrac{z}{2} (1 - t^2) \sqrt{2/\pi}\,(1 + 0.134145 z^2), "
    r"\quad t = \tanh\left(\sqrt{2/\pi}\,(z + 0.044715 z^3)\right)",
    source="Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2",
)
class gelu_tanh:
    """The tanh approximation of the Gaussian error linear unit.

    With (1 + tanh u) / 2 written as the logistic function of 2u, no digit is lost far below zero.
    """

    def f(z):
        u = 2 * GELU_SCALE * (z + 0.044715 * z * z * z)
        e = exp(-absolute(u))
        return z * (where(u >= 0, 1, e) / (1 + e))

    def slope(z, a):
        u = 2 * GELU_SCALE * (z + 0.044715 * z * z * z)
        e = exp(-absolute(u))
        s = where(u >= 0, 1, e) / (1 + e)
        return s * (1 + z * (where(u >= 0, e, 1) / (1 + e)) * 2 * GELU_SCALE * (1 + 0.134145 * z * z))


@activation(
    latex=r"z \, \sigma(z)",
    slope_latex=r"\sigma(z) \, (1 + z \, (1 - \sigma(z)))",
    source="Elfwing, Uchibe & Doya 2018, arXiv:1702.03118",
    aliases=("swish",),
)
class silu:
    """Sigmoid-weighted linear unit."""

    def f(z):
        e = exp(-absolute(z))
        return z * (where(z >= 0, 1, e) / (1 + e))

    def slope(z, a):
        e = exp(-absolute(z))
        s = where(z >= 0, 1, e) / (1 + e)
        return s * (1 + z * (where(z >= 0, e, 1) / (1 + e)))


@activation(
    latex=r"z \tanh(\log(1 + e^z))",
    slope_latex=r"t + z \, \sigma(z) \, (1 - t^2), \quad t = \tanh(\log(1 + e^z))",
    source="Misra 2019, arXiv:1908.08681",
)
class mish:
    """Smooth, not monotone: tanh(log(1 + exp(z))) = n / (n + d) in e = exp(-|z|), which never overflows.

    With that, 1 - tanh^2 = d (2 n + d) / (n + d)^2.
    """

    def f(z):
        e = exp(-absolute(z))
        n = where(z >= 0, 1 + 2 * e, e * (e + 2))
        d = where(z >= 0, 2 * e * e, 2)
        return z * (n / (n + d))

    def slope(z, a):
        e = exp(-absolute(z))
        n = where(z >= 0, 1 + 2 * e, e * (e + 2))
        d = where(z >= 0, 2 * e * e, 2)
        s = where(z >= 0, 1, e) / (1 + e)
        return n / (n + d) + z * s * (d * (2 * n + d) / ((n + d) * (n + d)))


@activation(
    latex=r"\log(1 + e^z)",
    slope_latex=r"\sigma(z)",
    source="Dugas, Bengio, Belisle, Nadeau & Garcia 2001, NIPS 13",
    image=(0, inf),
)
class softplus:
    """A smooth rectifier."""

    def f(z):
        return maximum(z, 0) + log1p(exp(-absolute(z)))

    def slope(z, a):
        e = exp(-absolute(z))
        return where(z >= 0, 1, e) / (1 + e)


@activation(
    latex=r"\frac{z}{1 + |z|}",
    slope_latex=r"\frac{1}{(1 + |z|)^2}",
    source="Bergstra, Desjardins, Lamblin & Bengio 2009, technical report 1337",
    image=(-1, 1),
)
class softsign:
    """A sigmoid with polynomial tails."""

    def f(z):
        return z / (1 + absolute(z))

    def slope(z, a):
        return 1 / ((1 + absolute(z)) * (1 + absolute(z)))


@activation(
    latex=r"e^z",
    slope_latex=r"a",
    source="McCullagh & Nelder 1989, Generalized Linear Models (log link)",
    image=(0, inf),
)
class exponential:
    """The inverse of the log link: output of a Poisson regression."""

    def f(z):
        return exp(z)

    def slope(z, a):
        return a


@activation(
    latex=r"\frac{e^{z_k}}{\sum_j e^{z_j}}",
    slope_latex=r"\frac{\partial a_i}{\partial z_j} = a_i (\delta_{ij} - a_j)",
    source="Bridle 1990, NATO ASI Series F68",
    image=(0, 1),
)
class softmax:
    """Normalised exponentials over the units of a layer."""

    def f(e, q):
        return e * q

    def jacobian(a):
        return np.diag(a) - np.outer(a, a)

    def pullback(a, da, s):
        return a * (da - s)


BUILT_IN = frozenset(ACTIVATIONS.names())
