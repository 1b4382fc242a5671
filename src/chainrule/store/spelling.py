"""Metadata as JSON text, in one spelling for each content."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from reprlib import repr as brief
from typing import Any

MAX_DEPTH = 32  # of lists and objects within the metadata

# JSON has no number for these: they are written as {"__float__": "nan"}.
FLOAT = "__float__"
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class FlawError(Exception):
    """Why something can be neither written nor read; says nothing of the file that it is about."""


def spell_metadata(metadata: Any) -> str:
    """The only spelling of some metadata."""
    if not isinstance(metadata, dict):
        raise FlawError(f"its metadata are {brief(metadata)}, which is no dict")
    return spell(_plain(metadata)).decode()


def read_metadata(text: str) -> dict[str, Any]:
    """The metadata that have this spelling."""
    metadata: dict[str, Any] = _parse(text, _object_or_float)
    if spell_metadata(metadata) != text:
        raise FlawError("its metadata are not spelt as chainrule spells them")
    return metadata


def read_object(text: bytes) -> Any:
    """The value of a JSON text in which no object has a key twice."""
    return _parse(text, _object)


def spell(value: Any) -> bytes:
    """JSON without white space, keys in the order given."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:  # half a surrogate pair, thousands of digits
        raise FlawError(f"it holds what JSON cannot hold ({error})") from None


def _plain(value: Any, depth: int = 0) -> Any:
    """The metadata as JSON has them, with sorted keys."""
    if depth == MAX_DEPTH and isinstance(value, (list, tuple, dict)):
        raise FlawError(f"its metadata are nested more than {MAX_DEPTH} deep")
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {FLOAT: repr(float(value))}
        case list() | tuple():
            return [_plain(item, depth + 1) for item in value]
        case dict():
            if FLOAT in value or not all(isinstance(key, str) for key in value):
                raise FlawError(f"its metadata hold the key {FLOAT!r}, or one that is not text")
            return {key: _plain(value[key], depth + 1) for key in sorted(value)}
    raise FlawError(f"its metadata hold {brief(value)}, a {type(value).__name__}")


def _parse(text: bytes | str, hook: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    try:
        return json.loads(text if isinstance(text, str) else text.decode(), object_pairs_hook=hook)
    except (ValueError, RecursionError) as error:
        raise FlawError(f"its header is not JSON ({error})") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise FlawError(f"its header repeats the key {brief(key)}")
        found[key] = value
    return found


def _object_or_float(pairs: list[tuple[str, Any]]) -> dict[str, Any] | float:
    found = _object(pairs)
    return NOT_FINITE.get(str(found[FLOAT]), found) if found.keys() == {FLOAT} else found
