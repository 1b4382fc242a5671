"""Every block of code in the documentation runs, one page after its own beginning."""

from __future__ import annotations

import re
import shlex
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from chainrule import TrainingWarning
from chainrule.cli import main
from chainrule.equations import ACTIVATIONS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\S*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """The files that the pages speak of."""
    folder = tmp_path_factory.mktemp("iris")
    data = load_iris(as_frame=True)
    frame = data.frame.assign(species=data.target_names[data.target]).drop(columns="target")
    frame.to_csv(folder / "iris.csv", index=False)
    frame.drop(columns="species").head().to_csv(folder / "new.csv", index=False)
    command(f"chainrule train {folder}/iris.csv --target species --epochs 3 --output {folder}/iris.model")
    return folder


def command(line):
    """Run a line of the shell; what it writes to a file is thrown away."""
    words = shlex.split(line.partition(" > ")[0], comments=True)
    result = CliRunner().invoke(main, words[1:])
    assert result.exit_code == 0, f"{line}: {result.output}"


def blocks(page):
    """The Python and the shell blocks of a page; what they print is not run."""
    for kind, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            yield kind, body
        elif body.startswith("chainrule "):
            yield "shell", body


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page, iris, tmp_path, monkeypatch, capsys):
    for name in ("iris.csv", "iris.model", "new.csv"):
        (tmp_path / name).write_bytes((iris / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    names, before = {}, set(ACTIVATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", TrainingWarning)
        for kind, body in blocks(page):
            if kind == "python":
                exec(compile(body, str(page), "exec"), names)
            else:
                for line in body.splitlines():
                    if not line.startswith(("chainrule demo", "chainrule prove")):  # their own tests are slow
                        command(line)
    for name in set(ACTIVATIONS) - before:
        ACTIVATIONS.remove(name)


def test_the_pages_have_code_to_run():
    kinds = [kind for page in PAGES for kind, _ in blocks(page)]
    assert kinds.count("python") >= 10 and kinds.count("shell") >= 3
