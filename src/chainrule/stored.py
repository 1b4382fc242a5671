"""Training rows that lie in files, of which only some are in memory at once.

They are written once, one after the other, as float32. An epoch goes through them in windows: blocks of
neighbouring rows are put in a random order, as many as a window holds are read, and the rows of the window
are shuffled. So every row comes once an epoch, and disks are read in long stretches.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from chainrule.errors import FileError
from chainrule.parameters import Array
from chainrule.problem import Batch, Stretch

BLOCKS = 16  # of neighbouring rows in a window
Encode = Callable[[Array], Array]


class Stored:
    """A matrix of float32 in a file that has no name, and so is gone with the process, whatever ends it.

    Parameters
    ----------
    columns : int
    folder : path-like or None
        Where the file lies; None for the system's own place for temporary files.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, columns: int, folder: str | Path | None) -> None:
        self.shape = (0, columns)
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by __exit__

    def __len__(self) -> int:
        return self.shape[0]

    def __enter__(self) -> Stored:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, rows: Any) -> None:
        """Write rows, of shape (n, columns), behind the others.

        Raises
        ------
        FileError
            If there is no room.
        """
        data = np.ascontiguousarray(rows, self.dtype).reshape(-1).view(np.uint8).data
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            where = self._folder or tempfile.gettempdir()
            raise FileError(
                f"The encoded rows cannot be written to {where} ({error.strerror}): make room there, or name "
                "another folder with TMPDIR."
            ) from None
        self.shape = (self.shape[0] + len(rows), self.shape[1])

    def read(self, first: int, into: Array) -> None:
        """Fill a contiguous matrix with the rows from `first` on."""
        view = into.reshape(-1).view(np.uint8).data
        self._file.seek(first * self.shape[1] * self.dtype.itemsize)
        while view:
            count = self._file.readinto(view)
            if not count:
                raise FileError("The file of the encoded rows ended too early: was the disk full?")
            view = view[count:]

    def __getitem__(self, rows: Any) -> Array:
        """Some rows: a slice, or an array of their numbers."""
        if isinstance(rows, slice):
            first, last, _ = rows.indices(len(self))
            out = np.empty((last - first, self.shape[1]), self.dtype)
            self.read(first, out)
            return out
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        for place, row in enumerate(rows):
            self.read(int(row), out[place : place + 1])
        return out

    def fact(self) -> dict[str, Any]:
        """The shape, and a digest of all rows."""
        digest, chunk = hashlib.sha256(), max(1, (1 << 22) // max(1, self.shape[1]))
        for first in range(0, len(self), chunk):
            digest.update(self[first : first + chunk].data)
        return {"shape": list(self.shape), "sha256": digest.hexdigest()}


@dataclass(frozen=True)
class StoredBatch(Batch):
    """Rows in files.

    Attributes
    ----------
    X : Stored
    Y : array
        Of no rows: the targets are made of `labels` where they are needed.
    labels : Stored
        Numbers of the classes, or numbers, in one column.
    encode : callable
        ``encode(labels) -> Y``, of shape (n, outputs).
    window : int
        Rows in memory at once.
    """

    labels: Any = None
    encode: Encode = lambda labels: labels
    window: int = 1

    def take(self, rows: Any) -> Batch:
        """These rows, in memory."""
        return Batch(self.X[rows], self.encode(self.labels[rows]))

    def loaded(self) -> Batch:
        """All rows, in memory."""
        return self.take(slice(None))

    def sums(self) -> Any:
        """The sum of each column of Y."""
        return sum(batch.Y.sum(axis=0, dtype=np.float64) for batch in self.windows())

    def windows(self) -> Iterator[Batch]:
        """All rows in their order, a window after the other."""
        for first in range(0, len(self), self.window):
            yield self.take(slice(first, min(first + self.window, len(self))))


def mean_loss(run: Any, theta: Array, batch: StoredBatch) -> float:
    """The loss of stored rows, by a run whose objective has no penalties."""
    total = sum(run.loss(theta, window) * len(window) for window in batch.windows())
    return float(total / len(batch))


class WindowRun:
    """A run of rows in files: that of rows in memory, window after window.

    Parameters
    ----------
    run
        Made by `chainrule.train.make_run`.
    data : StoredBatch
        The training rows.
    batch_size : int
    shuffle : bool
        Whether the rows of a window are put in a random order.
    """

    def __init__(self, run: Any, data: StoredBatch, batch_size: int, *, shuffle: bool) -> None:
        self.run, self.data, self.shuffle = run, data, shuffle
        self.steps_each = max(1, data.window // batch_size)
        self.block = max(1, self.steps_each * batch_size // BLOCKS)
        self._room = np.empty((min(self.steps_each * batch_size, len(data)), data.X.shape[1]), np.float32)
        self._loaded: tuple[Any, Batch, Any] | None = None

    @property
    def blocks(self) -> int:
        """The number of blocks, which is what an epoch's order counts."""
        return -(-len(self.data) // self.block)

    def predict(self, theta: Array, X: Any) -> Array:
        """Predictions for rows in memory."""
        return self.run.predict(theta, X)  # type: ignore[no-any-return]

    def steps(self, stretch: Stretch) -> int:
        """Run training steps, as a run of rows in memory does; the order is that of the blocks."""
        s, done = stretch, 0
        while s.first + done < s.last:
            first = s.first + done
            number = first // self.steps_each
            batch, order = self._window(number, s)
            begin = number * self.steps_each
            last = min(s.last, begin + self.steps_each)
            part = slice(done, last - s.first)
            count = self.run.steps(
                Stretch(
                    batch, order, first - begin, last - begin, s.batch_size,
                    np.ascontiguousarray(s.rates[:, part]), s.theta, s.slots, s.losses[part], s.t + done,
                    s.seed,
                )
            )  # fmt: skip
            done += count
            if count < last - first:
                break
        return done

    def _window(self, number: int, s: Stretch) -> tuple[Batch, Any]:
        """The rows of a window, and their order."""
        key = number, zlib.crc32(s.order.tobytes())
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None
            size = self.steps_each * s.batch_size
            first, last = number * size, min((number + 1) * size, len(self.data))
            batch = self._read(s.order, first, last)
            order = np.arange(len(batch))
            if self.shuffle:
                np.random.default_rng([s.seed, *key]).shuffle(order)
            self._loaded = key, batch, order
        return self._loaded[1:]

    def _read(self, order: Any, first: int, last: int) -> Batch:
        """Rows first to last of the blocks in their order."""
        lengths = np.full(len(order), self.block)
        lengths[order == len(order) - 1] = len(self.data) - self.block * (len(order) - 1)
        ends = np.cumsum(lengths)
        X, y = self._room[: last - first], np.empty((last - first, 1), np.float32)
        place = int(np.searchsorted(ends, first, side="right"))
        filled = 0
        while filled < last - first:
            begin = first + filled - int(ends[place] - lengths[place])  # within the block
            count = min(int(lengths[place]) - begin, last - first - filled)
            row = int(order[place]) * self.block + begin
            self.data.X.read(row, X[filled : filled + count])
            self.data.labels.read(row, y[filled : filled + count])
            filled, place = filled + count, place + 1
        return Batch(X, self.data.encode(y))
