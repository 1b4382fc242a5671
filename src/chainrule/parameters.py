"""One flat vector of parameters, and names and shapes for its pieces.

Optimisers, averaging, saving, L-BFGS and Levenberg-Marquardt see one array; layers see views of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod

import numpy as np
from numpy.typing import NDArray

from chainrule.equations import INITIALISERS
from chainrule.errors import OptionError
from chainrule.spec import Network

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Block:
    """A named piece of the flat vector: ``theta[start:stop].reshape(shape)``."""

    layer: int
    name: str
    start: int
    stop: int
    shape: tuple[int, ...]
    is_weight: bool = True  # whether penalties and weight decay apply to it (biases are free)
    frozen: bool = False  # whether it is given and never learnt


@dataclass(frozen=True)
class Layout:
    """Where each parameter of a network lies in the flat vector."""

    network: Network

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All pieces, in order."""
        blocks, start = [], 0
        for index, layer in enumerate(self.network.layers):
            for name, shape in layer.shapes(self.network.widths[index]).items():
                weight, frozen = name in layer.row.weights, layer.row.frozen
                blocks.append(Block(index, name, start, start + prod(shape), shape, weight, frozen))
                start += prod(shape)
        return tuple(blocks)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(self.network.parameters)

    @cached_property
    def learnt(self) -> NDArray[np.int64]:
        """Places of the parameters that are learnt; the others are given."""
        stretches = [np.arange(b.start, b.stop) for b in self.blocks if not b.frozen]
        return np.concatenate([np.empty(0, np.int64), *stretches])

    def layer_slice(self, index: int) -> slice:
        """The stretch of the flat vector that belongs to a layer."""
        return self._slices[index]

    @cached_property
    def _slices(self) -> tuple[slice, ...]:
        stops = list(accumulate(self.network.parameters))
        return tuple(map(slice, [0, *stops], stops))

    def view(self, theta: Array, index: int, name: str) -> Array:
        """A view of one piece, in its shape."""
        block = next(b for b in self.blocks if (b.layer, b.name) == (index, name))
        return theta[block.start : block.stop].reshape(block.shape)

    def views(self, theta: Array, name: str) -> list[Array]:
        """Views of the pieces of that name, one for each layer that has it."""
        return [self.view(theta, b.layer, name) for b in self.blocks if b.name == name]

    def fill(self, theta: Array, index: int, arrays: Sequence[Array]) -> None:
        """Copy arrays into the pieces of a layer.

        Raises
        ------
        OptionError
            If there are not as many as pieces, or if one has not the shape of its piece.
        """
        blocks = [block for block in self.blocks if block.layer == index]
        if len(arrays) != len(blocks):
            raise OptionError(
                f"Layer {index + 1} ({self.network.layers[index].kind}) needs its parameters "
                f"{', '.join(block.name for block in blocks)}, not {len(arrays)} arrays."
            )
        for block, array in zip(blocks, arrays, strict=True):
            if np.shape(array) != block.shape:
                raise OptionError(
                    f"{block.name} of layer {index + 1} must have shape {block.shape}, not {np.shape(array)}."
                )
            theta[block.start : block.stop] = np.ravel(array)

    def pack(self, W: Sequence[Array], b: Sequence[Array]) -> Array:
        """Copy given weights and biases, one array for each layer, into a new flat vector.

        Raises
        ------
        OptionError
            If an array has not the shape of its piece; the message names it.
        """
        theta = np.empty(self.size, self.network.dtype)
        for name, arrays in (("W", W), ("b", b)):
            targets = self.views(theta, name)
            if len(arrays) != len(targets):
                raise OptionError(f"{name}: {len(targets)} arrays are needed, not {len(arrays)}.")
            for index, (target, array) in enumerate(zip(targets, arrays, strict=True)):
                if np.shape(array) != target.shape:
                    raise OptionError(
                        f"{name} of layer {index + 1} must have shape {target.shape}, not {np.shape(array)}."
                    )
                target[...] = array
        return theta


def initial(
    network: Network,
    rng: np.random.Generator | np.random.RandomState,
    initialisers: str | Sequence[str] = "glorot_uniform",
    gains: float | Sequence[float] = 1.0,
    spread: float = 0.1,
    given: Mapping[int, Sequence[Array]] | None = None,
) -> Array:
    """Draw the first parameters of a network.

    Dense layers are drawn by an initialiser, other kinds by their own `draw`.

    Parameters
    ----------
    network : Network
    rng : numpy Generator or RandomState
    initialisers : str or sequence of str
        One name of the initialiser table for all layers, or one for each.
    gains : float or sequence of float
        Factor on the spread of dense layers, for all layers or for each.
    spread : float
        Standard deviation of the frequencies of periodic layers, in turns for each unit of the input.
    given : mapping of int to sequence of ndarray
        Of layers that are not learnt, by their numbers from 0: their parameters.

    Returns
    -------
    ndarray of shape (parameters,)

    Raises
    ------
    OptionError
        If there are not as many initialisers as layers, or if the parameters of a layer that is not learnt
        are missing or have not its shapes.
    """
    layout, depth = Layout(network), len(network.layers)
    names = [initialisers] * depth if isinstance(initialisers, str) else list(initialisers)
    spreads = [gains] * depth if isinstance(gains, (int, float)) else list(gains)
    if len(names) != depth or len(spreads) != depth:
        raise OptionError(f"There are {depth} layers: give one initialiser, or {depth}.")
    theta = np.empty(layout.size, network.dtype)
    for index, (layer, name, gain) in enumerate(zip(network.layers, names, spreads, strict=True)):
        shapes = layer.shapes(network.widths[index])
        if layer.row.frozen:
            arrays: Sequence[Array] = (given or {}).get(index, ())
        elif layer.row.draw is not None:
            arrays = layer.row.draw(rng, spread, *shapes.values())
        else:
            row, sizes = INITIALISERS.find(name), shapes["W"]
            arrays = row.draw(rng, *sizes, gain), row.bias(rng, *sizes, gain)
        layout.fill(theta, index, arrays)
    return theta
