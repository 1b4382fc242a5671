"""First parameters that look at the data: each unit starts with values of spread 1 on training rows.

Layer by layer, the weights W_j of a unit are drawn from N(0, 1) and divided by the standard deviation of
X W_j over the rows, where X is what the layer receives from the layers before, already drawn. The bias of a
unit is minus a random weighted mean of its values over a few rows, so that its kink lies among the data.
Kinds without a weight matrix are drawn as `chainrule.parameters.initial` draws them, and the bins of
piecewise layers lie between quantiles of what they receive.

Source: Holzmueller, Grinsztajn & Steinwart 2024, arXiv:2407.04491, appendix A ("he+5" of Steinwart 2019,
arXiv:1903.11482).
"""

from __future__ import annotations

import numpy as np

from chainrule.equations.layers_entrywise import bins_between
from chainrule.parameters import Array, Layout
from chainrule.reference import activate, split
from chainrule.spec import Layer, Network

ROOM = 1 << 23  # numbers of a layer's values that are held at once
NOISE = 64 * np.finfo(np.float64).eps  # a spread that is smaller, beside the values, is rounding


def initial(
    network: Network,
    rng: np.random.Generator | np.random.RandomState,
    X: Array,
    *,
    mixed: int = 5,
    spread: float = 0.1,
    most: int = 4096,
) -> Array:
    """Draw the first parameters of a network from training rows.

    Parameters
    ----------
    network : Network
    rng : numpy Generator or RandomState
    X : ndarray of shape (n, inputs)
        Training rows, at least one.
    mixed : int
        Number of rows whose weighted mean settles a bias; 0 for biases of zero.
    spread : float
        Standard deviation of the frequencies of periodic layers, in turns for each unit of the input.
    most : int
        Most rows that are looked at, drawn without replacement; wide networks take fewer.

    Returns
    -------
    ndarray of shape (parameters,)
        Of the network's dtype.
    """
    layout = Layout(network)
    most = max(1, min(most, len(X), ROOM // max(network.widths)))
    values: Array = np.array(X if most == len(X) else X[rng.choice(len(X), most, replace=False)], np.float64)
    theta = np.empty(layout.size)
    with np.errstate(all="ignore"):
        for index, (layer, row) in enumerate(zip(network.layers, network.activations, strict=True)):
            received = split(values, layer.members)
            p = theta[layout.layer_slice(index)]
            shapes = layer.shapes(network.widths[index])
            layout.fill(theta, index, _drawn(layer, shapes, rng, spread, received))
            Z = _forward(layer, received, p, network.widths[index + 1] // layer.members)
            if _is_dense(layer):
                _settle(layer, shapes["W"], p, Z, rng, mixed)
            values = activate(row, Z).reshape(most, -1)
    return theta.astype(network.dtype)


def _is_dense(layer: Layer) -> bool:
    """Whether each of its units is a weighted sum of all inputs and a bias."""
    return layer.row.sliced


def _drawn(
    layer: Layer,
    shapes: dict[str, tuple[int, ...]],
    rng: np.random.Generator | np.random.RandomState,
    spread: float,
    received: Array,
) -> tuple[Array, ...]:
    """A layer's parameters before its units are settled."""
    row = layer.row
    if row.frozen:
        columns, bins = shapes["low"]
        edges = [quantiles(x, bins) for x in received[:, :columns].T]
        return bins_between(edges, bins)  # type: ignore[no-any-return]
    if row.draw is not None:
        return row.draw(rng, spread, *shapes.values())  # type: ignore[no-any-return]
    return rng.standard_normal(shapes["W"]), np.zeros(shapes["b"])


def quantiles(x: Array, bins: int) -> Array:
    """Edges of at most so many bins that hold equally many of the values; equal edges are one.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Values; those that are not finite are left out.
    bins : int
        Number of bins, at least 1.

    Returns
    -------
    ndarray of shape (at most bins + 1,)
        Increasing; empty without finite values.
    """
    x = x[np.isfinite(x)]
    return np.unique(np.quantile(x, np.linspace(0, 1, bins + 1))) if len(x) else x


def _forward(layer: Layer, received: Array, p: Array, width: int) -> Array:
    Z = np.empty((len(received), width))
    layer.row.forward(received, p, Z, *layer.row.sizes)
    return Z


def _settle(
    layer: Layer,
    shape: tuple[int, ...],
    p: Array,
    Z: Array,
    rng: np.random.Generator | np.random.RandomState,
    mixed: int,
) -> None:
    """Scale the weights of each unit to a spread of 1 and choose its bias; Z is changed likewise."""
    inputs, units = shape
    W, b = p[: inputs * units].reshape(shape), p[inputs * units :]
    deviation = Z.std(axis=0)
    varies = deviation > NOISE * np.abs(Z).max(axis=0)
    factor = 1 / np.where(varies, deviation, 1.0)
    W *= factor
    Z *= factor
    if mixed:
        shares = rng.standard_exponential((mixed, units))
        shares /= shares.sum(axis=0)
        chosen = np.take_along_axis(Z, rng.choice(len(Z), (mixed, units)), axis=0)
        b[:] = -(shares * chosen).sum(axis=0)
        Z += b
