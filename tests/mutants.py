"""Model files that are right but for a change at random, with a right digest."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from hostile import DATA, ENTRIES, FACTS, framed, nested, padded, seal, spelt

JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        3,
        48,
        2**31,
        2**32,
        2**53 + 1,
        2**63 - 1,
        2**63,
        2**64,
        -(2**63),
    ),
    *(
        0.0,
        1.5,
        1e300,
        float("nan"),
        float("inf"),
        "",
        "F64",
        "U8",
        "BOOL",
        "__metadata__",
        "\0",
        "\ud800",
    ),
    *(
        [],
        [[]],
        {},
        {"__float__": "nan"},
        [0],
        [0, 0],
        [2, 3],
        [0, 48],
        "{}",
        "1",
        "2",
        "{",
        nested(40),
    ),
)


def mutant(random: random.Random) -> bytes:
    """A sealed file that is right but for some changes to its parts or its bytes."""
    tree = json.loads(json.dumps({"__metadata__": FACTS, **ENTRIES}))
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        change(tree, random)
    file = bytearray(framed(padded(spelt(tree)), DATA))
    for _ in range(random.choice((0, 0, 1, 2))):
        where = random.randrange(len(file))
        what = random.choice((bytes(1), b" ", b'"', b",", b"9", b"]", b"\xff", random.randbytes(3), b""))
        file[where : where + random.choice((0, 1, len(what), 8))] = what
    return seal(bytes(file)) if random.random() < 0.95 else bytes(file)


def change(tree: dict[str, Any], random: random.Random) -> None:
    """Replace, remove, add or rename something at any depth."""
    node: Any = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = random.choice(keys)
        if not isinstance(node[key], dict | list) or random.random() < 0.3:
            break
        node = node[key]
    action = random.randrange(4)
    if action == 0:
        del node[key]
    elif action == 1 and isinstance(node, dict):
        node[random.choice(("x", "W", "b", "sha256", "shape", "\ud800", ""))] = node.pop(key)
    elif action == 2 and isinstance(node[key], int):
        node[key] += random.choice((-8, -1, 1, 8))
    else:
        node[key] = copy.deepcopy(random.choice(JUNK))
