"""The command that measures the figures: what it finds, what it says, and that it can say no."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule import equations

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.trust import __main__ as command  # noqa: E402
from benchmarks.trust import mutation, mutator  # noqa: E402
from benchmarks.trust.figure import Figure, Measured, find, take  # noqa: E402
from benchmarks.trust.report import page, rows  # noqa: E402

DUE = {*range(1, 19), 20, 22, 25}


def a_figure(passed: bool = True, number: int = 1) -> Figure:
    return Figure(number, "errors | all", "≤ 1", lambda long: Measured("2" if long else "1", passed, "why"))


def test_every_figure_is_found_once():
    numbers = [figure.number for figure in find("benchmarks.trust")]
    assert set(numbers) >= DUE
    assert len(numbers) == len(set(numbers))
    assert numbers == sorted(numbers)


def test_a_figure_that_cannot_be_measured_has_failed():
    line = take(Figure(1, "", "", lambda long: Measured(str(1 / 0), True)), False)
    assert not line.measured.passed
    assert "ZeroDivisionError" in line.measured.text


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_says_whether_all_targets_are_met(monkeypatch, capsys, passed, code):
    monkeypatch.setattr(command, "find", lambda package: [a_figure(), a_figure(passed, 2)])
    assert command.main([]) == code
    printed = capsys.readouterr().out
    assert "errors | all" in printed and "why" in printed
    assert command.main(["--only", "1"]) == 0
    assert command.main(["--only", "7"]) == 1, "nothing was measured"


def test_the_page_is_written_only_on_demand(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "find", lambda package: [a_figure()])
    monkeypatch.setattr(command, "PAGE", ROOT / "docs" / "no such page.md")
    command.main([])
    assert not command.PAGE.exists()
    lines = [take(a_figure(passed), True) for passed in (True, False)]
    text = page(lines, long=True)
    table = [line for line in text.splitlines() if line.startswith("| 1 |")]
    assert table == [r"| 1 | errors \| all | ≤ 1 | 2 | yes |", r"| 1 | errors \| all | ≤ 1 | 2 | no |"]
    assert "full counts" in text and "Python 3." in text and "- 1: why" in text
    assert len(rows(lines)) == 2


SOURCE = '''
"""A module."""


def f(x: int = 1) -> int:
    """Doc."""
    if not x < 2 and x:
        raise ValueError(f"{x + 1}")
    print("text")
    return -x * 3 + True
'''
CHANGED = {
    "1 -> 2", "2 -> 3", "3 -> 4", "True -> False", "x < 2 -> x <= 2", "not x < 2 -> not not x < 2",
    "not x < 2 and x -> not x < 2 or x", "-x -> +x", "-x * 3 -> -x / 3", "-x * 3 + True -> -x * 3 - True",
    "return -x * 3 + True -> return None", "print('text') -> pass",
}  # fmt: skip


def test_mutants_change_what_runs_and_nothing_else(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    found = {f"{m.before} -> {m.after}": m for m in mutator.mutants(tmp_path, path)}
    assert {name for name in found if "raise" not in name} == CHANGED
    assert len(found) == len(CHANGED) + 2  # the condition, and what is raised
    for mutant in found.values():
        source = mutant.make()
        assert mutant.scope == "f"
        assert ast.dump(ast.parse(source)) != ast.dump(ast.parse(SOURCE))
        assert '"""Doc."""' in source and "text" in source + mutant.before


def test_mutants_of_the_package_are_many_and_the_equivalent_ones_exist():
    everything = {mutant.name for mutant in mutation.everything()}
    assert len(everything) > 600
    assert mutation.EQUIVALENT.keys() <= everything
    assert mutation.sample(150)[:8] != mutation.everything()[:8]


def test_branches_that_are_said_to_meet_at_zero_do():
    """Each such mutant has the values and slopes of the right row, at zero and on both sides of it."""
    z = np.array([-2.0, -1e-300, -0.0, 0.0, 1e-300, 2.0])
    meeting = [m for m in mutation.everything() if mutation.EQUIVALENT.get(m.name) == mutation.AT_ZERO]
    assert len(meeting) > len(mutation.MEETING)
    for mutant in meeting:
        scope: dict = {"__name__": __name__}
        exec(compile(mutant.make(), mutant.path, "exec"), scope)
        name, function = mutant.scope.split(".")
        table = "LOSSES" if "losses" in mutant.path else "ACTIVATIONS"
        other, right = (getattr(rows[name], function) for rows in (scope[table], getattr(equations, table)))
        more = () if function == "f" else (_second(table, name, z),)
        more += tuple(getattr(equations, table)[name].parameters.values())
        np.testing.assert_array_equal(other(z, *more), right(z, *more))


def _second(table: str, name: str, z: np.ndarray) -> np.ndarray:
    """What a slope takes beside z: the value of an activation, the target of a loss."""
    return (z > 0).astype(float) if table == "LOSSES" else equations.ACTIVATIONS[name].f(z)
