"""How much memory there is, and how a limit on it is shared out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from chainrule.errors import OptionError

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
MIB = 2**20

PROGRAM = 320 * MIB  # the interpreter and the libraries
COMPILER = 160 * MIB  # the compiler at work, which it is only when the rows have been divided
ROOM = 96 * MIB  # the least to work in
ROW = 18  # for each row of the table, while the rows are divided
COLUMN = 4 * MIB  # for each column: a sample of its numbers, counts of its texts
PARAMETER = 40  # for each parameter: gradients, the optimiser's memory, the best and the last finite ones


def size_of(text: str) -> int:
    """The bytes that "500MB", "1GB" or "2GiB" name.

    Raises
    ------
    OptionError
        If it names none.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?)?B?", text.strip(), re.IGNORECASE)
    if not found:
        raise OptionError(f"{text!r} is no amount of memory: write it like 500MB, 1GB or 2GiB.")
    unit = (found[2] or "").capitalize()
    return int(float(found[1]) * {**UNITS, **BINARY}[unit])


def shown(size: float) -> str:
    """A number of bytes as people write it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def available() -> int | None:
    """The memory that is free for programs, in bytes; None where the system does not tell."""
    try:
        facts = Path("/proc/meminfo").read_text(encoding="ascii")
        free = int(re.search(r"^MemAvailable:\s+([0-9]+) kB", facts, re.MULTILINE)[1]) * 1024  # type: ignore[index]
    except (OSError, TypeError):
        try:
            free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):
            return None
    return free


@dataclass(frozen=True)
class Limit:
    """A limit on the memory of the whole process, and what it leaves.

    Attributes
    ----------
    total : int
        Bytes.
    """

    total: int

    def room(self, rows: int = 0, columns: int = 0, parameters: int = 0) -> int:
        """What is left to work in, beside what must be there.

        Raises
        ------
        OptionError
            If that is too little; the message names the least limit.
        """
        fixed = PROGRAM + max(COMPILER, ROW * rows) + COLUMN * columns + PARAMETER * parameters
        if self.total < fixed + ROOM:
            raise OptionError(
                f"A limit of {shown(self.total)} on the memory is too small: at least "
                f"{-(-(fixed + ROOM) // 10**6)}MB are needed for this table and network."
            )
        return self.total - fixed
