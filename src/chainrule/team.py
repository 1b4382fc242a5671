"""Threads that share the work of a compiled run, as many as BLAS, which it does without, is allowed.

They wait for each other twice a step, are started once and kept. Where several fits run at once, each in a
thread of its own, they share the processors: a member of a team that waits for its turn on one would hold up
the others.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def blas() -> Any:
    """The controller of the BLAS libraries, NumPy's at least."""
    return ThreadpoolController().select(user_api="blas")


class Quiet:
    """While anyone is inside, BLAS works with one thread; who leaves last restores what was before."""

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        self.before: list[int] = []

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                libraries = blas().lib_controllers
                self.before = [library.num_threads for library in libraries]
                for library, count in zip(libraries, self.before, strict=True):
                    if count != 1:
                        library.set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                for library, count in zip(blas().lib_controllers, self.before, strict=True):
                    if count != 1:
                        library.set_num_threads(count)

    def threads(self) -> int:
        """The number of threads that BLAS would use outside: what the user, or a pool of workers, allows."""
        with self.lock:
            now = self.before if self.inside else [library.num_threads for library in blas().lib_controllers]
        return max(now, default=processors())


class Crew:
    """The threads beside the one that asks for them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pool: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[int], Any], rank: int) -> Any:
        """Have a thread call ``work(rank)``."""
        if self.pool is None:
            self.pool = ThreadPoolExecutor(max(1, processors() - 1), "chainrule")
        return self.pool.submit(work, rank)


class Busy:
    """The threads that compute at present, or did so a moment ago and are likely to go on."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside: dict[int, int] = {}
        self.left: dict[int, float] = {}

    def enter(self) -> int:
        """This thread begins to compute; returns how many others do."""
        me, now = threading.get_ident(), time.perf_counter()
        with self.lock:
            self.left = {thread: at for thread, at in self.left.items() if now - at < MOMENT and thread != me}
            self.inside[me] = self.inside.get(me, 0) + 1
            return len(self.inside) - 1 + len(self.left)

    def leave(self) -> None:
        """This thread pauses, or has done."""
        me = threading.get_ident()
        with self.lock:
            self.inside[me] -= 1
            if not self.inside[me]:
                del self.inside[me]
                self.left[me] = time.perf_counter()


MOMENT = 0.25  # seconds; a fit pauses between two stretches of steps for less
QUIET, CREW, BUSY = Quiet(), Crew(), Busy()


def processors() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def allowed() -> int:
    """The number of threads that a run may use: of processors, and what BLAS is limited to."""
    return max(1, min(processors(), QUIET.threads()))


@contextmanager
def gathered(wanted: int) -> Iterator[int]:
    """Inside, the team is there in the number that is yielded: at most `wanted`.

    It is 1 where the team is busy, and smaller where other threads compute too.
    """
    others = BUSY.enter()
    count = min(wanted, allowed() // (1 + others)) if wanted > 1 else 1
    mine = count > 1 and CREW.lock.acquire(blocking=False)
    try:
        yield count if mine else 1
    finally:
        if mine:
            CREW.lock.release()
        BUSY.leave()


def together(count: int, work: Callable[[int], Any]) -> Any:
    """Call ``work(rank)`` for each rank below `count` at once; returns what rank 0 returns.

    Only inside `gathered`.
    """
    if count == 1:
        return work(0)
    others = [CREW.submit(work, rank) for rank in range(1, count)]
    try:
        return work(0)
    finally:
        wait(others)  # whatever ends this thread's part, Ctrl-C too: nobody works on afterwards
        for other in others:
            other.result()


def _forget() -> None:
    """A forked process has the memory of the threads, and not the threads."""
    QUIET.__init__()  # type: ignore[misc]
    CREW.__init__()  # type: ignore[misc]
    BUSY.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
