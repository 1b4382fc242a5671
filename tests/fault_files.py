"""Paths that name no file, checkpoints that cannot be, interrupts, and commands that would harm a file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import chdir
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import faulty_disk
import numpy as np
import pandas as pd
from click.testing import CliRunner
from fault_runs import TRAIN, CommandError, csv_of
from faults import N, X, c, clf, frame, refused, reg, right, same, tab, table, warned, y
from killed import digest_of

from chainrule import load, store
from chainrule.cli import main


def within(act: Callable[[Path], Any]) -> Any:
    """Do something in a folder of its own."""
    with TemporaryDirectory() as folder:
        return act(Path(folder))


# ---------------------------------------------------------------- paths


@cache
def fitted() -> Any:
    return reg().fit(X, y)


def saved(path: Any) -> Any:
    return fitted().save(path)


PATHS = {"nothing": "", "NUL": "a\0b"}
for label, path in PATHS.items():
    for what, act in {
        "save": saved,
        "load": load,
        "checkpoint": lambda path: reg(checkpoint=path).fit(X, y),
    }.items():
        refused(f"{what}: {label}", lambda act=act, path=path: act(path), repr(path), "the path of no file")
for name in ("save", "checkpoint"):
    act = saved if name == "save" else lambda path: reg(checkpoint=path).fit(X, y)
    refused(
        f"{name}: no such folder",
        lambda act=act: within(lambda f: act(f / "none" / "x")),
        "none/x",
        "No such",
    )
    refused(
        f"{name}: a file as the folder", lambda act=act: within(lambda f: act(touched(f) / "x")), "Not a dir"
    )
    refused(
        f"{name}: too long a name", lambda act=act: within(lambda f: act(f / ("a" * 300))), "too long", "aaa"
    )
    refused(
        f"{name}: a link to itself", lambda act=act: within(lambda f: act(loop(f))), "symbolic links", "loop"
    )
    refused(f"{name}: a device", lambda act=act: act("/dev/null"), "/dev/null")
    refused(
        f"{name}: a folder", lambda act=act: within(act), "folder" if name == "checkpoint" else "not a file"
    )
refused("load: a folder", lambda: within(load), "it is a folder")
refused("load: a pipe", lambda: within(lambda f: load(pipe(f))), "a device or a pipe")
refused("load: an empty file", lambda: within(lambda f: load(touched(f))), "it is empty")
refused("load: no such file", lambda: within(lambda f: load(f / "none")), "No such file", "none")
right("save: a link to a file that is not there yet", lambda: within(linked))


def touched(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file"


def loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def linked(folder: Path) -> bool:
    """The link stays, and leads to the model."""
    (folder / "link").symlink_to(folder / "model")
    saved(folder / "link")
    return (folder / "link").is_symlink() and same(load(folder / "model").predict(X), fitted().predict(X))


# ---------------------------------------------------------------- checkpoints


def twice(first: Any, second: Callable[[], Any]) -> Any:
    """A fit with a checkpoint, and another one with the same."""

    def act(folder: Path) -> Any:
        first.set_params(checkpoint=folder / "run").fit(X, y)
        return second().set_params(checkpoint=folder / "run").fit(X, y)

    return within(act)


refused("checkpoint: a model", lambda: within(lambda f: over_a_model(f)), "holds a model", "another file")
refused(
    "checkpoint: an empty file", lambda: within(lambda f: reg(checkpoint=touched(f)).fit(X, y)), "is empty"
)
refused(
    "checkpoint: of other options",
    lambda: twice(reg(), lambda: reg(alpha=1.0)),
    "alpha was 0.0001 there",
    "anew",
)
refused(
    "checkpoint: of another seed", lambda: twice(reg(), lambda: reg(random_state=1)), "random_state was 0"
)
refused(
    "checkpoint: of another estimator",
    lambda: within(lambda f: (reg(checkpoint=f / "run").fit(X, y), clf(checkpoint=f / "run").fit(X, c))),
    "'MLPRegressor' there",
    "delete this one",
)
refused("checkpoint: of another version", lambda: within(newer), "its version is 2", "newer chainrule")
refused(
    "checkpoint: of another table",
    lambda: within(
        lambda f: [
            tab(checkpoint=f / "run").fit(data, "price", drop=["kind"]) for data in (table, table[:50])
        ]
    ),
    "X had the shape (48, 4) there and has (40, 4) here",
)
refused(
    "checkpoint: seconds in words",
    lambda: reg(checkpoint="x", checkpoint_every="a").fit(X, y),
    "range",
    "'a'",
)
warned(
    "checkpoint: a disk that fills up", lambda: within(filling), "could not be written", "Training goes on"
)
refused("save: a full disk", lambda: within(lambda f: on_full_disk(lambda: saved(f / "model"))), "full")
right("save: a full disk leaves the old file", lambda: within(kept))


def over_a_model(folder: Path) -> Any:
    saved(folder / "model")
    return reg(checkpoint=folder / "model").fit(X, y)


def newer(folder: Path) -> Any:
    """A checkpoint as a later version may write it, with a right digest."""
    path = folder / "run"
    reg(checkpoint=path).fit(X, y)
    file = path.read_bytes().replace(b'"version":"1"', b'"version":"2"')
    path.write_bytes(file.replace(file[store.DIGEST], store._digest(file), 1))
    return reg(checkpoint=path).fit(X, y)


def on_full_disk(act: Callable[[], Any]) -> Any:
    with faulty_disk.mounted(faulty_disk.Disk(1, faulty_disk.errors()[0], for_good=True)):
        return act()


def filling(folder: Path) -> Any:
    """The disk is full from the third epoch on."""

    def fill(epoch: Any) -> None:
        if epoch.number == 3:
            faulty_disk.disk.os = faulty_disk.Disk(1, faulty_disk.errors()[0], for_good=True)

    try:
        return reg(checkpoint=folder / "run", checkpoint_every=0, callbacks=[fill]).fit(X, y)
    finally:
        faulty_disk.disk.os = os


def kept(folder: Path) -> bool:
    saved(folder / "model")
    before = (folder / "model").read_bytes()
    try:
        on_full_disk(lambda: clf().fit(X, c).save(folder / "model"))
    except OSError:
        return (folder / "model").read_bytes() == before and os.listdir(folder) == ["model"]
    return False


# ---------------------------------------------------------------- Ctrl-C


class Press:
    """A callback, or a metric, that presses Ctrl-C when it is called for the first time."""

    def __init__(self, times: int = 1) -> None:
        self.left = times

    def __call__(self, *_: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            raise KeyboardInterrupt
        return 0.5


INTERRUPTED: dict[str, Callable[[Press], dict[str, Any]]] = {
    "in the first epoch": lambda press: {"callbacks": [press]},
    "in the validation": lambda press: {"early_stopping": True, "metric": press},
    "in L-BFGS": lambda press: {"solver": "lbfgs", "callbacks": [press]},
    "in Levenberg-Marquardt": lambda press: {"solver": "levenberg_marquardt", "callbacks": [press]},
}
for label, options in INTERRUPTED.items():
    warned(f"Ctrl-C {label}", lambda o=options: reg(**o(Press())).fit(X, y), "interrupted", "were kept")
    right(f"Ctrl-C {label}: it goes on", lambda o=options: within(lambda folder: goes_on(folder / "run", o)))


def goes_on(path: Path, options: Callable[[Press], dict[str, Any]]) -> bool:
    """Interrupted, it predicts; repeated, it ends with the bits of a fit that was not interrupted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stopped = reg(checkpoint=path, checkpoint_every=0, **options(Press())).fit(X, y)
        again = reg(checkpoint=path, **options(Press(0))).fit(X, y)
        plain = reg(**options(Press(0))).fit(X, y)
    usable = stopped.stop_reason_ == "interrupted" and np.isfinite(stopped.predict(X)).all()
    return bool(usable) and digest_of(again) == digest_of(plain)


# ---------------------------------------------------------------- tables


def numbered(values: Any) -> pd.DataFrame:
    return frame.assign(kind=pd.array(values, dtype="Int64"))


right(
    "table: a nullable target of classes",
    lambda: tab().fit(numbered([0, 1, None] * 20), "kind").classes_.tolist() == [0, 1],
)
right("table: a nullable target has its missing values left out", lambda: missing() == 20)
refused("table: a lazy frame", lambda: tab().fit(table.lazy(), "kind"), "data frame", "LazyFrame")
refused(
    "table: the target dropped",
    lambda: tab().fit(table, "kind", drop=["kind"]),
    "'kind'",
    "cannot be dropped",
)
refused("table: all dropped", lambda: tab().fit(frame, "a", drop=list("bcd")), "no column to learn from")
refused(
    "table: an unknown task", lambda: tab().fit(table, "kind", task="guess"), "'classification'", "'guess'"
)
refused(
    "table: texts as a quantity", lambda: tab().fit(table, "colour", task="regression"), "'colour'", "row 1"
)
refused("table: names that are numbers", lambda: tab().fit(pd.DataFrame(X), 0), "column 0", "Rename")
refused(
    "table: whole numbers past every float",
    lambda: tab().fit(frame.assign(a=[10**400] * N), "b"),
    "'a'",
    "row 1",
)


def missing() -> int:
    return tab().fit(numbered([0, 1, None] * 20), "kind").report_["rows"]["without a target"]


# ---------------------------------------------------------------- commands


def commands(*all_arguments: tuple[str, ...]) -> str:
    """What the last of some commands, in a folder with a table, says when it fails and changes no file."""
    with TemporaryDirectory() as folder, chdir(folder):
        Path("data.csv").write_bytes(csv_of(table))
        for arguments in all_arguments:
            before = {path.name: path.read_bytes() for path in Path().iterdir()}
            done = CliRunner().invoke(main, [*arguments], catch_exceptions=False)
        after = {path.name: path.read_bytes() for path in Path().iterdir()}
    assert done.exit_code and before == after, "it has changed a file"
    raise CommandError(done.output)


MODEL = (*TRAIN, "-o", "the.model")
PREDICT = ("predict", "the.model", "data.csv", "-o")
refused(
    "command: a model over the table",
    lambda: commands((*TRAIN, "-o", "data.csv")),
    "data.csv is read",
    "another",
)
refused(
    "command: predictions over the table", lambda: commands(MODEL, (*PREDICT, "data.csv")), "data.csv is read"
)
refused(
    "command: predictions over the model",
    lambda: commands(MODEL, (*PREDICT, "the.model")),
    "the.model is read",
)
refused(
    "command: a table as the checkpoint",
    lambda: commands((*TRAIN, "--checkpoint", "data.csv")),
    "not a model file",
)
refused(
    "command: a model as the checkpoint",
    lambda: commands(MODEL, (*TRAIN, "--checkpoint", "the.model")),
    "holds a model",
)
refused(
    "command: a model over a device", lambda: commands((*TRAIN, "-o", "/dev/null")), "/dev/null", "not a file"
)
refused(
    "command: predictions to a full disk",
    lambda: commands(MODEL, (*PREDICT, "/dev/full")),
    "/dev/full",
    "No space",
)
