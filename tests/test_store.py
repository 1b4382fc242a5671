"""Model files: what is written is read, and what cannot be written is said."""

from __future__ import annotations

import os
from pathlib import Path

import hostile
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from model_files import ARRAYS, METADATA, examples, same_arrays, texts, values

from chainrule import store
from chainrule.errors import FileError, OptionError

DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def model(path: Path) -> Path:
    """A small model file."""
    store.write(path, "MLPClassifier", METADATA, ARRAYS)
    return path


# ---------------------------------------------------------------- round trip

dtypes = st.sampled_from(DTYPES).map(np.dtype).flatmap(lambda d: st.sampled_from((d, d.newbyteorder())))
arrays = st.dictionaries(
    texts,
    hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)),
    max_size=4,
)


@examples(150)
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
        assert (facts["format"], facts["kind"], facts["version"]) == (
            "chainrule",
            "MLPClassifier",
            "1",
        )
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
        b'{"__metadata__":{"sha256":"'
        + digest
        + b'","format":"chainrule","kind":"K","metadata":'
        + metadata
        + b',"version":"1"},"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}'
    )
    assert path.read_bytes() == hostile.framed(hostile.padded(header), b"\1\2")


def test_only_the_digest_is_filled_in(path):
    zeros = {"0" * 64: "0" * 200}
    store.write(path, "K", zeros, {"0" * 64: np.full(100, ord("0"), np.uint8)})
    assert store.read(path).metadata == zeros


@pytest.mark.parametrize("shape", [(1,) * 64, (0,) * 64, (0, 2**59), (2**59, 0)])
def test_extreme_shapes(path, shape):
    store.write(path, "K", {}, {"w": np.zeros(shape)})
    assert store.read(path).arrays["w"].shape == shape


def test_a_header_may_be_as_long_as_its_bound(monkeypatch, model):
    length = int.from_bytes(model.read_bytes()[:8], "little")
    monkeypatch.setattr(store, "MAX_HEADER", length)
    store.write(model, "MLPClassifier", METADATA, ARRAYS)
    assert same_arrays(store.read(model).arrays, ARRAYS)
    monkeypatch.setattr(store, "MAX_HEADER", length - 1)
    with pytest.raises(OptionError, match=f"header takes {length} bytes, more than {length - 1}"):
        store.write(model, "MLPClassifier", METADATA, ARRAYS)
    with pytest.raises(FileError, match=f"take {length} bytes, more than {length - 1}"):
        store.read(model)


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


@pytest.mark.parametrize("value", [1, "x", float("nan")])
def test_metadata_may_be_nested_as_deep_as_is_said(path, value):
    for _ in range(31):
        value = [value]
    store.write(path, "K", {"a": value}, {})
    assert repr(store.read(path).metadata) == repr({"a": value})
    with pytest.raises(OptionError, match="nested more than 32 deep"):
        store.write(path, "K", {"a": [value]}, {})
