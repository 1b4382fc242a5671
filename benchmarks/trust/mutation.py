"""How many small changes to equations, model files and checkpoints the tests notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from queue import Queue

from benchmarks.trust import ROOT
from benchmarks.trust.figure import Figure, Measured
from benchmarks.trust.mutator import Mutant, mutants

PACKAGE = ROOT / "src" / "chainrule"
COUNT = {False: 8, True: 150}
AT_ONCE = 2
LEAST_KILLED = 0.95
PATIENCE = 300  # seconds for a run of tests; a mutant that takes longer has been noticed, too

INTERPRETED = {"NUMBA_DISABLE_JIT": "1"}
PYTEST = ("pytest", "-x", "-q", "-p", "no:cacheprovider")
UNCOMPILED = ("-m", "not compiled and not slow")
PROVE = ("chainrule", "prove", "{scope}")
NO_SUCH_ROW = 2  # how `chainrule prove` ends where the change is in no row: then that says nothing
Run = tuple[tuple[str, ...], dict[str, str]]
RESUMED = "again_and_again or disk or covers_up or command"
CHECKPOINTS: tuple[Run, ...] = (
    (
        (*PYTEST, "tests/test_checkpoints.py", "-k", f"not ({RESUMED} or killed or damage_is_said)"),
        {},
    ),
    ((*PYTEST, "tests/test_checkpoints.py", "-k", RESUMED), {}),
)
# For the modules whose path begins so: what notices most, first; the rest only if that passes.
TESTS: dict[str, tuple[Run, ...]] = {
    "equations/": (
        (PROVE, INTERPRETED),
        (
            (*PYTEST, "tests/test_rows.py", "tests/test_core.py", "tests/test_gradients.py", *UNCOMPILED),
            INTERPRETED,
        ),
        ((*PYTEST, "tests/test_proofs.py", *UNCOMPILED), INTERPRETED),
    ),
    "store/": (
        ((*PYTEST, "tests/test_store.py", "tests/test_store_disk.py"), {}),
        ((*PYTEST, "tests/test_store_damage.py", "-k", "hostile or corpus or not_a_file or empty"), {}),
        ((*PYTEST, "tests/test_store_damage.py", "-k", "depth or fuzzed or truncation or time"), {}),
    ),
    "estimator_file.py": (
        ((*PYTEST, "tests/test_estimator_file.py"), {}),
        ((*PYTEST, "tests/test_estimators.py", "-k", "saved or pickled or options_of"), {}),
        ((*PYTEST, "tests/test_table_model.py", "-k", "file or sense or fit_are or not_there"), {}),
        ((*PYTEST, "tests/test_store_damage.py", "-k", "real_models"), {}),
    ),
    "checkpoint.py": CHECKPOINTS,
    "keeper.py": CHECKPOINTS,
    "estimator_training.py": CHECKPOINTS,
}

# Changes that no test can notice, by what is changed, and why.
AT_ZERO = "at z = 0 both branches have the same value"
MEETING = (
    "activations.py, sigmoid.f: z >= 0 -> z > 0",
    "activations.py, leaky_relu.f: z > 0 -> z >= 0",
    "activations.py, elu.f: z > 0 -> z >= 0",
    "activations.py, selu.f: z > 0 -> z >= 0",
    "activations.py, gelu_tanh.f: u >= 0 -> u > 0",
    "activations.py, gelu_tanh.slope: u >= 0 -> u > 0",
    "activations.py, silu.f: z >= 0 -> z > 0",
    "activations.py, silu.slope: z >= 0 -> z > 0",
    "activations.py, mish.f: z >= 0 -> z > 0",
    "activations.py, mish.slope: z >= 0 -> z > 0",
    "activations.py, softplus.slope: z >= 0 -> z > 0",
    "losses.py, binary_cross_entropy.slope: z >= 0 -> z > 0",
)
EQUIVALENT: dict[str, str] = {
    **{f"equations/{name}": AT_ZERO for name in MEETING},
    "equations/initialisers.py, orthogonal.draw: np.diag(R) < 0 -> np.diag(R) <= 0": (
        "no entry of the diagonal is 0, but with probability 0"
    ),
    "equations/losses.py, poisson.value: 1 -> 2": "where y is 0, so is the product with the logarithm",
    "store/layout.py, array_at: 0 -> 1": "the least maximum may be 1, since only what is above 1 is refused",
}


def everything() -> list[Mutant]:
    """All mutants of the modules under test."""
    paths = [path for start in TESTS for path in _modules(start)]
    return [mutant for path in paths for mutant in mutants(PACKAGE, path)]


def _modules(start: str) -> list[Path]:
    return sorted((PACKAGE / start).glob("*.py")) if start.endswith("/") else [PACKAGE / start]


def sample(count: int) -> list[Mutant]:
    """So many of them, in the order of a digest of their names.

    That is a draw at random, which a change elsewhere in the package leaves as it is.
    """
    return sorted(everything(), key=lambda mutant: sha256(mutant.name.encode()).digest())[:count]


def killed(mutant: Mutant, copy: Path) -> bool:
    """Whether a test fails with the mutant in a copy of the package."""
    module = copy / "chainrule" / mutant.path
    right = module.read_bytes()
    runs = next(runs for start, runs in TESTS.items() if mutant.path.startswith(start))
    module.write_text(mutant.make(), encoding="utf-8")
    try:
        return any(not _passes(run, copy, mutant.scope.partition(".")[0] or "-") for run in runs)
    finally:
        module.write_bytes(right)


def _passes(run: Run, copy: Path, scope: str) -> bool:
    arguments, settings = run
    command = [sys.executable, "-m", *(argument.format(scope=scope) for argument in arguments)]
    # Small matrices only, and the threads of two processes would stand in each other's way.
    environment = {**os.environ, **settings, "OPENBLAS_NUM_THREADS": "1"}
    environment |= {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, check=False, cwd=ROOT, env=environment, capture_output=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 or (arguments == PROVE and done.returncode == NO_SUCH_ROW)


def study(chosen: list[Mutant]) -> list[Mutant]:
    """The mutants that survive, each tried in a copy of the package of its own."""
    with tempfile.TemporaryDirectory() as folder:
        free: Queue[Path] = Queue()
        for number in range(AT_ONCE):
            copy = Path(folder) / str(number)
            shutil.copytree(PACKAGE, copy / "chainrule")
            free.put(copy)

        def survives(mutant: Mutant) -> bool:
            copy = free.get()
            try:
                return not killed(mutant, copy)
            finally:
                free.put(copy)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [m for m, alive in zip(chosen, pool.map(survives, chosen), strict=True) if alive]


def strength(long: bool) -> Measured:
    chosen = sample(COUNT[long])
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PACKAGE, Path(folder) / "chainrule")
        # Tests that fail anyhow would count every mutant as noticed.
        broken = [
            run[0][0]
            for runs in TESTS.values()
            for run in runs
            if long and not _passes(run, Path(folder), "-")
        ]
    survivors = study(chosen)
    unlisted = [mutant for mutant in survivors if mutant.name not in EQUIVALENT]
    raw = (len(chosen) - len(survivors)) / len(chosen)
    parts = Counter(mutant.path.partition("/")[0] for mutant in chosen)
    text = (
        f"{len(chosen) - len(survivors)} of {len(chosen)} noticed ({raw:.1%}), "
        f"{len(survivors) - len(unlisted)} of the others listed as equivalent; drawn from "
        f"{', '.join(f'{part} {count}' for part, count in sorted(parts.items()))}"
    )
    remarks = [f"survived: {m.name} (line {m.line})" for m in unlisted]
    remarks += [f"fails without a mutant: {name}" for name in broken]
    return Measured(text, raw >= LEAST_KILLED and not unlisted and not broken, "; ".join(remarks))


FIGURES = (
    Figure(
        25,
        "mutants of equations, model files and checkpoints noticed",
        "≥ 95 % raw, 100 % after equivalents",
        strength,
    ),
)
