"""Turns plain functions of the tables into compiled kernels, and calls kernels by address.

Three things make the rows' functions fit for compiled loops:

* every literal takes the type of the function's first argument (``1 / (1 + e)`` would otherwise turn a
  float32 into a float64), by rewriting the syntax tree;
* the vocabulary (`exp`, `where`, ...) gets a scalar meaning;
* a kernel's name carries a digest of all sources that it depends on, so that an edited equation can
  never be served from a stale cache.

Kernels of one kind share one signature and are called through their addresses. So the training loop is
compiled once for each dtype, whatever the network is made of.

With NUMBA_DISABLE_JIT=1 everything here is plain Python, which is how coverage sees it.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
import types as python_types
import warnings
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule import elementary, equation
from chainrule.equation import Function
from chainrule.native import COMPILED
from chainrule.vocabulary import DIRECT, like

OPTIONS = {"nogil": True, "error_model": "numpy"}
PACKAGE = Path(__file__).parent
OWN_FILES = (
    "elementary.py", "native.py", "tiles.py", "products.py", "vocabulary.py", "kernels.py", "templates.py",
    "entry_templates.py", "plan.py", "workspace.py", "sparse_rows.py", "passes.py", "loops.py", "planning.py",
)  # fmt: skip
ELEMENTARY = ("exp", "expm1", "log", "log1p", "tanh", "erfc", "cos_turns", "sin_turns")


# ------------------------------------------------------------------ digests


@cache
def source_digest() -> str:
    """A digest of every source that kernels are made from."""
    own = (PACKAGE / name for name in OWN_FILES)
    files = sorted([*PACKAGE.glob("equations/*.py"), PACKAGE / "equation.py", *own])
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def function_digest(function: Function) -> bytes:
    """What a function computes, in bytes: its code, constants, defaults and closure."""
    code = function.__code__
    parts: list[Any] = [function.__module__, code.co_code, code.co_names, function.__defaults__]
    for constant in code.co_consts:
        parts.append(constant.co_code if isinstance(constant, python_types.CodeType) else constant)
    parts += [cell.cell_contents for cell in function.__closure__ or ()]
    return repr(parts).encode()


# ------------------------------------------------------------------ literals and specialisation


class _Literals(ast.NodeTransformer):
    """Wraps each number of a function in ``like(first argument, number)``."""

    def __init__(self, first: str) -> None:
        self.first = first

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) not in (int, float):
            return node
        name, model = ast.Name("like", ast.Load()), ast.Name(self.first, ast.Load())
        return ast.copy_location(ast.Call(name, [model, node], []), node)


def _definition(function: Function) -> ast.FunctionDef | None:
    """The syntax tree of a function or lambda; None where its source cannot be had."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)).strip())
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    names = inspect.getfullargspec(function).args
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            node.decorator_list = []
            return node
        if isinstance(node, ast.Lambda) and [a.arg for a in node.args.args] == names:
            made = ast.parse(f"def row({', '.join(names)}): pass").body[0]
            assert isinstance(made, ast.FunctionDef)
            made.body = [ast.Return(node.body)]
            return ast.fix_missing_locations(made)
    return None


def typed_literals(function: Function) -> Function:
    """The function with its literals typed like its first argument, where its source can be had.

    A lambda among several on one line cannot be told from its neighbours by its source; such a
    function is taken as it is, and only its result is rounded to the dtype.
    """
    definition = _definition(function)
    if definition is None or function.__closure__ or not _same_code(definition, function):
        return function
    first = inspect.getfullargspec(function).args[0]
    typed = ast.fix_missing_locations(_Literals(first).visit(definition))
    scope = {**function.__globals__, "like": like}
    exec(compile(ast.Module([typed], []), f"<{function.__qualname__}>", "exec"), scope)
    made: Function = scope[definition.name]
    made.__defaults__ = function.__defaults__
    return made


def _same_code(definition: ast.FunctionDef, function: Function) -> bool:
    """Whether the definition that was found compiles to the function's own code."""
    scope: dict[str, Any] = {}
    module = ast.fix_missing_locations(ast.Module([definition], []))
    exec(compile(module, "<definition>", "exec"), scope)
    code = scope[definition.name].__code__
    return bool(code.co_code == function.__code__.co_code and code.co_names == function.__code__.co_names)


def specialise(function: Function, dtype: str = "float64", *, literals: bool = True) -> Function:
    """A function of the tables in the form that kernels of a dtype may call.

    Functions of `chainrule.equations` that it calls are specialised with it.
    """
    if not COMPILED:
        return function
    typed = typed_literals(function) if literals else function
    scope = dict(typed.__globals__)
    for name, helper in _helpers(typed):
        if name in ELEMENTARY and helper is getattr(equation, name):
            scope[name] = getattr(series(dtype), name)
        elif helper in DIRECT:
            scope[name] = DIRECT[helper]
        elif helper.__module__.startswith("chainrule.equations"):
            scope[name] = specialise(helper, dtype, literals=literals)
    return elementary.inlined(rebind(typed, scope))


def series(dtype: str) -> Any:
    """exp, log and their like for kernels of a dtype."""
    if not COMPILED:
        return equation
    return elementary.NARROW if dtype == "float32" else elementary.WIDE


def _helpers(function: Function) -> Iterable[tuple[str, Function]]:
    """The functions that a function calls by their names."""
    called = ((name, function.__globals__.get(name)) for name in function.__code__.co_names)
    return [(name, helper) for name, helper in called if inspect.isfunction(helper)]


def is_elementary(function: Function) -> bool:
    """Whether a function of the tables is made of exp, log and their like."""
    return any(
        helper is getattr(equation, name, None)
        if name in ELEMENTARY
        else helper.__module__.startswith("chainrule.equations") and is_elementary(helper)
        for name, helper in _helpers(function)
    )


def to_double(x: Any) -> Any:
    """x in double precision."""
    return np.float64(x)


def unchanged(x: Any) -> Any:
    """x as it is."""
    return x


def rebind(function: Function, scope: dict[str, Any], name: str | None = None) -> Function:
    """A copy of a function that looks its globals up elsewhere."""
    made = python_types.FunctionType(
        function.__code__, scope, name or function.__name__, function.__defaults__, function.__closure__
    )
    made.__module__ = function.__module__
    made.__qualname__ = name or function.__qualname__
    return made


# ------------------------------------------------------------------ compiling


def compile_function(function: Function, signature: Any = None) -> Any:
    """Compile with the disk cache, or without it where no cache folder can be written.

    It allocates nothing, and counts no references to its arrays: who calls it keeps them alive.
    """
    if not COMPILED:
        return np.errstate(all="ignore")(function)  # compiled arithmetic does not warn either
    options = {**OPTIONS, "_nrt": False}
    try:
        return numba.njit(signature, cache=True, **options)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        return numba.njit(signature, **options)(function)


def _compile_callback(function: Function, signature: Any) -> Any:
    try:
        return numba.cfunc(signature, cache=True, **OPTIONS)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        return numba.cfunc(signature, **OPTIONS)(function)


def template_name(template: Function, digest: bytes) -> str:
    """A name that no other version of the same kernel has, so that caches cannot mix them up."""
    mark = hashlib.sha256(source_digest().encode() + digest).hexdigest()[:16]
    return f"{template.__name__}_{mark}"


def bind(template: Function, dtype: str, **parts: Any) -> Function:
    """A kernel from a template: the names that it leaves open are bound to the given functions.

    Kernels of float32 that need exp, log and their like compute in double precision, through the open
    name `wide`, and round once: that is as fast and saves all thought about cancellation.
    """
    functions = {name: part for name, part in parts.items() if inspect.isfunction(part)}
    digest = b"".join(
        name.encode() + (function_digest(part) if name in functions else repr(part).encode())
        for name, part in sorted(parts.items())
    )
    whole = template.__name__.startswith("layer_")  # these work with shapes: their literals are whole numbers
    bound = dict(parts)
    for name, part in functions.items():
        literals = not whole and part.__module__ != template.__module__
        bound[name] = specialise(part, dtype, literals=literals)
    widened = dtype == "float32" and any(is_elementary(part) for part in functions.values())
    bound["wide"] = specialise(to_double if widened else unchanged, literals=False)
    name = template_name(template, dtype.encode() + digest)
    return rebind(template, {**template.__globals__, **bound}, name)


PLAIN: list[Function] = []  # without a compiler, a kernel's address is its place in this list
_ALIVE: list[Any] = []  # compiled kernels; their code must outlive every address


def address_of(function: Function, signature: Any) -> int:
    """Compile a kernel and return its address."""
    if not COMPILED:
        PLAIN.append(function)
        return len(PLAIN) - 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", numba.NumbaPerformanceWarning)
        callback = _compile_callback(function, signature)
    _ALIVE.append(callback)
    return int(callback.address)


def caller(signature: Any) -> Callable[..., Any]:
    """A function ``call(address, (arguments...))`` for kernels of a signature, usable in compiled code."""
    if not COMPILED:
        return lambda address, arguments: PLAIN[address](*arguments)

    @intrinsic
    def call(typing_context: Any, address: Any, arguments: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, values: Any) -> Any:
            given = cgutils.unpack_tuple(builder, values[1], len(signature.args))
            cast = [
                context.cast(builder, value, have, want)
                for value, have, want in zip(given, sig.args[1].types, signature.args, strict=True)
            ]
            kinds = [context.get_value_type(t) for t in signature.args]
            result = context.get_value_type(signature.return_type)
            pointer = cgutils.ir.FunctionType(result, kinds).as_pointer()
            out = builder.call(builder.inttoptr(values[0], pointer), cast)
            return context.get_dummy_value() if signature.return_type == types.void else out

        if not isinstance(arguments, types.BaseTuple):
            return None
        kinds = types.Tuple(tuple(arguments.types if hasattr(arguments, "types") else arguments))
        return signature.return_type(types.int64, kinds), generate

    return call  # type: ignore[no-any-return]


def fixed(array: Any, count: int) -> Any:
    """The first `count` entries as a tuple."""
    return tuple(array[:count])


if COMPILED:

    @intrinsic(prefer_literal=True)
    def _fixed(typing_context: Any, array: Any, count: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            data = context.make_array(array)(context, builder, value=values[0]).data
            places = (builder.gep(data, [context.get_constant(types.intp, i)]) for i in range(size))
            return context.make_tuple(builder, kind, [builder.load(place) for place in places])

        size = count.literal_value
        kind = types.Tuple((array.dtype,) * size)
        return kind(array, count), generate

    globals().update(fixed=_fixed)  # an intrinsic is not compiled by itself


@lru_cache
def array_types(dtype: str) -> dict[str, Any]:
    """The argument types of kernels: F a number, V a vector, M a matrix, and read-only ones for data."""
    number = getattr(types, dtype)
    return {
        "F": number,
        "V": types.Array(number, 1, "C"),
        "M": types.Array(number, 2, "C"),
        "A": types.Array(number, 2, "A"),
        "DV": types.Array(number, 1, "C", readonly=True),
        "DM": types.Array(number, 2, "C", readonly=True),
        "R": types.Array(types.float64, 1, "C"),
        "I": types.Array(types.int64, 1, "C"),
        "DI": types.Array(types.int64, 1, "C", readonly=True),
        "II": types.Array(types.int64, 2, "C"),
    }
