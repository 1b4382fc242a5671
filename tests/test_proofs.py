"""Proofs: everything is proved, nothing wrong is, and what is right but written otherwise is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from click.testing import CliRunner
from planted import PLANTED, REWRITTEN

import chainrule
from chainrule import full_batch, proofs, reference, second_order
from chainrule.cli import main
from chainrule.equation import exp, maximum, where
from chainrule.equations import ACTIVATIONS, LOSSES, PENALTIES, TABLES, dropout
from chainrule.equations.dropout import uniform
from chainrule.errors import ChainruleError, OptionError
from chainrule.proofs import network, updates
from chainrule.proofs.indices import Array, agree, contract, index, size, total
from chainrule.proofs.measurements import GRID, rounding_error
from chainrule.proofs.page import HEADINGS, bound, page
from chainrule.proofs.prover import rows
from chainrule.proofs.readings import exact, read, reading
from chainrule.proofs.symbolic import Interval, Region, pieces
from chainrule.proofs.zero import CONSTANT, vanishes, vanishes_along

PAGE = Path(__file__).parents[1] / "docs" / "equations.md"
ROWS = {f"{row.name}": row for row in rows()}
z = sp.Symbol("z", real=True)


@pytest.fixture(scope="module")
def everything():
    return proofs.prove_all(measure=False)


@pytest.fixture
def user_rows():
    """Rows that a test registers are forgotten afterwards."""
    before = set(ACTIVATIONS)
    yield
    for name in set(ACTIVATIONS) - before:
        ACTIVATIONS.remove(name)


def faults(row) -> list[str]:
    return [proof.reason for proof in proofs.prove(row, measure=False) if not proof.proved]


# ------------------------------------------------------------------ everything is proved


@pytest.mark.parametrize("name", [*ROWS, *network.PASSES])
def test_all_is_proved(everything, name):
    mine = [proof for proof in everything if proof.subject == name]
    assert mine
    assert [str(proof) for proof in mine if not proof.proved] == []
    assert all(proof.pieces and proof.method for proof in mine)


def test_every_table_is_covered(everything):
    assert {proof.table for proof in everything} == {*TABLES, network.TABLE} == set(HEADINGS)
    assert {proof.subject for proof in everything} == {*ROWS, *network.PASSES}
    assert len(ROWS) == sum(map(len, TABLES.values()))


def test_every_function_of_one_number_is_compared_with_a_definition(everything):
    for row in rows():
        if isinstance(row, (type(ACTIVATIONS["relu"]), type(LOSSES["huber"]), type(PENALTIES["l2"]))):
            statements = [p.statement for p in everything if p.subject == row.name]
            assert len(statements) >= 2, f"{row.name} has no definition in chainrule.proofs.definitions"


def test_what_holds_at_kinks_is_said(everything):
    found = {p.subject: p.pieces for p in everything if p.statement.startswith("slope")}
    assert "z = 0: kink, the slope 0 is the derivative from the left" in found["relu"]
    assert "w = 0: kink, the slope 0 lies between the derivatives -1 and 1" in found["l1"]
    first = next(p for p in everything if p.subject == "huber")
    assert sum("join smoothly" in piece for piece in first.pieces) == 3


@pytest.mark.parametrize("name", ROWS)
def test_rounding_errors_are_within_their_bounds(name):
    errors = rounding_error(ROWS[name])
    assert "float64" in errors
    assert max(errors.values()) <= bound(name), errors


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_slope_that_is_off_by_some_roundings_is_measured(dtype):
    row = ACTIVATIONS["softplus"]
    slope, factor = row.slope, 1 + 10 * float(np.finfo(dtype).eps)
    off = replace(row, slope=lambda z, a: slope(z, a) * factor)
    assert 9 < rounding_error(off)[dtype] < 12


@pytest.mark.parametrize("name", [name for name, row in ACTIVATIONS.items() if not row.coupled])
def test_slopes_far_out_are_those_of_a_line(name):
    """As every built-in activation is one there, or flat, to rounding."""
    row = ACTIVATIONS[name]
    for far in (-1e18, 1e18) if name != "exponential" else (-1e18,):
        at = np.array([far, 2 * far])
        a = row.f(at, *row.parameters.values())
        slope = row.slope(at, a, *row.parameters.values())
        np.testing.assert_allclose(slope, (a[1] - a[0]) / (at[1] - at[0]), atol=1e-17)


def test_gelu_tanh_keeps_its_digits_far_below_zero():
    row, at = ACTIVATIONS["gelu_tanh"], np.array([-10.0])
    exactly = sp.N(z / 2 * (1 + sp.tanh(sp.sqrt(2 / sp.pi) * (z + sp.Rational("0.044715") * z**3))), 120)
    assert row.f(at)[0] == pytest.approx(float(exactly.subs(z, -10).evalf(120)), rel=1e-13)


# ------------------------------------------------------------------ nothing wrong is


def test_enough_is_planted():
    tables = {type(row) for row in PLANTED.values()}
    assert len(PLANTED) >= 30
    assert len(tables) == len(TABLES)


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_mistake_is_found(what):
    assert faults(PLANTED[what])


@pytest.mark.parametrize("what", REWRITTEN)
def test_what_is_written_otherwise_is_proved(what):
    assert faults(REWRITTEN[what]) == []


def forgets_the_weights(network, z, Y, weights, slope):
    return reference_loss(network, z, Y, None, slope)


def forgets_to_rescale(network, theta, run, Y, weights):
    kept, run.kept = run.kept, [None] * len(run.kept)
    reference_backward(network, theta, run, Y, weights)
    run.kept = kept


def forgets_the_slope(row, Z, A, dA):
    return dA


def keeps_too_much(key, index, rate):
    return uniform(key, index) >= rate / 2


def stands_still(run, objective, theta, batch):
    return 0, np.zeros(3, object), np.zeros((3, 3), object)


def goes_straight_down(g, pairs):
    return -g


def twice(function):
    def doubled(*arguments):
        return 2 * function(*arguments)

    return doubled


reference_loss, reference_backward = reference.data_loss, reference.backward


@pytest.mark.parametrize(
    ("module", "name", "mistake", "passes"),
    [
        (reference, "data_loss", forgets_the_weights, "back_propagation"),
        (reference, "deactivate", forgets_the_slope, "back_propagation"),
        (reference, "backward", forgets_to_rescale, "dropout"),
        (dropout, "kept", keeps_too_much, "dropout"),
        (second_order, "two_loops", twice(second_order.two_loops), "lbfgs"),
        (second_order, "two_loops", goes_straight_down, "lbfgs"),
        (second_order, "damped_step", twice(second_order.damped_step), "levenberg_marquardt"),
        (full_batch, "normal_equations", stands_still, "levenberg_marquardt"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_mistake_in_a_pass_is_found(monkeypatch, module, name, mistake, passes):
    monkeypatch.setattr(module, name, mistake)
    assert not all(proof.proved for proof in proofs.prove(passes, measure=False))


def test_a_penalty_that_is_not_added_is_found(monkeypatch):
    def forgets(objective, theta, scale, gradient):
        return penalise(objective, theta, scale, None)

    penalise = reference.penalise
    monkeypatch.setattr(reference, "penalise", forgets)
    assert not all(proof.proved for proof in proofs.prove("back_propagation"))


def test_two_loops_agrees_with_its_proof_on_numbers(rng):
    """The proof is for two parameters; here are more."""
    s, y = rng.normal(size=(2, 3, 7))
    y += 2 * s
    pairs = deque((a, b, 1 / (a @ b)) for a, b in zip(s, y, strict=True))
    H = np.eye(7) * (s[-1] @ y[-1]) / (y[-1] @ y[-1])
    for a, b in zip(s, y, strict=True):
        left = np.eye(7) - np.outer(a, b) / (a @ b)
        H = left @ H @ left.T + np.outer(a, a) / (a @ b)
    g = rng.normal(size=7)
    np.testing.assert_allclose(second_order.two_loops(g, pairs), -H @ g, rtol=1e-12)


def test_a_new_optimiser_needs_a_published_recurrence():
    row = replace(ROWS["momentum"], name="mine")
    assert faults(row) == ["chainrule.proofs.updates has no published recurrence to compare it with"]
    assert set(updates.PUBLISHED) | set(updates.FULL_BATCH) == set(TABLES["optimiser"])


# ------------------------------------------------------------------ rows of users


def bump(z):
    return exp(-z * z / 2)


@pytest.mark.usefixtures("user_rows")
class TestRegistered:
    def test_right_ones_are_proved(self):
        rate = 1.702
        chainrule.register_activation("cube", lambda z: z * z * z / 3, lambda z, a: z * z)
        chainrule.register_activation("bump", bump, lambda z, a: -z * a)
        chainrule.register_activation("bent", lambda z: np.sqrt(z**2 + 1) - 1, lambda z, a: z / (a + 1))
        chainrule.register_activation("wave", lambda z: z + np.sin(z) ** 2, lambda z, a: 1 + np.sin(2 * z))
        chainrule.register_activation(
            "quick_gelu",
            lambda z: z / (1 + np.exp(-rate * z)),
            lambda z, a: (1 + rate * (z - a)) / (1 + np.exp(-rate * z)),
        )
        chainrule.register_activation(
            "hard_tanh", lambda z: np.clip(z, -1, 1), lambda z, a: np.where(abs(z) < 1, 1, 0), kinks=(-1, 1)
        )
        chainrule.register_activation(
            "threshold",
            lambda z, at: np.where(z > at, z - at, 0.0),
            lambda z, a, at: np.where(z > at, 1.0, 0.0),
            parameters={"at": 0.5},
            kinks=(0.5,),
        )
        for name in ("cube", "bump", "bent", "wave", "quick_gelu", "hard_tanh"):
            (proof,) = chainrule.prove(name)
            assert proof.proved, proof
            assert max(proof.error.values()) < 10

    @pytest.mark.parametrize(
        ("f", "slope", "reason"),
        [
            (lambda z: z * z, lambda z, a: 3 * z, "for all z the difference -z is not 0"),
            (lambda z: maximum(z, 1), lambda z, a: where(z > 1, 1, 0), "a kink that the row does not list"),
            (lambda z: np.where(z > 0, 1, -1), lambda z, a: 0 * z, "where the value jumps"),
            (lambda z: np.heaviside(z, 0), lambda z, a: 0 * z, "heaviside has no symbolic meaning"),
            (lambda z: z if z > 0 else 0, lambda z, a: 1, "cannot determine truth value"),
            (lambda z: np.sqrt(z * z), lambda z, a: a / z, "the result at 0, 0 is nan"),
            (lambda z: np.sqrt(z * z), lambda z, a: np.sign(z), "a kink that the row does not list"),
            (lambda z: 1 / z, lambda z, a: -1 / (z * z), "the result at 0 is zoo"),
            (lambda z: np.log(z), lambda z, a: 1 / z, "log(z) is not a real number"),
            (lambda z: (z * z) ** 0.25, lambda z, a: a / (2 * z), "the result at 0, 0 is nan"),
            (lambda z: z**0.5, lambda z, a: 1 / (2 * a), "sqrt(z) is not a real number"),
            (lambda z: np.tan(z), lambda z, a: 1 + a * a, "tan(z) is not known to be smooth"),
            (lambda z: z % 1, lambda z, a: 1, "Mod(z, 1) is not known to be smooth"),
            (lambda z: where(np.exp(1 / z) > 1, z, 0), lambda z, a: 1, "Invalid NaN comparison"),
            (lambda z: bump(z, 2), lambda z, a: a, "takes 1 positional argument"),
            (lambda z: np.floor(z), lambda z, a: 0, "the integer part of z is not known"),
            (lambda z: np.where(z, z, 0), lambda z, a: 1, "z is not a condition"),
            (lambda z: np.abs(np.sin(z)), lambda z, a: a, "the sign of sin"),
        ],
    )
    def test_others_get_a_reason(self, f, slope, reason):
        row = chainrule.register_activation("mine", f, slope)
        (proof,) = chainrule.prove(row)
        assert reason in proof.reason
        assert proof.error is None
        assert "NOT PROVED" in str(proof)


def test_names_are_those_of_rows():
    with pytest.raises(OptionError, match="Did you mean 'mish'"):
        chainrule.prove("mihs")
    with pytest.raises(OptionError, match="no parameter 'beta'"):
        chainrule.prove("elu(beta=2)")
    assert chainrule.prove("swish") == chainrule.prove("silu")
    assert chainrule.prove("leaky_relu(alpha=0.25)", measure=False)[0].proved
    assert {proof.subject for proof in chainrule.prove("l_bfgs", measure=False)} == {"lbfgs"}


# ------------------------------------------------------------------ the parts


def test_numbers_are_read_as_what_they_stand_for():
    assert exact(0.5**0.5) == sp.sqrt(2) / 2
    assert exact(1 / (2 * np.pi) ** 0.5) == 1 / sp.sqrt(2 * sp.pi)
    assert exact(-np.pi) == -sp.pi
    assert exact(1 / 3) == sp.Rational(1, 3)
    assert exact(0.044715) == sp.Rational(44715, 10**6)
    assert exact(-0.0) == 0
    assert exact(float("-inf")) == -sp.oo
    assert exact(float("nan")) is sp.nan
    for value in (0.1, 2 / 3, 0.69314718055994530942, 1e-300, 1.0507009873554805, 123456.789):
        assert float(exact(value)) == value
        assert exact(float(np.nextafter(value, 2 * value))) != exact(value)


def test_a_function_is_read_with_everything_in_it():
    halves = 0.5

    def outer_function(x):
        parts = [halves * x for _ in range(2)]
        return sum(parts) + helper(x) + (0.25, 1.5)[1]

    meaning = reading(lambda value: None, lambda number: sp.Rational(number))
    assert read(outer_function, meaning)(z) == z + z**2 / 4 + sp.Rational(3, 2)


def helper(x):
    return 0.25 * x**2


def test_zero_is_told_from_nearly_zero():
    assert vanishes(sp.sin(z) ** 2 + sp.cos(z) ** 2 - 1)
    assert vanishes(sp.tanh(z) - 1 + 2 / (sp.exp(2 * z) + 1))
    assert vanishes(sp.exp(z / 3) ** 3 * sp.exp(-z) - 1)
    assert vanishes(sp.exp(z) - 1 - z) is None
    assert vanishes(sp.Rational(1, 10**300)) is None
    assert vanishes(sp.Sum(z, (z, 0, 3)) - sp.Sum(z**2, (z, 0, 3))) is None
    assert vanishes_along(sp.log(1 + sp.exp(z)) - z - sp.log(1 + sp.exp(-z)), z, 0)
    assert vanishes_along(sp.atan(z) + sp.atan(1 / z) - sp.pi / 2, z, 1) == CONSTANT
    assert vanishes_along(sp.log(1 + sp.exp(z)) - sp.log(2 + 2 * sp.exp(z)), z, 0) is None


def test_sums_over_deltas_need_an_index_in_range():
    n = size("n")
    x, i = Array.named("x", n), index("i", n)
    picked = total(lambda k: sp.diff(x.entry(k), x.entry(i)) * x.entry(k), n)
    assert contract(picked) == x.entry(i)
    elsewhere = index("i", size("m"))
    with pytest.raises(ChainruleError, match="not known to lie between"):
        contract(picked.subs(i, elsewhere))
    assert agree(picked, 2 * x.entry(i)) is None


def test_pieces_are_cut_where_the_cases_meet():
    y = sp.Symbol("y", real=True)

    def run(region, x):
        return region.sign((x - 1) * (x + 2)), region.sign(sp.exp(x) - 2)

    found = pieces(run, Region(z))
    ends = [interval.high for interval, _ in found]
    assert ends == [-2, sp.log(2), 1, sp.oo]
    assert [result for _, result in found] == [(1, -1), (-1, -1), (-1, 1), (1, 1)]
    with pytest.raises(ChainruleError, match="sign of y is not known"):
        Region(z).sign(y)
    assert Region(z, {y: Interval(sp.Integer(3))}).sign(y - 3) == 1


# ------------------------------------------------------------------ page and command


def test_the_page_is_up_to_date(everything):
    assert PAGE.read_text(encoding="utf-8") == page(everything), (
        "docs/equations.md is out of date: run  python -m chainrule.proofs --write docs/equations.md"
    )


def test_the_page_shows_what_is_not_proved(everything):
    failed = proofs.prove(PLANTED["softsign: square missing"], measure=False)
    text = page([p for p in everything if p.subject != "softsign"] + list(failed))
    assert f"{len(everything) - 1} of {len(everything)} statements" in text
    (line,) = (line for line in text.splitlines() if line.startswith("| `softsign`"))
    assert "| **no** |" in line
    assert "**not proved**, for z < 0 the difference" in text


def test_tables_of_the_page_are_rectangular():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert len(lines) == len(list(rows())) + 2 * len(TABLES)
    assert {line.replace(r"\|", "").count("|") for line in lines} == {6, 7}


def test_the_command_shows_proofs():
    result = CliRunner().invoke(main, ["prove", "relu", "dense"])
    assert result.exit_code == 0
    assert "slope(z, a) = d f(z) / dz" in result.stdout
    assert "7 of 7 statements are proved" in result.stdout
    facts = json.loads(CliRunner().invoke(main, ["prove", "adam", "--json"]).stdout)
    assert [fact["status"] for fact in facts] == ["proved", "proved"]
    assert facts[0]["pieces"] == ["w", "m", "v"]
    assert set(facts[0]["error"]) == {"float64", "float32"}


@pytest.mark.usefixtures("user_rows")
def test_the_command_fails_if_something_is_not_proved():
    chainrule.register_activation("mine", lambda z: z * z, lambda z, a: z)
    result = CliRunner().invoke(main, ["prove", "mine"])
    assert result.exit_code == 1
    assert "NO: for all z the difference" in result.stdout
    assert CliRunner().invoke(main, ["prove", "nothing"]).exit_code == 2


def test_without_sympy_there_is_a_sentence():
    code = "import sys; sys.modules['sympy'] = None; import chainrule.cli; chainrule.cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "prove", "relu"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Proofs need SymPy: install it with")


def test_the_module_writes_the_page(tmp_path, monkeypatch, everything, capsys):
    from chainrule.proofs import __main__ as module

    monkeypatch.setattr(module, "prove_all", lambda measure: everything)
    monkeypatch.setattr(sys, "argv", ["proofs", "--write", str(tmp_path / "page.md")])
    module.main()
    monkeypatch.setattr(sys, "argv", ["proofs"])
    module.main()
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page(everything) == capsys.readouterr().out


def test_points_are_exact_in_both_dtypes():
    assert all(float(np.float32(point)) == point for point in GRID)
