r"""Dropout: each value is kept with probability 1 - p and then divided by 1 - p, or set to 0.

The coin of an entry is a hash of a key and of the entry's index, not the next number of a stream:
forward and backward ask for the same coin without a stored mask, in any order, and a resumed run
sees the coins that it would have seen.

Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, JMLR 15 (inverted scaling);
Steele, Lea & Flood 2014, OOPSLA (the hash, splitmix64).
"""

from __future__ import annotations

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S30, S27, S31, S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
UNIT = 2.0**-53


def mix(x):
    """Splitmix64's finaliser: a bijection of 64-bit integers that scatters near inputs."""
    x = (x ^ (x >> S30)) * MIX_1
    x = (x ^ (x >> S27)) * MIX_2
    return x ^ (x >> S31)


def stream_key(seed, step, layer):
    """A key for one layer in one training step."""
    return mix(mix(mix(seed + GOLDEN) ^ step) + layer * GOLDEN)


def uniform(key, index):
    """A number in [0, 1) for each index."""
    return (mix(key + (index + np.uint64(1)) * GOLDEN) >> S11) * UNIT


def kept(key, index, rate):
    """Whether the entry is kept."""
    return uniform(key, index) >= rate
