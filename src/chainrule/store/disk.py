"""A file is replaced as a whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from chainrule.errors import FileError

NEW_FILE: int = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
FOLDER: int | None = getattr(os, "O_DIRECTORY", None)  # None on Windows, which cannot open folders


def save(path: str | os.PathLike[str], parts: Iterable[bytes | memoryview]) -> None:
    """Write a new file beside the old one, and let it take the old one's place once it is on disk.

    A symbolic link is followed, and a file that is replaced hands on its permissions.

    Parameters
    ----------
    path : path-like
        Where to.
    parts : iterable of bytes-like
        What the file will hold.

    Raises
    ------
    FileError
        If the path is that of a folder or a device.
    OSError
        If the operating system refuses. The old file is there, then, and nothing else.
    """
    path = os.path.realpath(os.fsdecode(path))
    mode = _mode(path)
    new = os.path.join(os.path.dirname(path), f".chainrule-{os.urandom(8).hex()}.tmp")
    try:
        _write_new(new, mode, parts)
        _replace(new, path, is_first=mode is None)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise


def _mode(path: str) -> int | None:
    """The permissions of a file, or None if there is none yet."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise FileError(f"{path} is not a file, so no model can be saved there.")
    return mode & 0o777


def _write_new(new: str, mode: int | None, parts: Iterable[bytes | memoryview]) -> None:
    file = os.open(new, NEW_FILE, 0o666 if mode is None else mode)  # less the umask
    try:
        if mode is not None:
            os.chmod(new, mode)
        for part in parts:
            rest = memoryview(part)
            while rest:  # a write may take less than it was given
                rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


def _replace(new: str, path: str, *, is_first: bool) -> None:
    """Rename for good; if the folder cannot be synced, the old file comes back."""
    if FOLDER is None:
        os.replace(new, path)
        return
    old = new + ".old"
    folder = os.open(os.path.dirname(path), os.O_RDONLY | FOLDER)
    try:
        with suppress(OSError):  # there is no old file, or there are no hard links here
            os.link(path, old)
        os.replace(new, path)
        try:
            _sync(folder)
        except BaseException:
            if os.path.exists(old):
                os.replace(old, path)
            elif is_first:
                os.unlink(path)
            raise
    finally:
        with suppress(OSError):
            os.unlink(old)
        with suppress(OSError):  # nothing was written through it
            os.close(folder)


def _sync(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without such a thing
            raise
