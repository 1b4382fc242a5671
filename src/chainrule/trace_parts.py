"""The parts of a trace and their titles; apart, so that the command line need not load a trace for them."""

from __future__ import annotations

PARTS = {
    "input": "From the cells to the network's input",
    "forward": "Forward propagation",
    "loss": "The loss",
    "backward": "Back propagation",
    "update": "The update",
}
