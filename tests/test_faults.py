"""Bad data and options: each ends in the right result or in a sentence with cause, place and remedy."""

from __future__ import annotations

import pytest
from fault_matrix import CASES, Case, flaw

pytestmark = pytest.mark.compiled


def test_there_are_enough_cases():
    assert len(CASES) >= 80


@pytest.mark.parametrize("name", CASES)
def test_it_ends_as_it_should(name):
    assert flaw(CASES[name]) == ""


def test_the_judge_can_say_no():
    """Silence, a wrong word, a wrong result and a warning beside a right one are all seen."""
    assert flaw(Case(lambda: None, "error", ("x",))) == "nothing was raised"
    assert "not said" in flaw(Case(lambda: int("a"), "error", ("row",)))
    assert "not said" in flaw(Case(lambda: None, "warning", ("row",)))
    assert "not right" in flaw(Case(lambda: False, "result"))
    assert "raised ZeroDivisionError" in flaw(Case(lambda: 1 / 0, "result"))
