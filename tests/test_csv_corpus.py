"""Each file of the corpus gives the right table, or an error with its place and a remedy."""

from __future__ import annotations

import polars as pl
import pytest
from csv_corpus import FILES, FORMULAS, HARMLESS, File, export_flaws, flaw, written


def test_there_are_enough_files():
    assert len(FILES) >= 120
    assert len({file.raw for file in FILES.values()}) >= 120


@pytest.mark.parametrize("name", FILES)
def test_it_is_read_right_or_refused(name, tmp_path):
    assert flaw(FILES[name], tmp_path) == ""


def test_the_judge_can_say_no(tmp_path):
    """A wrong table, a type that differs, a table where a refusal belongs, and another refusal are seen."""
    assert "and not as" in flaw(File(b"a,b\n1,2\n", {"a": [1], "b": [3]}), tmp_path)
    assert "and not as" in flaw(File(b"a,b\n1,2\n", {"a": [1], "b": [2.0]}), tmp_path)
    assert "was read as" in flaw(File(b"a,b\n1,2\n", None, ("line 1",)), tmp_path)
    assert "lacks" in flaw(File(b"a,b\n1\n", None, ("no such word",)), tmp_path)
    assert "lacks" in flaw(File(b"a,b\n1\n", {"a": [1]}), tmp_path)


def test_exports_are_safe_and_numbers_unchanged(tmp_path):
    assert export_flaws(tmp_path) == []


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
def test_formula_cells_are_neutralised(kind):
    cells = pl.Series("a", FORMULAS + HARMLESS, dtype=kind)
    rows = written(pl.DataFrame([cells]))[1:]
    assert [row[0] for row in rows] == [f"'{cell}" for cell in FORMULAS] + HARMLESS


def test_formulas_in_names_are_neutralised():
    assert written(pl.DataFrame({"=a": [1], "-1": [2], "b": [3]}))[0] == ["'=a", "-1", "b"]
