"""NumPy on arrays of symbols: matrix equations with every entry written out.

Most of NumPy works on arrays of objects as it is. What does not, or would ask for machine numbers, gets
another meaning here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp

from chainrule.proofs.readings import Meaning, exact, reading


def symbols(name: str, *shape: int, positive: bool | None = None) -> Any:
    """An array of symbols."""
    names = ["_".join([name, *map(str, at)]) for at in product(*map(range, shape))]
    made = [sp.Symbol(n, real=True, positive=positive) for n in names]
    return np.array(made, object).reshape(shape)


def identity(size: int) -> Any:
    """The identity matrix."""
    return np.array(sp.eye(size).tolist(), object)


def each(function: Any) -> Any:
    """A function of numbers, for arrays of symbols."""
    return np.vectorize(function, otypes=[object])


def opaque(name: str) -> tuple[Any, Any]:
    """A function of which nothing is known but its derivative with respect to the first argument."""
    slope = sp.Function(f"{name}_slope", real=True)
    fdiff = lambda self, argindex=1: slope(*self.args)  # noqa: E731 - a method
    return type(name, (sp.Function,), {"fdiff": fdiff, "is_real": True}), slope


def _cholesky(A: Any) -> Any:
    return np.array(sp.Matrix(A).cholesky(hermitian=False).tolist(), object)


def _solve(A: Any, b: Any) -> Any:
    return np.array(sp.Matrix(A).LUsolve(sp.Matrix(b)).tolist(), object)[:, 0]


NUMPY: dict[str, Any] = {
    "exp": each(sp.exp),
    "log1p": each(lambda x: sp.log(1 + x)),
    "sqrt": each(sp.sqrt),
    "cos": each(sp.cos),
    "sin": each(sp.sin),
    "round": each(lambda x: sp.Integer(0)),  # angles are in turns: any whole number of them is nothing
    "pi": sp.pi,
    "float64": object,
    "real": lambda x: x,
    "zeros": lambda shape, dtype=None: np.zeros(shape, object),
    "isfinite": lambda x: np.ones(x.shape, bool),
    "linalg": SimpleNamespace(cholesky=_cholesky, solve=_solve, LinAlgError=np.linalg.LinAlgError),
}


class Numpy:
    """NumPy, but for some names."""

    def __init__(self, others: Mapping[str, Any]) -> None:
        self._others = {**NUMPY, **others}

    def __getattr__(self, name: str) -> Any:
        return self._others[name] if name in self._others else getattr(np, name)


def entrywise(numpy: Mapping[str, Any] | None = None, others: Iterable[tuple[Any, Any]] = ()) -> Meaning:
    """The meaning of NumPy on arrays of symbols.

    Parameters
    ----------
    numpy : mapping of str, optional
        What some of NumPy's names mean besides.
    others : pairs, optional
        What some other global names stand for, each after what it stands for otherwise.
    """
    stand_in = Numpy(numpy or {})
    meanings = {id(value): other for value, other in others}

    def words(value: Any) -> Any:
        if value is float:
            return lambda x: x
        if isinstance(value, ModuleType):
            return stand_in if value is np else None
        return meanings.get(id(value))

    return reading(words, exact)
