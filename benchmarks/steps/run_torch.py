"""Epochs of a plain PyTorch loop, with the optimiser that updates all parameters in one call."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from steps.cells import LEARNING_RATE, Cell
from steps.clock import Clock

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}
OPTIMISERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def versions() -> dict[str, str]:
    return {"torch": torch.__version__, "threads": str(torch.get_num_threads())}


def network(cell: Cell) -> nn.Sequential:
    parts: list[nn.Module] = []
    for m, n in pairwise(cell.widths):
        parts.append(nn.Linear(m, n, dtype=getattr(torch, cell.dtype)))
        parts.append(ACTIVATIONS[cell.activation]())
        if cell.dropout:
            parts.append(nn.Dropout(cell.dropout))
    net = nn.Sequential(*parts[: -2 if cell.dropout else -1])
    dense = [part for part in net if isinstance(part, nn.Linear)]
    with torch.no_grad():
        for layer, (W, b) in zip(dense, cell.weights(), strict=True):
            layer.weight.copy_(torch.from_numpy(W.T))
            layer.bias.copy_(torch.from_numpy(b))
    return net


def half_squared_error(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.mse_loss(z, y) / 2


def prepare(cell: Cell, transform: Callable[[Any], Any] = lambda f: f) -> Callable[[Clock], None]:
    net = network(cell)
    optimiser = OPTIMISERS[cell.optimiser](net.parameters(), lr=LEARNING_RATE, fused=True)
    measure = nn.functional.cross_entropy if cell.task == "classification" else half_squared_error
    X, y = map(torch.from_numpy, cell.data())
    loss_of = transform(lambda x, target: measure(net(x), target))

    def epoch() -> float:
        total = torch.zeros((), dtype=X.dtype)
        for rows in torch.randperm(cell.rows).split(cell.rows_in_batch):
            optimiser.zero_grad(set_to_none=True)
            loss = loss_of(X[rows], y[rows])
            loss.backward()
            optimiser.step()
            total += loss.detach()
        return float(total) / cell.steps

    def train(clock: Clock) -> None:
        while not clock.tick(epoch()):
            pass

    return train
