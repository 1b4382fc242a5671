r"""Temperature scaling: probabilities as honest as validation rows can make them.

The logits z of each member are divided by one number T > 0 before the softmax. With :math:`\beta = 1 / T`,
the probability of the true class y of a row by member m, and the mean over the members that have not seen the
row, are

.. math:: p_m = \frac{e^{\beta z_{m y}}}{\sum_k e^{\beta z_{m k}}}, \qquad p = \frac{1}{M} \sum_m p_m .

The loss is :math:`L(\beta) = -\sum_i w_i \log p_i`, with weights that sum to 1. With the mean
:math:`\bar z_m = \sum_k P_{mk} z_{mk}` and the variance
:math:`v_m = \sum_k P_{mk} z_{mk}^2 - \bar z_m^2` of the logits under the member's own probabilities,
:math:`g_m = z_{m y} - \bar z_m`, and shares :math:`r_m = p_m / \sum_j p_j`,

.. math:: L' = -\sum_i w_i \sum_m r_m g_m, \qquad
          L'' = -\sum_i w_i \Bigl( \sum_m r_m (g_m^2 - v_m) - \bigl(\sum_m r_m g_m\bigr)^2 \Bigr).

Few rows tell little, so T is what is most probable after them: log T has the prior N(0, σ²), which adds
:math:`(\log \beta)^2 / (2 \sigma^2 n)` to the loss of n rows.

What is found is right for the mean of as many networks as have judged a row, c. The mean of all M networks
is less certain by itself. Where T > 1, logits are taken to err with a variance v, for which
:math:`T^2 = 1 + \pi v / 8`; of M networks in place of c it is the part c / M, so that

.. math:: T_M = \sqrt{1 + \tfrac{c}{M} (T^2 - 1)}.

Source: Guo, Pleiss, Sun & Weinberger 2017, arXiv:1706.04599, section 4.2, for a single network; MacKay 1992,
Neural Computation 4, "The evidence framework applied to classification networks", for the variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.column_values import Numbers

HOTTEST = 10.0
PRIOR = 0.4  # standard deviation of log T before a row is seen
STEPS = 80


@dataclass(frozen=True)
class Judged:
    """Logits of validation rows, each by a member that was not trained on the row.

    Attributes
    ----------
    Z : ndarray of shape (n, classes)
    y : ndarray of int, shape (n,)
        The true class.
    row : ndarray of int, shape (n,)
        Which row each line is of; several members may judge the same.
    w : ndarray of shape (n,)
        Weight of the row.
    """

    Z: Numbers
    y: Any
    row: Any
    w: Numbers

    @cached_property
    def rows(self) -> tuple[Any, Any, Numbers]:
        """For each line the place of its row; for each row how many lines it has, and its weight."""
        _, first, place, count = np.unique(
            self.row, return_index=True, return_inverse=True, return_counts=True
        )
        weights = self.w[first]
        return place, count, weights / weights.sum()

    def derivatives(self, beta: float) -> tuple[float, float, float]:
        """L, L' and L'' at 1 / T."""
        place, count, w = self.rows
        Z = self.Z - self.Z.max(axis=1, keepdims=True)  # which changes no probability and no g
        E = np.exp(beta * Z)
        total = E.sum(axis=1)
        mean = (E * Z).sum(axis=1) / total
        variance = np.maximum((E * np.square(Z)).sum(axis=1) / total - np.square(mean), 0.0)
        own = Z[np.arange(len(Z)), self.y]
        log_p, g = beta * own - np.log(total), own - mean
        highest = np.full(len(w), -np.inf)
        np.maximum.at(highest, place, log_p)
        p = np.exp(log_p - highest[place])  # at least one member of each row has 1 here
        size = len(w)
        together = np.bincount(place, p, size)
        first = np.bincount(place, p * g, size) / together
        second = np.bincount(place, p * (np.square(g) - variance), size) / together
        value = -float(w @ (highest + np.log(together / count)))
        return value, -float(w @ first), -float(w @ (second - np.square(first)))


def penalised(judged: Judged, beta: float) -> tuple[float, float, float]:
    """The loss with the prior's part, its slope and its curvature, at 1 / T."""
    value, slope, curvature = judged.derivatives(beta)
    weight, log = 1 / (PRIOR**2 * len(judged.rows[1])), float(np.log(beta))
    return (
        value + weight * log**2 / 2,
        slope + weight * log / beta,
        curvature + weight * (1 - log) / beta**2,
    )


def most_probable(judged: Judged) -> float:
    """The temperature of least penalised loss, between 1 / HOTTEST and HOTTEST.

    Newton's method on the slope, inside a bracket that each step narrows: where a step would leave it, or the
    curvature is not positive, the bracket is halved (in the logarithm) in its place.
    """
    low, high = 1 / HOTTEST, HOTTEST
    beta = 1.0
    for _ in range(STEPS):
        _, slope, curvature = penalised(judged, beta)
        if slope == 0.0 or not np.isfinite(slope):
            break
        low, high = (beta, high) if slope < 0 else (low, beta)
        newton = beta - slope / curvature if curvature > 0 else np.inf
        following = newton if low < newton < high else float(np.sqrt(low * high))
        if abs(following - beta) <= 1e-12 * beta:
            break
        beta = following
    return 1 / beta


def fitted(judged: Judged, members: int) -> float:
    """The temperature for the mean of so many networks; 1, unless another one lowers the loss of these rows.

    Parameters
    ----------
    judged : Judged
    members : int

    Returns
    -------
    float
    """
    T = most_probable(judged)
    if T > 1:
        share = float(judged.rows[1].mean()) / members
        T = float(np.sqrt(1 + share * (T**2 - 1)))
    better = judged.derivatives(1 / T)[0] < judged.derivatives(1.0)[0]
    return T if better else 1.0


def logits(values: Any) -> Numbers:
    """A logit for each class: a network's values, or 0 and its single value for two classes."""
    Z = np.asarray(values, dtype=np.float64)
    return np.concatenate([np.zeros_like(Z), Z], axis=-1) if Z.shape[-1] == 1 else Z


def probabilities(values: Any, temperature: float = 1.0) -> Numbers:
    """The softmax of the logits, divided by the temperature."""
    Z = logits(values) / temperature
    E = np.exp(Z - Z.max(axis=-1, keepdims=True))
    P: Numbers = E / E.sum(axis=-1, keepdims=True)
    return P
