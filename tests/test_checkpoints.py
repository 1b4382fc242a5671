"""Checkpoints: a fit that is stopped at any moment goes on, and ends with the same bits."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import faulty_disk
import hostile
import killed
import numpy as np
import pytest
from click.testing import CliRunner
from killed import FITS, SMALL, data_of, digest_of, fitted
from scipy import sparse
from sklearn.base import clone

from chainrule import checkpoint, keeper, load, store, train
from chainrule.cli import main
from chainrule.errors import DivergenceError, FileError, TrainingWarning
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.spec import Training
from chainrule.store import leftovers
from chainrule.table_model import TableModel

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from trust import files

X, Y = data_of("adam")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint"


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(train, "SLICE_SECONDS", killed.SHORT)


def small(path: Path | None = None, cls: type = MLPClassifier, **options):
    return cls(**{**SMALL, "checkpoint": path, "checkpoint_every": 0, "tol": 0, **options})


class StoppedError(Exception):
    """In place of a kill."""


@pytest.fixture
def stop(monkeypatch):
    """Stop a fit at one of its rests, right after the checkpoint, as a kill does."""
    rest = keeper.Keeper.rest

    def stop(model, at: int, data=(X, Y), **given):
        left = [at]

        def stopping(self, position):
            rest(self, position)
            left[0] -= 1
            if not left[0]:
                raise StoppedError

        with monkeypatch.context() as patched:
            patched.setattr(keeper.Keeper, "rest", stopping)
            with pytest.raises(StoppedError):
                model.fit(*data, **given)

    return stop


def position_of(path: Path):
    return checkpoint.read(str(path)).position


# ------------------------------------------------------------------ the same bits


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FITS)
def test_a_fit_that_is_stopped_again_and_again_ends_with_the_same_bits(name, path, stop):
    cls, options = FITS[name]
    places = set()
    for at in (1, 2, 4, 7):
        stop(cls(**{**SMALL, **options, "checkpoint": path, "checkpoint_every": 0}), at, data_of(name))
        places.add((position_of(path).done, position_of(path).step))
    assert len(places) == 4
    if "batch_size" in {**SMALL, **options} and position_of(path).iterate is None:
        assert any(step for _, step in places), "none of them was within an epoch"
    again = fitted(name, path)
    assert digest_of(again) == digest_of(fitted(name))
    assert digest_of(fitted(name, path)) == digest_of(again), "what has ended stays as it is"


def test_fits_that_are_killed():
    found = files.resumes(12)
    assert found.passed, found.text


def test_saves_that_are_killed():
    found = files.kills(12)
    assert found.passed, found.text


def test_fits_on_a_disk_that_fails(tmp_path):
    tried, wrong = faulty_disk.failing_checkpoints(tmp_path, step=8)
    assert tried > 25 and wrong == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [None, 5, np.random.RandomState(5)], ids=["none", "seed", "generator"])
def test_whatever_the_source_of_random_numbers(seed, path, stop):
    """Without a seed, the first weights and the split come from the checkpoint."""
    options = {"early_stopping": True, "n_iter_no_change": 50, "dropout": 0.1}
    start = clone(small(path, random_state=seed, **options))
    stop(clone(start), 5)
    kept = path.read_bytes()
    first = clone(start).fit(X, Y)
    path.write_bytes(kept)
    assert digest_of(clone(start).fit(X, Y)) == digest_of(first)
    if seed is not None:
        assert digest_of(clone(start).set_params(checkpoint=None).fit(X, Y)) == digest_of(first)


@pytest.mark.filterwarnings("ignore")
def test_validation_rows_of_ones_own(path, stop):
    given = {"validation_data": (X[:30], Y[:30]), "sample_weight": np.arange(120) % 3 + 1.0}
    data = X[30:], Y[30:]
    stop(small(path), 6, data, **given)
    assert digest_of(small(path).fit(*data, **given)) == digest_of(small().fit(*data, **given))


@pytest.mark.filterwarnings("ignore")
def test_options_and_targets_of_any_type(path, stop):
    labels = np.array(["low", "middle", "high"], dtype=object)[Y]
    options = {
        "hidden_layer_sizes": np.array([5, 4]),
        "activation": ("tanh", "relu"),
        "alpha": np.float32(0.5),
    }
    given = {"validation_data": (X[:30].tolist(), labels[:30], None)}
    stop(small(path, **options), 6, (X, labels), **given)
    found = small(path, **options).fit(X, labels, **given)
    assert digest_of(found) == digest_of(small(**options).fit(X, labels, **given))
    with pytest.raises(FileError, match="validation_data held other values there"):
        small(path, **options).fit(X, labels, validation_data=(X[:30], labels[30:60]))


@pytest.mark.filterwarnings("ignore")
def test_sparse_rows(path, stop):
    rows = sparse.csr_matrix(X * (np.abs(X) > 0.5))
    stop(small(path), 6, (rows, Y))
    assert digest_of(small(path).fit(rows, Y)) == digest_of(small().fit(rows, Y))
    with pytest.raises(FileError, match="X held other values there"):
        small(path).fit(rows * 2, Y)


@pytest.mark.filterwarnings("ignore")
def test_a_warm_start_goes_on_too(path, stop):
    def warm():
        return small(warm_start=True, max_iter=4).fit(X, Y)

    expected = warm().fit(X, Y)
    stop(warm().set_params(checkpoint=path), 6)
    found = warm().set_params(checkpoint=path).fit(X, Y)
    assert digest_of(found) == digest_of(expected) and len(found.loss_curve_) == 8
    other = small(warm_start=True, max_iter=4, alpha=1.0).fit(X, Y).set_params(checkpoint=path, alpha=1e-4)
    with pytest.raises(FileError, match="the first weights held other values there"):
        other.fit(X, Y)


@pytest.mark.filterwarnings("ignore")
def test_a_table_model_goes_on(tmp_path, path, stop):
    import polars as pl

    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": [str(label) for label in Y]})

    def table(**options):
        return TableModel(max_iter=8, hidden_layer_sizes=(4,), **options)

    expected = table().fit(frame, "kind")
    stop(table(checkpoint=path, checkpoint_every=0), 5, (frame, "kind"))
    found = table(checkpoint=path).fit(frame, "kind")
    assert digest_of(found.estimator_) == digest_of(expected.estimator_)
    assert found.report_["scores"] == expected.report_["scores"]
    with pytest.raises(FileError, match=r"X had the shape \(108, 2\) there and has \(107, 2\) here"):
        table(checkpoint=path).fit(frame[:-1], "kind")


def test_a_fit_that_diverged_says_so_again(path):
    model = small(path, cls=MLPRegressor, solver="gradient_descent", learning_rate_init=1e6)
    messages = []
    for _ in range(2):
        with pytest.raises(DivergenceError) as caught:
            model.fit(X, X[:, 0])
        messages.append((str(caught.value), model.theta_.tobytes()))
    assert messages[0] == messages[1]


def test_a_fit_that_diverges_after_it_went_on_goes_back_as_far(path, stop):
    """To the parameters at the beginning of the epoch, whether or not it was stopped within it."""
    options = {"hidden_layer_sizes": (), "solver": "gradient_descent", "learning_rate_init": 5.0}
    options |= {"batch_size": 10, "max_iter": 200, "n_iter_no_change": 200}

    def diverge(path=None):
        model = small(path, MLPRegressor, **options)
        with pytest.raises(DivergenceError) as caught:
            model.fit(X, X[:, 0])
        return str(caught.value), model.theta_.tobytes()

    expected = diverge()
    epoch, batch = map(int, re.search(r"in epoch (\d+), batch (\d+)", expected[0]).groups())
    assert epoch > 2 and batch > 2
    # A rest before each step, but for the first epoch, which has one.
    stop(small(path, MLPRegressor, **options), 1 + 15 * (epoch - 2) + batch - 1, (X, X[:, 0]))
    assert (position_of(path).done, position_of(path).step) == (epoch - 1, batch - 2)
    assert diverge(path) == expected


@pytest.mark.filterwarnings("ignore")
def test_a_fit_that_has_ended_is_not_repeated(path):
    epochs = []
    small(path, callbacks=[lambda epoch: epoch.number == 3]).fit(X, Y)
    model = small(path, callbacks=[epochs.append]).fit(X, Y)
    assert epochs == [] and (model.n_iter_, model.stop_reason_) == (3, "callback")


# ------------------------------------------------------------------ when it is written


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("every", "count"), [(1000, 2), (0, 100)])
def test_there_is_one_at_the_beginning_and_one_at_the_end(path, monkeypatch, every, count):
    saves = []
    write = checkpoint.Checkpoint.write
    monkeypatch.setattr(checkpoint.Checkpoint, "write", lambda *args: saves.append(write(*args)))
    small(path, checkpoint_every=every, max_iter=30, batch_size=10).fit(X, Y)
    assert len(saves) == 2 if count == 2 else len(saves) >= count


def test_seconds_pass_between_two(path, monkeypatch):
    now, saves = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(checkpoint.Checkpoint, "write", lambda self, _: saves.append(now[0]))
    kept = keeper.Keeper(path, 10, {})
    theta = np.zeros(3)
    position = kept.begin(train.State.begin(theta, Training()), Training(), 5, lambda: ({}, {}))
    with kept:
        for now[0] in (0, 5, 9.9, 10, 12, 19.9, 25, 34, 35):
            kept.rest(position)
    assert saves == [0, 10, 25, 35]


def interrupt(times: int, epoch: int = 2):
    """A callback that presses Ctrl-C so often."""

    def press(told):
        for _ in range(times if told.number == epoch else 0):
            os.kill(os.getpid(), signal.SIGINT)

    return press


def test_ctrl_c_leaves_a_checkpoint(path):
    with pytest.warns(UserWarning, match="interrupted"):
        model = small(path, checkpoint_every=1000, callbacks=[interrupt(1)]).fit(X, Y)
    assert (model.stop_reason_, model.n_iter_, position_of(path).done) == ("interrupted", 2, 2)
    assert np.isfinite(model.theta_).all() and len(model.predict(X)) == len(X)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.warns(UserWarning, match="Maximum iterations"):
        again = small(path).fit(X, Y)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        assert digest_of(again) == digest_of(small().fit(X, Y))


def test_ctrl_c_twice_ends_at_once(path):
    with pytest.warns(UserWarning, match="interrupted"):
        small(path, checkpoint_every=1000, callbacks=[interrupt(2)]).fit(X, Y)
    assert position_of(path).done == 0, "there was no time for another one"


@pytest.mark.filterwarnings("ignore")
def test_a_handler_of_ones_own_and_other_threads_are_left_alone(path):
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        small(path, callbacks=[interrupt(1)]).fit(X, Y)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1]
    path.unlink()
    thread = threading.Thread(target=small(path).fit, args=(X, Y))
    thread.start()
    thread.join()
    assert checkpoint.read(str(path)).outcome.reason == "epochs"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_full_disk_is_said_and_training_goes_on(path):
    def fill(epoch):
        if epoch.number == 3:
            faulty_disk.disk.os = faulty_disk.Disk(1, faulty_disk.errors()[0], for_good=True)

    try:
        with pytest.warns(TrainingWarning, match=r"could not be written \(full\).*last one.*still there"):
            model = small(path, callbacks=[fill]).fit(X, Y)
    finally:
        faulty_disk.disk.os = os
    assert model.n_iter_ == SMALL["max_iter"] and position_of(path).done in (2, 3)


def test_what_a_killed_process_left_is_removed(path):
    small(path, max_iter=300, tol=1e-2).fit(X, Y)
    Path(leftovers.names(str(path))[0]).touch()
    small(path, max_iter=300, tol=1e-2).fit(X, Y)
    assert os.listdir(path.parent) == [path.name]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learning_rate_init": 0.01}, "learning_rate_init was 0.001 there and is 0.01 here"),
        ({"solver": "sgd"}, "solver was 'adam' there and is 'sgd' here"),
        ({"hidden_layer_sizes": (8, 8)}, r"hidden_layer_sizes was \(8,\) there and is \(8, 8\) here"),
        ({"random_state": 4}, "random_state was 3 there and is 4 here"),
        ({"class_weight": {0: 2.0, 1: 1.0, 2: 1.0}}, "class_weight was None there"),
        ({"metric": len}, "metric was None there and is 'len' here"),
        (
            {"init_weights": ([np.ones((4, 8)), np.ones((8, 3))], [np.ones(8), np.ones(3)])},
            "there was no init_weights there",
        ),
        ({"X": X[:-1], "y": Y[:-1]}, r"X had the shape \(150, 4\) there and has \(149, 4\) here"),
        ({"X": X + 1}, "X held other values there"),
        ({"y": Y[::-1]}, "y held other values there"),
        ({"sample_weight": np.ones(150)}, "there was no sample_weight there, and there is one here"),
        ({"validation_data": (X, Y)}, "there was no validation_data there"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_another_fit_is_refused(tmp_path_factory, begun, options, words):
    given = {
        name: options.pop(name) for name in ("X", "y", "sample_weight", "validation_data") & options.keys()
    }
    before = begun.read_bytes()
    with pytest.raises(FileError, match=words) as caught:
        small(begun, **options).fit(given.pop("X", X), given.pop("y", Y), **given)
    assert str(caught.value).startswith(f"{begun} is the checkpoint of another fit: ")
    assert begun.read_bytes() == before


@pytest.fixture
def begun(path, stop) -> Path:
    """The checkpoint of a fit that was stopped within its third epoch or after it."""
    stop(small(path), 5)
    return path


def test_another_estimator_is_refused(begun):
    with pytest.raises(FileError, match="the estimator was 'MLPClassifier' there and is 'MLPRegressor' here"):
        small(begun, MLPRegressor).fit(X, X[:, 0])


@pytest.mark.filterwarnings("ignore")
def test_what_changes_nothing_may_change(begun, capsys):
    options = {"verbose": True, "callbacks": [lambda epoch: None], "checkpoint_every": 9.0}
    assert digest_of(small(begun, **options).fit(X, Y)) == digest_of(small(**options).fit(X, Y))


@pytest.mark.filterwarnings("ignore")
def test_only_checkpoints_are_replaced(path):
    small().fit(X, Y).save(path)
    before = path.read_bytes()
    with pytest.raises(FileError, match=r"holds a model \(MLPClassifier\): name another file"):
        small(path).fit(X, Y)
    assert path.read_bytes() == before
    path.write_text("notes of mine")
    with pytest.raises(FileError, match="not a model file of chainrule"):
        small(path).fit(X, Y)


def test_a_checkpoint_is_no_model(begun):
    with pytest.raises(FileError, match="is a checkpoint of a fit, not a model"):
        load(begun)


@pytest.mark.filterwarnings("ignore")
def test_a_model_file_knows_nothing_of_checkpoints(path, tmp_path):
    small(path).fit(X, Y).save(tmp_path / "model")
    small().fit(X, Y).save(tmp_path / "other")
    assert (tmp_path / "model").read_bytes() == (tmp_path / "other").read_bytes()
    assert load(tmp_path / "model").checkpoint is None


def test_where_nothing_can_be_written_no_training_begins(tmp_path):
    epochs = []
    with pytest.raises(FileNotFoundError) as caught:
        small(tmp_path / "absent" / "checkpoint", callbacks=[epochs.append]).fit(X, Y)
    assert caught.value.filename == str(tmp_path / "absent" / "checkpoint") and epochs == []
    for wrong in ({"checkpoint": 3}, {"checkpoint_every": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            small(**wrong).fit(X, Y)


# ------------------------------------------------------------------ damage and malice


def changed(path: Path, metadata=(), arrays=(), own=()) -> None:
    """Write a checkpoint anew, with a right digest, and with changes to its parts."""
    contents = store.read(path)
    new = {**contents.metadata, **dict(metadata)}
    new["own"] = {**new["own"], **dict(own)}
    kept = {name: a for name, a in {**contents.arrays, **dict(arrays)}.items() if a is not None}
    store.write(path, "Checkpoint", new, kept)


RANDOM = [np.zeros(623, np.int64), np.zeros(624, np.int64)]


@pytest.mark.parametrize(
    "change",
    [
        {"arrays": {"theta": np.zeros(3)}},
        {"arrays": {"theta": np.zeros(67, np.float32)}},
        {"arrays": {"slots": np.zeros((2, 3))}},
        {"arrays": {"slots": None}},
        {"arrays": {"safe": np.zeros(3)}},
        {"arrays": {"best": np.zeros(3)}},
        {"arrays": {"losses": np.zeros(9)}},
        {"arrays": {"order": np.zeros(150, np.int64)}},
        {"arrays": {"order": np.arange(150) + 1}},
        {"arrays": {"order": np.arange(149)}},
        {"arrays": {"order": np.arange(150.0)}},
        {"arrays": {"order": np.zeros((0, 2), np.int64)}},
        {"arrays": {"own random": RANDOM[0]}},
        {"arrays": {"own first": np.zeros(3)}},
        {"arrays": {"own first": None}},
        {"arrays": {"own held": np.arange(9), "own kept": np.arange(9)}},
        {"arrays": {"own held": np.arange(9), "own kept": np.arange(9, 149)}},
        {"arrays": {"own held": np.arange(9.0), "own kept": np.arange(9.0, 150)}},
        {"metadata": {"state": {}}},
        {"metadata": {"position": {"done": -1, "step": 0}}},
        {"metadata": {"position": {"done": 1, "step": 5}}, "arrays": {"losses": np.zeros(5)}},
        {"metadata": {"position": {"done": 1, "step": 3}}, "arrays": {"losses": np.zeros(3), "order": None}},
        {"metadata": {"outcome": {"reason": "x", "cause": "y"}}},
        {"metadata": {"history": ["loss", "more"]}},
        {"arrays": {"history 0": np.zeros((2, 2))}},
        {"metadata": {"method": {"value": 0.0, "evaluations": 1, "damping": 0.0}}},
        {"metadata": {"run": [1]}},
        {"own": {"random": [625, 0, 0.0]}},
        {"own": {"random": "none"}},
        {"own": {"notes": {"x": 1}}},
        {"own": {"begun": "0"}},
        {"own": {"dropout_seed": None}},
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(begun, change):
    changed(begun, **change)
    with pytest.raises(FileError, match="does not fit"):
        small(begun).fit(X, Y)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["theta", "gradient", "s", "y", "rho"])
def test_a_method_that_does_not_fit_is_refused(path, stop, name):
    model = MLPClassifier((4,), solver="lbfgs", random_state=0, checkpoint=path, checkpoint_every=0)
    stop(model, 5)
    changed(path, arrays={f"method {name}": np.zeros((2, 7))})
    with pytest.raises(FileError, match="does not fit"):
        model.fit(X, Y)


@pytest.mark.filterwarnings("ignore")
def test_a_method_of_other_parameters_is_refused(path, stop):
    model = MLPClassifier((4,), solver="lbfgs", random_state=0, checkpoint=path, checkpoint_every=0)
    stop(model, 2)
    wide, none = np.zeros(7), np.zeros((0, 7))
    arrays = {"theta": wide, "gradient": wide, "s": none, "y": none, "rho": np.zeros(0)}
    changed(path, arrays={f"method {name}": array for name, array in arrays.items()})
    with pytest.raises(FileError, match="its method has other parameters"):
        model.fit(X, Y)


@pytest.mark.filterwarnings("ignore")
def test_damage_that_the_digest_covers_up_is_refused_or_does_no_harm(begun):
    """Whoever computes the digest anew may change numbers, but nothing breaks."""
    rng, file, refused = random.Random(0), begun.read_bytes(), 0
    for _ in range(150):
        position = rng.randrange(8, 2500)
        flipped = bytearray(file)
        flipped[position] ^= 1 << rng.randrange(8)
        begun.write_bytes(hostile.seal(bytes(flipped)))
        try:
            small(begun, checkpoint_every=1000).fit(X, Y)
        except (FileError, DivergenceError):
            refused += 1
    assert refused > 100


def test_damage_is_said():
    found = files.corruption(100, 50, 20, step=97)
    assert found.passed, found.text


# ------------------------------------------------------------------ the command line


@pytest.mark.compiled
def test_a_command_that_is_killed_goes_on(tmp_path, monkeypatch):
    """With SIGKILL and with Ctrl-C; the model is that of a command that ran through."""
    rows = "\n".join(f"{a:.4f},{b:.4f},{label}" for (a, b, *_), label in zip(X, Y, strict=True))
    (tmp_path / "table.csv").write_text("a,b,kind\n" + rows)
    command = [sys.executable, "-m", "chainrule", "train", "table.csv", "--target", "kind", "--epochs", "300"]
    command += ["--learning-rate", "1e-5", "--hidden", "9", "--json", "--output"]
    plain = [*command, "plain.model"]
    going = [*command, "model", "--checkpoint", "run", "--checkpoint-every", "0"]
    where = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": killed.SOURCE}}
    for number in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(going, **where, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        before = position_of(tmp_path / "run").done if (tmp_path / "run").exists() else 0
        while not (tmp_path / "run").exists() or position_of(tmp_path / "run").done < before + 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate()[1].decode()
        assert ("The same command goes on from the checkpoint run." in said) == (number == signal.SIGINT)
        assert process.returncode == (130 if number == signal.SIGINT else -number)
    monkeypatch.chdir(tmp_path)
    for arguments in (going, plain):
        done = CliRunner().invoke(main, arguments[3:])
        assert done.exit_code == 0
        assert ("Going on from the checkpoint run." in done.stderr) == (arguments is going)
    found, expected = (load(tmp_path / name).estimator_ for name in ("model", "plain.model"))
    assert digest_of(found) == digest_of(expected)
    assert sorted(os.listdir(tmp_path)) == ["model", "plain.model", "table.csv"]


def test_a_checkpoint_of_another_command(tmp_path, monkeypatch):
    """A command that fails after training leaves it; another command is told what differs."""
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("a,kind\n" + "\n".join(f"{i % 7},{i % 2}" for i in range(40)))
    command = ["train", "table.csv", "--target", "kind", "--epochs", "3", "--checkpoint", "run"]
    with monkeypatch.context() as patched:
        patched.setattr(TableModel, "save", lambda *_: 1 / 0)
        assert isinstance(CliRunner().invoke(main, command).exception, ZeroDivisionError)
    assert position_of(Path("run")).done == 3
    other = CliRunner().invoke(main, [*command, "--alpha", "1"])
    assert other.exit_code == 1 and "another fit: alpha was 0.0001 there and is 1.0 here" in other.stderr
    assert CliRunner().invoke(main, command).exit_code == 0
    assert sorted(os.listdir()) == ["model.safetensors", "table.csv"]
