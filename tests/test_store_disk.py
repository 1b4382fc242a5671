"""Model files on a disk that fails: all is saved, or nothing is and the old file stays."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import numpy as np
import pytest
from model_files import ARRAYS, METADATA, same_arrays

from chainrule import store
from chainrule.errors import FileError
from chainrule.store import disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def model(path: Path) -> Path:
    """A small model file."""
    store.write(path, "MLPClassifier", METADATA, ARRAYS)
    return path


FAULTS = ("open", "chmod", "write", "fsync", "close", "replace")


class Disk:
    """The module os, on which the k-th of some calls fails; writes take a few bytes at a time."""

    def __init__(self, fail_at=None, error=None, kinds=FAULTS):
        self.fail_at, self.error, self.kinds = fail_at, error, kinds
        self.calls: list[str] = []
        self.count = 0

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in (*FAULTS, "link"):
            return real

        def call(*args):
            self.calls.append(f"{name} {self.kind_of(args[0])}" if name == "fsync" else name)
            self.count += name in self.kinds
            if self.count == self.fail_at and name in self.kinds:
                self.fail_at = None
                self.fail(name, args)
            if name == "write":
                args = (args[0], args[1][:100])
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


@pytest.fixture
def save(monkeypatch, path):
    """Save another model by way of such a disk."""

    def save(disk_, to=path):
        with monkeypatch.context() as patched:
            patched.setattr(disk, "os", disk_)
            store.write(to, "New", {}, {"w": np.arange(50.0)})
        return disk_

    return save


ERRORS = [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "broken"), KeyboardInterrupt()]


@pytest.mark.parametrize("error", ERRORS, ids=["ENOSPC", "EIO", "interrupt"])
@pytest.mark.parametrize("is_first", [False, True], ids=["second", "first"])
def test_whatever_fails_the_old_file_stays(path, save, is_first, error):
    if not is_first:
        store.write(path, "Old", METADATA, ARRAYS)
        path.chmod(0o640)
    before = {name: path.with_name(name).read_bytes() for name in os.listdir(path.parent)}
    count = save(Disk(), path.parent / "..trial").count - 1  # the folder is closed when all is done
    path.with_name("..trial").unlink()
    count += not is_first  # a chmod
    for k in range(1, count + 1):
        with pytest.raises(type(error)) as caught:
            save(Disk(k, error))
        assert caught.value is error
        assert {name: path.with_name(name).read_bytes() for name in os.listdir(path.parent)} == before
    save(Disk(count + 2, error))
    assert store.read(path).kind == "New"


def test_the_order_is_write_sync_rename_sync(save, model):
    calls = save(Disk()).calls
    writes = calls.count("write")
    assert writes > 5
    assert calls == [
        *("open", "chmod", *["write"] * writes, "fsync file", "close"),
        *("open", "link", "replace", "fsync folder", "close"),
    ]


def test_short_writes_go_on(save, path):
    save(Disk())
    assert same_arrays(store.read(path).arrays, {"w": np.arange(50.0)})


def test_a_failed_close_of_the_folder_does_not_matter(save, model):
    count = save(Disk()).count
    save(Disk(count, OSError(errno.EIO, "broken")))
    assert os.listdir(model.parent) == [model.name]


def test_without_hard_links(save, model):
    """Then nothing can be put back, so the new file stays, whole."""
    save(Disk(1, OSError(errno.EPERM, "no links"), kinds=("link",)))
    assert store.read(model).kind == "New"

    class NoLinks(Disk):
        def link(self, *_):
            raise OSError(errno.EPERM, "no links")

    store.write(model, "Old", {}, {})
    with pytest.raises(OSError, match="broken"):
        save(NoLinks(2, OSError(errno.EIO, "broken"), kinds=("fsync",)))
    assert store.read(model).kind == "New" and os.listdir(model.parent) == [model.name]


def test_a_file_system_that_cannot_sync_folders(save, model):
    save(Disk(2, OSError(errno.EINVAL, "no such thing"), kinds=("fsync",)))
    assert store.read(model).kind == "New" and os.listdir(model.parent) == [model.name]


def test_a_system_that_cannot_open_folders(monkeypatch, save, model):
    monkeypatch.setattr(disk, "FOLDER", None)
    assert save(Disk()).calls[-3:] == ["fsync file", "close", "replace"]
    assert store.read(model).kind == "New" and os.listdir(model.parent) == [model.name]


def test_a_disk_that_is_really_full(model):
    """The kernel itself refuses the bytes after the thousandth."""
    before = model.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            store.write(model, "New", {}, {"w": np.zeros(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert model.read_bytes() == before and os.listdir(model.parent) == [model.name]


# ---------------------------------------------------------------- paths and permissions


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_respects_the_umask(path, mask, expected):
    old = os.umask(mask)
    try:
        store.write(path, "K", {}, {})
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == expected


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o400])
def test_an_old_file_hands_on_its_mode(model, mode):
    model.chmod(mode)
    store.write(model, "New", {}, {})
    assert stat.S_IMODE(model.stat().st_mode) == mode and store.read(model).kind == "New"


@pytest.mark.parametrize("exists", [True, False])
def test_links_are_followed(tmp_path, exists):
    (tmp_path / "folder").mkdir()
    target, link, links = tmp_path / "folder" / "model", tmp_path / "link", tmp_path / "links"
    link.symlink_to(Path("folder") / "model")
    links.symlink_to(link)
    if exists:
        store.write(target, "Old", {}, {})
    store.write(links, "New", {}, {})
    assert links.is_symlink() and link.is_symlink() and not target.is_symlink()
    assert store.read(links).kind == store.read(target).kind == "New"
    assert os.listdir(target.parent) == ["model"]


def test_paths_of_any_sort(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("plain", Path("path"), os.fsencode("bytes"), "n" * 255, "ü ñ", b"\xff"):
        store.write(path, "K", {}, {})
        assert store.read(path).kind == "K"
    assert len(os.listdir()) == 6


def test_only_files_are_replaced(tmp_path):
    with pytest.raises(FileError, match="is not a file, so no model can be saved there"):
        store.write(tmp_path, "K", {}, {})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="is not a file"):
        store.write(tmp_path / "pipe", "K", {}, {})
    with pytest.raises(FileNotFoundError):
        store.write(tmp_path / "nowhere" / "model", "K", {}, {})
    with pytest.raises(NotADirectoryError):
        store.write(tmp_path / "pipe" / "model", "K", {}, {})
    assert os.listdir(tmp_path) == ["pipe"]
