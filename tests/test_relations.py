"""Relations between a problem and a changed one."""

from __future__ import annotations

import pytest
from relations import RELATIONS, Relation, holds, problems

pytestmark = pytest.mark.compiled


def test_there_are_enough_relations():
    assert len(RELATIONS) >= 20
    assert sum(relation.bitwise for relation in RELATIONS.values()) >= 10


@pytest.mark.parametrize("name", RELATIONS)
def test_it_holds(name):
    assert holds(RELATIONS[name], 6) == ""


@pytest.mark.parametrize("bitwise", [True, False])
def test_the_judge_can_say_no(bitwise):
    """One value that is off by a millionth, and another shape, are seen."""
    off = Relation("", lambda p: [(p.theta, p.theta * (1 + 1e-3))], problems(), bitwise)
    assert "differ" in holds(off, 5)
    short = Relation("", lambda p: [(p.theta, p.theta[1:])], problems(), bitwise)
    assert "against" in holds(short, 5)
