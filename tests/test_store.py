"""Model files: what is written is read, and nothing else is."""

from __future__ import annotations

import errno
import os
import random
import resource
import stat
import string
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import hostile
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule import store
from chainrule.errors import FileError, OptionError
from chainrule.store import disk

DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")
METADATA = {"classes": ["no", "yes"], "loss": [0.7, float("inf")], "seed": 2**100, "spec": {"a": None, "b": True}}
ARRAYS = {"W0": np.arange(6.0).reshape(2, 3), "b0": np.ones(3, np.float32), "used": np.array([True, False])}

# Each example has a file of its own content, so the folder may serve them all.
in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def model(path: Path) -> Path:
    """A small model file."""
    store.write(path, "MLPClassifier", METADATA, ARRAYS)
    return path


def same_arrays(found: dict, expected: dict) -> bool:
    """The same bits, whatever the order of the names and of the bytes."""
    native = {name: np.asarray(array, array.dtype.newbyteorder("=")) for name, array in expected.items()}
    return found.keys() == native.keys() and all(
        (array.dtype, array.shape, array.tobytes())
        == (native[name].dtype, native[name].shape, native[name].tobytes())
        for name, array in found.items()
    )


def refusal(path: Path, file: bytes) -> str:
    """The sentence with which a file is refused."""
    path.write_bytes(file)
    with pytest.raises(FileError) as caught:
        store.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be read: it")
    assert message.endswith(".") and "\n" not in message and len(message) < len(str(path)) + 300
    return message


def survives(path: Path, file: bytes) -> bool:
    """Whether a file is read; if so, its content must have no other spelling, and any tool opens it."""
    path.write_bytes(file)
    try:
        contents = store.read(path)
    except FileError:
        return False
    store.write(path, contents.kind, contents.metadata, contents.arrays)
    assert path.read_bytes() == file
    assert safetensors.numpy.load_file(path).keys() == contents.arrays.keys()
    return True


# ---------------------------------------------------------------- round trip

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
dtypes = st.sampled_from(DTYPES).map(np.dtype).flatmap(lambda d: st.sampled_from((d, d.newbyteorder())))
arrays = st.dictionaries(
    texts, hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)), max_size=4
)


@in_one_folder
@settings(max_examples=150)
@given(st.dictionaries(texts, values, max_size=4), arrays)
def test_round_trip(path, metadata, arrays):
    store.write(path, "Anything", metadata, arrays)
    contents = store.read(path)
    assert (contents.kind, contents.version) == ("Anything", 1)
    assert repr(contents.metadata) == repr({key: sort(metadata[key]) for key in sorted(metadata)})
    assert same_arrays(contents.arrays, arrays)
    for array in contents.arrays.values():
        assert array.flags.writeable and array.flags.aligned and array.flags.c_contiguous
        assert array.dtype.isnative and array.flags.owndata
    assert same_arrays(safetensors.numpy.load_file(path), arrays)


def sort(value):
    """With sorted keys; as text, for nan is not nan."""
    if isinstance(value, dict):
        return {key: sort(value[key]) for key in sorted(value)}
    return [sort(item) for item in value] if isinstance(value, list) else value


def test_any_safetensors_reader_opens_it(model):
    with safetensors.safe_open(model, "np") as file:
        facts = file.metadata()
        assert facts.keys() == {"format", "kind", "metadata", "sha256", "version"}
        assert (facts["format"], facts["kind"], facts["version"]) == ("chainrule", "MLPClassifier", "1")
        assert same_arrays({name: file.get_tensor(name) for name in file.keys()}, ARRAYS)  # noqa: SIM118
    assert same_arrays(safetensors.numpy.load(model.read_bytes()), ARRAYS)


def test_digest_covers_every_other_byte(model):
    """The corpus has an implementation of its own."""
    assert hostile.seal(model.read_bytes()) == model.read_bytes()


def test_data_are_aligned(model):
    file = model.read_bytes()
    assert int.from_bytes(file[:8], "little") % 8 == 0
    with safetensors.safe_open(model, "np") as opened:
        assert list(opened.offset_keys()) == ["W0", "b0", "used"]


def test_equal_contents_give_equal_bytes(path, model):
    backwards = {key: METADATA[key] for key in reversed(METADATA)}
    arrays = {name: np.asfortranarray(ARRAYS[name])[...] for name in reversed(ARRAYS)}
    arrays["b0"] = np.ones((3, 2), ">f4")[:, 1]
    store.write(path.with_name("other"), "MLPClassifier", {**backwards, "classes": ("no", "yes")}, arrays)
    assert path.with_name("other").read_bytes() == model.read_bytes()


def test_bytes_stay_as_they_are(path):
    """Files of version 1 must be read for ever."""
    store.write(path, "K", {"a": 1.5, "b": [float("nan")]}, {"w": np.array([1, 2], np.uint8)})
    metadata = rb'"{\"a\":1.5,\"b\":[{\"__float__\":\"nan\"}]}"'
    digest = b"a" * 64
    header = (
        b'{"__metadata__":{"sha256":"' + digest + b'","format":"chainrule","kind":"K","metadata":' + metadata
        + b',"version":"1"},"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}'
    )
    assert path.read_bytes() == hostile.framed(hostile.padded(header), b"\1\2")


def test_later_changes_leave_the_file_alone(path):
    """A snapshot: the digest is right even if the model is trained while it is written."""
    array = np.zeros(3)
    store.write(path, "K", {}, {"w": array})
    array += 1
    contents = store.read(path)
    contents.arrays["w"] += 2
    assert (store.read(path).arrays["w"] == 0).all()


def test_old_versions_are_brought_up(monkeypatch, model):
    monkeypatch.setattr(store, "VERSION", 3)
    steps = {
        1: lambda old: store.Contents(old.kind + "2", old.version, old.metadata, old.arrays),
        2: lambda old: store.Contents(old.kind + "3", old.version, old.metadata, old.arrays),
    }
    monkeypatch.setattr(store, "MIGRATIONS", steps)
    assert store.read(model).kind == "MLPClassifier23"
    assert store.read(model).version == 1


def test_there_is_a_way_up_from_every_version():
    assert set(store.MIGRATIONS) == set(range(1, store.VERSION))


# ---------------------------------------------------------------- what cannot be written


@pytest.mark.parametrize(
    ("kind", "metadata", "arrays", "words"),
    [
        ("not a name", {}, {}, "kind"),
        (None, {}, {}, "kind"),
        ("K", [], {}, "no dict"),
        ("K", {1: 2}, {}, "not text"),
        ("K", {"a": {None: 2}}, {}, "not text"),
        ("K", {"a": {"__float__": "nan"}}, {}, "__float__"),
        ("K", {"a": np.float32(1)}, {}, "float32"),
        ("K", {"a": {1, 2}}, {}, "a set"),
        ("K", {"a": b""}, {}, "bytes"),
        ("K", {"a": "\ud800"}, {}, "JSON cannot hold"),
        ("K", {"a": 10**5000}, {}, "JSON cannot hold"),
        ("K", {"a": "x" * 2**24}, {}, "header takes"),
        ("K", {}, {"w": [1.0]}, "not a NumPy array, but a list"),
        ("K", {}, {"w": np.float64(1)}, "not a NumPy array"),
        ("K", {}, {"w": np.zeros(2, np.float16)}, "float16"),
        ("K", {}, {"w": np.zeros(2, complex)}, "complex128"),
        ("K", {}, {"w": np.array([None])}, "object"),
        ("K", {}, {"w": np.array(["a"])}, "<U1"),
        ("K", {}, {"w": np.zeros(2, "M8[s]")}, "datetime64"),
        ("K", {}, {"w": np.zeros(2, "f8,i4")}, "dtype"),
        ("K", {}, {0: np.zeros(2)}, "name"),
        ("K", {}, {"__metadata__": np.zeros(2)}, "name"),
        ("K", {}, {"\ud800": np.zeros(2)}, "JSON cannot hold"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(model, kind, metadata, arrays, words):
    before = model.read_bytes()
    with pytest.raises(OptionError, match=rf"^The model cannot be saved: .*{words}.*\.$"):
        store.write(model, kind, metadata, arrays)
    assert model.read_bytes() == before and os.listdir(model.parent) == [model.name]


def test_metadata_within_themselves_are_refused(path):
    endless = []
    endless.append(endless)
    with pytest.raises(OptionError, match="nested more than 32 deep"):
        store.write(path, "K", {"a": endless}, {})


# ---------------------------------------------------------------- what cannot be read


def test_nothing_there(path):
    with pytest.raises(FileNotFoundError):
        store.read(path)


def test_not_a_file(tmp_path):
    with pytest.raises(FileError, match="it is a folder"):
        store.read(tmp_path)
    with pytest.raises(FileError, match="a device or a pipe"):
        store.read("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="a device or a pipe"):
        store.read(tmp_path / "pipe")


def test_empty(path):
    assert "it is empty" in refusal(path, b"")


def test_every_flipped_bit_is_caught(model):
    file = model.read_bytes()
    for position in range(8 * len(file)):
        flipped = bytearray(file)
        flipped[position // 8] ^= 1 << position % 8
        refusal(model, bytes(flipped))


def test_every_truncation_is_caught(model):
    file = model.read_bytes()
    for length in range(len(file)):
        refusal(model, file[:length])


def test_every_splice_is_caught(path, model):
    rng = random.Random(0)
    file = model.read_bytes()
    store.write(path, "MLPRegressor", METADATA, ARRAYS)
    other = path.read_bytes()
    for _ in range(300):
        a, b = sorted(rng.sample(range(len(file) + 1), 2))
        c = rng.randrange(len(other))
        for spliced in (
            file[:a] + file[b:],
            file[:b] + file[a:],
            file[:a] + other[a:],
            file[:a] + other[c : c + b - a] + file[b:],
            file[:a] + bytes(b - a) + file[b:],
        ):
            if spliced not in (file, other):
                refusal(path, spliced)


def test_flips_that_the_digest_covers_up_are_refused_or_mean_what_they_say(model):
    """Whoever computes the digest anew gets another file, or an error, and never anything between."""
    file = model.read_bytes()
    for position in range(8 * len(file)):
        flipped = bytearray(file)
        flipped[position // 8] ^= 1 << position % 8
        survives(model, hostile.seal(bytes(flipped)))


def test_the_corpus_is_right_but_for_its_faults(path):
    assert survives(path, hostile.forge())
    assert len(hostile.CORPUS) >= 60


@pytest.mark.parametrize("name", hostile.CORPUS)
def test_hostile_files_are_refused(path, name):
    file, words = hostile.CORPUS[name]
    assert_matches = pytest.raises(AssertionError) if not words else None
    assert assert_matches is None
    start = time.perf_counter()
    message = refusal(path, file)
    assert time.perf_counter() - start < 0.5
    pytest.importorskip("re").search(words, message) or pytest.fail(message)


@pytest.mark.parametrize("limit", [100, 300, 1000])
def test_no_depth_is_too_deep(path, limit):
    """Whatever recursion is left when `read` is called: a `FileError`, or the metadata."""
    for depth in (*range(1, 40), *range(40, 1100, 7)):
        survives(path, hostile.with_facts(metadata='{"a":' + hostile.nested(depth) + "}"))
        refusal(path, hostile.with_entry(shape=__import__("json").loads(hostile.nested(min(depth, 900)))))


WATCHED = """
import os, sys
from chainrule import store
from chainrule.errors import FileError

seen = set()
words = [word for word in os.environ["WORDS"].split() if word not in sys.modules]
files = [os.path.join(sys.argv[1], name) for name in sorted(os.listdir(sys.argv[1]))]

def hook(event, args):
    if event == "open" and args[0] in files:
        return
    if event == "import" or event.startswith(("open", "os.", "exec", "compile", "socket", "subprocess", "pickle", "ctypes", "marshal", "shutil")):
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


def test_nothing_is_opened_imported_or_run(tmp_path):
    """A process that is watched reads the whole corpus, and names that would do harm if resolved."""
    folder = tmp_path / "files"
    folder.mkdir()
    harmless = [hostile.with_facts(kind=word) for word in hostile.WORDS]
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    harmless += [hostile.forge(entries={name: entry}, data=b"") for name in hostile.NAMES]
    for number, file in enumerate([*(file for file, _ in hostile.CORPUS.values()), *harmless]):
        (folder / f"{number}.safetensors").write_bytes(file)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, folder],
        cwd=tmp_path, env={**os.environ, "WORDS": " ".join(hostile.WORDS)}, capture_output=True, text=True,
    )
    assert done.stderr == ""
    assert done.stdout.split() == [str(len(hostile.CORPUS)), str(len(harmless))]
    assert os.listdir(tmp_path) == ["files"]
