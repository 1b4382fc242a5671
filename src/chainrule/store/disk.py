"""A file is replaced as a whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from chainrule.errors import FileError
from chainrule.store import leftovers

NEW_FILE: int = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
FOLDER: int | None = getattr(os, "O_DIRECTORY", None)  # None on Windows, which cannot open folders


def path_of(path: str | os.PathLike[str]) -> str:
    """A path as text.

    Raises
    ------
    FileError
        If no file can have such a path.
    """
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise FileError(f"{text!r} is the path of no file: give another one.")
    return text


def save(path: str | os.PathLike[str], parts: Iterable[bytes | memoryview]) -> None:
    """Write a new file beside the old one, and let it take the old one's place once it is on disk.

    A symbolic link is followed, and a file that is replaced hands on its permissions. What saves to this
    path have left beside it because their process was killed is removed.

    Parameters
    ----------
    path : path-like
        Where to.
    parts : iterable of bytes-like
        What the file will hold.

    Raises
    ------
    FileError
        If the path is that of a folder or a device, or of nothing.
    OSError
        If the operating system refuses; its `filename` is the path. The old file is there, then, and
        nothing else.
    """
    path = os.path.realpath(path_of(path))
    try:
        mode = _mode(path)
        leftovers.remove(path)
        while not _save(path, mode, parts):
            pass
    except OSError as error:
        error.filename = path  # and not that of the file beside it, or none
        raise


def _save(path: str, mode: int | None, parts: Iterable[bytes | memoryview]) -> bool:
    """Save once; False if nothing was done, for another process took the new file for a leftover."""
    new, old = leftovers.names(path)
    file = os.open(new, NEW_FILE, 0o666 if mode is None else mode)  # less the umask
    is_open = True
    try:
        if not leftovers.claim(file):
            return False
        _fill(new, file, mode, parts)
        if FOLDER is None:
            is_open = False
            os.close(file)  # Windows renames no open file
            os.replace(new, path)
        else:
            _replace(new, old, path, file, is_first=mode is None)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise
    finally:
        if is_open:
            with suppress(OSError):  # all is on disk by now, or given up
                os.close(file)
    return True


def _mode(path: str) -> int | None:
    """The permissions of a file, or None if there is none yet."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise FileError(f"{path} is not a file, so no model can be saved there.")
    return mode & 0o777


def _fill(new: str, file: int, mode: int | None, parts: Iterable[bytes | memoryview]) -> None:
    if mode is not None:
        os.chmod(new, mode)
    for part in parts:
        rest = memoryview(part)
        while rest:  # a write may take less than it was given
            rest = rest[os.write(file, rest) :]
    os.fsync(file)


def _replace(new: str, old: str, path: str, file: int, *, is_first: bool) -> None:
    """Rename for good; if the folder cannot be synced, the old file comes back."""
    assert FOLDER is not None
    folder = os.open(os.path.dirname(path), os.O_RDONLY | FOLDER)
    try:
        with suppress(OSError):  # there is no old file, or there are no hard links here
            os.link(path, old)
        os.replace(new, path)
        try:
            _sync(folder)
        except BaseException:
            _put_back(old, path, file, is_first=is_first)
            raise
    finally:
        with suppress(OSError):
            os.unlink(old)
        with suppress(OSError):  # nothing was written through it
            os.close(folder)


def _put_back(old: str, path: str, file: int, *, is_first: bool) -> None:
    """Undo a rename, unless another save has replaced the file since."""
    with suppress(FileNotFoundError):  # it has been removed since
        if not os.path.samestat(os.stat(path), os.fstat(file)):
            return
        if os.path.lexists(old):
            os.replace(old, path)
        elif is_first:
            os.unlink(path)


def _sync(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without such a thing
            raise
