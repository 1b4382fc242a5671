"""The command `chainrule studio`."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request

import pytest
from click.testing import CliRunner

from chainrule import TableModel, cli_studio
from chainrule.cli import main
from chainrule.errors import MissingPackageError, OptionError
from chainrule.studio.examples import table
from chainrule.studio.server import bind


def refusal(*words):
    result = CliRunner().invoke(main, ["studio", *map(str, words)])
    return result.exit_code, result.output


def test_it_serves_until_it_is_interrupted(tmp_path):
    frame = table("moons", 60)
    frame.write_csv(tmp_path / "moons.csv")
    made = TableModel(hidden_layer_sizes=(3,), max_iter=5).fit(frame, "class")
    made.save(tmp_path / "moons.model")
    words = ["studio", tmp_path / "moons.csv", "--model", tmp_path / "moons.model", "--no-browser"]
    command = [sys.executable, "-m", "chainrule", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        address = process.stdout.readline().split()[-1]
        with urllib.request.urlopen(address, timeout=20) as page:
            assert page.status == 200 and b"chainrule studio" in page.read()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0 and "Traceback" not in errors and "has ended" in errors
    assert address.startswith("http://127.0.0.1:") and len(address.split("/")[3]) >= 40


def test_wrong_usage_gets_a_sentence(tmp_path):
    table("xor", 40).write_csv(tmp_path / "xor.csv")
    code, text = refusal("--target", "class")
    assert code == 2 and "need the table DATA" in text
    code, text = refusal(tmp_path / "xor.csv", "--target", "price", "--no-browser")
    assert code == 1 and "no column 'price'" in text
    code, text = refusal(tmp_path / "none.csv", "--no-browser")
    assert code == 1 and "There is no file" in text


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(cli_studio, "find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(MissingPackageError, match=r"needs uvicorn: .*chainrule\[studio\]"):
        cli_studio.require_packages()


def test_a_port_in_use_is_refused_and_without_a_port_another_is_found():
    with bind(0) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(OptionError, match="in use"):
            bind(number)
    with bind(None) as first, bind(None) as second:
        assert first.getsockname()[0] == "127.0.0.1"
        assert first.getsockname()[1] != second.getsockname()[1]
