r"""Schedules: the learning rate as a share of its initial value, while training goes on.

``factor(t, epoch, samples, *parameters)`` takes t, the share of all planned steps that is done (in
[0, 1]), `epoch`, the number of epochs done (a step inside an epoch counts as a fraction), and
`samples`, the rows seen until the epoch began. All three may be arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, pi

import numpy as np

from chainrule.equation import Function, Row, Table

UNIT_INTERVAL = (0.0, 1.0)


@dataclass(frozen=True)
class Schedule(Row):
    """A schedule.

    Attributes
    ----------
    factor : callable
        The share of the initial learning rate.
    plateau : bool
        Whether the rate is also divided (by the parameter `divisor`, down to `minimum`) each time that
        training has stopped to improve, in place of ending.
    """

    factor: Function = lambda t, epoch, samples: 1.0
    plateau: bool = False


SCHEDULES: Table[Schedule] = Table("schedule", Schedule)
schedule = SCHEDULES.define


@schedule(latex=r"\eta_0", source="-")
class constant:
    """The same rate throughout."""

    def factor(t, epoch, samples):
        return np.ones_like(t, dtype=float)


@schedule(
    latex=r"\eta_0 / (s + 1)^p",
    source="Robbins & Monro 1951; scikit-learn's 'invscaling' (s counts rows, at each epoch's start)",
    parameters={"power": 0.5},
    ranges={"power": (0, inf)},
    aliases=("invscaling",),
)
class inverse_scaling:
    """Falls with a power of the number of rows seen."""

    def factor(t, epoch, samples, power):
        return (np.asarray(samples, dtype=float) + 1.0) ** -power


@schedule(
    latex=r"\eta \leftarrow \eta / d \text{ when training stops to improve}",
    source="scikit-learn's 'adaptive'",
    parameters={"divisor": 5.0, "minimum": 1e-6},
    ranges={"divisor": (1, inf), "minimum": (0, inf)},
    plateau=True,
)
class adaptive:
    """Constant while it helps, then divided, until it is at most the minimum."""

    def factor(t, epoch, samples, divisor, minimum):
        return np.ones_like(t, dtype=float)


@schedule(
    latex=r"\eta_0 \gamma^{\lfloor e / k \rfloor}",
    source="He, Zhang, Ren & Sun 2016, CVPR (step decay)",
    parameters={"every": 30, "gamma": 0.1},
    ranges={"every": (1, inf), "gamma": UNIT_INTERVAL},
    aliases=("step_decay",),
)
class step:
    """Multiplied by gamma every so many epochs."""

    def factor(t, epoch, samples, every, gamma):
        return gamma ** np.floor(np.asarray(epoch, dtype=float) / every)


@schedule(
    latex=r"\eta_0 \left(f + (1 - f) \tfrac{1 + \cos \pi t}{2}\right)",
    source="Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts",
    parameters={"floor": 0.0},
    ranges={"floor": UNIT_INTERVAL},
)
class cosine:
    """Half a cosine from the initial rate down to `floor` times it."""

    def factor(t, epoch, samples, floor):
        return floor + (1 - floor) * (1 + np.cos(pi * np.asarray(t, dtype=float))) / 2


@schedule(
    latex=r"\text{cosine up from } s \eta_0 \text{ to } \eta_0 \text{ at } t = p, "
    r"\text{ then down to } f \eta_0",
    source="Smith & Topin 2018, arXiv:1708.07120",
    parameters={"peak_at": 0.3, "start": 0.04, "floor": 4e-6},
    ranges={"peak_at": (0.0, 1.0), "start": UNIT_INTERVAL, "floor": UNIT_INTERVAL},
)
class one_cycle:
    """One rise and one fall over the whole of the training."""

    def factor(t, epoch, samples, peak_at, start, floor):
        t = np.asarray(t, dtype=float)
        up = start + (1 - start) * (1 - np.cos(pi * t / max(peak_at, 1e-12))) / 2
        fall = (t - peak_at) / max(1 - peak_at, 1e-12)
        down = floor + (1 - floor) * (1 + np.cos(pi * np.minimum(fall, 1.0))) / 2
        return np.where(t < peak_at, up, down)


@schedule(
    latex=r"\eta_0 \tfrac{1 - \cos(2 \pi \log_2(1 + (2^c - 1) t))}{2}",
    source="Holzmueller, Grinsztajn & Steinwart 2024, arXiv:2407.04491",
    parameters={"cycles": 4},
    ranges={"cycles": (1, 60)},
)
class log_cosine:
    """So many cycles from zero to the initial rate and back, each about twice as long as the one before."""

    def factor(t, epoch, samples, cycles):
        t = np.asarray(t, dtype=float)
        return (1 - np.cos(2 * pi * np.log2(1 + (2.0**cycles - 1) * t))) / 2


@schedule(
    latex=r"\eta_0 \text{ until } t = h, \text{ then } \eta_0 \tfrac{1 + \cos \pi u}{2}, "
    r"\quad u = \tfrac{t - h}{1 - h}",
    source="Holzmueller, Grinsztajn & Steinwart 2024, arXiv:2407.04491",
    parameters={"hold": 0.5},
    ranges={"hold": (0.0, 1.0)},
)
class flat_cosine:
    """The initial rate for a share of the training, then half a cosine down to zero."""

    def factor(t, epoch, samples, hold):
        fall = (np.asarray(t, dtype=float) - hold) / max(1 - hold, 1e-12)
        return (1 + np.cos(pi * np.clip(fall, 0.0, 1.0))) / 2


@schedule(
    latex=r"\eta_0 \left(f + (1 - f) \tfrac{1 + \cos \pi u}{2}\right), "
    r"\quad u = \text{share of the current cycle}",
    source="Loshchilov & Hutter 2017, arXiv:1608.03983",
    parameters={"period": 10, "growth": 2, "floor": 0.0},
    ranges={"period": (1, inf), "growth": (1, inf), "floor": UNIT_INTERVAL},
)
class warm_restarts:
    """Cosines, each `growth` times longer than the one before; the first takes `period` epochs."""

    def factor(t, epoch, samples, period, growth, floor):
        epoch = np.asarray(epoch, dtype=float)
        if growth == 1:
            u = np.mod(epoch, period) / period
        else:
            cycle = np.floor(np.log1p(epoch * (growth - 1) / period) / np.log(growth) + 1e-12)
            begin = period * (growth**cycle - 1) / (growth - 1)
            u = (epoch - begin) / (period * growth**cycle)
        return floor + (1 - floor) * (1 + np.cos(pi * np.clip(u, 0.0, 1.0))) / 2
