"""Hostile model files, made by hand: with a right digest, so that later checks must act."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
import zipfile
from typing import Any

START = b'{"__metadata__":{"sha256":"'
DIGEST = slice(8 + len(START), 8 + len(START) + 64)

FACTS = {
    "sha256": "0" * 64,
    "format": "chainrule",
    "kind": "MLPClassifier",
    "metadata": "{}",
    "version": "1",
}
ENTRIES = {
    "W": {"dtype": "F64", "shape": [2, 3], "data_offsets": [0, 48]},
    "b": {"dtype": "F32", "shape": [2], "data_offsets": [48, 56]},
    "used": {"dtype": "BOOL", "shape": [3], "data_offsets": [56, 59]},
}
DATA = bytes(range(56)) + b"\0\1\0"


def seal(file: bytes) -> bytes:
    """The file with its right digest, if it is long enough to have one."""
    if len(file) < DIGEST.stop:
        return file
    zeros = file[: DIGEST.start] + b"0" * 64 + file[DIGEST.stop :]
    digest = hashlib.sha256(zeros).hexdigest().encode()
    return zeros[: DIGEST.start] + digest + zeros[DIGEST.stop :]


def framed(header: bytes, data: bytes = DATA, length: int | None = None) -> bytes:
    """A sealed file of a header as it stands."""
    return seal((len(header) if length is None else length).to_bytes(8, "little") + header + data)


def padded(header: bytes) -> bytes:
    return header + b" " * (-len(header) % 8)


def spelt(value: Any) -> bytes:
    """JSON as chainrule spells it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def forge(facts: Any = FACTS, entries: Any = ENTRIES, data: bytes = DATA) -> bytes:
    """A sealed file of these parts."""
    return framed(padded(spelt({"__metadata__": facts, **entries})), data)


def with_facts(**changes: Any) -> bytes:
    return forge({**FACTS, **changes})


def with_entry(**changes: Any) -> bytes:
    return forge(entries={**ENTRIES, "W": {**ENTRIES["W"], **changes}})


def of_text(entries: str, data: bytes = DATA) -> bytes:
    """A sealed file whose header says this after its metadata."""
    return framed(padded(spelt({"__metadata__": FACTS})[:-1] + entries.encode() + b"}"), data)


def empty(dtype: str, shape: list[int]) -> str:
    """An array without bytes, for `of_text`."""
    return ',"x":' + spelt({"dtype": dtype, "shape": shape, "data_offsets": [0, 0]}).decode()


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def zipped(**files: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return file.getvalue()


def tar_with_link() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        link = tarfile.TarInfo("model")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return file.getvalue()


class Bomb:
    """Unpickling it makes a file named "canary"."""

    def __reduce__(self):
        return open, ("canary", "w")


def foreign() -> dict[str, bytes]:
    """Files of other formats under the name of a model file."""
    bomb, archive = pickle.dumps(Bomb()), zipped(a="a")
    good = forge()
    other = {"W": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}
    return {
        "pickle": bomb,
        "old pickle": pickle.dumps(Bomb(), 0),
        "joblib": b"\x80\x04\x95" + bytes(16) + bomb,
        "pickle behind a length": len(bomb).to_bytes(8, "little") + bomb,
        "zip": archive,
        "zip slip": zipped(**{"../../canary": "x"}),
        "torch": zipped(**{"archive/data.pkl": bomb.decode("latin-1")}),
        "keras": zipped(**{"config.json": '{"module":"os","class_name":"system"}'}),
        "tar with a link": tar_with_link(),
        "npy of objects": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'shape': (1,)}" + bytes(64),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(200),
        "gzip": b"\x1f\x8b\x08" + bytes(200),
        "onnx": b"\x08\x07\x12\x07pytorch" + bytes(200),
        "bytecode": b"\xa7\r\r\n" + bytes(200),
        "ELF": b"\x7fELF" + bytes(200),
        "yaml": b"!!python/object/apply:os.system ['touch canary']\n" * 4,
        "python": b"open('canary', 'w')\n" * 10,
        "web page": b"<!DOCTYPE html><script>alert(1)</script>" * 5,
        "git lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 100,
        "zeros": bytes(4096),
        "JSON alone": spelt({"__metadata__": FACTS}),
        "plain safetensors": framed(padded(spelt(other)), b""),
        "metadata last": framed(padded(spelt({**other, "__metadata__": FACTS})), b""),
        "white space first": framed(padded(b" " + spelt({"__metadata__": FACTS})), b""),
        "BOM": framed(padded(b"\xef\xbb\xbf" + spelt({"__metadata__": FACTS})), b""),
        "UTF-16": framed(spelt({"__metadata__": FACTS}).decode().encode("utf-16"), b""),
        "digest not first": forge({"format": "chainrule", **FACTS}),
        "digest is a number": forge({**FACTS, "sha256": 0}),
        "zip in front": archive + good,
        "model within a model": len(good).to_bytes(8, "little") + good,
        "no header": bytes(8),
        "length alone": (2**63).to_bytes(8, "little"),
        "only the start": good[:50],
    }


def frames() -> dict[str, tuple[bytes, str]]:
    """Headers of a wrong length, and files of a wrong one."""
    header = padded(spelt({"__metadata__": FACTS, **ENTRIES}))
    zip_magic = int.from_bytes(b"PK\3\4\0\0\0\0", "little")
    return {
        "length 2**63": (framed(header, length=2**63), "more than"),
        "length 2**64 - 1": (framed(header, length=2**64 - 1), "more than"),
        "length beyond the bound": (framed(header, length=2**24 + 1), "more than"),
        "polyglot of zip": (framed(header, length=zip_magic), "more than"),
        "length beyond the file": (
            framed(header, length=len(header) + len(DATA) + 1),
            "ends within",
        ),
        "length 0": (framed(header, length=0), "not JSON"),
        "length short by one object": (
            framed(header, length=len(header) - 8),
            "not JSON|not spelt",
        ),
        "length long by eight": (framed(header, length=len(header) + 8), "not JSON"),
        "wrong digest": (forge()[:-1] + b"\7", "damaged"),
        "digest in capitals": (
            forge()[: DIGEST.start] + b"A" * 64 + forge()[DIGEST.stop :],
            "damaged",
        ),
        "zip behind": (forge(data=DATA + zipped(a="a")), "has .* for them"),
        "one byte more": (forge(data=DATA + b"\0"), "has 60 for them"),
        "one byte less": (forge(data=DATA[:-1]), "has 58 for them"),
        "no data": (forge(data=b""), "has 0 for them"),
        "unaligned": (framed(header.rstrip() + b" "), "not spelt"),
        "padded too much": (framed(header + b" " * 8), "not spelt"),
        "padded by zeros": (framed(header + bytes(8)), "not JSON"),
        "padded by lines": (framed(header.rstrip() + b"\n" * 8), "not spelt"),
    }


def headers() -> dict[str, tuple[bytes, str]]:
    """JSON that is none, or that parsers understand differently."""
    entry = '"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    invalid = padded(spelt({"__metadata__": FACTS, "?": {}})).replace(b"?", b"\xff")
    surrogate = spelt({"__metadata__": FACTS, "?": {}}).replace(b"?", b"\\ud800")
    return {
        "name twice": (of_text(f",{entry},{entry}", b""), "repeats the key 'x'"),
        "name twice, once escaped": (
            of_text(f",{entry},{entry.replace('x', chr(92) + 'u0078', 1)}", b""),
            "repeats",
        ),
        "key twice": (
            of_text(',"x":{"dtype":"U8","dtype":"F64","shape":[0],"data_offsets":[0,0]}', b""),
            "repeats",
        ),
        "metadata twice": (of_text(',"__metadata__":{}', b""), "repeats the key '__metadata__'"),
        "digest twice": (
            framed(
                padded(spelt({"__metadata__": FACTS}).replace(b',"format', b',"sha256":"","format')),
                b"",
            ),
            "repeats",
        ),
        "escaped": (of_text("," + entry.replace("x", chr(92) + "u0078"), b""), "not spelt"),
        "spaced": (of_text(", " + entry, b""), "not spelt"),
        "trailing comma": (of_text("," + entry + ",", b""), "not JSON"),
        "comment": (of_text("/**/," + entry, b""), "not JSON"),
        "single quotes": (of_text("," + entry.replace('"', "'"), b""), "not JSON"),
        "two values": (framed(padded(spelt({"__metadata__": FACTS}) + b"{}"), b""), "not JSON"),
        "cut": (framed(spelt({"__metadata__": FACTS})[:-1], b""), "not JSON"),
        "not UTF-8": (framed(invalid, b""), "not JSON"),
        "surrogate in UTF-8": (forge(entries={"\udcff": {}}, data=b""), "not JSON"),
        "surrogate escaped": (framed(padded(surrogate), b""), "JSON cannot hold"),
        "deep list": (of_text(f',"x":{nested(100_000)}', b""), "not JSON"),
        "deep object": (
            of_text(',"x":' + '{"a":' * 100_000 + "0" + "}" * 100_000, b""),
            "not JSON",
        ),
        "deep shape": (
            of_text(f',"x":{{"dtype":"U8","shape":{nested(400)},"data_offsets":[0,0]}}', b""),
            "shape",
        ),
        "huge number": (of_text(f',"x":{"9" * 100_000}', b""), "not JSON"),
    }


def facts() -> dict[str, tuple[bytes, str]]:
    """Metadata of the file itself."""
    return {
        "no format": (
            forge({key: FACTS[key] for key in FACTS if key != "format"}),
            "format is None",
        ),
        "other format": (with_facts(format="pt"), "format is 'pt'"),
        "no version": (
            forge({key: FACTS[key] for key in FACTS if key != "version"}),
            "version is None",
        ),
        "newer": (with_facts(version="2"), "newer chainrule"),
        "much newer": (with_facts(version="999999999", extra="x"), "newer chainrule"),
        "version 0": (with_facts(version="0"), "whole number"),
        "version -1": (with_facts(version="-1"), "whole number"),
        "version 01": (with_facts(version="01"), "whole number"),
        "version 1.0": (with_facts(version="1.0"), "whole number"),
        "version with a line": (with_facts(version="1\n"), "whole number"),
        "version in Arabic digits": (with_facts(version="\u0661"), "whole number"),
        "version of many digits": (with_facts(version="9" * 100_000), "whole number"),
        "version is a number": (with_facts(version=1), "whole number"),
        "version is true": (with_facts(version=True), "whole number"),
        "no kind": (
            forge({key: FACTS[key] for key in FACTS if key != "kind"}),
            "must be the texts",
        ),
        "facts out of order": (
            forge({"sha256": "", **dict(reversed(FACTS.items()))}),
            "in this order",
        ),
        "extra fact": (with_facts(loader="os.system"), "must be the texts"),
        "digest and more": (with_facts(sha256="0" * 65), "SHA-256 has 65 digits"),
        "kind is a list": (with_facts(kind=["MLPClassifier"]), "must be the texts"),
        "kind is empty": (with_facts(kind=""), "kind is ''"),
        "kind to import": (with_facts(kind="os.system"), "kind is 'os.system'"),
        "kind as entry point": (with_facts(kind="subprocess:run"), "kind is"),
        "kind to call": (with_facts(kind="__import__('os')"), "kind is"),
        "kind is a path": (with_facts(kind="../../canary"), "kind is"),
        "kind in look-alike letters": (with_facts(kind="MLP\u0421lassifier"), "kind is"),
        "kind with a NUL": (with_facts(kind="MLPClassifier\0"), "kind is"),
        "metadata is an object": (with_facts(metadata={}), "must be the texts"),
        "metadata is null": (with_facts(metadata=None), "must be the texts"),
    }


def metadata() -> dict[str, tuple[bytes, str]]:
    """The model's metadata: one text, which is JSON again."""
    texts = {
        "empty": ("", "not JSON"),
        "list": ("[]", "no dict"),
        "text": ('"{}"', "no dict"),
        "float": ('{"__float__":"nan"}', "no dict"),
        "cut": ('{"a":1', "not JSON"),
        "Python": ("{'a':None}", "not JSON"),
        "pickle": (pickle.dumps(Bomb(), 0).decode(), "not JSON"),
        "BOM": ("\ufeff{}", "not JSON"),
        "key twice": ('{"a":1,"a":2}', "repeats the key 'a'"),
        "deep key twice": ('{"b":[{"a":1,"a":2}]}', "repeats the key 'a'"),
        "NaN": ('{"a":NaN}', "not spelt"),
        "Infinity": ('{"a":-Infinity}', "not spelt"),
        "beyond a float": ('{"a":1e400}', "not spelt"),
        "digits": ('{"a":' + "9" * 100_000 + "}", "not JSON"),
        "exponent": ('{"a":1E5}', "not spelt"),
        "minus zero": ('{"a":-0}', "not spelt"),
        "spaced": ('{"a": 1}', "not spelt"),
        "out of order": ('{"b":1,"a":2}', "not spelt"),
        "half a pair": ('{"a":"\\ud800"}', "JSON cannot hold"),
        "unknown float": ('{"a":{"__float__":"1.5"}}', "__float__"),
        "float of a list": ('{"a":{"__float__":["nan"]}}', "__float__"),
        "float and more": ('{"a":{"__float__":"nan","b":1}}', "__float__"),
        "nested 33 deep": ('{"a":' + nested(32) + "}", "nested more than 32"),
        "nested 900 deep": ('{"a":' + nested(900) + "}", "nested|not JSON"),
        "nested 100000 deep": ('{"a":' + nested(100_000) + "}", "not JSON"),
    }
    return {f"metadata: {name}": (with_facts(metadata=text), words) for name, (text, words) in texts.items()}


def arrays() -> dict[str, tuple[bytes, str]]:
    """Headers that lie about the arrays."""
    W, b = ENTRIES["W"], ENTRIES["b"]
    entries = {
        "entry is null": {"W": None},
        "entry is a list": {"W": [W]},
        "entry is a float": {"W": {"__float__": "nan"}},
        "entry out of order": {"W": dict(reversed(W.items()))},
        "no dtype": {"W": {"shape": [], "data_offsets": [0, 8]}},
        "external data": {"W": {**W, "location": "../../etc/passwd"}},
        "strides": {"W": {**W, "strides": [0, 0]}},
    }
    shapes: dict[str, Any] = {
        "shape is null": None,
        "shape is a number": 6,
        "shape is text": "23",
        "shape is an object": {"0": 2},
        "shape of floats": [2.0, 3.0],
        "shape of booleans": [True, 6],
        "shape of text": ["2", "3"],
        "shape of NaN": [float("nan")],
        "shape of infinity": [float("inf")],
        "negative shape": [-2, -3],
        "one negative side": [-1, 6],
        "shape overflows to 0": [2**32, 2**32],
        "shape overflows to 6": [2**63 + 3, 2],
        "shape beyond 64 bits": [2**64, 6],
        "shape of thousands of digits": [10**4000],
        "shape bomb": [2**40],
        "empty but endless": [0, 2**62, 2**62],
        "65 dimensions": [1] * 65,
        "100000 dimensions": [2**62] * 100_000,
        "shape of another size": [2, 4],
    }
    dtypes: dict[str, Any] = {
        "dtype is null": None,
        "dtype is a number": 64,
        "dtype is a list": ["F64"],
        "dtype of NumPy": "<f8",
        "dtype of objects": "|O",
        "dtype in small letters": "f64",
        "dtype of half the size": "F16",
        "bfloat16": "BF16",
        "complex": "C64",
        "dtype to import": "os.system",
        "dtype of records": "f8,O",
        "dtype of another size": "F32",
    }
    offsets: dict[str, Any] = {
        "offsets are null": None,
        "offsets are an object": {"0": 0, "1": 48},
        "one offset": [0],
        "three offsets": [0, 48, 48],
        "negative offsets": [-48, 0],
        "end before start": [48, 0],
        "start beyond the file": [2**62, 2**62 + 48],
        "offsets wrap around": [2**64 - 24, 24],
        "offsets of floats": [0.0, 48.0],
        "offsets of booleans": [False, 48],
        "offsets of text": ["0", "48"],
        "offsets of NaN": [float("nan"), 48],
        "into the header": [-8, 40],
        "overlap": [8, 56],
        "longer than its shape": [0, 56],
        "shorter than its shape": [0, 40],
    }
    gap = {
        "W": W,
        "b": {**b, "data_offsets": [49, 57]},
        "used": {**ENTRIES["used"], "data_offsets": [57, 60]},
    }
    shared = {"V": W, "W": W}
    return (
        {name: (forge(entries=entry, data=DATA[:48]), "must have a dtype") for name, entry in entries.items()}
        | {name: (with_entry(shape=shape), "shape|lies at") for name, shape in shapes.items()}
        | {name: (with_entry(dtype=dtype), "dtype|lies at|out of order") for name, dtype in dtypes.items()}
        | {name: (with_entry(data_offsets=pair), "lies at") for name, pair in offsets.items()}
        | {
            "gap": (forge(entries=gap, data=DATA + b"\0"), "'b' lies at"),
            "65 sides, all 0": (of_text(empty("F64", [0] * 65), b""), "has the shape"),
            "no bytes, but endless": (of_text(empty("F64", [0, 2**60]), b""), "beyond any memory"),
            "two names for the same bytes": (forge(entries=shared, data=DATA[:48]), "'W' lies at"),
            "out of order": (forge(entries=dict(reversed(ENTRIES.items()))), "out of order"),
            "a boolean of 2": (forge(data=DATA[:-1] + b"\2"), "neither false nor true"),
        }
    )


CORPUS: dict[str, tuple[bytes, str]] = {
    **{name: (file, "not a model file") for name, file in foreign().items()},
    **frames(),
    **headers(),
    **facts(),
    **metadata(),
    **arrays(),
}
# Names that would do harm if anything resolved them; here they are words.
WORDS = ("subprocess", "antigravity", "__import__", "eval", "__reduce__", "CON")
NAMES = (
    "../../canary",
    "/etc/passwd",
    "",
    "__class__",
    "W\0",
    "<script>",
    "$(touch canary)",
    "\u202e",
)
