"""Model files that are damaged or hostile: refused in one sentence, never read wrong."""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from pathlib import Path

import hostile
import model_fuzz
import mutants
import numpy as np
import pytest
import safetensors
import safetensors.numpy
import watched
from hypothesis import given
from hypothesis import strategies as st
from model_files import ARRAYS, METADATA, examples, texts, values

from chainrule import store
from chainrule.errors import FileError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def model(path: Path) -> Path:
    """A small model file."""
    store.write(path, "MLPClassifier", METADATA, ARRAYS)
    return path


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
    """Whether a file is read; if so, its content has no other spelling, and any tool opens it."""
    path.write_bytes(file)
    try:
        contents = store.read(path)
    except FileError:
        return False
    store.write(path, contents.kind, contents.metadata, contents.arrays)
    assert path.read_bytes() == file
    assert safetensors.numpy.load_file(path).keys() == contents.arrays.keys()
    return True


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


def test_a_file_beyond_any_memory(model):
    """It has holes, so it takes no room on the disk."""
    os.truncate(model, 2**43)
    with pytest.raises(FileError, match="it is larger than the memory that is free"):
        store.read(model)


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
    """Whoever computes the digest anew gets an error or another file, and nothing between."""
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
    start = time.perf_counter()
    message = refusal(path, file)
    assert time.perf_counter() - start < 0.5
    assert re.search(words, message), message


def test_no_depth_is_too_deep(path):
    """However much recursion a part of the loader can take: an error of ours, or the content."""
    for depth in (*range(1, 40), *range(40, 1100, 7)):
        text = hostile.nested(depth)
        assert survives(path, hostile.with_facts(metadata=f'{{"a":{text}}}')) == (depth <= 31)
        refusal(path, hostile.of_text(f',"x":{{"dtype":"U8","shape":{text},"data_offsets":[0,0]}}'))


def test_many_arrays_are_read_in_time(path):
    """The checks take a time in proportion to the file."""
    store.write(path, "K", {}, {f"w{number}": np.zeros(1) for number in range(10_000)})
    start = time.perf_counter()
    assert len(store.read(path).arrays) == 10_000
    assert time.perf_counter() - start < 2


def test_nothing_is_opened_imported_or_run(tmp_path):
    """A process that is watched reads the corpus, and names that would do harm if resolved."""
    assert watched.read_all(tmp_path) == (len(hostile.CORPUS), len(watched.harmless()), "")


# ---------------------------------------------------------------- fuzz

junk = st.sampled_from(mutants.JUNK) | values
shapes = st.lists(st.integers(0, 4) | st.integers(), max_size=3) | junk
entries = st.dictionaries(
    st.sampled_from(("W", "b", "used", "x", "__metadata__")) | texts,
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(("F64", "F32", "I64", "I32", "U8", "BOOL", "F16")) | junk,
            "shape": shapes,
        },
        optional={
            "data_offsets": st.tuples(st.integers(0, 64), st.integers(0, 64)) | junk,
            "x": junk,
        },
    )
    | junk,
    max_size=3,
)
facts = st.fixed_dictionaries(
    {key: st.just(value) | junk for key, value in hostile.FACTS.items()}, optional={"x": junk}
)


@examples(500)
@given(facts, entries | st.just(hostile.ENTRIES), st.binary(max_size=64) | st.just(hostile.DATA))
def test_fuzzed_parts(path, facts, entries, data):
    survives(path, hostile.forge({**facts, "sha256": "0" * 64}, entries, data))


@examples(500)
@given(values, st.text('{}[]":,.0123456789eE-+ abnulltrefsi\\\n', max_size=30), st.booleans())
def test_fuzzed_metadata(path, value, text, is_valid):
    text = hostile.spelt({"a": value}).decode() if is_valid else f'{{"a":{text}}}'
    survives(path, hostile.with_facts(metadata=text))


def test_fuzzed_from_a_right_file(path):
    rng = random.Random(0)
    outcomes = [survives(path, mutants.mutant(rng)) for _ in range(4000)]
    assert 100 < sum(outcomes) < 2000, "both outcomes must be common for this to test anything"


@pytest.mark.compiled
def test_fuzzed_contents_of_real_models():
    """A model whose contents were changed is refused, or predicts, or says in a sentence why not."""
    draw, originals = random.Random(0), model_fuzz.originals()
    found = Counter(
        model_fuzz.outcome(model_fuzz.altered(contents, draw), data)
        for _ in range(400)
        for contents, data in originals
    )
    assert found.keys() == {"refused", "read"}, found
    assert found["read"] > 100, "both outcomes must be common for this to test anything"
