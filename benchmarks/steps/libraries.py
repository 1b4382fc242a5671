"""The libraries by name: the module that times each, and what is asked of such a module.

A module has ``versions() -> dict`` and ``prepare(cell) -> train``; ``train(clock)`` runs whole epochs,
rows in a new order each, and calls ``clock.tick(mean loss)`` after each of them until that is True.
`prepare` raises `UnsupportedError` if the library cannot train such a network.
"""

from __future__ import annotations

OURS = "chainrule"
MODULES = {
    OURS: "steps.run_chainrule",
    "scikit-learn": "steps.run_sklearn",
    "PyTorch eager": "steps.run_torch",
    "torch.compile": "steps.run_torch_compile",
    "JAX": "steps.run_jax",
}
OPTIONAL = {"torch.compile"}  # only measured if asked for: it compiles for long
MACHINE = "steps.bound"


class UnsupportedError(Exception):
    """The library has no such network; the message says what it lacks."""
