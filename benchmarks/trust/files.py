"""Rows 12 to 15 of the scoreboard: files that outlive kills, damage and disks that fail.

The counts are always the scoreboard's. The processes and disks are
those of tests/killed.py and tests/faulty_disk.py.
"""

from __future__ import annotations

import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import faulty_disk
import killed
import numpy as np

from chainrule import checkpoint, load
from chainrule.errors import FileError
from chainrule.estimators import MLPClassifier
from chainrule.spec import Training
from chainrule.state import Position, State

from .figure import Figure, Measured, folder_in_memory

LONGEST = 0.1  # seconds of processor time that a refusal may take: other programs may have it meanwhile


def kills(count: int = 200) -> Measured:
    """Saves that are killed, half of them within a save: the model loads, and is not older than it may be."""
    with TemporaryDirectory() as folder:
        wrong = killed.kills(count, Path(folder))
    return _measured(f"{count} kills of saves, {len(wrong)} models lost, old or with remains", wrong)


def resumes(count: int = 100) -> Measured:
    """Fits that are killed at random and repeated: they end with the bits of one that was not stopped."""
    with TemporaryDirectory() as folder:
        done, wrong = killed.resumes(count, Path(folder))
    text = f"{done} kills of fits, {len(killed.FITS)} sorts of fit, {len(wrong)} with other bits or remains"
    return Measured(text + _first(wrong), not wrong and done >= count)


def corruption(flips: int = 2000, truncations: int = 500, splices: int = 200, step: int = 1) -> Measured:
    """Damaged model files and checkpoints: each is refused in a sentence, and at once.

    Each bit of a small file, or one in `step`, is flipped; and so many bits, ends and pieces, drawn at
    random, of a larger one.
    """
    tried, slowest, wrong = 0, 0.0, []
    with folder_in_memory() as folder:
        path = Path(folder) / "damaged"
        for what, read, small, large in _whole_files(Path(folder)):
            for damaged in _damaged(small, large, step, flips, truncations, splices):
                path.write_bytes(damaged)
                began = time.process_time()
                try:
                    read(str(path))
                    wrong.append(f"{what}: read")
                except FileError:
                    pass
                except Exception as error:  # noqa: BLE001 - any other error is what is looked for
                    wrong.append(f"{what}: {error!r}")
                slowest, tried = max(slowest, time.process_time() - began), tried + 1
    text = (
        f"{tried} damaged files, {len(wrong)} not refused in a sentence, "
        f"slowest {1e3 * slowest:.1f} ms of processor time"
    )
    return Measured(text + _first(wrong), not wrong and slowest < LONGEST)


def faults() -> Measured:
    """Each call of the system fails, of saves of models and of checkpoints; and the calls' order."""
    with TemporaryDirectory() as folder:
        saves, wrong = faulty_disk.failing_saves(Path(folder))
    with TemporaryDirectory() as folder:
        fits, lost = faulty_disk.failing_checkpoints(Path(folder))
        order = faulty_disk.order_of_calls(Path(folder) / "model")
    wrong += lost
    right = order == faulty_disk.ORDER
    said = "write, fsync, rename, fsync of the folder" if right else ", ".join(order)
    text = f"{saves} failing saves, {fits} fits on a failing disk, {len(wrong)} files lost; order: {said}"
    return Measured(text + _first(wrong), not wrong and right)


def _measured(text: str, wrong: list[str]) -> Measured:
    return Measured(text + _first(wrong), not wrong)


def _first(wrong: list[str]) -> str:
    return f" (the first: {wrong[0]})" if wrong else ""


# ------------------------------------------------------------------ damaged files

Reader = Callable[[str], Any]


def _whole_files(folder: Path) -> Iterator[tuple[str, Reader, bytes, bytes]]:
    """Of a model and of a checkpoint: its reader, and the bytes of a small and of a larger one."""
    X, y = killed.data_of("adam")
    path, found = folder / "whole", []
    for units in (1, 40):
        kept = folder / "checkpoint" if units > 1 else None
        model = MLPClassifier((units,), max_iter=2, random_state=0, checkpoint=kept)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y).save(path)
        found.append(path.read_bytes())
    yield "model", load, *found
    state = State.begin(np.arange(3.0), Training())
    checkpoint.Checkpoint({"estimator": "small"}, state, Position(state.theta)).write(str(path))
    yield "checkpoint", checkpoint.read, path.read_bytes(), (folder / "checkpoint").read_bytes()


def _damaged(
    small: bytes, large: bytes, step: int, flips: int, truncations: int, splices: int
) -> Iterator[bytes]:
    rng = random.Random(0)
    for bit in range(0, 8 * len(small), step):
        yield _flipped(small, bit)
    for _ in range(flips):
        yield _flipped(large, rng.randrange(8 * len(large)))
    for _ in range(truncations):
        yield large[: rng.randrange(len(large))]
    for _ in range(splices):
        a, b = sorted(rng.sample(range(len(large) + 1), 2))
        c = rng.randrange(len(large))
        spliced = large[:a] + large[c : c + b - a] + large[b:]
        yield spliced if spliced != large else large + b"\0"


def _flipped(file: bytes, bit: int) -> bytes:
    flipped = bytearray(file)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


FIGURES = (
    Figure(12, "saves that are killed", "200 of 200 load, none older", lambda long: kills()),
    Figure(13, "fits that are killed and repeated", "100 of 100 with equal bits", lambda long: resumes()),
    Figure(14, "damaged model files and checkpoints", "0 silent, ≤ 0.1 s", lambda long: corruption()),
    Figure(15, "failing calls of the system, and their order", "no file lost", lambda long: faults()),
)
