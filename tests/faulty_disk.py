"""A disk that fails, in place of the module os, and what saves and fits make of it."""

from __future__ import annotations

import errno
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from killed import data_of, digest_of

from chainrule import checkpoint, store
from chainrule.errors import TrainingWarning
from chainrule.estimators import MLPClassifier
from chainrule.store import disk

FAULTS = ("open", "chmod", "write", "fsync", "close", "replace")
ORDER = ["open", "write", "fsync file", "open", "link", "replace", "fsync folder", "close", "close"]


class Disk:
    """The module os, on which the k-th of some calls fails, or all from it on; writes are short."""

    def __init__(self, fail_at=None, error=None, kinds=FAULTS, *, for_good=False, limit=100):
        self.fail_at, self.error, self.kinds = fail_at, error, kinds
        self.for_good, self.limit = for_good, limit
        self.calls: list[str] = []
        self.count = 0

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in (*FAULTS, "link"):
            return real

        def call(*args):
            self.calls.append(f"{name} {self.kind_of(args[0])}" if name == "fsync" else name)
            self.count += name in self.kinds
            if self.fail_at is not None and self.count >= self.fail_at and name in self.kinds:
                self.fail_at = self.fail_at if self.for_good else None
                self.fail(name, args)
            if name == "write":
                args = (args[0], args[1][: self.limit])
            return real(*args)

        return call

    def fail(self, name, args):
        if name == "close":  # the descriptor is gone even if closing it failed
            os.close(*args)
        if name == "write":  # short, and then no more
            os.write(args[0], args[1][:7])
        raise self.error

    @staticmethod
    def kind_of(descriptor):
        return "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"


@contextmanager
def mounted(faulty: Disk) -> Iterator[Disk]:
    """Within it, all is saved by way of that disk."""
    disk.os = faulty
    try:
        yield faulty
    finally:
        disk.os = os


def errors() -> list[OSError]:
    """Of the sort that a disk has."""
    return [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "broken")]


# ------------------------------------------------------------------ fits


def fit(path: Path | None) -> tuple[str, int]:
    """The digest of a short fit with as many checkpoints as there can be, and how often it warned."""
    model = MLPClassifier(
        (4,), batch_size=50, max_iter=3, random_state=0, checkpoint=path, checkpoint_every=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*data_of("adam"))
    return digest_of(model), sum(issubclass(w.category, TrainingWarning) for w in caught)


def failing_checkpoints(folder: Path, step: int = 1) -> tuple[int, list[str]]:
    """Let each call of the system, or one in `step`, fail in the saves of a fit: once, or from it on.

    The fit must go on and end as if nothing had been, the last whole checkpoint must stay, and another fit
    must go on from it. Only if the first checkpoint of all cannot be written, the fit fails.
    Returns how many fits there were, and what went wrong.
    """
    path, wrong, tried = folder / "checkpoint", [], 0
    expected, _ = fit(None)
    with mounted(Disk(limit=4000)) as good:
        fit(path)
    path.unlink()
    # Up to here, a fault leaves no checkpoint at all.
    first = sum(call != "link" for call in good.calls[: good.calls.index("fsync folder") + 1])
    for fault in range(1, good.count + 1, step):
        for error in errors():
            for for_good in (False, True):
                what, tried = f"call {fault}, {error}, for good: {for_good}", tried + 1
                try:
                    with mounted(Disk(fault, error, limit=4000, for_good=for_good)):
                        found, warned = fit(path)
                except OSError as raised:
                    if raised is not error or fault > first or os.listdir(folder):
                        wrong.append(f"{what}: {raised}")
                    continue
                saved = checkpoint.read(str(path))
                if found != expected or saved is None or (saved.outcome is None and not warned):
                    wrong.append(f"{what}: {found}")
                if fit(path)[0] != expected or os.listdir(folder) != [path.name]:
                    wrong.append(f"{what}: it did not go on")
                path.unlink()
    return tried, wrong


# ------------------------------------------------------------------ saves


def failing_saves(folder: Path) -> tuple[int, list[str]]:
    """Let each call of the system fail in a save of a model; the old one, or none, must stay."""
    path, wrong, tried = folder / "model", [], 0
    for old in (None, {"number": 1}):
        if old is not None:
            store.write(path, "K", old, {})
        before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
        with mounted(Disk()) as good:
            store.write(folder / ".trial", "K", {"number": 2}, {})
        (folder / ".trial").unlink()
        # Both closes are of what is on disk already; an old file hands on its mode.
        for fault in range(1, good.count - 1 + (old is not None)):
            for error in errors():
                tried += 1
                try:
                    with mounted(Disk(fault, error)):
                        store.write(path, "K", {"number": 2}, {})
                    wrong.append(f"call {fault}, {error}: not said")
                except OSError as raised:
                    found = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
                    if raised is not error or found != before:
                        wrong.append(f"call {fault}, {error}: {sorted(found)}")
    return tried, wrong


def order_of_calls(path: Path) -> list[str]:
    """What the first save to a path asks the system for, in order."""
    with mounted(Disk(limit=1 << 30)) as seen:
        store.write(path, "K", {}, {})
    return seen.calls
