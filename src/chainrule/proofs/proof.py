"""What a proof is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sympy.polys.polyerrors import BasePolynomialError

from chainrule.errors import CheckError

PROVED, NOT_PROVED = "proved", "not proved"


class UnprovedError(CheckError):
    """A statement could not be proved; the message says where and why."""


# What stops a proof: besides, whatever a wrong function may raise when it is run on symbols.
OBSTACLES = (
    UnprovedError,
    ArithmeticError,
    AttributeError,
    BasePolynomialError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Proof:
    """A statement about a row of the tables, and whether it was proved.

    Attributes
    ----------
    subject : str
        Name of the row.
    table : str
        What kind of row it is: "activation", "loss", ...
    statement : str
        What is claimed, as one line of plain text.
    status : {"proved", "not proved"}
        It is "proved" only if every residual became exactly 0 by rules of algebra and calculus.
        Numerical agreement never makes a proof.
    pieces : tuple of str
        The cases that were distinguished, like ``"z < 0"``, and what holds at a kink.
    method : str
        How it was proved.
    reason : str
        Why it could not be proved; empty if it was.
    error : Mapping[str, float] or None
        Of a statement about what is computed: its largest rounding error by dtype, in units of that
        dtype's machine epsilon and of `chainrule.proofs.rounding.SCALE`.
    """

    subject: str
    table: str
    statement: str
    status: str
    pieces: tuple[str, ...] = ()
    method: str = ""
    reason: str = ""
    error: Mapping[str, float] | None = field(default=None, compare=False)

    @property
    def proved(self) -> bool:
        """Whether it was proved."""
        return self.status == PROVED

    def as_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self)

    def __str__(self) -> str:
        verdict = "proved" if self.proved else f"NOT PROVED: {self.reason}"
        return f"{self.subject} ({self.table}): {self.statement}: {verdict}"


@dataclass(frozen=True)
class Step:
    """A step of a proof.

    Attributes
    ----------
    what : str
        The case or the quantity that it is about.
    shown : str or None
        How it was shown; None if it could not be.
    fault : str
        What was found instead.
    """

    what: str
    shown: str | None
    fault: str = ""


Steps = Iterable[Step]


def compared(what: str, given: Any, true: Any, shown: str | None) -> Step:
    """A step that compares what is given with what it must be."""
    return Step(what, shown, "" if shown else f"{given} is not {true}")


def attempt(subject: str, table: str, statement: str, method: str, steps: Callable[[], Steps]) -> Proof:
    """A proof from its steps: each must be shown, and there must be one."""
    pieces: dict[str, None] = {}
    try:
        for step in steps():
            if step.shown is None:
                raise UnprovedError(f"it does not hold for {step.what}" + (step.fault and f": {step.fault}"))
            pieces[step.what] = None
        if not pieces:
            raise UnprovedError("there is nothing to prove")
    except OBSTACLES as error:
        reason = str(error) or type(error).__name__
        return Proof(subject, table, statement, NOT_PROVED, tuple(pieces), method, reason)
    return Proof(subject, table, statement, PROVED, tuple(pieces), method)
