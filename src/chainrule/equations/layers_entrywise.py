"""Layers whose values each depend on one number of the input: see `chainrule.equations.layer_kinds`."""

from __future__ import annotations

import numpy as np

from chainrule.equation import cos_turns, maximum, minimum, sin_turns, where
from chainrule.equations.activations import ACTIVATIONS, Activation
from chainrule.equations.layer_kinds import (
    GORISHNIY_2022,
    GORISHNIY_2024,
    HOLZMUELLER_2024,
    LAYERS,
    WHOLE,
    LayerKind,
    layer,
)

TURN = 6.283185307179586


@layer(
    latex=r"z = s x",
    slope_latex=r"ds = \sum_i x_i \, dz_i, \quad dx = s \, dz",
    parts_latex=("s", "x"),
    source=HOLZMUELLER_2024 + "; " + GORISHNIY_2024,
)
class scale:
    """Each input times a factor of its own: a soft choice of features, or a member's adapter."""

    def width(inputs):
        return inputs

    def shapes(inputs, units):
        return {"s": (inputs,)}

    def draw(rng, spread, s):
        return (np.ones(s),)

    def entry(x, s):
        return x * s

    def slopes(x, s):
        return s, x


@layer(
    latex=r"z = s x + b",
    slope_latex=r"ds = \sum_i x_i \, dz_i, \quad db = \sum_i dz_i, \quad dx = s \, dz",
    parts_latex=("s", "x", "1"),
    source="Wen, Tran & Ba 2020, arXiv:2002.06715; " + GORISHNIY_2024,
)
class affine:
    """Each input times a factor, plus a bias, of its own: the output adapter of an ensemble's members."""

    def width(inputs):
        return inputs

    def shapes(inputs, units):
        return {"s": (inputs,), "b": (inputs,)}

    def draw(rng, spread, s, b):
        return np.ones(s), np.zeros(b)

    def entry(x, s, b):
        return x * s + b

    def slopes(x, s, b):
        return s, x, 1.0


@layer(
    latex=r"z = \cos(2 \pi (w x + \varphi))",
    parts_latex=(
        r"-2 \pi w \sin(2 \pi (w x + \varphi))",
        r"-2 \pi x \sin(2 \pi (w x + \varphi))",
        r"-2 \pi \sin(2 \pi (w x + \varphi))",
    ),
    slope_latex=r"dw_k = -2 \pi \sum_i x_i \sin(\cdot) \, dz_{ik}, \quad "
    r"d\varphi_k = -2 \pi \sum_i \sin(\cdot) \, dz_{ik}, \quad dx = -2 \pi \sum_k w_k \sin(\cdot) \, dz_k",
    source=GORISHNIY_2022 + "; " + HOLZMUELLER_2024,
    parameters={"columns": 1, "frequencies": 16},
    ranges={"columns": WHOLE, "frequencies": WHOLE},
)
class periodic:
    """Waves of the first so many inputs, of learnt frequencies and phases (in turns); then all inputs."""

    def width(inputs, columns, frequencies):
        return inputs + columns * frequencies

    def shapes(inputs, units, columns, frequencies):
        return {"w": (columns, frequencies), "phase": (columns, frequencies)}

    def draw(rng, spread, w, phase):
        return spread * rng.standard_normal(w), rng.uniform(-0.5, 0.5, phase)

    def entry(x, w, phase):
        return cos_turns(x * w + phase)

    def slopes(x, w, phase):
        slope = -TURN * sin_turns(x * w + phase)
        return slope * w, slope * x, slope


@layer(
    latex=r"z = \min(\max(\frac{x - l}{h - l}, f), c)",
    parts_latex=(r"[v > f] [c > v] / (h - l), \quad v = \frac{x - l}{h - l}",),
    slope_latex=r"dx = \sum_k \frac{dz_k}{h_k - l_k} \text{ where } f_k < z_k < c_k",
    source=GORISHNIY_2022,
    parameters={"columns": 1, "bins": 1},
    ranges={"columns": WHOLE, "bins": WHOLE},
    frozen=True,
)
class piecewise:
    """How far each of the first so many inputs has come through each of its bins; then all inputs.

    The bins are given: from low to high, with a floor (0, in the first bin none) and a ceiling (1, in the
    last bin none). A dense layer on them is a piecewise linear function of the input.
    """

    def width(inputs, columns, bins):
        return inputs + columns * bins

    def shapes(inputs, units, columns, bins):
        return dict.fromkeys(("low", "high", "floor", "ceiling"), (columns, bins))

    def entry(x, low, high, floor, ceiling):
        return minimum(maximum((x - low) / (high - low), floor), ceiling)

    def slopes(x, low, high, floor, ceiling):
        value = (x - low) / (high - low)
        return (where((value > floor) & (value < ceiling), 1 / (high - low), 0.0),)


UNBOUNDED = 1e30  # parameters are finite, as those of a training that diverged are not


def bins_between(edges, bins):
    """The parameters of `piecewise`, for each of its columns from increasing edges, at most bins + 1.

    Bins that a column does not fill are 0 for every input.
    """
    low, high = np.zeros((2, len(edges), bins))
    high[:], floor, ceiling = 1.0, np.zeros_like(low), np.zeros_like(low)
    for j, ends in enumerate(edges):
        count = len(ends) - 1
        if count < 1:
            continue
        low[j, :count], high[j, :count], ceiling[j, :count] = ends[:-1], ends[1:], 1.0
        floor[j, 0], ceiling[j, count - 1] = -UNBOUNDED, UNBOUNDED
    return low, high, floor, ceiling


# ------------------------------------------------------------------ parametric activations


def mixed(x, a, alpha):
    """Between x and the activation's value a: x for alpha = 0, a for alpha = 1."""
    return x + alpha * (a - x)


def mixed_slopes(x, a, slope, alpha):
    """Its derivatives with respect to x and alpha, given the activation's slope at x."""
    return 1 + alpha * (slope - 1), a - x


def parametric(row: Activation) -> LayerKind:
    """The kind that mixes an activation with the identity, in a share that each unit learns."""

    f, slope, constants = row.f, row.slope, tuple(row.parameters.values())
    assert slope is not None

    def entry(x, alpha):
        return mixed(x, f(x, *constants), alpha)

    def slopes(x, alpha):
        a = f(x, *constants)
        return mixed_slopes(x, a, slope(x, a, *constants), alpha)

    return LayerKind(
        name=f"parametric_{row.name}",
        latex=rf"z = x + \alpha (f - x), \quad f = \mathrm{{{row.name.replace('_', ' ')}}}(x)",
        slope_latex=r"d\alpha = \sum_i (f_i - x_i) \, dz_i, \quad dx = (1 + \alpha (f' - 1)) \, dz",
        parts_latex=(r"1 + \alpha (f' - 1)", "f - x"),
        source=HOLZMUELLER_2024,
        doc=f"{row.name}, mixed with the identity in a share that each unit learns (1: {row.name} alone).",
        width=lambda inputs: inputs,
        shapes=lambda inputs, units: {"alpha": (inputs,)},
        draw=lambda rng, spread, alpha: (np.ones(alpha),),
        entry=entry,
        slopes=slopes,
        activation=row,
    )


for _row in list(ACTIVATIONS.values()):
    if not (_row.coupled or _row.name == "identity"):
        LAYERS.add(parametric(_row))
