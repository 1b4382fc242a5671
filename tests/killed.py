"""Processes that are killed while they save or train, and what is left of their work.

One process imports and compiles all that is needed, and forks a child for each life that is to end: so a
kill costs milliseconds. `python tests/killed.py` is that process; `Nursery` is its other end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import checkpoint, store, train
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.store import disk

SHORT = 1e-9  # seconds of training from one rest to the next: after the first epoch, a rest after each step
SOURCE = str(Path(store.__file__).parents[2])

# ------------------------------------------------------------------ fits

SOLVERS = ("adam", "adamw", "sgd", "momentum", "rmsprop", "gradient_descent")
SCHEDULES = ("invscaling", "adaptive", "step", "cosine", "one_cycle", "warm_restarts")
SMALL = {"hidden_layer_sizes": (8,), "batch_size": 30, "max_iter": 9, "random_state": 3}
PLATEAU = {"tol": 0.02, "n_iter_no_change": 4}
STOPPING = {"early_stopping": True, "n_iter_no_change": 3, "learning_rate_init": 0.05}

FITS: dict[str, tuple[type, dict[str, Any]]] = {
    **{solver: (MLPClassifier, {"solver": solver}) for solver in SOLVERS},
    **{name: (MLPClassifier, {"solver": "sgd", "learning_rate": name, **PLATEAU}) for name in SCHEDULES},
    "lbfgs": (MLPClassifier, {"solver": "lbfgs", "max_iter": 40}),
    "lbfgs float32": (MLPRegressor, {"solver": "lbfgs", "max_iter": 40}),
    "levenberg_marquardt": (MLPRegressor, {"solver": "levenberg_marquardt", "max_iter": 40}),
    "levenberg_marquardt float32": (MLPRegressor, {"solver": "levenberg_marquardt", "max_iter": 40}),
    "early stopping": (MLPClassifier, {**STOPPING, "max_iter": 40}),
    "stopping by the loss": (MLPClassifier, {**STOPPING, "metric": "loss", "track": ["loss", "accuracy"]}),
    "dropout": (MLPClassifier, {"dropout": 0.3}),
    "float32": (MLPRegressor, {"loss": "huber(delta=1.0)"}),
    "weights of classes": (MLPClassifier, {"class_weight": "balanced", "l1": 0.001}),
    "in order": (MLPClassifier, {"shuffle": False, "solver": "sgd", "learning_rate": "cosine"}),
    "interpreted": (MLPClassifier, {"engine": "interpreted"}),
}


def data_of(name: str) -> tuple[Any, Any]:
    """The rows and targets of a fit."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4)).astype(np.float32 if "float32" in name else np.float64)
    score = np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
    return X, np.digitize(score, [-0.5, 0.7]) if FITS[name][0] is MLPClassifier else score


def fitted(name: str, path: Path | None = None) -> Any:
    """A fit, done or gone on with, with as many checkpoints as there can be."""
    cls, options = FITS[name]
    model = cls(**{**SMALL, **options, "checkpoint": path, "checkpoint_every": 0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*data_of(name))


def digest_of(model: Any) -> str:
    """Of all that a model file would hold: weights, memory, history, random numbers, notes."""
    metadata, arrays = model.to_contents()
    facts = repr(sorted(metadata.items())), [(n, a.shape, a.tobytes()) for n, a in sorted(arrays.items())]
    return sha256(repr(facts).encode()).hexdigest()


# ------------------------------------------------------------------ what a child does


class Deadly:
    """The module os, at whose k-th call the process is killed; of a write, half is done before."""

    CALLS = ("open", "chmod", "write", "fsync", "link", "replace", "unlink", "close")

    def __init__(self, number: int) -> None:
        self.left = number

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.CALLS:
            return real

        def call(*args: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                if name == "write":
                    os.write(args[0], args[1][: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args)

        return call


def save_for_ever(folder: str, first: int) -> None:
    """Save one model after another, and note each that is saved."""
    log = os.open(f"{folder}/saved", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    number = first
    while True:
        store.write(f"{folder}/model", "K", {"number": number}, {"w": np.full(2000, float(number))})
        os.write(log, f"{number}\n".encode())
        number += 1


def fit_and_save(folder: str, name: str) -> None:
    """Fit with a checkpoint; the digest of the model is the last thing that is written."""
    digest = digest_of(fitted(name, Path(folder) / "checkpoint"))
    (Path(folder) / "digest").write_text(digest)


TASKS = {"save": save_for_ever, "fit": fit_and_save}


def serve() -> None:
    """Fork a child for each line of the input, and tell how long it lived and how it ended."""
    warnings.simplefilter("ignore")
    train.SLICE_SECONDS = SHORT
    for line in sys.stdin:
        task, args, call, seconds = json.loads(line)
        if task == "reference":  # it compiles what the children need
            tell(digest_of(fitted(*args)))
            continue
        began = time.perf_counter()
        child = os.fork()
        if not child:
            if call:
                disk.os = Deadly(call)
            TASKS[task](*args)
            os._exit(0)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        tell([status, time.perf_counter() - began])


def tell(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


# ------------------------------------------------------------------ the other end


class Nursery:
    """A process that brings up children to be killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, task: str, *args: Any, call: int | None = None, seconds: float | None = None) -> Any:
        """Have a task done by a child, which is killed at a call of the system or after some seconds.

        Returns its exit status, -9 if it was killed, and how long it lived.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([task, args, call, seconds]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def nursery() -> Iterator[Nursery]:
    """The process, for as long as the block lasts."""
    command = [sys.executable, "-W", "ignore", __file__]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": SOURCE}, **pipes) as process:
        yield Nursery(process)


def kills(count: int, folder: Path, seed: int = 0) -> list[str]:
    """Kill saves at random, half of them within a save; returns what went wrong.

    After each kill the model must load, and be the last one whose save had returned, or the next.
    """
    rng, wrong, last = random.Random(seed), [], -1
    with nursery() as home:
        for number in range(count):
            aim = {"call": rng.randrange(1, 30)} if number % 2 else {"seconds": rng.uniform(0, 0.03)}
            status, _ = home.ask("save", str(folder), last + 1, **aim)
            log = folder / "saved"
            saved = int(log.read_text().split()[-1]) if log.exists() and log.read_text() else -1
            try:
                found = store.read(folder / "model").metadata["number"]
            except FileNotFoundError:
                found = -1
            least = max(saved, last)
            if status != -signal.SIGKILL or found not in (least, least + 1):
                wrong.append(f"{aim}: status {status}, saved {saved}, found {found}")
            last = found
    store.write(folder / "model", "K", {"number": last + 1}, {})
    if sorted(os.listdir(folder)) != ["model", "saved"]:
        wrong.append(f"left over: {sorted(os.listdir(folder))}")
    return wrong


def resumes(count: int, folder: Path, seed: int = 0, names: Any = tuple(FITS)) -> tuple[int, list[str]]:
    """Kill fits at random and repeat them; returns how many were killed, and what went wrong.

    One in two is killed at a call of the operating system within a save, the others at any time. Each is
    killed once or twice, and must end with the digest of a fit that was never stopped and never saved.
    """
    rng, wrong, killed = random.Random(seed), [], 0
    folder = folder / "fit"
    with nursery() as home:
        references: dict[str, str] = {}
        lives: dict[str, float] = {}
        for number in range(10 * count):
            if killed >= count:
                break
            name = names[number % len(names)]
            folder.mkdir()
            if name not in lives:
                references[name] = home.ask("reference", name)
                lives[name] = home.ask("fit", str(folder), name)[1]
                for path in folder.iterdir():
                    path.unlink()
            for _ in range(rng.choice((1, 1, 2))):
                if rng.random() < 0.5:
                    aim = {"call": rng.randrange(1, 150)}
                else:
                    aim = {"seconds": rng.uniform(0, lives[name])}
                killed += home.ask("fit", str(folder), name, **aim)[0] == -signal.SIGKILL
            status, _ = home.ask("fit", str(folder), name)
            found = (folder / "digest").read_text() if status == 0 else f"status {status}"
            saved = checkpoint.read(str(folder / "checkpoint"))
            if found != references[name] or saved is None or saved.outcome is None:
                wrong.append(f"{name}, {aim}: {found}")
            if sorted(os.listdir(folder)) != ["checkpoint", "digest"]:
                wrong.append(f"{name}, {aim}: left over {sorted(os.listdir(folder))}")
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
    return killed, wrong


if __name__ == "__main__":
    serve()
