"""A diagnosis: the symptoms that were found in a training run, in plain words, with their figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from chainrule.evidence import Evidence
from chainrule.html_table import table
from chainrule.symptom import Severity, Symptom
from chainrule.symptoms import SYMPTOMS

# What a symptom may need: whether it is there, and what to do where it is not. Without a remedy the
# check does not apply: a classifier's targets have no scale, and L-BFGS has no learning rate.
NEEDS: Mapping[str, tuple[Callable[[Evidence], bool], str]] = {
    "inputs": (lambda e: e.notes.inputs is not None, "fit the model anew"),
    "targets": (lambda e: e.notes.targets is not None, ""),
    "classes": (lambda e: bool(e.notes.classes), ""),
    "stopped": (lambda e: bool(e.stopped), "fit the model"),
    "losses": (lambda e: bool(e.losses), ""),
    "learning_rate": (lambda e: e.learning_rate is not None, ""),
    "moved": (lambda e: e.notes.moved is not None, ""),
    "layers": (lambda e: e.last is not None, "hand over X"),
    "gradients": (
        lambda e: e.last is not None and e.last.layers[-1].gradient is not None,
        "hand over X and y",
    ),
    "unseen": (lambda e: e.unseen is not None, "hand over X and y that were not trained on"),
}


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or worth knowing.

    Attributes
    ----------
    name : str
        The symptom's name, such as "dead_units".
    severity : {"warning", "note"}
        A warning is worth acting on.
    message : str
        What was found, with its figures.
    remedy : str
        What to do about it.
    evidence : dict
        The figures by name.
    """

    name: str
    severity: Severity
    message: str
    remedy: str
    evidence: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


@dataclass(frozen=True)
class Diagnosis:
    """What a training run suffers from.

    Attributes
    ----------
    findings : tuple of Finding
        Warnings come first.
    checked : tuple of str
        The symptoms that were looked for.
    unchecked : dict of str to str
        Those that could not be looked for, and what they would need.
    """

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    unchecked: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether nothing was found that is worth acting on."""
        return not any(finding.severity == "warning" for finding in self.findings)

    @property
    def names(self) -> list[str]:
        """Names of what was found."""
        return [finding.name for finding in self.findings]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        lines = [self._verdict()]
        for finding in self.findings:
            lines += [f"- {finding.severity.capitalize()}: {finding.message}", f"  {finding.remedy}"]
        lines += [f"Not checked: {_words(name)} ({need})." for name, need in self.unchecked.items()]
        return "\n".join(lines)

    def line(self) -> str:
        """The diagnosis in one line."""
        if not self.findings:
            return self._verdict()
        first, *others = self.findings
        start = f"{self._verdict()} Note: " if self.healthy else ""
        more = f" Also: {', '.join(_words(other.name) for other in others)}." if others else ""
        return f"{start}{first}{more}"

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON can hold; a number that is not finite becomes text."""
        findings = [{**asdict(f), "evidence": _plain(f.evidence)} for f in self.findings]
        return {
            "summary": self.line(),
            "healthy": self.healthy,
            "findings": findings,
            "checked": list(self.checked),
            "unchecked": dict(self.unchecked),
        }

    def _repr_html_(self) -> str:
        rows = [(f.severity, _words(f.name), f.message, f.remedy) for f in self.findings]
        notes = [f"Not checked: {_words(name)} ({need})." for name, need in self.unchecked.items()]
        return table(self._verdict(), ("", "Finding", "Evidence", "Remedy"), rows, notes)

    def _verdict(self) -> str:
        warnings = sum(finding.severity == "warning" for finding in self.findings)
        if warnings:
            return f"{warnings} of {len(self.checked)} checks found a problem."
        return f"Healthy: none of {len(self.checked)} checks found a problem."


def diagnose(evidence: Evidence) -> Diagnosis:
    """Look for every symptom of the table.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    Diagnosis
    """
    found, checked, unchecked = {}, [], {}
    for symptom in SYMPTOMS.values():
        missing = [NEEDS[need][1] for need in symptom.needs if not NEEDS[need][0](evidence)]
        if missing:
            if all(missing):
                unchecked[symptom.name] = missing[0]
            continue
        checked.append(symptom.name)
        figures = symptom.test(evidence, *symptom.parameters.values())
        if figures is not None:
            found[symptom.name] = _finding(symptom, figures)
    causes = {name: SYMPTOMS[name].explained_by for name in found}
    kept = [f for name, f in found.items() if not found.keys() & set(causes[name])]
    kept.sort(key=lambda finding: finding.severity != "warning")
    return Diagnosis(tuple(kept), tuple(checked), unchecked)


def _finding(symptom: Symptom, figures: dict[str, Any]) -> Finding:
    return Finding(
        name=symptom.name,
        severity=symptom.severity,
        message=symptom.message.format(**figures),
        remedy=symptom.remedy,
        evidence={name: value for name, value in figures.items() if name != "what"},
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _plain(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures in Python's own types, of which JSON has all."""
    plain = {
        name: value.item() if isinstance(value, np.generic) else value for name, value in figures.items()
    }
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in plain.items()
    }
