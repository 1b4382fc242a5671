"""What a save leaves beside its path when the process is killed, and how the next save removes it.

A save writes a file of its own beside the path, and holds a lock on it until all is done. The kernel gives
up the locks of a process that ends, however it ends: such a file that can be locked is nobody's any more. No
age, and no number of a process that another one may have by now, says that so surely. A file without a name
(O_TMPFILE) would leave nothing, but it cannot replace another one: it must be given a name before it can be
renamed, and few file systems have it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, so nothing is removed either
    fcntl = None  # type: ignore[assignment]

NEW, OLD = ".new", ".old"  # a new file, and a second name of the one that it is about to replace
LOOK: int = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def names(path: str) -> tuple[str, str]:
    """Two names beside a path, for a new file and for a second name of the old one."""
    name = os.path.join(os.path.dirname(path), _prefix(path) + os.urandom(8).hex())
    return name + NEW, name + OLD


def claim(file: int) -> bool:
    """Lock a new file for as long as it is open; False if it has been removed as a leftover."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # it is just being removed
        except OSError:
            pass  # a file system without locks: nobody else can lock the file, and so remove it
    return os.fstat(file).st_nlink > 0


def remove(path: str) -> None:
    """Remove what killed processes have left of saves to a path; what cannot be removed stays.

    While a save has renamed its new file, but not yet removed the old one's second name, the new file is at
    the path itself. So it is the file there that must not be locked. If yet another save has replaced it,
    the second name serves nobody: see `chainrule.store.disk`.
    """
    folder, prefix = os.path.dirname(path), _prefix(path)
    with suppress(OSError):
        for name in os.listdir(folder):
            found = os.path.join(folder, name)
            if name.startswith(prefix) and name.endswith(NEW):
                _remove(found, found)
            elif name.startswith(prefix) and name.endswith(OLD):
                new = found.removesuffix(OLD) + NEW
                _remove(found, new if os.path.lexists(new) else path)


def _remove(name: str, locked: str) -> None:
    """Remove a file, unless a process has locked the one that tells whether it is in use."""
    with suppress(OSError):
        file = os.open(locked, LOOK)
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                os.unlink(name)
        finally:
            os.close(file)


def _prefix(path: str) -> str:
    """How the names begin: of one length, for a name may be as long as the file system allows."""
    return f".chainrule-{hashlib.sha256(os.fsencode(os.path.basename(path))).hexdigest()[:16]}-"
