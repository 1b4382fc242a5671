"""Model files: a safetensors file, which any tool opens, and each byte verified before it is used.

- 8 bytes: the length of the header, little-endian;
- the header, JSON: ``{"__metadata__":{"sha256":"...","format":"chainrule",...},"W0":{...},...}``;
- the arrays, those of the widest dtype first, so that each is aligned and no gap is left.

The digest stands at the same place in files of every version and covers every other byte, so it is
verified before the JSON is parsed. It reveals damage, not malice: whoever can write a file can
compute its digest. So the checks that follow trust nothing, and a file holds numbers and text only.
A content has one spelling, which the reader insists on: no two parsers can understand a file
differently.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from reprlib import repr as brief
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import FileError, OptionError
from chainrule.store import disk
from chainrule.store.layout import Layout, array_at, checked_layout, entry_of, lay_out, snapshot
from chainrule.store.spelling import (
    FlawError,
    read_metadata,
    read_object,
    spell,
    spell_metadata,
)

VERSION = 1
MAX_HEADER = 16 * 2**20  # bytes; what is larger belongs in an array

PREFIX = b'{"__metadata__":{"sha256":"'
NO_DIGEST = b"0" * 64  # stands in the digest's place while it is computed
DIGEST = slice(8 + len(PREFIX), 8 + len(PREFIX) + len(NO_DIGEST))
FACTS = ("sha256", "format", "kind", "metadata", "version")


@dataclass(frozen=True)
class Contents:
    """What a model file holds.

    Parameters
    ----------
    kind : str
        What was saved, such as ``"MLPClassifier"``: a word to look up in a table of known kinds.
    version : int
        Version of the format that the file was written in.
    metadata : dict
        All that is not an array.
    arrays : dict of str to ndarray
        The arrays: writable, aligned and in the machine's own byte order.
    """

    kind: str
    version: int
    metadata: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


# From a version to the next: a function for each that is older than VERSION.
MIGRATIONS: dict[int, Callable[[Contents], Contents]] = {}


def write(
    path: str | os.PathLike[str],
    kind: str,
    metadata: dict[str, Any],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Save a model: all of it, or, if that fails, nothing, and then the old file stays.

    Equal contents give equal bytes, whatever the order of the keys. A symbolic link is followed,
    and a file that is replaced hands on its permissions.

    Parameters
    ----------
    path : path-like
        Where to.
    kind : str
        What is saved, an ASCII identifier.
    metadata : dict
        None, booleans, numbers (``nan`` and infinities too) and text, in lists and in dicts whose
        keys are text. A tuple is read back as a list.
    arrays : dict of str to ndarray
        Arrays of float32, float64, int32, int64, uint8 or bool, of any shape.

    Raises
    ------
    OptionError
        If a model file cannot hold this.
    FileError
        If the path is that of a folder or a device.
    OSError
        If the operating system refuses.
    """
    try:
        arrays = {name: snapshot(name, array) for name, array in arrays.items()}
        layout = lay_out({name: (array.dtype, array.shape) for name, array in arrays.items()})
        header = _header(kind, metadata, layout)
    except FlawError as flaw:
        raise OptionError(f"The model cannot be saved: {flaw}.") from None
    data = [arrays[name].reshape(-1).view(np.uint8).data for name in layout]
    digest = _digest(header, *data)
    disk.save(path, [header.replace(NO_DIGEST, digest, 1), *data])


def read(path: str | os.PathLike[str]) -> Contents:
    """Load a model file. Nothing in it is run, imported, or used before it is verified.

    Parameters
    ----------
    path : path-like
        Where from.

    Returns
    -------
    Contents
        What the file holds.

    Raises
    ------
    FileError
        If the file is damaged, is not a model file, needs a newer chainrule, or more memory than there is.
    OSError
        If there is no such file, or the operating system refuses.
    """
    path = disk.path_of(path)
    try:
        data = _load(path)
        if _digest(data) != data[DIGEST]:
            raise FlawError("it is damaged, for its SHA-256 is not that of its bytes")
        contents = _parse(data)
    except FlawError as flaw:
        raise FileError(f"{path} cannot be read: {flaw}.") from None
    except MemoryError:
        raise FileError(f"{path} cannot be read: it is larger than the memory that is free.") from None
    for version in range(contents.version, VERSION):
        contents = MIGRATIONS[version](contents)
    return contents


def _digest(header: bytes, *data: memoryview) -> bytes:
    """The digest of a file's bytes, whatever stands in the digest's place."""
    view = memoryview(header)
    digest = hashlib.sha256(view[: DIGEST.start])
    digest.update(NO_DIGEST)
    for part in (view[DIGEST.stop :], *data):
        digest.update(part)
    return digest.hexdigest().encode()


# ---------------------------------------------------------------- what is written


def _header(kind: Any, metadata: Any, layout: Layout) -> bytes:
    """The file up to its data, without the digest."""
    facts = {
        "sha256": NO_DIGEST.decode(),
        "format": "chainrule",
        "kind": _known_kind(kind),
        "metadata": spell_metadata(metadata),
        "version": str(VERSION),
    }
    entries = {name: entry_of(*form) for name, form in layout.items()}
    header = _padded(spell({"__metadata__": facts, **entries}))
    if len(header) > MAX_HEADER:
        raise FlawError(f"its header takes {len(header)} bytes, more than {MAX_HEADER}")
    return len(header).to_bytes(8, "little") + header


def _padded(header: bytes) -> bytes:
    return header + b" " * (-len(header) % 8)


# ---------------------------------------------------------------- what is read


def _load(path: str) -> bytes:
    """The whole file, if it starts as a model file does."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        raise FlawError(f"it is {'a folder' if stat.S_ISDIR(mode) else 'a device or a pipe'}")
    with open(path, "rb", buffering=0) as file:
        start = file.read(DIGEST.stop)
        if not start:
            raise FlawError("it is empty")
        if len(start) < DIGEST.stop or not start.startswith(PREFIX, 8):
            raise FlawError("it is not a model file of chainrule, or only the start of one")
        if (length := int.from_bytes(start[:8], "little")) > MAX_HEADER:
            raise FlawError(f"its header would take {length} bytes, more than {MAX_HEADER}")
        file.seek(0)
        return file.read()


def _parse(data: bytes) -> Contents:
    start = 8 + int.from_bytes(data[:8], "little")
    if start > len(data):
        raise FlawError("it ends within its header")
    entries = read_object(data[8:start])
    if _padded(spell(entries)) != data[8:start]:
        raise FlawError("its header is not spelt as chainrule spells it")
    facts = entries.pop("__metadata__")  # PREFIX says that it is there, and an object
    version = _known_version(facts)
    if tuple(facts) != FACTS or not all(isinstance(fact, str) for fact in facts.values()):
        raise FlawError(f"its __metadata__ must be the texts {', '.join(FACTS)}, in this order")
    if len(facts["sha256"]) != len(NO_DIGEST):
        raise FlawError(f"its SHA-256 has {len(facts['sha256'])} digits, not {len(NO_DIGEST)}")
    kind, metadata = _known_kind(facts["kind"]), read_metadata(facts["metadata"])
    layout = checked_layout(entries, len(data) - start)
    arrays = {name: array_at(name, data, start, *form) for name, form in layout.items()}
    return Contents(kind, version, metadata, arrays)


def _known_kind(kind: Any) -> str:
    if not (isinstance(kind, str) and kind.isascii() and kind.isidentifier()):
        raise FlawError(f"its kind is {brief(kind)}, which is not a name")
    return kind


def _known_version(facts: Mapping[str, Any]) -> int:
    if facts.get("format") != "chainrule":
        raise FlawError(f"its format is {brief(facts.get('format'))}, not 'chainrule'")
    text = facts.get("version")
    if not (isinstance(text, str) and re.fullmatch("[1-9][0-9]{0,8}", text)):
        raise FlawError(f"its version is {brief(text)}, not a whole number")
    if (version := int(text)) > VERSION:
        raise FlawError(f"its version is {version}, for which a newer chainrule is needed")
    return version
