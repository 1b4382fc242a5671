"""The page of equations: formula, derivative, proof, rounding error and source of every row.

It holds nothing that differs between machines: of the rounding errors it gives the bounds that the tests hold
them to, in place of what was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chainrule.equation import Row
from chainrule.equations import TABLES
from chainrule.proofs.proof import Proof

HEADINGS = {
    "activation": "Activations",
    "loss": "Losses",
    "layer kind": "Layers",
    "penalty": "Penalties",
    "optimiser": "Optimisers",
    "schedule": "Schedules",
    "initialiser": "Initialisers",
    "network": "Whole networks",
}

INTRODUCTION = """\
# Equations and their proofs

This page is generated from the tables in `src/chainrule/equations/` by

    python -m chainrule.proofs --write docs/equations.md

and a test fails if it is out of date. {proved} of {all} statements about {rows} rows and the passes through
a whole network are proved.

**Proved** means: SymPy executed the row's own functions, the very code that runs, on symbols; it
differentiated the forward function (on each piece between the points where its cases meet), and the
difference to the row's own derivative became exactly 0 by rules of algebra. Nothing is compared
numerically in a proof, and parameters such as alpha stay symbols. Numbers in the source stand for the
real numbers they are nearest to: 0.5 for one half, 0.7071067811865476 for the square root of one half.

**Rounding error** is measured apart from that, against arithmetic of 400 digits: the error of a computed
g(x) in machine epsilons (2⁻⁵² in double, 2⁻²³ in single precision) of |g| + Σ |x ∂g/∂x|, which is what
rounding the result and the inputs would change. The bound given holds in both precisions and is tested;
the values for your machine are shown by `chainrule prove`.
"""

# What the tests hold the measured errors to, in machine epsilons, where it is not the usual bound.
USUAL_BOUND = 4
BOUNDS = {
    **dict.fromkeys(("identity", "relu", "absolute_error", "huber", "l1", "l2"), 0),
    **dict.fromkeys(("constant", "adaptive", "zeros", "scale", "affine"), 0),
    **dict.fromkeys(("leaky_relu", "squared_error", "quantile", "dense"), 1),
    **dict.fromkeys(("ntk_dense", "grouped", "repeat", "embedding", "periodic", "piecewise"), 1),
    **dict.fromkeys(("gradient_descent", "momentum", "nesterov"), 1),
    **dict.fromkeys(("warm_restarts", "orthogonal"), 16),
}


def bound(name: str) -> int:
    """The largest rounding error that a row may have."""
    return BOUNDS.get(name, USUAL_BOUND)


def page(proofs: Iterable[Proof]) -> str:
    """The page, in Markdown.

    Parameters
    ----------
    proofs : iterable of Proof
        As `prove_all` returns them.

    Returns
    -------
    str
    """
    proofs = list(proofs)
    count = sum(len(table) for table in TABLES.values())
    sections = [
        INTRODUCTION.format(proved=sum(p.proved for p in proofs), all=len(proofs), rows=count),
        *("\n".join(_section(kind, proofs)) for kind in HEADINGS),
    ]
    return "\n".join(section.rstrip() + "\n" for section in sections)


def _section(kind: str, proofs: list[Proof]) -> Iterator[str]:
    mine = [proof for proof in proofs if proof.table == kind]
    yield f"## {HEADINGS[kind]}\n"
    if kind in TABLES:
        rows = list(TABLES[kind].values())
        derivatives = any(row.slope_latex for row in rows)
        titles = ["Name", "Formula", *["Derivative"] * derivatives, "Proved", "Rounding error", "Source"]
        yield _line(titles)
        yield _line(["---"] * len(titles))
        for row in rows:
            yield _line(_cells(row, [p for p in mine if p.subject == row.name], derivatives))
        yield ""
    for subject in dict.fromkeys(proof.subject for proof in mine):
        yield f"**{subject}**\n"
        yield from (_statement(proof) for proof in mine if proof.subject == subject)
        yield ""


def _cells(row: Row, proofs: list[Proof], derivatives: bool) -> Iterator[str]:
    yield f"`{row.name}`"
    yield _formula(row.latex)
    if derivatives:
        yield _formula(row.slope_latex)
    yield "yes" if all(proof.proved for proof in proofs) else "**no**"
    yield f"≤ {bound(row.name)} ε" if bound(row.name) else "0"
    yield "–" if row.source == "-" else row.source.replace("|", r"\|")


def _formula(latex: str) -> str:
    return "$" + latex.replace("|", r"\vert ") + "$" if latex else "–"  # a bare | would end the cell


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _statement(proof: Proof) -> str:
    text = f"- `{proof.statement}`: "
    if not proof.proved:
        return f"{text}**not proved**, {proof.reason}."
    # Which rule of algebra was the first to apply may differ between versions of SymPy; it is left out.
    cases = "" if len(proof.pieces) < 2 else f" Cases: {'; '.join(proof.pieces)}."
    return f"{text}proved by {proof.method.partition(';')[0]}.{cases}"
