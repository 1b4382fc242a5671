r"""Initialisers: the first weights of a layer.

``draw(rng, inputs, units, gain)`` gives a matrix of shape (inputs, units); `rng` is a NumPy Generator or
RandomState. `gain` is 1 except where a caller asks for another spread. ``bias(rng, inputs, units, gain)``
gives the first biases, zero in all rows but scikit-learn's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.equation import Function, Row, Table


def zero_bias(rng, inputs, units, gain):
    """Biases of zero."""
    return np.zeros(units)


@dataclass(frozen=True)
class Initialiser(Row):
    """An initialiser: ``draw`` for weights and ``bias`` for biases."""

    draw: Function = lambda rng, inputs, units, gain: np.zeros((inputs, units))
    bias: Function = zero_bias


INITIALISERS: Table[Initialiser] = Table("initialiser", Initialiser)
initialiser = INITIALISERS.define

GLOROT = "Glorot & Bengio 2010, AISTATS"
HE = "He, Zhang, Ren & Sun 2015, arXiv:1502.01852"
LECUN = "LeCun, Bottou, Orr & Mueller 1998, Efficient BackProp"


def _uniform(rng, inputs, units, variance):
    bound = np.sqrt(3.0 * variance)
    return rng.uniform(-bound, bound, (inputs, units))


def _normal(rng, inputs, units, variance):
    return np.sqrt(variance) * rng.standard_normal((inputs, units))


@initialiser(latex=r"U(\pm\sqrt{6 / (n_{in} + n_{out})})", source=GLOROT)
class glorot_uniform:
    """Variance 2 / (inputs + units), for tanh and sigmoid layers."""

    def draw(rng, inputs, units, gain):
        return _uniform(rng, inputs, units, gain**2 * 2.0 / (inputs + units))


@initialiser(latex=r"N(0, 2 / (n_{in} + n_{out}))", source=GLOROT)
class glorot_normal:
    """Variance 2 / (inputs + units), for tanh and sigmoid layers."""

    def draw(rng, inputs, units, gain):
        return _normal(rng, inputs, units, gain**2 * 2.0 / (inputs + units))


@initialiser(latex=r"U(\pm\sqrt{6 / n_{in}})", source=HE)
class he_uniform:
    """Variance 2 / inputs, for rectified layers."""

    def draw(rng, inputs, units, gain):
        return _uniform(rng, inputs, units, gain**2 * 2.0 / inputs)


@initialiser(latex=r"N(0, 2 / n_{in})", source=HE)
class he_normal:
    """Variance 2 / inputs, for rectified layers."""

    def draw(rng, inputs, units, gain):
        return _normal(rng, inputs, units, gain**2 * 2.0 / inputs)


@initialiser(latex=r"U(\pm\sqrt{3 / n_{in}})", source=LECUN)
class lecun_uniform:
    """Variance 1 / inputs, for self-normalising layers."""

    def draw(rng, inputs, units, gain):
        return _uniform(rng, inputs, units, gain**2 / inputs)


@initialiser(latex=r"N(0, 1 / n_{in})", source=LECUN)
class lecun_normal:
    """Variance 1 / inputs, for self-normalising layers."""

    def draw(rng, inputs, units, gain):
        return _normal(rng, inputs, units, gain**2 / inputs)


@initialiser(
    latex=r"W^{\mathsf T} W = I \text{ or } W W^{\mathsf T} = I",
    source="Saxe, McClelland & Ganguli 2014, arXiv:1312.6120",
)
class orthogonal:
    """Orthonormal columns (or rows, where there are more units than inputs), drawn uniformly."""

    def draw(rng, inputs, units, gain):
        tall = rng.standard_normal((max(inputs, units), min(inputs, units)))
        Q, R = np.linalg.qr(tall)
        Q = Q * np.where(np.diag(R) < 0, -1.0, 1.0)
        return gain * (Q if inputs >= units else Q.T)


@initialiser(latex=r"0", source="-")
class zeros:
    """All zero: only for output layers, since equal units stay equal."""

    def draw(rng, inputs, units, gain):
        return np.zeros((inputs, units))


@initialiser(latex=r"W, b \sim U(\pm\sqrt{6 / (n_{in} + n_{out})})", source="scikit-learn; " + GLOROT)
class scikit_learn:
    """scikit-learn's draw: Glorot's bound for weights and biases (gain 3**-0.5 for sigmoid layers)."""

    def draw(rng, inputs, units, gain):
        bound = gain * np.sqrt(6.0 / (inputs + units))
        return rng.uniform(-bound, bound, (inputs, units))

    def bias(rng, inputs, units, gain):
        bound = gain * np.sqrt(6.0 / (inputs + units))
        return rng.uniform(-bound, bound, units)
