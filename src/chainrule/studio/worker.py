"""A thread of its own for one network: it trains and, between two stretches of steps, answers calls.

All that training changes is touched by this thread alone, so nothing needs a lock.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

Call = tuple[Callable[[], Any], "Future[Any]"]


class Worker:
    """The thread.

    Parameters
    ----------
    work : callable
        Called over and over; it works for some milliseconds and returns after how many seconds it wants to
        be called again, or None if only a call can give it something to do.
    """

    def __init__(self, work: Callable[[], float | None]) -> None:
        self._work = work
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="chainrule-studio", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        """Have a function called by the thread, before it works on."""
        future: Future[Any] = Future()
        self._calls.put((function, future))
        return future

    def close(self) -> None:
        """End the thread after the calls that wait."""
        self._calls.put(None)

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _loop(self) -> None:
        pause: float | None = None
        while True:
            with contextlib.suppress(queue.Empty):
                call = self._calls.get(block=pause != 0, timeout=pause or None)
                if call is None:
                    return
                _answer(*call)
                pause = 0.0  # further calls that wait come first, then work
                continue
            pause = self._work()


def _answer(function: Callable[[], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001 - whoever waits for the answer deals with it
        future.set_exception(error)
