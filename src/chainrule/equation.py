"""Collects the rows of the tables, and holds the few functions that rows are written with.

A row is a small frozen definition: a name, its formula in LaTeX, the Python functions of the
formula and of its derivative, and where they come from. Rows are registered in tables; whatever
lists, validates, compiles, explains or proves them walks the tables.

The functions in the second half (`exp`, `where`, `dot`, ...) are the vocabulary of the rows. Here they
are NumPy; the compiled run gives each a scalar meaning, and a proof a symbolic one. So one
expression serves an array, a machine number and a symbol.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import numpy as np

from chainrule.errors import OptionError

Function = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """What every row of every table has.

    Attributes
    ----------
    name : str
        The name by which options, files and reports refer to the row.
    latex, slope_latex : str
        The formula and its derivative.
    source : str
        The paper or book that the formula is from.
    parameters : Mapping[str, float]
        Named constants of the formula with their defaults, in the order of the function's arguments.
    ranges : Mapping[str, tuple[float, float]]
        Closed interval in which each parameter must lie.
    aliases : tuple[str, ...]
        Other names that users know the row by.
    doc : str
        One or two sentences for the reference pages.
    """

    name: str
    latex: str = ""
    slope_latex: str = ""
    source: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    doc: str = ""


RowType = TypeVar("RowType", bound=Row)


class Table(Mapping[str, RowType], Generic[RowType]):
    """A named, ordered collection of rows, found by name or alias.

    Parameters
    ----------
    kind : str
        What a row is, in the singular, as it appears in messages ("activation").
    row_type : type
        The dataclass of its rows.
    """

    def __init__(self, kind: str, row_type: type[RowType]) -> None:
        self.kind = kind
        self.row_type = row_type
        self._rows: dict[str, RowType] = {}
        self._aliases: dict[str, str] = {}

    def __getitem__(self, name: str) -> RowType:
        return self._rows[self._aliases.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: RowType) -> RowType:
        """Register a row; a row of the same name is replaced."""
        if not row.name.isidentifier():
            raise OptionError(f"The name {row.name!r} of a new {self.kind} must be an identifier.")
        if row.name in self._aliases:
            raise OptionError(
                f"{row.name!r} is another name of the {self.kind} {self._aliases[row.name]!r}: "
                "choose a name of its own."
            )
        self._rows[row.name] = row
        self._aliases.update(dict.fromkeys(row.aliases, row.name))
        return row

    def remove(self, name: str) -> None:
        """Forget a row and its aliases."""
        row = self._rows.pop(name)
        for alias in row.aliases:
            self._aliases.pop(alias, None)

    def define(self, **facts: Any) -> Callable[[type], RowType]:
        """Class decorator: the class's functions and the given facts become a row of that name."""

        def decorate(definition: type) -> RowType:
            functions = {key: value for key, value in vars(definition).items() if not key.startswith("__")}
            doc = " ".join((definition.__doc__ or "").split())
            name = facts.pop("name", definition.__name__)
            return self.add(self.row_type(name=name, doc=doc, **functions, **facts))

        return decorate

    def names(self) -> list[str]:
        """Every name and alias."""
        return [*self._rows, *self._aliases]

    def find(self, text: str) -> RowType:
        """Return the row for ``"name"`` or ``"name(parameter=value, ...)"`` with its values put in.

        Raises
        ------
        OptionError
            If there is no such row or parameter, or if a value lies outside of its range.
        """
        name, values = _parse(text, self.kind)
        if name not in self._rows and name not in self._aliases:
            raise OptionError(self._unknown(name))
        row = self[name]
        return replace(row, parameters=MappingProxyType(self._merge(row, values))) if values else row

    def spell(self, row: RowType) -> str:
        """Write a row the way that `find` reads it."""
        default = self._rows[row.name].parameters if row.name in self._rows else {}
        values = [f"{k}={v!r}" for k, v in row.parameters.items() if default.get(k) != v]
        return f"{row.name}({', '.join(values)})" if values else row.name

    def _merge(self, row: RowType, values: Mapping[str, float]) -> dict[str, float]:
        for key, value in values.items():
            if key not in row.parameters:
                known = ", ".join(row.parameters) or "none"
                raise OptionError(f"The {self.kind} {row.name!r} has no parameter {key!r} (it has: {known}).")
            low, high = row.ranges.get(key, (-np.inf, np.inf))
            if not low <= value <= high:
                raise OptionError(
                    f"{key}={value!r} of the {self.kind} {row.name!r} must lie in [{low}, {high}]."
                )
        return {**row.parameters, **{key: float(value) for key, value in values.items()}}

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.names(), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"There is no {self.kind} {name!r}.{hint} Choose one of: {', '.join(self.names())}."


def _parse(text: str, kind: str) -> tuple[str, dict[str, float]]:
    """Split ``"name(a=1, b=2)"`` into its name and its values, without evaluating anything."""
    problem = OptionError(
        f"Cannot read the {kind} {text!r}: write a name, or a name with its parameters, "
        "like 'leaky_relu(alpha=0.2)'."
    )
    if not isinstance(text, str):
        raise problem
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise problem from None
    if isinstance(node, ast.Name):
        return node.id, {}
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args):
        raise problem
    try:
        values = {str(k.arg): float(ast.literal_eval(k.value)) for k in node.keywords if k.arg}
    except (ValueError, TypeError):
        raise problem from None
    return node.func.id, values


# ------------------------------------------------------------------ the vocabulary of the rows


def exp(x: Any) -> Any:
    """e to the power of x."""
    return np.exp(x)


def expm1(x: Any) -> Any:
    """exp(x) - 1, accurate near 0."""
    return np.expm1(x)


def log(x: Any) -> Any:
    """Natural logarithm."""
    return np.log(x)


def log1p(x: Any) -> Any:
    """log(1 + x), accurate near 0."""
    return np.log1p(x)


def sqrt(x: Any) -> Any:
    """Square root."""
    return np.sqrt(x)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return np.tanh(x)


def cos_turns(u: Any) -> Any:
    """The cosine of an angle in turns: cos(2 pi u)."""
    return np.cos(2 * np.pi * (u - np.round(np.real(u))))


def sin_turns(u: Any) -> Any:
    """The sine of an angle in turns: sin(2 pi u)."""
    return np.sin(2 * np.pi * (u - np.round(np.real(u))))


def erfc(x: Any) -> Any:
    """Complementary error function, 1 - erf(x)."""
    from scipy.special import erfc as scipy_erfc

    return scipy_erfc(x)


def sign(x: Any) -> Any:
    """-1, 0 or 1, in the type of x."""
    return np.sign(x)


def maximum(a: Any, b: Any) -> Any:
    """The larger of the two (by real part, so that a complex step passes through)."""
    return np.maximum(a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of the two (by real part, so that a complex step passes through)."""
    return np.minimum(a, b)


def absolute(x: Any) -> Any:
    """|x|; for complex x the analytic continuation of |real(x)|, so that a complex step passes through."""
    return np.where(np.real(x) < 0, -x, x) if np.iscomplexobj(x) else np.abs(x)


def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, `b` elsewhere. Both are evaluated."""
    return np.where(condition, a, b)


def matrix(p: Any, first: Any, rows: Any, columns: Any) -> Any:
    """A stretch of a vector as a matrix, row after row."""
    return p[first : first + rows * columns].reshape((rows, columns))


def dot(A: Any, B: Any, out: Any) -> None:
    """Matrix product: out = A B."""
    np.matmul(A, B, out=out)


def add_to_rows(Z: Any, b: Any) -> None:
    """Z[i, :] += b for every row i."""
    Z += b


def column_sums(Z: Any, out: Any) -> None:
    """out = sum over rows of Z."""
    np.sum(Z, axis=0, out=out)


def multiply(A: Any, factor: Any) -> None:
    """A[...] = factor A[...]."""
    A *= factor


def take_rows(E: Any, codes: Any, out: Any) -> None:
    """out[i, :] = E[codes[i], :]; a code outside of E stands for the nearest row."""
    out[...] = E[_row_numbers(codes, len(E))]


def add_at_rows(G: Any, codes: Any, out: Any) -> None:
    """out[codes[i], :] += G[i, :] for every row i."""
    np.add.at(out, _row_numbers(codes, len(out)), G)


def _row_numbers(codes: Any, rows: int) -> Any:
    return np.clip(np.nan_to_num(np.real(codes)), 0, rows - 1).astype(np.int64)
