"""The file in which a search keeps its trials: opened, recognised, and freed of what a kill has left."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.column_values import as_frame
from chainrule.errors import FileError, MissingPackageError, OptionError
from chainrule.tuning_space import Space

if TYPE_CHECKING:
    import optuna

NAME = "chainrule"  # of the study in its file
SAMPLE = 1000  # rows at each end by which a table is recognised
FACTS = "facts"


def require_package() -> None:
    """Refuse to go on without Optuna.

    Raises
    ------
    MissingPackageError
    """
    if find_spec("optuna") is None:
        raise MissingPackageError("Tuning needs optuna: install it with pip install 'chainrule[tune]'.")


def facts(
    data: Any, target: str, task: str | None, drop: Collection[str], options: Mapping[str, Any], space: Space
) -> dict[str, str]:
    """By what a search is recognised: its table, its target, its options and what it varies."""
    frame = as_frame(data)
    ends = frame.head(SAMPLE).write_csv() + frame.tail(SAMPLE).write_csv()
    return {
        "the table": f"{frame.shape} {sha256(ends.encode()).hexdigest()}",
        "target": target,
        "task": str(task),
        "drop": str(sorted(drop)),
        **{name: str(value) for name, value in options.items()},
        **{f"the range of {name}": _spelt(row) for name, row in space.items()},
    }


def _spelt(row: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in vars(row).items() if not callable(value))


@contextmanager
def opened(path: str | os.PathLike[str] | None, known: Mapping[str, str]) -> Iterator[optuna.Study]:
    """The study of a file, or one in memory.

    Parameters
    ----------
    path : path or None
    known : mapping
        What `facts` says of the search.

    Raises
    ------
    FileError
        If the file holds something else.
    OptionError
        If it holds another search; the message names what differs.
    """
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = None if path is None else _storage(Path(path))
    try:
        study = optuna.create_study(storage=storage, study_name=NAME, load_if_exists=True)
        _recognise(study, known, path)
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # it was killed
        yield study
    finally:
        optuna.logging.set_verbosity(level)
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()


def _storage(path: Path) -> Any:
    from optuna.storages import RDBStorage

    if not path.absolute().parent.is_dir():
        raise OptionError(f"There is no folder {path.parent} to write the study to.")
    if path.exists() and not _is_study(path):
        raise FileError(f"{path} holds no study of chainrule: name another file.")
    return RDBStorage(f"sqlite:///{path}")


def _is_study(path: Path) -> bool:
    """Whether it is empty, or a database with a study of ours alone."""
    if not path.stat().st_size:
        return True
    try:
        with closing(sqlite3.connect(path)) as database:
            names = database.execute("SELECT study_name FROM studies").fetchall()
    except sqlite3.Error:
        return False
    return names in ([], [(NAME,)])


def _recognise(study: optuna.Study, known: Mapping[str, str], path: Any) -> None:
    held = study.user_attrs.get(FACTS)
    if held is None:
        study.set_user_attr(FACTS, json.dumps(known))
        return
    before = json.loads(held)
    differing = [name for name in {**before, **known} if before.get(name) != known.get(name)]
    if differing:
        raise OptionError(
            f"The study {path} belongs to another search: {', '.join(differing)} "
            f"{'differs' if len(differing) == 1 else 'differ'}. Name another file, or delete this one."
        )
