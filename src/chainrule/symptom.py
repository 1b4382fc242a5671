"""The table of symptoms, and what a row of it is; the rows themselves are in `chainrule.symptoms`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from chainrule.equation import Function, Row, Table

Severity = Literal["warning", "note"]


@dataclass(frozen=True)
class Symptom(Row):
    """One thing that can be wrong with a training run.

    Attributes
    ----------
    test : callable
        ``test(evidence, *parameters) -> dict or None``; the parameters are the thresholds.
    message : str
        What is reported, to be filled with the figures of the test.
    remedy : str
        What to do about it.
    severity : {"warning", "note"}
        A note is worth knowing; a warning is worth acting on.
    needs : tuple of str
        Fields of the evidence or of its notes without which the test cannot be made.
    explained_by : tuple of str
        Symptoms beside which this one is not reported, since they are its cause.
    """

    test: Function = lambda evidence: None
    message: str = ""
    remedy: str = ""
    severity: Severity = "warning"
    needs: tuple[str, ...] = ()
    explained_by: tuple[str, ...] = ()


SYMPTOMS: Table[Symptom] = Table("symptom", Symptom)


def symptom(**facts: Any) -> Callable[[Function], Symptom]:
    """Decorator: a test and the given facts become a row of that name."""

    def decorate(test: Function) -> Symptom:
        doc = " ".join((test.__doc__ or "").split())
        return SYMPTOMS.add(Symptom(name=test.__name__, doc=doc, test=test, **facts))

    return decorate
