"""The matrix equations of the layers of a step, forward and back: for `trace_matrices`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.equations.layer_kinds import LayerKind
from chainrule.parameters import Array, Block
from chainrule.reference import split
from chainrule.trace_equation import Equation, plain
from chainrule.trace_layers import formula_of, rows_taken
from chainrule.trace_numbers import letter_of, renamed, symbol_of, with_matrices
from chainrule.trace_step import Step

BESIDE = "the members' parts of a row side by side"
ITS = {"W": "its weights", "b": "its biases"}


def matrix(part: str, layer: int | None, symbol: str, formula: str, value: Array, **more: Any) -> Equation:
    """An equation whose value is a matrix."""
    return Equation(part, layer, symbol, formula, value=np.atleast_2d(value).tolist(), **more)


def shape_of(array: Array) -> str:
    """A matrix's shape, as in 2 × 3."""
    return " × ".join(str(n) for n in np.atleast_2d(array).shape)


class Of:
    """A layer of a step: its kind, its arrays with a row for each member, and its parameters."""

    def __init__(self, step: Step, index: int) -> None:
        self.step, self.index, self.layer = step, index, index + 1
        layer = step.objective.network.layers[index]
        self.kind: LayerKind = layer.row
        self.members, self.mark = layer.members, f"^[{index + 1}]"
        self.whole_X, self.whole_Z = step.run.input_of(index), step.run.Z[index]
        self.X, self.Z = split(self.whole_X, self.members), split(self.whole_Z, self.members)
        self.root = f"√({self.X.shape[1]})" if self.kind.name == "ntk_dense" else ""
        kept = step.run.kept[index - 1] if index else None
        self.received = f"{'A' if kept is None else 'Ã'}^[{index}]" if index else "X"
        self.blocks = [block for block in step.objective.layout.blocks if block.layer == index]
        self.parts = {block.name: self.of(step.theta, block) for block in self.blocks}

    def of(self, vector: Array, block: Block) -> Array:
        """A parameter's piece of a flat vector, in its shape."""
        return vector[block.start : block.stop].reshape(block.shape)

    @property
    def dZ(self) -> Array:  # noqa: N802 - the name in the formulas
        """The derivatives of Z, with a row for each member."""
        return split(self.step.run.dZ[self.index], self.members)

    def name(self, parameter: str) -> str:
        """A parameter as a matrix: W^[2]."""
        return symbol_of(parameter) + self.mark

    @property
    def said(self) -> str:
        """What is to be said of the members."""
        return BESIDE if self.members > 1 else ""

    def slopes(self) -> list[Array]:
        """Of a function of each entry its derivatives by x and the parameters: (n, columns, fan)."""
        columns, fan = self.kind.sizes or (self.X.shape[1], 1)
        parts = [p.reshape(columns, fan) for p in self.parts.values()]
        assert self.kind.slopes is not None
        with np.errstate(all="ignore"):
            found = self.kind.slopes(self.X[:, :columns, None], *parts)
        return [np.broadcast_to(slope, (len(self.X), columns, fan)) for slope in found]


# ------------------------------------------------------------------ forward


def values(step: Step, index: int) -> Iterator[Equation]:
    """The parameters of a layer, and Z."""
    of = Of(step, index)
    for name, value in of.parts.items():
        shown, why = value, ""
        if name == "E":
            taken = rows_taken(step, index)
            shown, why = value[taken], f"the rows {', '.join(map(str, taken))} of its table"
        shown = shown.reshape(-1, shown.shape[-1])
        more: dict[str, Any] = {"shape": shape_of(value if value.ndim < 3 else shown), "because": why}
        yield matrix("forward", of.layer, of.name(name), ITS.get(name, "its parameters"), shown, **more)
    yield from FORWARD["entry" if of.kind.entry else of.kind.name](of)


def _sums(of: Of) -> Iterator[Equation]:
    W, b = of.parts["W"], of.parts["b"]
    over = f" / {of.root}" if of.root else ""
    divided = (f"/ {of.root}",) if of.root else ()
    more: dict[str, Any] = {
        "shape": f"({shape_of(of.X)}) ({shape_of(W)}) + ({shape_of(b)}) → ({shape_of(of.Z)})",
        "because": "; ".join(filter(None, (of.kind.source, of.said))),
        "operands": (of.X, W, *divided, "+", np.atleast_2d(b)),
    }
    formula = f"{of.received} W{of.mark}{over} + b{of.mark}"
    yield matrix("forward", of.layer, f"Z{of.mark}", formula, of.whole_Z, **more)


def _groups(of: Of) -> Iterator[Equation]:
    W, b = of.parts["W"], of.parts["b"]
    groups, size, units = W.shape
    for g in range(min(groups, of.step.units)):
        X = of.X[:, g * size : (g + 1) * size]
        formula = f"X_{g} W_{g}{of.mark} + b_{g}{of.mark}"
        why = f"X_{g} the columns {g * size} to {(g + 1) * size - 1} of {of.received}"
        more: dict[str, Any] = {"because": why, "operands": (X, W[g], "+", b[g : g + 1])}
        part = of.Z[:, g * units : (g + 1) * units]
        yield matrix("forward", of.layer, f"Z_{g}{of.mark}", formula, part, **more)
    rest = of.X.shape[1] - groups * size
    why = "the groups side by side" + (f"; the last {rest} inputs pass" if rest else "")
    formula = f"(Z_0, …, Z_{groups - 1}{', X' if rest else ''})" if groups > 1 or rest else "Z_0"
    why = "; ".join(filter(None, (why, of.said)))
    yield matrix("forward", of.layer, f"Z{of.mark}", formula, of.whole_Z, because=why)


def _repeated(of: Of) -> Iterator[Equation]:
    (times,) = of.kind.sizes
    formula, why = f"({of.received}, …, {of.received})", f"its input {times} times side by side"
    yield matrix("forward", of.layer, f"Z{of.mark}", formula, of.whole_Z, because=why)


def _tables(of: Of) -> Iterator[Equation]:
    columns, _, size = of.kind.sizes
    why = f"in the place of each of the last {columns} inputs the row that it names: {size} numbers"
    formula = f"({of.received}, rows of E{of.mark})"
    yield matrix("forward", of.layer, f"Z{of.mark}", formula, of.whole_Z, because=why)


def _entries(of: Of) -> Iterator[Equation]:
    right = formula_of(of.kind)
    if of.kind.activation is not None:
        row = of.kind.activation
        with np.errstate(all="ignore"):
            F = np.asarray(row.f(of.X, *row.parameters.values()))
        why = f"{row.name}(z) = {plain(row.latex)}"
        yield matrix("forward", of.layer, f"F{of.mark}", f"{row.name}({of.received})", F, because=why)
    names = {"x": of.received, "f": f"F{of.mark}"} if of.kind.activation else {"x": of.received}
    names |= {letter_of(name): of.name(name) for name in of.parts}
    formula, operands = renamed(right, names), ()
    if not of.kind.sizes and of.kind.activation is None:
        letters = {"x": of.X} | {letter_of(name): p[None, :] for name, p in of.parts.items()}
        operands = _entry_by_entry(with_matrices(right, letters))
    why = "entry by entry"
    if of.kind.sizes:
        columns, fan = of.kind.sizes
        why += f": {fan} values of each of the first {columns} inputs; after them all inputs pass"
    why = "; ".join(filter(None, (why, of.said)))
    yield matrix("forward", of.layer, f"Z{of.mark}", formula, of.whole_Z, because=why, operands=operands)


def _entry_by_entry(pieces: tuple[Any, ...]) -> tuple[Any, ...]:
    """With a sign between neighbouring matrices, which are no matrix product here."""
    made: list[Any] = []
    for piece in pieces:
        if made and not isinstance(piece, str) and not isinstance(made[-1], str):
            made.append("⊙")
        made.append(piece)
    return tuple(made)


FORWARD = {
    "dense": _sums, "ntk_dense": _sums, "grouped": _groups, "repeat": _repeated, "embedding": _tables,
    "entry": _entries,
}  # fmt: skip


# ------------------------------------------------------------------ backward


def input_slopes(step: Step, index: int, symbol: str) -> Iterator[Equation]:
    """∂L/∂ of what a layer receives, from its dZ."""
    of = Of(step, index)
    row = of.kind
    value = np.empty_like(of.whole_X)
    nothing = np.empty(0, value.dtype)
    p = step.theta[step.objective.layout.layer_slice(index)]
    row.backward(of.dZ, np.ascontiguousarray(of.X), p, split(value, of.members), nothing, *row.sizes)
    why = f"∂L/∂Z{of.mark} × ∂Z{of.mark}/∂{of.received}"
    formula, operands, said = BACKWARD["entry" if row.entry else row.name](of)
    more: dict[str, Any] = {"shape": shape_of(value), "operands": operands}
    more["because"] = "; ".join(filter(None, (why, said, of.said)))
    yield matrix("backward", index, symbol, formula, value, **more)


Found = tuple[str, tuple[Any, ...], str]  # the formula, its operands, what is to be said


def _back_sums(of: Of) -> Found:
    W = of.parts["W"]
    if of.root:
        return f"dZ{of.mark} W{of.mark}ᵀ / {of.root}", (of.dZ, W.T, f"/ {of.root}"), ""
    return f"dZ{of.mark} W{of.mark}ᵀ", (of.dZ, W.T), ""


def _back_groups(of: Of) -> Found:
    groups, size, _ = of.parts["W"].shape
    rest = ", dZ of what passes" if of.X.shape[1] > groups * size else ""
    return f"dZ_g{of.mark} W_g{of.mark}ᵀ for each group g{rest}", (), ""


def _back_repeated(of: Of) -> Found:
    (times,) = of.kind.sizes
    parts = np.split(of.dZ, times, axis=1)
    operands = tuple(piece for part in parts for piece in (part, "+"))[:-1]
    return f"dZ_0{of.mark} + … + dZ_{times - 1}{of.mark}", operands, "the sum over what each was copied to"


def _back_tables(of: Of) -> Found:
    return f"dZ{of.mark} of what passes", (), "the numbers of rows have no derivative: 0"


def _back_entries(of: Of) -> Found:
    of_x = f"∂Z{of.mark}/∂{of.received}"
    if of.kind.sizes:
        return f"Σ_k dZ_k{of.mark} ⊙ ∂Z_k{of.mark}/∂{of.received} + dZ of what passes", (), ""
    return f"dZ{of.mark} ⊙ {of_x}", (of.dZ, "⊙", of.slopes()[0][:, :, 0]), plain(of.kind.parts_latex[0])


BACKWARD = {
    "dense": _back_sums, "ntk_dense": _back_sums, "grouped": _back_groups, "repeat": _back_repeated,
    "embedding": _back_tables, "entry": _back_entries,
}  # fmt: skip


def parameter_slopes(step: Step, index: int) -> Iterator[Equation]:
    """∂L/∂ of a layer's parameters."""
    of = Of(step, index)
    if of.kind.frozen:
        return
    for number, block in enumerate(of.blocks):
        dp = of.of(step.run.gradient, block)
        formula, operands, why, shape = _parameter(of, block.name, number)
        shown = dp[rows_taken(step, index)] if block.name == "E" else dp
        more: dict[str, Any] = {"shape": shape, "because": why, "operands": operands}
        flat = shown.reshape(-1, shown.shape[-1])
        yield matrix("backward", of.layer, f"d{of.name(block.name)}", formula, flat, **more)


def _parameter(of: Of, name: str, number: int) -> tuple[str, tuple[Any, ...], str, str]:
    """The formula of a parameter's derivative, its operands, where it comes from, and the shapes."""
    why = f"∂L/∂Z{of.mark} × ∂Z{of.mark}/∂{of.name(name)}"
    dZ = of.dZ
    if of.kind.entry is not None:
        part = plain(of.kind.parts_latex[number + 1])
        formula, why = f"Σ_i dZ_i{of.mark} ⊙ ∂Z_i{of.mark}/∂{of.name(name)}", f"{why}, {part}"
        operands = () if of.kind.sizes else ("Σ_i", dZ, "⊙", of.slopes()[number + 1][:, :, 0])
        return formula, operands, why, ""
    if name == "E":
        return f"the sum of the rows of dZ{of.mark} where each row was taken", (), why, ""
    if of.kind.name == "grouped":
        right = f"X_gᵀ dZ_g{of.mark}" if name == "W" else f"Σ_i dZ_{{g,i}}{of.mark}"
        return f"{right} for each group g", (), why, ""
    if name == "W":
        over, divided = (f" / {of.root}", (f"/ {of.root}",)) if of.root else ("", ())
        shape = f"({shape_of(of.X.T)}) ({shape_of(dZ)}) → ({shape_of(of.parts['W'])})"
        return f"{of.received}ᵀ dZ{of.mark}{over}", (of.X.T, dZ, *divided), why, shape
    summed = () if len(dZ) == 1 else (np.ones((1, len(dZ))), dZ)
    return f"Σ_i dZ_i{of.mark}", summed, why, ""
