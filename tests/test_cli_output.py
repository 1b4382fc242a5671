"""Where the command line writes to, and what it says if it cannot."""

from __future__ import annotations

import errno
import os
import sys

import click
import pytest
from click.testing import CliRunner

from chainrule import cli_parts


def test_without_standard_output_a_file_must_be_named(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(click.ClickException, match="Standard output is closed: name a file with --output"):
        cli_parts.standard_output()


def test_a_full_disk_behind_standard_output_is_said():
    @click.group(cls=cli_parts.Shell)
    def shell():
        pass

    @shell.command()
    def fill():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    done = CliRunner().invoke(shell, ["fill"])
    assert done.exit_code == 1
    assert done.stderr == "Error: The output cannot be written: No space left on device.\n"


def test_a_link_to_what_is_read_is_no_output(tmp_path):
    (tmp_path / "data.csv").write_text("a")
    (tmp_path / "link").symlink_to(tmp_path / "data.csv")
    with pytest.raises(click.UsageError, match="link is read, so it cannot be the output"):
        cli_parts.check_output(tmp_path / "link", tmp_path / "data.csv")
    cli_parts.check_output(tmp_path / "other", tmp_path / "data.csv")
    cli_parts.check_output(None, tmp_path / "data.csv")
