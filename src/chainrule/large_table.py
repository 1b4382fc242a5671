"""A network for a table that is larger than memory: read in pieces, trained from rows on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule import column_learners, estimator_stored, targets
from chainrule.column_values import Frame, MisfitError, as_frame
from chainrule.columns import listed
from chainrule.errors import DataError, OptionError
from chainrule.memory import MIB, Limit
from chainrule.parameters import Layout
from chainrule.pieces import Pieces
from chainrule.running_scores import ClassScores, NumberScores
from chainrule.scores import beside
from chainrule.splits import HELD_OUT, TRAINING, VALIDATION, divided
from chainrule.stored import Stored, StoredBatch
from chainrule.table_model import TableModel, check_names, trained
from chainrule.targets import Classes, Quantity

WITHOUT = 3  # the mark of a row without a target
LARGEST_WINDOW = 256 * MIB
LARGEST_PIECE, LEAST_PIECE = 32 * MIB, MIB // 4
PIECE_COST = 16  # memory that a piece takes beside its bytes in the file, while it is read
SLICE_COST = 40  # bytes of memory for each number of the rows that are encoded at once


def piece_size(limit: Limit) -> int:
    """Bytes of the file to read at once.

    Raises
    ------
    OptionError
        If the limit leaves no room.
    """
    return int(np.clip(limit.room() // (2 * PIECE_COST), LEAST_PIECE, LARGEST_PIECE))


@dataclass
class LargeFit:
    """The fit of a model to a table in pieces.

    Attributes
    ----------
    model : TableModel
    table : Pieces
    target : str
    drop : collection of str
    limit : Limit
    folder : Path or None
        Where the encoded rows are kept meanwhile.
    """

    model: TableModel
    table: Pieces
    target: str
    drop: Collection[str]
    limit: Limit
    folder: Path | None

    def run(self, task: str | None, callbacks: Sequence[Callable[[Any], Any]]) -> TableModel:
        """Learn the columns, encode the rows into files, train from these, judge."""
        began, model = time.perf_counter(), self.model
        self._check()
        model.target_ = targets.learn_pieces((frame[self.target] for _, frame in self._target()), task)
        part, groups = self._divide()
        sizes = [int((part == which).sum()) for which in (TRAINING, VALIDATION, HELD_OUT)]
        known = (part == TRAINING) | (part == VALIDATION)
        drop = [self.target, *self.drop]
        model.encoder_ = column_learners.learn(
            self._pieces(), known, len(self.table.columns), drop, model.random_state
        )
        baseline = self._baseline(known, groups)
        del known
        model.estimator_ = model._make_estimator(sizes[0], callbacks)
        estimator_stored.check(model.estimator_)
        with ExitStack() as stack:
            batches = self._stored(stack, part, sizes)
            del part, groups
            training, validation, held = batches
            with trained():
                estimator_stored.fit(
                    model.estimator_, training, validation if len(validation) else None, self._classes
                )
            scores = self._scores(held, baseline) if len(held) else None
        model.report_ = {
            **model._described(self.table.rows, self.drop, sizes),
            "seconds": time.perf_counter() - began,
            **model._results(scores),
        }
        return model

    def _check(self) -> None:
        check_names(self.drop)
        lacking = [name for name in (self.target, *self.drop) if name not in self.table.columns]
        if lacking:
            raise DataError(
                f"The table has no column {listed(lacking)}. Its columns are: {listed(self.table.columns)}."
            )
        if self.target in self.drop:
            raise OptionError(f"{self.target!r} is the target and cannot be dropped.")
        self.limit.room(self.table.rows, len(self.table.columns))

    @property
    def _classes(self) -> int:
        target = self.model.target_
        return len(target.labels) if isinstance(target, Classes) else 0

    # -------------------------------------------------------------- reading

    def _pieces(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Frame]]:
        """The number of each piece's first row, and its rows."""
        first = 0
        for frame in self.table.frames(columns):
            yield first, as_frame(frame)
            first += frame.height

    def _target(self) -> Iterator[tuple[int, Frame]]:
        return self._pieces([self.target])

    def _divide(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
        """The part that each row is for, and its class; 0 for each row of a regression."""
        model = self.model
        groups = np.full(self.table.rows, -1, np.int16)
        for first, frame in self._target():
            with _further_down(first):
                y = model.target_.encode(frame[self.target])
            there = targets.present(y)
            groups[first : first + len(y)] = np.where(there, y if self._classes else 0, -1)
        present = groups >= 0
        part = np.full(self.table.rows, WITHOUT, np.uint8)
        share = model._share_to_stop_by(int(present.sum()))
        part[present] = divided(groups[present], model.test_size, share, model.random_state)
        return part, groups

    def _baseline(self, known: npt.NDArray[np.bool_], groups: npt.NDArray[np.int16]) -> Any:
        """What is predicted without a look at the columns: shares of the classes, or the mean."""
        if self._classes:
            counts = np.bincount(groups[known], minlength=self._classes)
            return counts / counts.sum()
        total = 0.0
        for first, frame in self._target():
            y = self.model.target_.encode(frame[self.target])
            total += float(y[known[first : first + len(y)]].sum())
        return total / int(known.sum())

    # -------------------------------------------------------------- rows on disk

    def _stored(
        self, stack: ExitStack, part: npt.NDArray[np.uint8], sizes: Sequence[int]
    ) -> list[StoredBatch]:
        """The encoded rows of each part, in files."""
        width = len(self.model.encoder_.feature_names)
        files = [[stack.enter_context(Stored(n, self.folder)) for n in (width, 1)] for _ in sizes]
        room = self._room(width, sizes[0])
        step = max(1, room // 4 // (SLICE_COST * (width + len(self.table.columns))))
        for first, frame in self._pieces():
            for start in range(0, len(frame), step):
                rows = frame[start : start + step]
                with _further_down(first + start):
                    X = self.model.encoder_.transform(rows)
                    y = self.model.target_.encode(rows[self.target])
                marks = part[first + start : first + start + len(y)]
                for which, (X_file, y_file) in enumerate(files):
                    X_file.append(X[marks == which])
                    y_file.append(y[marks == which, None])
        outputs = self._classes if self._classes > 2 else 1
        window = max(1, min(LARGEST_WINDOW, room // 4) // (4 * (2 * width + 3 * outputs + 8)))
        encode = estimator_stored.encoding(self._classes)
        return [StoredBatch(X, np.empty((0, outputs), np.float32), None, y, encode, window) for X, y in files]

    def _room(self, width: int, rows: int) -> int:
        """What is left of the memory beside a network of that many inputs."""
        estimator = self.model.estimator_
        outputs = self._classes if self._classes > 2 else 1
        if self._classes:
            estimator._learn_classes(np.arange(self._classes))
        size = Layout(estimator._make_network(width, outputs, "float32")).size
        return self.limit.room(self.table.rows, len(self.table.columns), size)

    # -------------------------------------------------------------- judging

    def _scores(self, held: StoredBatch, baseline: Any) -> dict[str, Any]:
        """Scores on the rows held out, beside those of always predicting the same."""
        net, target = self.model.estimator_, self.model.target_
        model, always = (
            NumberScores(target.scale) if isinstance(target, Quantity) else ClassScores(self._classes)
            for _ in range(2)
        )
        for first in range(0, len(held), held.window):
            rows = slice(first, min(first + held.window, len(held)))
            X, y = held.X[rows], held.labels[rows][:, 0]
            if isinstance(target, Quantity):
                model.add(y.astype(np.float64), net.predict(X))
                always.add(y.astype(np.float64), np.full(len(y), baseline))
            else:
                model.add(y.astype(np.int64), net.predict_proba(X))
                always.add(y.astype(np.int64), np.broadcast_to(baseline, (len(y), self._classes)))
        return beside(model.result(), always.result())


@contextmanager
def _further_down(rows: int) -> Iterator[None]:
    """Where errors about rows of a piece become errors about rows of the table."""
    try:
        yield
    except MisfitError as error:
        raise error.further_down(rows) from None


def fit(
    model: TableModel,
    table: Pieces,
    target: str,
    *,
    limit: Limit,
    task: str | None = None,
    drop: Collection[str] = (),
    callbacks: Sequence[Callable[[Any], Any]] = (),
    folder: Path | None = None,
) -> TableModel:
    """Train a model on a table that is read in pieces.

    The result is that of `TableModel.fit`, but for what comes from pieces: medians and frequencies of
    columns with very many rows or texts (see `chainrule.column_learners`), numbers of float32, and the order
    in which rows are trained on (see `chainrule.stored`).

    Parameters
    ----------
    model : TableModel
    table : Pieces
    target, task, drop, callbacks
        As for `TableModel.fit`.
    limit : Limit
        On the memory of the process.
    folder : Path, optional
        Where the encoded rows are kept meanwhile.

    Raises
    ------
    DataError
        If the data cannot be used.
    OptionError
        If an option has a value that it may not have, or the limit is too small.
    FileError
        If there is no room for the encoded rows.
    """
    return LargeFit(model, table, target, drop, limit, folder).run(task, callbacks)
