"""The same loop, with the network and the loss compiled by `torch.compile`."""

from __future__ import annotations

from collections.abc import Callable

import torch

from steps import run_torch
from steps.cells import Cell
from steps.clock import Clock
from steps.run_torch import versions

__all__ = ["prepare", "versions"]


def prepare(cell: Cell) -> Callable[[Clock], None]:
    torch._dynamo.reset()
    return run_torch.prepare(cell, torch.compile)
