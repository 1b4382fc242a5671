"""Arrays as bytes: of which types, and where in the file."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from reprlib import repr as brief
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chainrule.store.spelling import FlawError, spell

Form: TypeAlias = tuple[np.dtype[Any], tuple[int, ...]]  # dtype, shape
Layout: TypeAlias = dict[str, tuple[np.dtype[Any], tuple[int, ...], int]]  # dtype, shape, start

MAX_DIMENSIONS = 64  # NumPy's own limit

DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
ENTRY = ("dtype", "shape", "data_offsets")
CODES = {dtype.name: code for code, dtype in DTYPES.items()}


def snapshot(name: Any, array: Any) -> NDArray[Any]:
    """A copy, for the digest must hold even if a thread goes on to train the model."""
    if not isinstance(name, str) or name == "__metadata__":
        raise FlawError(f"{brief(name)} cannot be the name of an array")
    if not isinstance(array, np.ndarray):
        raise FlawError(f"{brief(name)} is not a NumPy array, but a {type(array).__name__}")
    if array.dtype.name not in CODES:
        raise FlawError(f"{brief(name)} has the dtype {array.dtype}, not one of {', '.join(CODES)}")
    return np.array(array, DTYPES[CODES[array.dtype.name]], order="C")


def lay_out(forms: Mapping[str, Form]) -> Layout:
    """Where each array starts; those of the widest dtype come first, so that all are aligned."""
    layout, start = {}, 0
    for name in sorted(forms, key=lambda name: (-forms[name][0].itemsize, name)):
        dtype, shape = forms[name]
        layout[name] = (dtype, shape, start)
        start += size_of(dtype, shape)
    return layout


def entry_of(dtype: np.dtype[Any], shape: tuple[int, ...], start: int) -> dict[str, Any]:
    """What the header says of an array."""
    stop = start + size_of(dtype, shape)
    return {"dtype": CODES[dtype.name], "shape": list(shape), "data_offsets": [start, stop]}


def size_of(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    """The number of bytes that an array takes."""
    return dtype.itemsize * math.prod(shape)


def checked_layout(entries: Mapping[str, Any], size: int) -> Layout:
    """The layout that a header tells of, if it is the one way to lay out these arrays."""
    layout = lay_out({name: _form(name, entry) for name, entry in entries.items()})
    if list(layout) != list(entries):
        raise FlawError("its arrays are out of order")
    for name, form in layout.items():
        found, expected = entries[name]["data_offsets"], entry_of(*form)["data_offsets"]
        if spell(found) != spell(expected):  # as text, for False == 0 == 0.0
            raise FlawError(f"its array {brief(name)} lies at {brief(found)}, not at {expected}")
    if (end := sum(size_of(*form[:2]) for form in layout.values())) != size:
        raise FlawError(f"its arrays take {end} bytes, but it has {size} for them")
    return layout


def _form(name: str, entry: Any) -> Form:
    if not isinstance(entry, dict) or tuple(entry) != ENTRY:
        raise FlawError(f"its array {brief(name)} must have a {', '.join(ENTRY)}, in this order")
    code, shape = entry["dtype"], entry["shape"]
    if not isinstance(code, str) or code not in DTYPES:
        known = ", ".join(DTYPES)
        raise FlawError(f"its array {brief(name)} has the dtype {brief(code)}, not one of {known}")
    whole = isinstance(shape, list) and all(type(length) is int for length in shape)
    if not whole or len(shape) > MAX_DIMENSIONS or min(shape, default=0) < 0:
        raise FlawError(f"its array {brief(name)} has the shape {brief(shape)}")
    # Without the zeros, as NumPy has it: an empty array is refused too if a side of it is too long.
    if size_of(DTYPES[code], tuple(length or 1 for length in shape)) > sys.maxsize:
        raise FlawError(f"its array {brief(name)} has the shape {brief(shape)}, beyond any memory")
    return DTYPES[code], tuple(shape)


def array_at(
    name: str, data: bytes, header: int, dtype: np.dtype[Any], shape: tuple[int, ...], start: int
) -> NDArray[Any]:
    """A copy of an array in the file."""
    array = np.ndarray(shape, dtype, data, header + start)
    if dtype.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        raise FlawError(f"its array {brief(name)} holds bytes that are neither false nor true")
    return array.astype(dtype.newbyteorder("="))
