"""Small changes to source code, one at a time: what tests must notice."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

TEXTS = ("latex", "slope_latex", "source", "doc", "message", "remedy")  # keywords that are for readers
SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.USub: ast.UAdd,
}


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes
    ----------
    path : str
        Of the module, in the package.
    scope : str
        The function or class that the change is in.
    line : int
    before, after : str
        The changed piece of code.
    make : callable
        ``make() -> str``: the source of the whole module.
    """

    path: str
    scope: str
    line: int
    before: str
    after: str
    make: Callable[[], str]

    @property
    def name(self) -> str:
        """The same wherever the line may move to."""
        return f"{self.path}, {self.scope or 'at the top'}: {self.before} -> {self.after}"


def mutants(package: Path, path: Path) -> Iterator[Mutant]:
    """All mutants of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for place, (scope, node) in enumerate(_walk(tree)):
        for change in (change for kinds, change in CHANGES if isinstance(node, kinds)):
            changed = copy.deepcopy(node)
            change(changed)
            before, after = ast.unparse(node), ast.unparse(changed)
            if after != before:
                where = path.relative_to(package).as_posix()
                make = partial(_changed_module, tree, place, change)
                yield Mutant(where, scope, node.lineno, before, after, make)


def _changed_module(tree: ast.Module, place: int, change: Callable[[Any], None]) -> str:
    changed = copy.deepcopy(tree)
    _, target = next(islice(_walk(changed), place, None))
    change(target)
    return ast.unparse(changed)


def _walk(node: ast.AST, scope: str = "") -> Iterator[tuple[str, ast.expr | ast.stmt]]:
    """Statements and expressions that run, without annotations, docstrings and texts for readers."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_text(child):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield scope, child
            if not isinstance(child, ast.Raise):
                own = getattr(child, "name", "") if isinstance(child, ast.FunctionDef | ast.ClassDef) else ""
                yield from _walk(child, f"{scope}.{own}".strip("."))


def _is_text(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr() | ast.Constant(value=str()) | ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.keyword(arg=str(name)):
            return name in TEXTS
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Import() | ast.ImportFrom():
            return True
    return False


def _swap_operator(node: Any) -> None:
    node.op = SWAPPED.get(type(node.op), type(node.op))()


def _swap_comparison(node: Any) -> None:
    node.ops = [SWAPPED[type(op)]() for op in node.ops[:1]] + node.ops[1:]


def _change_unary(node: Any) -> None:
    if isinstance(node.op, ast.Not):
        node.operand = ast.UnaryOp(ast.Not(), node.operand)
    else:
        _swap_operator(node)


def _other_value(node: Any) -> None:
    if isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node.value, int | float):
        node.value += 1


def _negate_test(node: Any) -> None:
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _return_nothing(node: Any) -> None:
    node.value = ast.Constant(None)


def _pass_by(node: Any) -> None:
    if not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call):
        node.__class__ = ast.Pass


CHANGES: tuple[tuple[tuple[type[ast.AST], ...], Callable[[Any], None]], ...] = (
    ((ast.BinOp, ast.BoolOp, ast.AugAssign), _swap_operator),
    ((ast.UnaryOp,), _change_unary),
    ((ast.Compare,), _swap_comparison),
    ((ast.Constant,), _other_value),
    ((ast.If, ast.While, ast.IfExp), _negate_test),
    ((ast.Return,), _return_nothing),
    ((ast.Raise, ast.Continue, ast.Break, ast.Expr), _pass_by),
)
