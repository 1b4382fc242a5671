"""A process that is watched while it reads model files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hostile

from chainrule import store

SOURCE = str(Path(store.__file__).parents[2])
WATCHED = """
import os, sys
from chainrule import store
from chainrule.errors import FileError

HARM = tuple("import open os. exec compile socket subprocess pickle ctypes marshal shutil".split())
seen = set()
words = [word for word in os.environ["WORDS"].split() if word not in sys.modules]
files = [os.path.join(sys.argv[1], name) for name in sorted(os.listdir(sys.argv[1]))]

def hook(event, args):
    if event == "open" and args[0] in files:
        return
    if event.startswith(HARM):
        seen.add((event, str(args)[:200]))

refused = kinds = 0
sys.addaudithook(hook)
for file in files:
    try:
        kinds += isinstance(store.read(file).kind, str)
    except FileError:
        refused += 1
found = set(seen)
assert not found, found
assert not any(word in sys.modules for word in words)
print(refused, kinds)
"""


def read_all(folder: Path) -> tuple[int, int, str]:
    """Read the corpus, and files whose names would do harm if they were resolved, in a process of its own.

    Parameters
    ----------
    folder : Path
        An empty folder.

    Returns
    -------
    refused, read : int
        How many files of which sort; all of the corpus must be refused, and all others read.
    trouble : str
        What was opened, imported, run or left behind; empty if nothing was.
    """
    files = folder / "files"
    files.mkdir()
    for number, file in enumerate([*(file for file, _ in hostile.CORPUS.values()), *harmless()]):
        (files / f"{number}.safetensors").write_bytes(file)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, files],
        check=False,
        cwd=folder,
        env={**os.environ, "WORDS": " ".join(hostile.WORDS), "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
    )
    left = sorted(set(os.listdir(folder)) - {"files"})
    if done.returncode or left:
        return 0, 0, f"{done.stderr.strip()} {left or ''}".strip()
    refused, read = map(int, done.stdout.split())
    return refused, read, done.stderr


def harmless() -> list[bytes]:
    """Right files with names of modules and functions in them."""
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    kinds = [hostile.with_facts(kind=word) for word in hostile.WORDS]
    return kinds + [hostile.forge(entries={name: entry}, data=b"") for name in hostile.NAMES]
