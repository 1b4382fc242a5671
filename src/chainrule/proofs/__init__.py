"""Proofs: every derivative and every matrix equation, by SymPy, from the forward definition alone.

What is proved is the very code that runs: `readings` executes a row's own functions with symbols for
numbers. `prove_all` proves everything, `prove` one row, also one that a user has registered.
"""

from __future__ import annotations

from chainrule.errors import ChainruleError

try:
    import sympy as _sympy  # noqa: F401 - only to say clearly that it is missing
except ImportError:
    raise ChainruleError("Proofs need SymPy: install it with  pip install 'chainrule[prove]'") from None

from chainrule.proofs.proof import Proof as Proof
from chainrule.proofs.prover import prove as prove
from chainrule.proofs.prover import prove_all as prove_all
