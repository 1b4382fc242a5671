"""Model files on a disk that fails: all is saved, or nothing is and the old file stays."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from faulty_disk import Disk
from model_files import ARRAYS, METADATA, same_arrays

from chainrule import store
from chainrule.errors import FileError
from chainrule.store import disk, leftovers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def model(path: Path) -> Path:
    """A small model file."""
    store.write(path, "MLPClassifier", METADATA, ARRAYS)
    return path


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
    count = save(Disk(), path.parent / "..trial").count - 2  # both are closed when all is done
    path.with_name("..trial").unlink()
    count += not is_first  # a chmod
    for k in range(1, count + 1):
        with pytest.raises(type(error)) as caught:
            save(Disk(k, error))
        assert caught.value is error
        assert {name: path.with_name(name).read_bytes() for name in os.listdir(path.parent)} == before
    for k in (count + 1, count + 2):
        try:
            save(Disk(k, error))
        except KeyboardInterrupt:
            assert isinstance(error, KeyboardInterrupt)
        assert store.read(path).kind == "New" and os.listdir(path.parent) == [path.name]


def test_the_order_is_write_sync_rename_sync(save, model):
    calls = save(Disk()).calls
    writes = calls.count("write")
    assert writes > 5
    assert calls == [
        *("open", "chmod", *["write"] * writes, "fsync file"),
        *("open", "link", "replace", "fsync folder", "close", "close"),
    ]


def test_short_writes_go_on(save, path):
    save(Disk())
    assert same_arrays(store.read(path).arrays, {"w": np.arange(50.0)})


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


def test_an_error_names_the_path(save, model):
    """The kernel names the new file, or, where writing fails, none."""
    for kind in ("open", "write", "replace"):
        with pytest.raises(OSError, match="full") as caught:
            save(Disk(1, OSError(errno.ENOSPC, "full"), kinds=(kind,)))
        assert caught.value.filename == str(model)


# ---------------------------------------------------------------- processes that are killed

KILLED = """
import os, signal, sys
from chainrule import store
from chainrule.store import disk

class Os:
    def __getattr__(self, name):
        if name == sys.argv[2]:
            print("ready", flush=True)
            if sys.argv[3] == "wait":
                sys.stdin.read()
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(os, name)

disk.os = Os()
store.write(sys.argv[1], "New", {}, {})
"""


def saving(path: Path, call: str, then: str) -> subprocess.Popen:
    """A process that saves, and at a call of the operating system is killed or waits."""
    command = [sys.executable, "-c", KILLED, str(path), call, then]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def end(process: subprocess.Popen) -> None:
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("exists", [True, False])
def test_the_next_save_removes_what_killed_processes_left(path, exists):
    if exists:
        store.write(path, "Old", {}, {})
    other = path.with_name("other")
    for call in ("write", "fsync", "replace"):
        end(saving(path, call, "be killed"))
        assert len(left(path)) == 1 + exists * (call == "replace")
        assert path.exists() == exists
    end(saving(other, "write", "be killed"))
    end(saving(path, "unlink", "be killed"))  # all but the old file's second name is done
    assert len(left(path)) == 1 + exists
    assert store.read(path).kind == "New" and not other.exists()
    store.write(path, "Newer", {}, {})
    assert len(left(path)) == 1, "that of another path stays"
    store.write(other, "K", {}, {})
    assert sorted(os.listdir(path.parent)) == sorted([path.name, "other"])


def left(path: Path) -> list[str]:
    return [name for name in os.listdir(path.parent) if name.startswith(".chainrule")]


@pytest.mark.parametrize("call", ["write", "replace", "unlink"])
def test_files_of_a_save_that_goes_on_stay(model, call):
    """Two processes save to one path: each file is whole, and the later one stays."""
    other = saving(model, call, "wait")
    beside = left(model)
    assert beside
    leftovers.remove(str(model))
    assert left(model) == beside
    end(other)
    store.write(model, "Newer", {}, {})
    assert os.listdir(model.parent) == [model.name] and store.read(model).kind == "Newer"


def test_a_new_file_that_is_taken_for_a_leftover_is_made_again(model, monkeypatch):
    """Between making it and locking it, another process may have come."""
    claim, taken = leftovers.claim, []

    def late(file):
        if len(taken) < 2:
            taken.append(file)
            leftovers.remove(str(model))
        return claim(file)

    monkeypatch.setattr(leftovers, "claim", late)
    store.write(model, "New", {}, {})
    assert len(taken) == 2 and store.read(model).kind == "New" and os.listdir(model.parent) == [model.name]


def test_a_new_file_that_is_just_being_removed_is_made_again(model, monkeypatch):
    claim, busy = leftovers.claim, []

    def late(file):
        if not busy:
            (new,) = model.parent.glob(f"*{leftovers.NEW}")
            busy.append(os.open(new, os.O_RDONLY))
            fcntl.flock(busy[0], fcntl.LOCK_SH)
        return claim(file)

    monkeypatch.setattr(leftovers, "claim", late)
    store.write(model, "New", {}, {})
    os.close(busy[0])
    store.write(model, "Newer", {}, {})
    assert store.read(model).kind == "Newer" and os.listdir(model.parent) == [model.name]


def test_a_later_save_is_not_undone(model, monkeypatch):
    """If the folder cannot be synced, the old file comes back, but not in place of yet another one."""

    other = model.with_name("other")
    store.write(other, "Other", {}, {})

    def late(folder):
        os.replace(other, model)
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patched:
        patched.setattr(disk, "_sync", late)
        with pytest.raises(OSError, match="broken"):
            disk.save(model, [b"new"])
    assert store.read(model).kind == "Other" and os.listdir(model.parent) == [model.name]


@pytest.mark.parametrize("locks", [None, "refused"])
def test_without_locks_nothing_is_removed(model, monkeypatch, locks):
    class Refused:
        LOCK_EX = LOCK_SH = LOCK_NB = 0

        def flock(self, *_):
            raise OSError(errno.ENOLCK, "no locks")

    end(saving(model, "fsync", "be killed"))
    monkeypatch.setattr(leftovers, "fcntl", Refused() if locks else None)
    store.write(model, "New", {}, {})
    assert store.read(model).kind == "New" and len(os.listdir(model.parent)) == 2


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


@pytest.mark.skipif(leftovers.fcntl is None, reason="there are no such locks")
def test_a_file_that_is_just_being_removed_is_not_claimed(tmp_path):
    """Whoever removes a leftover has locked it first."""
    path = tmp_path / "new"
    with open(path, "wb") as new, open(path, "rb") as seen:
        leftovers.fcntl.flock(seen, leftovers.fcntl.LOCK_SH)
        assert not leftovers.claim(new.fileno())
        leftovers.fcntl.flock(seen, leftovers.fcntl.LOCK_UN)
        assert leftovers.claim(new.fileno())
