"""The shape of the package: imports go one way, files stay small, starting is quick."""

import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "chainrule"
SOURCE = Path(__file__).parents[1] / "src" / PACKAGE

# From the bottom up: a layer imports layers on earlier lines only. A folder is one layer.
ORDER = (
    {"errors"},
    {"equation"},
    {"equations"},
    {"html_table"},
    {"spec"},
    {"parameters"},
    {"problem"},
    {"reference", "elementary", "native", "first_use"},
    {"vocabulary"},
    {"units", "kernels", "data_start"},
    {"tiles"},
    {"products"},
    {"plan", "team"},
    {"workspace", "sparse_rows"},
    {"templates", "entry_templates", "passes"},
    {"loops"},
    {"planning"},
    {"compiled"},
    {"second_order"},
    {"state"},
    {"full_batch"},
    {"train"},
    {"stored"},
    {"check"},
    {"trace_parts"},
    {"trace_equation"},
    {"trace_numbers"},
    {"trace_markup", "trace_step"},
    {"trace"},
    {"trace_terminal", "trace_terms"},
    {"trace_layers"},
    {"trace_update", "trace_layer_matrices"},
    {"trace_units", "trace_matrices"},
    {"proofs"},
    {"snapshot"},
    {"evidence"},
    {"symptom"},
    {"symptoms"},
    {"diagnose"},
    {"watch"},
    {"store"},
    {"checkpoint"},
    {"keeper"},
    {"predictor"},
    {"estimator_docs", "estimator_random"},
    {"refusals"},
    {"row_weights"},
    {"estimator_training", "estimator_data", "estimator_outcome"},
    {"estimator_metrics"},
    {"estimator_options", "estimator_diagnosis"},
    {"estimator_base"},
    {"estimator_stored"},
    {"estimator_file"},
    {"classifier", "regressor"},
    {"estimators"},
    {"cells"},
    {"csv_layout"},
    {"delimited"},
    {"cell_kinds"},
    {"frames"},
    {"pieces"},
    {"column_values"},
    {"column_kinds"},
    {"column_dates"},
    {"columns"},
    {"column_learners"},
    {"targets", "splits", "scores"},
    {"table_report"},
    {"table_model"},
    {"robust_scaling"},
    {"tabular_columns"},
    {"tabular_encoder"},
    {"tabular_input", "tabular_metrics", "tabular_recipe", "temperature", "conformal", "tabular_time"},
    {"tabular_member"},
    {"tabular_ensemble"},
    {"tabular_importances", "tabular_options"},
    {"tabular_base"},
    {"tabular_file"},
    {"tabular_classifier", "tabular_regressor"},
    {"tabular_explanation"},
    {"table_reference", "permutation", "table_page_style"},
    {"tuning_space"},
    {"tuning_study"},
    {"tuning"},
    {"memory", "running_scores"},
    {"large_table"},
    {"models", "predictions", "demo", "plot", "explanation"},
    {"table_page"},
    {"studio"},
    {"__init__"},
    {"cli_text", "progress"},
    {"cli_parts"},
    {"cli_memory"},
    {"cli_prove", "cli_explain", "cli_studio", "cli_tune"},
    {"cli"},
    {"__main__"},
)
RANK = {layer: rank for rank, layers in enumerate(ORDER) for layer in layers}

RUNS = (  # never meet
    {"reference"},
    {
        "elementary", "kernels", "tiles", "products", "templates", "entry_templates", "sparse_rows", "passes",
        "loops", "compiled",
    },
)  # fmt: skip
MAY_IMPORT_NUMBA = {
    "elementary", "first_use", "native", "vocabulary", "kernels", "tiles", "products", "planning",
}  # fmt: skip
NOT_UP_TO_TRAINING = {"sklearn", "polars", "narwhals", "pandas"}
HEAVY = {
    "numba",
    "llvmlite",
    "sklearn",
    "scipy",
    "polars",
    "narwhals",
    "pandas",
    "sympy",
    "mpmath",
    "matplotlib",
    "optuna",
}

LINES_PER_FILE = 400
LINES_PER_FUNCTION = 60  # without the docstring

SECONDS_TO_IMPORT = 0.3
SECONDS_TO_HELP = 0.5
ATTEMPTS = 5
HELP = "import sys; from chainrule.cli import main; sys.argv = ['chainrule', '--help']; main()"


@dataclass(frozen=True)
class Module:
    name: str  # dotted, the package itself left out: "equations.losses"
    path: Path
    tree: ast.Module

    @property
    def layer(self) -> str:
        return self.name.partition(".")[0]


@cache
def modules() -> dict[str, Module]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if len(parts) > 1 and parts[-1] == "__init__":
            parts = parts[:-1]
        name = ".".join(parts)
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return found


def imported(module: Module) -> Iterator[str]:
    """Absolute dotted names of all that a module imports, at its top, in a function or by name."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(names=names):
                origin = absolute(module, node)
                yield from (f"{origin}.{alias.name}" for alias in names)
            case ast.Call(
                func=ast.Name(id=function) | ast.Attribute(attr=function),
                args=[ast.Constant(value=str(name)), *_],
            ) if function in {"import_module", "__import__"}:
                yield PACKAGE + name if name.startswith(".") else name


def absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    here = (PACKAGE, *module.path.relative_to(SOURCE).parts)
    return ".".join([*here[: len(here) - node.level], *filter(None, [node.module])])


def imported_modules(module: Module) -> set[str]:
    """The package's own modules that a module imports."""
    names = {name.removeprefix(f"{PACKAGE}.") for name in imported(module) if owned(name)}
    return {nearest(name) for name in names} - {module.name}


def owned(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE


def nearest(name: str) -> str:
    """The module that holds a dotted name: "spec.Network" is in "spec"."""
    while name and name not in modules():
        name = name.rpartition(".")[0]
    return name or "__init__"


def test_every_module_has_a_place_in_the_order() -> None:
    unplaced = {module.layer for module in modules().values()} - RANK.keys()
    assert not unplaced, (
        f"{sorted(unplaced)} in src/{PACKAGE} have no place in ORDER, in {Path(__file__).name}: "
        "add each one on its own line, above everything it imports"
    )


def test_imports_go_one_way() -> None:
    against_the_grain = [
        f"{module.name} imports {other}"
        for module in modules().values()
        for other in sorted(imported_modules(module))
        if not allowed(module.layer, other.partition(".")[0])
    ]
    assert not against_the_grain, "\n".join(against_the_grain)


def allowed(importer: str, layer: str) -> bool:
    """Inside a layer only a circle is wrong, and a layer without a place fails a test above."""
    if importer == layer or not {importer, layer} <= RANK.keys():
        return True
    meet = any(importer in run and layer in other for run in RUNS for other in RUNS if run != other)
    return RANK[layer] < RANK[importer] and not meet


def test_no_module_imports_in_a_circle() -> None:
    graph = {name: imported_modules(module) for name, module in modules().items()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"these import each other: {' <- '.join(error.args[1])}")


def test_only_the_compiled_run_imports_numba() -> None:
    importers = {
        module.name
        for module in modules().values()
        if module.layer not in MAY_IMPORT_NUMBA
        and {"numba", "llvmlite"} & {name.partition(".")[0] for name in imported(module)}
    }
    assert importers == set()


def test_training_knows_no_frames_and_no_scikit_learn() -> None:
    importers = {
        f"{module.name} imports {name}"
        for module in modules().values()
        if RANK.get(module.layer, len(ORDER)) <= RANK["train"]
        for name in imported(module)
        if name.partition(".")[0] in NOT_UP_TO_TRAINING
    }
    assert importers == set()


def test_files_are_small() -> None:
    lengths = {
        module.name: len(module.path.read_text(encoding="utf-8").splitlines())
        for module in modules().values()
    }
    assert {name: n for name, n in lengths.items() if n > LINES_PER_FILE} == {}


def test_functions_are_small() -> None:
    lengths = {
        f"{module.name}:{node.lineno} {node.name}": length(node)
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not only_stores(node)
    }
    assert {name: n for name, n in lengths.items() if n > LINES_PER_FUNCTION} == {}


def only_stores(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it is a constructor as scikit-learn asks for: `self.x = x` for each parameter."""
    return node.name == "__init__" and all(
        isinstance(line, ast.Assign) and isinstance(line.value, ast.Name) for line in node.body
    )


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = lines_of(function)
    if ast.get_docstring(function) is not None:
        lines -= lines_of(function.body[0])
    return lines


def lines_of(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


needs_cli = pytest.mark.skipif(nearest("cli") != "cli", reason="there is no command line yet")


@pytest.mark.parametrize(
    "code", [f"import {PACKAGE}", pytest.param(HELP, marks=needs_cli)], ids=["import", "help"]
)
def test_starting_loads_nothing_heavy(code: str) -> None:
    """At exit, for `--help` leaves by SystemExit."""
    report = "print(json.dumps([*sys.modules]), file=sys.stderr)"
    output = run(f"import atexit, json, sys; atexit.register(lambda: {report}); {code}").stderr
    assert {name.partition(".")[0] for name in json.loads(output)} & HEAVY == set()


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        (f"import {PACKAGE}", SECONDS_TO_IMPORT),
        pytest.param(HELP, SECONDS_TO_HELP, marks=needs_cli),
    ],
    ids=["import", "help"],
)
def test_starting_is_quick(code: str, limit: float) -> None:
    """The best of some attempts, each timed from the interpreter's start to its end."""
    fastest = float("inf")
    for _ in range(ATTEMPTS):
        start = time.perf_counter()
        run(code)
        fastest = min(fastest, time.perf_counter() - start)
        if fastest < limit:
            break
    assert fastest < limit


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
