"""The benchmark of training steps: its grid, its figures, its report."""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from steps import cells, report, results
from steps.bound import products_of_step
from steps.clock import LEAST_EPOCHS, Clock
from steps.libraries import MACHINE, MODULES, OURS
from steps.pool import Process

CELL = cells.Cell((3, 4, 2), 8)


def told(us, loss=1.0, taken=0.0):
    return {"us": us, "least_us": us / 2, "first_loss": loss, "taken_by_others": taken}


def library(*answers):
    given = iter(answers)
    return SimpleNamespace(absent=None, measure=lambda cell, seconds: next(given))


BOUND = {"products_us": 1.0, "update_us": 1.0, "gflops": 9.0, "products_at_peak_us": 0.5}


@pytest.fixture
def row():
    processes = {
        OURS: library(told(10.0), told(20.0), told(4.0)),
        "quick": library(told(5.0, loss=2.0), told(10.0), told(2.0)),
        "slow": library(told(30.0), told(20.0), told(12.0, taken=0.5)),
        "lacking": library({"unsupported": "no relu", "taken_by_others": 0.0}),
        "gone": SimpleNamespace(absent="No module named 'gone'"),
        MACHINE: library(BOUND, {**BOUND, "products_us": 3.0, "gflops": 3.0}, BOUND),
    }
    return results.measure(CELL, processes, repeats=3, seconds=0.1)


def test_ratios_are_medians_of_the_ratios_of_the_same_round(row):
    assert row["median_us"][OURS] == 10.0
    assert row["ratios"] == {"quick": 0.5, "slow": 3.0}
    assert row["missing"] == {"lacking": "no relu"}


def test_the_bound_is_the_quickest_measured(row):
    assert row["bound"]["us"] == 2.0 and row["bound"]["gflops"] == 9.0
    assert results.reached(row) == 0.2


def test_a_library_that_does_other_work_is_noticed(row):
    assert results.disagreements(row) == {"quick": 2.0}


def test_the_report_names_what_is_slower_absent_lacking_and_disturbed(row, tmp_path):
    study = {
        "machine": {
            "processor": "P", "vector_instructions": "v", "cores": 2, "load_before": 0.0, "system": "S",
            "python": "3", "settings": {},
        },
        "versions": {}, "absent": {"gone": "No module named 'gone'"}, "began": "today",
        "peers": ["quick", "slow", "lacking", "gone"], "repeats": 3, "seconds": 0.1, "rows": [row],
    }  # fmt: skip
    text = report.markdown(study)
    line = next(line for line in text.splitlines() if line.startswith(f"| {CELL.name}"))
    assert line.split(" | ")[1:6] == ["10.0", "5.0 (0.50)", "20.0 (3.00)", "no relu", "absent"]
    assert r"\*" in line and "20% (15%)" in line
    assert (
        f"faster in 0 of 1 cells; ratios from 0.50 to 0.50, geometric mean 0.50. Slower in: {CELL.name}"
        in text
    )
    assert "gone is absent: No module named 'gone'." in text
    pytest.importorskip("matplotlib")
    report.plot(study, tmp_path / "steps.svg")
    assert CELL.name in (tmp_path / "steps.svg").read_text()


def test_cells_have_names_of_their_own_and_whole_batches():
    grid = [*cells.quick(), *cells.full()]
    assert len({cell.name for cell in grid}) == len(set(grid))
    assert all(cell.rows % cell.rows_in_batch == 0 for cell in grid)
    assert all(cells.Cell.from_dict(cell.as_dict()) == cell for cell in grid)


def test_the_products_of_a_step():
    assert products_of_step(CELL) == [
        ("A W", 8, 3, 4), ("A'dZ", 3, 8, 4),
        ("A W", 8, 4, 2), ("A'dZ", 4, 8, 2), ("dZ W'", 8, 2, 4),
    ]  # fmt: skip


def test_a_clock_runs_for_its_least_number_of_epochs():
    clock = Clock(0.0)
    assert [clock.tick(1.0) for _ in range(LEAST_EPOCHS + 1)] == [False] * LEAST_EPOCHS + [True]


def test_a_clock_waits_for_the_loss():
    class Late:
        def __float__(self):
            time.sleep(0.02)
            return 1.0

    clock = Clock(0.0)
    clock.tick(1.0)
    clock.tick(Late())
    assert clock.epochs()[1] >= 0.02


def test_a_process_measures_or_says_that_its_library_is_absent():
    absent, ours = Process("steps.no_such_library", 0.0), Process(MODULES[OURS], 0.0)
    try:
        assert "no_such_library" in absent.absent
        answer = ours.measure(CELL, 0.01)
        assert 0 < answer["least_us"] <= answer["us"] and answer["first_loss"] > 0
    finally:
        absent.close()
        ours.close()
