"""What the tests of model files share."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

METADATA = {
    "classes": ["no", "yes"],
    "loss": [0.7, float("inf")],
    "seed": 2**100,
    "spec": {"a": None, "b": True},
}
ARRAYS = {
    "W0": np.arange(6.0).reshape(2, 3),
    "b0": np.ones(3, np.float32),
    "used": np.array([True, False]),
}


# Each example has a file of its own content, so the folder may serve them all.
def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def same_arrays(found: dict, expected: dict) -> bool:
    """The same bits, whatever the order of the names and of the bytes."""
    native = {name: np.asarray(array, array.dtype.newbyteorder("=")) for name, array in expected.items()}
    return found.keys() == native.keys() and all(
        (array.dtype, array.shape, array.tobytes())
        == (native[name].dtype, native[name].shape, native[name].tobytes())
        for name, array in found.items()
    )


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
