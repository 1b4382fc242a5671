"""The state of a random generator as the contents of a file, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.parameters import Array

WORDS = 624  # of the Mersenne twister


def spell(random: np.random.RandomState) -> tuple[list[int | float], Any]:
    """A generator's state: place, whether a Gaussian number is left over, and that; and the key."""
    _, key, place, has_gauss, gauss = random.get_state()
    return [int(place), int(has_gauss), float(gauss)], np.asarray(key).astype(np.int64)


def restore(random: np.random.RandomState, facts: Sequence[Any], key: Array) -> None:
    """Bring a generator to a state.

    Raises
    ------
    TypeError, ValueError
        If there is no such state.
    """
    place, has_gauss, gauss = int(facts[0]), int(facts[1]), float(facts[2])
    if key.shape != (WORDS,) or not 0 <= place <= WORDS:  # NumPy trusts the place
        raise ValueError("a generator of random numbers has no such state")
    random.set_state(("MT19937", key.astype(np.uint32), place, has_gauss, gauss))


def digest_of(random: Any) -> Any:
    """What tells one `random_state` from another: a seed itself, and of a generator its state."""
    if not isinstance(random, np.random.RandomState):
        return None if random is None else int(random)
    facts, key = spell(random)
    return hashlib.sha256(repr((facts, key.tolist())).encode()).hexdigest()
