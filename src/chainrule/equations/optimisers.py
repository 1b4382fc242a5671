r"""Optimisers: how a parameter moves, given its gradient.

A row is a step for one number: ``step(w, g, *slots, *scalars) -> (w, *slots)``. The slots are what the
optimiser remembers for each parameter, zero at first. ``scalars(rate, t, *parameters)`` gives what is
the same for all parameters at step t = 1, 2, ...: it is computed once a step, in double precision.
The full-batch methods (L-BFGS, Levenberg-Marquardt) need all rows at each step; their rows carry only
their options, and `chainrule.second_order` holds their equations.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from chainrule.equation import Function, Row, Table, sqrt

MAX_SLOTS = 2
UNIT_INTERVAL = (0.0, 1.0)


@dataclass(frozen=True)
class Optimiser(Row):
    """An optimiser.

    Attributes
    ----------
    step : callable or None
        The update of one parameter; None for a full-batch method.
    scalars : callable or None
        ``scalars(rate, t, *parameters) -> tuple``.
    slots : tuple[str, ...]
        Names of what is remembered for each parameter.
    """

    step: Function | None = None
    scalars: Function | None = None
    slots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.slots) > MAX_SLOTS:
            raise ValueError(f"The optimiser {self.name!r} has more than {MAX_SLOTS} slots.")

    @property
    def full_batch(self) -> bool:
        """Whether each step needs all rows."""
        return self.step is None


OPTIMISERS: Table[Optimiser] = Table("optimiser", Optimiser)
optimiser = OPTIMISERS.define


@optimiser(
    latex=r"w \leftarrow w - \eta g",
    source="Cauchy 1847; Robbins & Monro 1951, Ann. Math. Stat. 22",
    aliases=("sgd",),
)
class gradient_descent:
    """One step down the gradient."""

    def scalars(rate, t):
        return (rate,)

    def step(w, g, rate):
        return w - rate * g


@optimiser(
    latex=r"v \leftarrow \mu v - \eta g, \quad w \leftarrow w + v",
    source="Polyak 1964, USSR Comput. Math. Math. Phys. 4",
    slots=("v",),
    parameters={"momentum": 0.9},
    ranges={"momentum": UNIT_INTERVAL},
)
class momentum:
    """A heavy ball: the step keeps a share of the previous one."""

    def scalars(rate, t, momentum):
        return rate, momentum

    def step(w, g, v, rate, momentum):
        v = momentum * v - rate * g
        return w + v, v


@optimiser(
    latex=r"v \leftarrow \mu v - \eta g, \quad w \leftarrow w + \mu v - \eta g",
    source="Nesterov 1983, Sov. Math. Dokl. 27; Sutskever, Martens, Dahl & Hinton 2013, ICML",
    slots=("v",),
    parameters={"momentum": 0.9},
    ranges={"momentum": UNIT_INTERVAL},
)
class nesterov:
    """Momentum that looks one step ahead."""

    def scalars(rate, t, momentum):
        return rate, momentum

    def step(w, g, v, rate, momentum):
        v = momentum * v - rate * g
        return w + (momentum * v - rate * g), v


@optimiser(
    latex=r"v \leftarrow \rho v + (1 - \rho) g^2, \quad w \leftarrow w - \eta g / (\sqrt{v} + \epsilon)",
    source="Tieleman & Hinton 2012, Neural Networks for Machine Learning, lecture 6.5",
    slots=("v",),
    parameters={"rho": 0.9, "epsilon": 1e-8},
    ranges={"rho": UNIT_INTERVAL, "epsilon": (0, inf)},
)
class rmsprop:
    """The gradient divided by its running root mean square."""

    def scalars(rate, t, rho, epsilon):
        return rate, rho, 1 - rho, epsilon

    def step(w, g, v, rate, rho, one_less_rho, epsilon):
        v = rho * v + one_less_rho * (g * g)
        return w - rate * g / (sqrt(v) + epsilon), v


@optimiser(
    latex=r"m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, "
    r"\quad w \leftarrow w - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m}{\sqrt{v} + \epsilon}",
    source="Kingma & Ba 2015, arXiv:1412.6980, end of section 2",
    slots=("m", "v"),
    parameters={"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
    ranges={"beta_1": UNIT_INTERVAL, "beta_2": UNIT_INTERVAL, "epsilon": (0, inf)},
)
class adam:
    """Momentum over a running root mean square, both corrected for their start at zero.

    The corrections go into the step size, the paper's more efficient order of computation.
    """

    def scalars(rate, t, beta_1, beta_2, epsilon):
        corrected = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return corrected, beta_1, 1 - beta_1, beta_2, 1 - beta_2, epsilon

    def step(w, g, m, v, rate, beta_1, one_less_beta_1, beta_2, one_less_beta_2, epsilon):
        m = beta_1 * m + one_less_beta_1 * g
        v = beta_2 * v + one_less_beta_2 * (g * g)
        return w - rate * m / (sqrt(v) + epsilon), m, v


@optimiser(
    latex=r"m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, "
    r"\quad w \leftarrow (1 - \eta \lambda) w "
    r"- \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m}{\sqrt{v} + \epsilon}",
    source="Loshchilov & Hutter 2019, arXiv:1711.05101",
    slots=("m", "v"),
    parameters={"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01},
    ranges={
        "beta_1": UNIT_INTERVAL,
        "beta_2": UNIT_INTERVAL,
        "epsilon": (0, inf),
        "weight_decay": (0, inf),
    },
)
class adamw:
    """Adam with weights shrunk directly, outside of the adaptive step. Biases are not shrunk."""

    def scalars(rate, t, beta_1, beta_2, epsilon, weight_decay):
        corrected = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return 1 - rate * weight_decay, corrected, beta_1, 1 - beta_1, beta_2, 1 - beta_2, epsilon

    def step(w, g, m, v, shrink, rate, beta_1, one_less_beta_1, beta_2, one_less_beta_2, epsilon):
        m = beta_1 * m + one_less_beta_1 * g
        v = beta_2 * v + one_less_beta_2 * (g * g)
        return shrink * w - rate * m / (sqrt(v) + epsilon), m, v


@optimiser(
    latex=r"w \leftarrow w - \alpha H g, \quad H \approx (\nabla^2 L)^{-1}",
    source="Liu & Nocedal 1989, Math. Program. 45; line search: More & Thuente 1994, ACM TOMS 20",
    parameters={"memory": 10},
    ranges={"memory": (1, 1000)},
    aliases=("l_bfgs",),
)
class lbfgs:
    """Quasi-Newton: curvature from the last few steps, a step length from a line search."""


@optimiser(
    latex=r"w \leftarrow w - (J^{\mathsf T} J + \mu I)^{-1} J^{\mathsf T} e",
    source="Levenberg 1944; Marquardt 1963; Hagan & Menhaj 1994, IEEE Trans. Neural Netw. 5",
    parameters={"damping": 1e-3, "increase": 10.0, "decrease": 0.1, "max_damping": 1e10},
    ranges={
        "damping": (1e-300, inf),
        "increase": (1, inf),
        "decrease": (0, 1),
        "max_damping": (0, inf),
    },
    aliases=("lm",),
)
class levenberg_marquardt:
    """Damped Gauss-Newton for squared error: the best choice for small regression networks."""
