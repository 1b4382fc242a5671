"""NumPy's matrix products on one thread, for small products amid compiled training.

The worker threads of NumPy's OpenBLAS spin for about 50 ms after each product that they took part in.
While they do, they take the cores from the compiled run, whose products are those of SciPy's OpenBLAS
with threads of its own: a single product cost a fit of 200 ms a quarter more, on two cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from chainrule import team


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, BLAS uses one thread: counted with the runs, so that who leaves last restores what was."""
    team.QUIET.enter()
    try:
        yield
    finally:
        team.QUIET.leave()


@lru_cache(maxsize=1)
def numpys_libraries() -> Any:
    """The controller of NumPy's own BLAS; of nothing, where NumPy shares one with others."""
    controller = ThreadpoolController()
    beside = str(Path(np.__file__).parent)  # numpy/.dylibs, or numpy.libs beside it
    paths = [library["filepath"] for library in controller.info()]
    return controller.select(filepath=[path for path in paths if path.startswith(beside)])
