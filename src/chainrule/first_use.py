"""Tells why the first fit takes its time: its loops are compiled, once, for the cache of later processes."""

from __future__ import annotations

import sys
from typing import Any

from numba.core import event

PASS = "numba:run_pass"
LONG = ("run_steps", "run_gradient", "run_forward", "run_rows")  # loops: what else is compiled is quick
MESSAGE = "chainrule: compiling for this machine; later processes find the result in a cache.\n"


class Teller(event.Listener):  # type: ignore[misc]
    """Writes the message when the first of the loops is compiled, and then no more."""

    def on_start(self, event: Any) -> None:
        """A pass of the compiler begins."""
        facts = event.data
        if str(facts["module"]) == "chainrule.loops" and str(facts["qualname"]).startswith(LONG):
            stop()
            sys.stderr.write(MESSAGE)
            sys.stderr.flush()

    def on_end(self, event: Any) -> None:
        """It has ended."""


_TELLERS: list[Teller] = []


def tell() -> None:
    """Have the user told if the loops must be compiled in this process."""
    if not _TELLERS:
        _TELLERS.append(Teller())
        event.register(PASS, _TELLERS[0])


def stop() -> None:
    """Tell nothing from now on."""
    event.unregister(PASS, _TELLERS[0])
