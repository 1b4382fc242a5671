"""The command line: what it prints where, what it writes, and how it fails."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from sklearn.exceptions import ConvergenceWarning

from chainrule import check as checks
from chainrule import demo, frames, progress
from chainrule.cli import main
from chainrule.estimators import MLPClassifier
from chainrule.frames import read_table
from chainrule.models import load
from chainrule.parameters import initial
from chainrule.reference import forward, predict
from chainrule.spec import Layer, Network

QUICK = ["--hidden", "4", "--epochs", "3"]
COMMANDS = sorted(main.commands)


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def process(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "chainrule", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    x = rng.normal(size=60).round(3)
    frame = pl.DataFrame(
        {
            "id": [f"{i:03}" for i in range(60)],
            "x": x,
            "colour": ["red", "green"] * 30,
            "kind": ["big" if value > 0 else "small" for value in x],
            "size": (10 * x).round(2),
        }
    )
    path = tmp_path_factory.mktemp("tables") / "things.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def model(table) -> Path:
    path = table.with_name("things.model")
    options = ["--target", "kind", "--drop", "id", "--drop", "size", "--output", path]
    assert run("train", table, *options, *QUICK).exit_code == 0
    return path


# ------------------------------------------------------------------ help


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=str)
def test_help_shows_examples(command):
    text = run(*command, "--help").stdout
    examples = [line for line in text.partition("Examples:")[2].splitlines() if line.strip()]
    wanted = f"chainrule {' '.join(command)}".rstrip()
    assert examples[0].strip().startswith(wanted)
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_can_be_parsed(command):
    """Every option that an example uses exists."""
    for line in main.commands[command].epilog.splitlines()[2:]:
        words = line.split()[2:]
        main.commands[command].make_context(command, [word.strip("'") for word in words])


def test_help_of_a_command_loads_nothing_heavy():
    code = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        "from chainrule.cli import main; main(['train', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"numba", "sklearn", "scipy", "polars", "narwhals", "numpy", "rich"}


def test_version():
    try:
        wanted = version("chainrule")
    except PackageNotFoundError:
        pytest.skip("chainrule is not installed here")
    assert run("--version").stdout == f"chainrule {wanted}\n"


# ------------------------------------------------------------------ train


def test_train_prints_a_report_and_writes_a_model(table, tmp_path):
    path = tmp_path / "model"
    result = run("train", table, "--target", "size", "--drop", "kind", "-o", path, *QUICK)
    assert result.exit_code == 0
    for words in (
        "colour  category",
        "size (regression)",
        "60 in the table",
        "Baseline",
        str(path),
    ):
        assert words in result.stdout
    assert "id      category       0  dropped" in result.stdout
    assert load(path).report_["target"] == "size"


def test_a_long_report_is_cut(tmp_path):
    path = tmp_path / "wide.csv"
    pl.DataFrame({f"c{i}": range(i, i + 40) for i in range(45)}).write_csv(path)
    result = run("train", path, "--target", "c44", "-o", tmp_path / "model", *QUICK)
    assert "and 4 more" in result.stdout and "c40" not in result.stdout


def test_train_prints_json(table, tmp_path):
    path = tmp_path / "model"
    result = run("train", table, "--target", "kind", "-o", path, "--json", *QUICK)
    report = json.loads(result.stdout)
    assert report == {**load(path).report_, "model": str(path)}
    assert result.stderr == "" or "Note: " in result.stderr


def test_train_prints_a_diagnosis(table, tmp_path):
    options = ["--target", "kind", "-o", tmp_path / "model", "--learning-rate", 1e-7, "--hidden", "4"]
    text = " ".join(run("train", table, *options, "--epochs", 8).stdout.split())
    assert "Diagnosis The learning rate 1e-07 is too low: 8 epochs moved the parameters" in text
    found = json.loads(run("train", table, *options, "--epochs", 8, "--json").stdout)["diagnosis"]
    assert found["healthy"] is False and found["findings"][0]["name"] == "learning_rate_too_low"
    assert " ".join(found["summary"].split()) in text


def test_train_passes_its_options_on(table, tmp_path):
    path = tmp_path / "model"
    result = run(
        "train", table, "--target", "kind", "--output", path, "--hidden", "5,3", "--epochs", 2,
        "--activation", "tanh", "--activation", "leaky_relu(alpha=0.2)", "--solver", "sgd",
        "--batch-size", 16, "--learning-rate", 0.1, "--alpha", 0.5, "--dropout", 0.25, "--seed", 7,
        "--test-size", 0, "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0
    net = load(path).estimator_
    assert net.hidden_layer_sizes == (5, 3) or [*net.hidden_layer_sizes] == [5, 3]
    assert [*net.activation] == ["tanh", "leaky_relu(alpha=0.2)"]
    found = (net.solver, net.max_iter, net.batch_size, net.learning_rate_init, net.alpha)
    assert found == ("sgd", 2, 16, 0.1, 0.5)
    assert (net.dropout, net.random_state) == (0.25, 7)
    assert "Baseline" not in result.stdout  # nothing was held out


def test_the_same_seed_gives_the_same_file(table, tmp_path):
    for name in ("a", "b"):
        run("train", table, "--target", "kind", "-o", tmp_path / name, "--seed", 3, *QUICK)
    first, second = (load(tmp_path / name).estimator_ for name in "ab")
    for W, V in zip(first.coefs_, second.coefs_, strict=True):
        assert (W == V).all()


def test_train_reads_other_spellings(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("a|b|y\n" + "".join(f"{i % 7},5|{i % 3}|{i % 2}\n" for i in range(40)))
    options = [
        "--separator",
        "|",
        "--decimal-comma",
        "--text",
        "b",
        "-o",
        tmp_path / "model",
        "--json",
    ]
    report = json.loads(run("train", path, "--target", "y", *options, *QUICK).stdout)
    kinds = {column["column"]: column["kind"] for column in report["columns"]}
    assert kinds == {"a": "number", "b": "category"}


# ------------------------------------------------------------------ predict


def test_predict_keeps_the_order_of_the_rows(model, table):
    result = run("predict", model, table)
    predicted = pl.read_csv(io.StringIO(result.stdout))
    assert predicted.columns == ["kind"]
    assert predicted["kind"].to_list() == load(model).predict(read_table(table)).tolist()
    assert result.stderr == ""


def test_predict_writes_probabilities_and_columns(model, table, tmp_path):
    path = tmp_path / "out.csv"
    result = run("predict", model, table, "--proba", "--keep", "id", "--keep", "x", "--output", path)
    assert result.stdout == result.stderr == ""
    predicted = pl.read_csv(path, infer_schema=False)
    assert predicted.columns == ["id", "x", "kind", "probability_big", "probability_small"]
    assert predicted["id"].to_list() == [f"{i:03}" for i in range(60)]  # as they stand in the file
    P = predicted.select(pl.col("^probability_.*$").cast(float)).to_numpy()
    np.testing.assert_array_equal(P, load(model).predict_proba(read_table(table)))


def test_predict_says_what_is_new(model, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("more,colour,x\n1,red,NA\n2,blue,0.5\n")
    result = run("predict", model, path)
    assert result.stdout.count("\n") == 3
    notes = result.stderr.splitlines()
    assert len(notes) == 3 and all(line.startswith("Note: ") for line in notes)


def test_categories_that_look_like_numbers(tmp_path):
    """At prediction, a column is read as it was in training, whatever its cells look like."""
    path, new = tmp_path / "codes.csv", tmp_path / "new.csv"
    path.write_text("code,y\n" + "".join(f"{c},{c}\n" for c in ("1.50", "2", "x") * 20))
    new.write_text("code\n1.50\n2\n")
    options = ["--text", "code", "--text", "y", "-o", tmp_path / "model"]
    run(
        "train",
        path,
        "--target",
        "y",
        *options,
        "--hidden",
        8,
        "--epochs",
        200,
        "--learning-rate",
        0.1,
    )
    assert run("predict", tmp_path / "model", new).stdout == "y\n1.50\n2\n"


def test_formulas_are_neutralised(tmp_path):
    path = tmp_path / "formulas.csv"
    path.write_text("x,y\n" + "".join(f"{i % 2},{('=1+1', '-1')[i % 2]}\n" for i in range(40)))
    run(
        "train",
        path,
        "--target",
        "y",
        "-o",
        tmp_path / "model",
        "--epochs",
        100,
        "--learning-rate",
        0.1,
    )
    lines = set(run("predict", tmp_path / "model", path).stdout.splitlines()[1:])
    assert lines == {"'=1+1", "-1"}


# ------------------------------------------------------------------ check


@pytest.mark.compiled
def test_check(model, table):
    result = run("check", model, table, "--rows", 10)
    assert result.exit_code == 0 and "agrees" in result.stdout
    report = json.loads(run("check", model, table, "--json").stdout)
    assert report["passed"] is True and report["error"] < report["tolerance"]


def test_a_failed_check_is_exit_code_1(model, table, monkeypatch):
    wrong = checks.GradientReport(0.5, 1e-13, ("W[1][0, 0]",), 10, 10, "W[1][0, 0]")
    monkeypatch.setattr("chainrule.table_model.check_gradients", lambda *args, **options: wrong)
    result = run("check", model, table)
    assert result.exit_code == 1 and "DOES NOT agree" in result.stdout
    result = run("check", model, table, "--json")
    assert result.exit_code == 1 and json.loads(result.stdout)["passed"] is False


# ------------------------------------------------------------------ explain


def test_explain_shows_a_row_and_what_is_asked_for(model, table):
    text = run("explain", model, table, "--row", 3).stdout
    for title in ("Row 3", "Forward propagation", "The loss", "Back propagation", "The update"):
        assert title in text
    assert "Forward propagation" not in run("explain", model, table, "--part", "backward").stdout
    facts = json.loads(run("explain", model, table, "--row", 3, "--form", "matrix", "--json").stdout)
    assert facts["form"] == "matrix"
    predicted = next(e["value"] for e in facts["equations"] if e["symbol"] == "Ŷ")
    expected = load(model).predict_proba(read_table(table)[3])[0, -1]
    assert predicted[0][0] == pytest.approx(expected, rel=1e-6)


def test_explain_says_which_rows_there_are(model, table):
    result = run("explain", model, table, "--row", 60)
    assert result.exit_code == 1 and "rows 0 to 59" in result.stderr


# ------------------------------------------------------------------ demo


@pytest.mark.slow
def test_demo():
    result = run("demo")
    assert result.exit_code == 0
    for words in ("Baseline", "accuracy", "a = relu(z)", "a = sigmoid(z)", "bias", "True: "):
        assert words in result.stdout


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "categorical_cross_entropy", "squared_error"])
def test_the_equations_of_a_row_add_up(loss, rng):
    network = Network(9, [Layer(7, "tanh"), Layer(6, "relu"), Layer(2)], loss)
    theta, x = initial(network, rng, "scikit_learn"), rng.normal(size=9)
    equations = demo.forward_equations(network, theta, x, [f"x{i}" for i in range(9)], output=1)
    run = forward(network, theta, x[None, :])
    assert len(equations) == 3
    for equation in equations:
        total = sum(term.product for term in equation.terms) + equation.rest + equation.bias
        assert equation.z == pytest.approx(total)
        products = [abs(term.product) for term in equation.terms]
        assert products == sorted(products, reverse=True) and 0 < len(products) <= 4
    assert equations[-1].z == run.Z[-1][0, 1]
    assert equations[-1].a == predict(network, run.Z[-1])[0, 1]
    for below, above in itertools.pairwise(equations):
        assert above.terms[0].name == below.title.lower()  # the way that moves the result most
        assert above.terms[0].value == below.a
    assert equations[1].lines()[-2].split() == ["z", "=", f"{equations[1].z:.4f}"]


# ------------------------------------------------------------------ failures


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "absent.csv", "--target", "y"], 1, "There is no file absent.csv"),
        (["train", "{table}", "--target", "absent"], 1, "no column 'absent'"),
        (["train", "{table}", "--target", "id"], 1, "60 different values"),
        (["train", "{table}"], 2, "Missing option '--target'"),
        (["train", "{table}", "--target", "kind", "--drop", "kind"], 2, "cannot be dropped"),
        (["train", "{table}", "--target", "kind", "--hidden", "4,x"], 2, "'4,x' is not a list"),
        (["train", "{table}", "--target", "kind", "--hidden", "0"], 2, "'0' is not a list"),
        (
            ["train", "{table}", "--target", "kind", "--activation", "rellu"],
            2,
            "Did you mean 'relu'",
        ),
        (["train", "{table}", "--target", "kind", "--solver", "adm"], 2, "Did you mean 'adam'"),
        (["train", "{table}", "--target", "kind", "--epochs", "0"], 2, "--epochs"),
        (["train", "{table}", "--target", "kind", "--test-size", "1"], 2, "--test-size"),
        (["train", "{table}", "--target", "kind", "--separator", ";;"], 2, "one character"),
        (["train", "{table}", "--target", "kind", "-o", "absent/model"], 2, "no folder absent"),
        (["train", "{table}", "--target", "kind", "--checkpoint", "absent/run"], 2, "no folder absent"),
        (["train", "{table}", "--target", "kind", "-o", "x", "--checkpoint", "x"], 2, "cannot both"),
        (["predict", "absent.model", "{table}"], 1, "absent.model: No such file"),
        (["predict", "{table}", "{table}"], 1, "things.csv"),
        (["predict", "{model}", "{table}", "--keep", "absent"], 1, "no column 'absent'"),
        (["predict", "{model}", "{table}", "--keep", "kind"], 2, "do not keep it"),
        (["predict", "{model}", "{table}", "-o", "absent/out.csv"], 1, "cannot be written"),
        (["check", "{model}", "{table}", "--rows", "0"], 2, "--rows"),
        (["absent"], 2, "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_failures_are_one_sentence(arguments, code, words, table, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*(argument.format(table=table, model=model) for argument in arguments))
    assert result.exit_code == code
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ") and words in last
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())  # nothing was written


def test_divergence_is_said(table, tmp_path):
    options = ["--target", "size", "--solver", "gradient_descent", "--learning-rate", "1e30"]
    result = run("train", table, *options, "-o", tmp_path / "model", *QUICK)
    assert result.exit_code == 1 and result.stdout == ""
    assert "Lower the learning rate" in result.stderr
    assert not (tmp_path / "model").exists()


def test_too_little_memory_is_said(table, monkeypatch):
    monkeypatch.setattr(frames, "read_table", lack_memory)
    result = run("train", table, "--target", "kind")
    assert result.exit_code == 1 and "not enough memory" in result.stderr


def lack_memory(*args, **options):
    raise MemoryError


def test_a_model_without_columns(table, tmp_path):
    X = np.arange(8.0)[:, None]
    net = MLPClassifier(hidden_layer_sizes=(2,), max_iter=1)
    with pytest.warns(ConvergenceWarning):
        net.fit(X, [0, 1] * 4).save(tmp_path / "net")
    result = run("predict", tmp_path / "net", table)
    assert result.exit_code == 2 and "MLPClassifier, which knows no columns" in result.stderr


def test_ctrl_c_is_exit_code_130(table, monkeypatch):
    monkeypatch.setattr(frames, "read_table", interrupt)
    result = run("train", table, "--target", "kind")
    assert result.exit_code == 130 and result.stderr == "Interrupted.\n"


def test_ctrl_c_while_training_keeps_what_was_learnt(table, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "watched", lambda: True)
    monkeypatch.setattr(progress, "_figures", interrupt)
    path = tmp_path / "model"
    result = run("train", table, "--target", "kind", "-o", path, "--hidden", 4)
    assert result.exit_code == 130
    assert "1 of at most 200 epochs (interrupted)" in result.stdout
    assert "interrupted" in result.stderr
    assert load(path).report_["training"]["stopped"] == "interrupted"


def interrupt(*args, **options):
    raise KeyboardInterrupt


# ------------------------------------------------------------------ processes


def test_a_process_that_works(model, table):
    done = process("predict", model, table)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("predict", model, table).stdout


def test_a_process_that_fails(table):
    done = process("predict", table, table)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1


@pytest.mark.compiled
def test_a_process_that_is_interrupted(table, tmp_path):
    """The bar tells when training has begun."""
    pty = pytest.importorskip("pty")
    path, long = tmp_path / "model", tmp_path / "long.csv"
    pl.concat([read_table(table)] * 200).write_csv(long)
    command = [sys.executable, "-m", "chainrule", "train", str(long), "--target", "kind"]
    options = ["--output", str(path), "--hidden", "512,512", "--epochs", "100000"]
    reader, writer = pty.openpty()
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=writer) as running:
        shown = ""
        while "epoch" not in shown:
            shown += os.read(reader, 10_000).decode()
        running.send_signal(signal.SIGINT)
        stdout = running.stdout.read().decode()
    os.close(writer)
    os.close(reader)
    assert running.returncode == 130
    assert "(interrupted)" in stdout
    assert load(path).report_["training"]["stopped"] == "interrupted"


def test_a_reader_that_leaves_early(model, table, tmp_path):
    long = tmp_path / "long.csv"
    pl.concat([read_table(table)] * 2000).write_csv(long)
    command = [sys.executable, "-m", "chainrule", "predict", str(model), str(long)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "kind\n"
        running.stdout.close()
        assert running.stderr.read() == ""


@pytest.mark.parametrize("quiet", [False, True])
def test_the_progress_bar_is_for_a_terminal(quiet):
    pty = pytest.importorskip("pty")
    reader, writer = pty.openpty()
    code = (
        "from types import SimpleNamespace as S; from chainrule.progress import training_bar\n"
        f"with training_bar({quiet}) as callbacks:\n"
        "    for i in range(1, 4):\n"
        "        for call in callbacks: call(S(number=i, epochs=3, loss=0.5, validation=0.75))\n"
    )
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    subprocess.run([sys.executable, "-c", code], stderr=writer, check=True, env=environment)
    os.close(writer)
    try:
        shown = os.read(reader, 100_000).decode()
    except OSError:
        shown = ""
    os.close(reader)
    assert ("epoch 3/3  loss 0.5  validation 0.7500" in shown) is not quiet
    assert not quiet or shown == ""


def test_the_progress_bar_moves(monkeypatch):
    monkeypatch.setattr(progress, "watched", lambda: True)
    with progress.training_bar() as callbacks:
        for number in (1, 2):
            epoch = SimpleNamespace(number=number, epochs=2, loss=0.5, validation=None)
            assert [call(epoch) for call in callbacks] == [None]


def test_no_progress_bar_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.training_bar() as callbacks:
        assert callbacks == []
    assert capsys.readouterr().err == ""
