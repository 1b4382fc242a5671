"""Memory: rows on disk, limits that are kept, and fits that copy nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
import warnings
from contextlib import ExitStack, nullcontext
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from conftest import rates

from chainrule import MLPClassifier, MLPRegressor, cli_memory, memory, train
from chainrule.cli import main
from chainrule.errors import FileError, OptionError
from chainrule.models import load
from chainrule.problem import Batch, Objective, Stretch
from chainrule.spec import Layer, Network, Training
from chainrule.stored import Stored, StoredBatch, WindowRun, mean_loss

ROWS = 2500


@pytest.fixture
def stored():
    """Puts rows into files, which are closed at the end."""
    with ExitStack() as stack:

        def put(X, labels, window):
            files = [stack.enter_context(Stored(array.shape[1], None)) for array in (X, labels[:, None])]
            for file, array in zip(files, (X, labels[:, None]), strict=True):
                file.append(array)
            none = np.empty((0, 1), np.float32)
            return StoredBatch(files[0], none, None, files[1], lambda labels: labels, window)

        yield put


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, 4)).astype(np.float32)
    X[:, 0] = np.arange(ROWS)
    return X, rng.standard_normal(ROWS).astype(np.float32)


# ------------------------------------------------------------------ rows on disk


def test_rows_come_back_from_disk(rows, stored):
    X, labels = rows
    batch = stored(X, labels, 100)
    np.testing.assert_array_equal(batch.X[10:30], X[10:30])
    np.testing.assert_array_equal(batch.take(np.array([5, 2400, 7])).X, X[[5, 2400, 7]])
    assert [len(window) for window in batch.windows()] == [100] * 25
    np.testing.assert_allclose(batch.sums(), labels.sum(dtype=np.float64)[None])
    assert len(batch.loaded()) == ROWS
    assert batch.X.fact() == stored(X, labels, 7).X.fact() != stored(X + 1, labels, 7).X.fact()


class Seen:
    """A run that notes which rows each step sees."""

    quiet = nullcontext()

    def __init__(self):
        self.steps_seen = []

    def steps(self, stretch):
        for rows in stretch.batches():
            self.steps_seen.append(stretch.batch.X[rows, 0].astype(int))
        return stretch.last - stretch.first


def epoch(data, slices, shuffle=True, seed=1):
    """The rows of each step of an epoch that is run in slices of steps."""
    seen = Seen()
    run = WindowRun(seen, data, 32, shuffle=shuffle)
    order = np.random.default_rng(seed).permutation(run.blocks) if shuffle else np.arange(run.blocks)
    steps = -(-len(data) // 32)
    for first in range(0, steps, slices):
        last = min(first + slices, steps)
        count = last - first
        part = Stretch(data, order, first, last, 32, rates(1, count), None, None, np.empty(count), first, 0)
        assert run.steps(part) == last - first
    return seen.steps_seen


@pytest.mark.parametrize("window", [40, 500, 2499, 10_000])
def test_an_epoch_sees_each_row_once(rows, stored, window):
    steps = epoch(stored(*rows, window), 5)
    assert [len(step) for step in steps] == [32] * (ROWS // 32) + [ROWS % 32]
    np.testing.assert_array_equal(np.sort(np.concatenate(steps)), np.arange(ROWS))
    assert not np.array_equal(np.concatenate(steps), np.arange(ROWS))


def test_the_order_does_not_depend_on_how_an_epoch_is_cut(rows, stored):
    data = stored(*rows, 500)
    for one, other in zip(epoch(data, 3), epoch(data, 1000), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_shuffling_rows_come_in_their_order(rows, stored):
    np.testing.assert_array_equal(np.concatenate(epoch(stored(*rows, 500), 7, False)), np.arange(ROWS))


def test_a_window_is_well_mixed(rows, stored):
    """Neighbours in the file are far apart in a window that holds everything."""
    order = np.concatenate(epoch(stored(*rows, 10_000), 100))
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.1


@pytest.mark.parametrize("engine", ["compiled", "interpreted"])
def test_training_from_disk_is_training_on_these_rows(rows, stored, engine):
    """In the file's order, the same bits; and the loss of stored rows is that of rows in memory."""
    X, labels = rows
    network = Network(4, [Layer(5, "tanh"), Layer(1)], "squared_error", "float32")
    objective, training = Objective(network), Training(batch_size=32, epochs=2, shuffle=False)
    whole, data = Batch(X / ROWS, labels[:, None]), stored(X / ROWS, labels, 300)
    found = []
    for batch in (whole, data):
        state = train.State.begin(np.linspace(-1, 1, objective.layout.size, dtype=np.float32), training)
        run = train.make_run(objective, training, engine)
        order = None
        if batch is data:
            run = WindowRun(run, data, 32, shuffle=False)
            order = lambda: np.arange(run.blocks)  # noqa: B023, E731 - used at once
        train.fit(objective, training, batch, state, run=run, order=order)
        found.append(state)
    assert found[0].theta.tobytes() == found[1].theta.tobytes()
    assert found[0].history == found[1].history
    run = train.make_run(objective, training, engine)
    assert mean_loss(run, found[0].theta, data) == pytest.approx(run.loss(found[0].theta, whole), rel=1e-6)


def test_a_full_disk_is_one_sentence(rows, monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

    with Stored(4, None) as file, monkeypatch.context() as patch:
        patch.setattr(file, "_file", Full())
        with pytest.raises(FileError, match=r"cannot be written to .* \(No space left on device\)"):
            file.append(rows[0])


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("text", "size"),
    [("500MB", 500_000_000), ("1GB", 10**9), ("2GiB", 2**31), ("1.5 gb", 1_500_000_000), ("700M", 7 * 10**8)],
)
def test_an_amount_of_memory_is_read(text, size):
    assert memory.size_of(text) == size


@pytest.mark.parametrize("text", ["", "much", "1 XB", "-1GB", "1GB2"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(OptionError, match="write it like 500MB"):
        memory.size_of(text)


def test_the_least_limit_that_a_refusal_names_is_enough():
    with pytest.raises(OptionError, match="at least") as refused:
        memory.Limit(10**8).room(10**6, 20, 10**6)
    least = next(word for word in str(refused.value).split() if word.endswith("MB") and word != "MB")
    assert memory.Limit(memory.size_of(least)).room(10**6, 20, 10**6) >= memory.ROOM


# ------------------------------------------------------------------ the command


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((1500, 3)).round(3)
    sort = rng.integers(3, size=1500)
    kind = np.array(["plain", "with, comma", 'in "quotes"'])[sort]
    y = X[:, 0] - X[:, 1] + (sort == 1) + rng.standard_normal(1500) / 3
    frame = pl.DataFrame(
        {
            "a": np.where(rng.random(1500) < 0.05, np.nan, X[:, 0]),
            "b": X[:, 1],
            "c": X[:, 2],
            "kind": kind,
            "class": np.array(["low", "middle", "high"])[np.digitize(y, [-0.5, 0.8])],
            "sign": np.where(y > 0, "yes", "no"),
            "value": y.round(4),
        }
    ).with_columns(pl.col("a").fill_nan(None))
    path = tmp_path_factory.mktemp("memory") / "table.csv"
    frame.write_csv(path)
    return path


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def train_command(table, target, output, *more):
    targets = {"class", "sign", "value"} - {target}
    drop = [part for name in sorted(targets) for part in ("--drop", name)]
    options = ["--hidden", "8", "--epochs", "30", "--json", "-q", "-o", output]
    return ["train", table, "--target", target, *drop, *options, *more]


@pytest.mark.parametrize("target", ["class", "sign", "value"])
def test_training_in_pieces_is_training_on_the_whole(table, target, tmp_path):
    """The same parts of the rows and columns, and scores that are as good; the model predicts the file."""
    output = tmp_path / "model"
    reports = []
    for more in ((), ("--memory", "1GB")):
        result = run(*train_command(table, target, output, *more))
        assert result.exit_code == 0, result.stderr
        reports.append(json.loads(result.stdout))
    one, other = reports
    assert other["rows"] == one["rows"] and other["columns"] == one["columns"]
    assert other["classes"] == one["classes"] and other["network"] == one["network"]
    for name, score in one["scores"].items():
        assert other["scores"][name]["baseline"] == pytest.approx(score["baseline"], rel=1e-5, abs=1e-6)
        assert other["scores"][name]["model"] == pytest.approx(score["model"], rel=0.1, abs=0.05)
    predicted = run("predict", output, table)
    assert predicted.exit_code == 0 and len(predicted.stdout.splitlines()) == 1501


def test_pieces_and_windows_are_small_where_memory_is(table, tmp_path, monkeypatch):
    """The same table in many pieces, slices and windows."""
    monkeypatch.setattr("chainrule.large_table.LEAST_PIECE", 2000)
    monkeypatch.setattr("chainrule.large_table.LARGEST_PIECE", 2000)
    monkeypatch.setattr("chainrule.large_table.LARGEST_WINDOW", 20_000)
    monkeypatch.setattr("chainrule.large_table.SLICE_COST", 1 << 18)
    result = run(*train_command(table, "class", tmp_path / "model", "--memory", "1GB"))
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["rows"]["held out"] == 300
    assert report["scores"]["accuracy"]["model"] > report["scores"]["accuracy"]["baseline"] + 0.2


def test_too_small_a_limit_is_refused_with_the_least(table, tmp_path):
    result = run(*train_command(table, "class", tmp_path / "model", "--memory", "100MB"))
    assert result.exit_code == 2
    assert "at least" in result.stderr and result.stderr.count("\n") == 1


def test_a_solver_of_full_batches_is_refused(table, tmp_path):
    more = ("--memory", "1GB", "--solver", "lbfgs")
    result = run(*train_command(table, "class", tmp_path / "model", *more))
    assert result.exit_code == 2 and "mini-batches" in result.stderr


@pytest.mark.parametrize(("free", "said"), [(10**12, False), (1000, True)])
def test_a_file_larger_than_memory_is_told_of_the_option(table, capsys, monkeypatch, free, said):
    monkeypatch.setattr(memory, "available", lambda: free)
    cli_memory._tell_of_memory(table)
    err = capsys.readouterr().err
    assert ("--memory 1GB" in err) is said and err.count("\n") == said


def test_free_memory_is_known():
    free = memory.available()
    assert free is None or 10**7 < free < 10**14


def process(*arguments, **options):
    command = [sys.executable, "-W", "error", "-m", "chainrule", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_an_interrupted_command_leaves_no_files_and_goes_on(table, tmp_path):
    """Ctrl-C in the midst of training: the checkpoint is there, and nothing else; then the same bits."""
    paths = {name: tmp_path / f"{name}.model" for name in ("straight", "stopped")}
    long = ["--epochs", "100", "--memory", "1GB"]
    plain = train_command(table, "sign", paths["straight"], *long)
    assert run(*plain).exit_code == 0
    checkpoint = tmp_path / "run.checkpoint"
    command = train_command(
        table, "sign", paths["stopped"], *long, "--checkpoint", checkpoint, "--checkpoint-every", "0"
    )
    running = process(*command, env={**os.environ, "TMPDIR": str(tmp_path)})
    limit = time.monotonic() + 60
    while not checkpoint.exists() and running.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"straight.model", "stopped.model", "run.checkpoint"}
    assert run(*command).exit_code == 0
    one, other = (load(path).estimator_.theta_ for path in paths.values())
    assert one.tobytes() == other.tobytes()


# ------------------------------------------------------------------ fits that copy nothing

MAPPED_ROWS, MAPPED_COLUMNS = 60_000, 250  # 60 MB


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """Rows in a memory-mapped file, and labels."""
    path = tmp_path_factory.mktemp("mapped") / "X"
    X = np.memmap(path, np.float32, "w+", shape=(MAPPED_ROWS, MAPPED_COLUMNS))
    X[:] = np.random.default_rng(0).standard_normal(X.shape, np.float32)
    X.flush()
    y = (X[:, 0] > 0).astype(np.int64)
    return np.memmap(path, np.float32, "r", shape=X.shape), y


def peak_of(call):
    """The most memory that Python and NumPy had at once while something was called."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bound(model):
    """What docs/memory.md says of a fit of one output, for float32 arrays that are taken as they are."""
    each_row, looked_at = 4 + 5 * 8, 10_000 * MAPPED_COLUMNS * 4
    return MAPPED_ROWS * each_row + looked_at + 40 * model.theta_.size + (2 << 20)


@pytest.mark.compiled
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_a_fit_to_mapped_rows_copies_none_of_them(mapped, estimator, early_stopping):
    X, y = mapped
    model = estimator(hidden_layer_sizes=(8,), max_iter=1, early_stopping=early_stopping, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X[:500], y[:500])  # so that everything is compiled and imported
        peak = peak_of(lambda: model.fit(X, y))
    assert peak < bound(model) < X.nbytes / 3


@pytest.mark.compiled
def test_predictions_and_scores_of_mapped_rows_copy_none_of_them(mapped):
    X, y = mapped
    model = MLPClassifier((8,), max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X[:500], y[:500])
    peak = peak_of(lambda: (model.predict_proba(X), model.score(X, y)))
    assert peak < X.nbytes / 8


@pytest.mark.parametrize("engine", ["compiled", "interpreted"])
def test_rows_set_apart_are_the_same_bits_as_copies_of_them(mapped, engine):
    X, y = mapped
    X, y = X[:700], y[:700]
    rows = np.random.default_rng(2).permutation(700)[:600]
    batch = Batch(np.asarray(X), y[:, None].astype(np.float32))
    part, copy = batch.part(rows), batch.take(rows)
    objective = Objective(Network(MAPPED_COLUMNS, [Layer(5), Layer(1)], "squared_error", "float32"))
    theta = np.linspace(-0.1, 0.1, objective.layout.size, dtype=np.float32)
    found = []
    for each in (part, copy):
        run, state = train.make_run(objective, Training(), engine), None
        state = train.State.begin(theta.copy(), Training(epochs=2))
        train.fit(objective, Training(epochs=2), each, state, run=run)
        loss, gradient = run.loss_and_gradient(theta, each)
        found.append((state.theta.tobytes(), loss, gradient.tobytes(), run.predict(theta, each.X).tobytes()))
    assert found[0] == found[1]
    np.testing.assert_array_equal(part.loaded().X, copy.X)
