"""A trace as LaTeX and as HTML with MathML: both from the same plain equations, piece by piece."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.trace_equation import (
    Equation,
    Stage,
    cells,
    is_symbol,
    left_out,
    sections,
    stages,
)
from chainrule.trace_parts import PARTS

PIECE = re.compile(
    r"(?P<name>[A-Za-zα-ωΑ-Ω∂ŷŶãÃ]+(?:_[a-z]{2,}\w*)*'?)"
    r"(?:_(?:\{(?P<sub>[^}]*)\}|(?P<index>\d+|[a-zA-Z]\b)))?"
    r"(?:\^(?P<sup>\[\d+\](?:\(\d+\))?|\([^()]*\)|\w+))?(?P<transposed>ᵀ)?"
    r"|(?P<number>\d[\d.]*(?:e[+−]?\d+)?)(?:\^(?P<power>\w+))?"
    r"|√\((?P<root>(?:[^()]|\([^()]*\))*)\)"
    r"|(?P<close>[)|])\^(?P<raised>\w+|\([^()]*\))"
    r"|(?P<space>\s+)|(?P<sign>.)"
)
DERIVATIVE = re.compile(r"(d)([wzaãbAÃZW])")
LINE = 88  # a longer sum is broken
COLUMNS = 12  # of matrices beside each other on a page


@dataclass(frozen=True)
class Piece:
    """A piece of a formula: a name, number or closing bracket with its index and exponent, a root, a sign,
    or space.
    """

    kind: str
    text: str
    sub: str = ""
    sup: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """The pieces of a plain formula."""
    for found in PIECE.finditer(text):
        part = found.groupdict()
        if part["name"]:
            sup = part["sup"] or ""
            if not re.search(r"\(\d+\)$", sup):  # the number of a row keeps its parentheses
                sup = sup.removeprefix("(").removesuffix(")")
            sup += " T" if part["transposed"] else ""
            yield Piece("name", part["name"], part["sub"] or part["index"] or "", sup.strip())
        elif part["number"]:
            yield Piece("number", part["number"], sup=part["power"] or "")
        elif part["close"]:
            yield Piece("close", part["close"], sup=part["raised"].removeprefix("(").removesuffix(")"))
        elif part["root"]:
            yield Piece("root", part["root"])
        else:
            yield Piece("space" if part["space"] else "sign", found[0])


def broken(text: str) -> list[str]:
    """A long sum in several lines."""
    lines, line = [], ""
    for term in re.split(r"(?= \+ )", text):
        if line and len(line) + len(term) > LINE:
            lines.append(line)
            line = ""
        line += term if line else term.lstrip()
    return [*lines, line]


# ------------------------------------------------------------------ LaTeX

LATEX_SIGNS = {
    "·": r"\cdot ", "×": r"\times ", "Σ": r"\sum", "σ": r"\sigma ", "−": "-", "∂": r"\partial ",
    "←": r"\leftarrow ", "⊙": r"\odot ", "→": r"\rightarrow ", "≤": r"\le ", "√": r"\surd ",
    "{": r"\{", "}": r"\}", "_": r"\_", "^": r"\hat{}", "\\": r"\backslash ", "&": r"\&", "%": r"\%",
    "#": r"\#", "$": r"\$", "~": r"\sim ", "ŷ": r"\hat y", "Ŷ": r"\hat Y", "λ": r"\lambda ",
    "η": r"\eta ", "μ": r"\mu ", "ρ": r"\rho ", "ε": r"\epsilon ", "α": r"\alpha ", "β": r"\beta ",
    "γ": r"\gamma ", "δ": r"\delta ", "φ": r"\varphi ", "Φ": r"\Phi ", "π": r"\pi ", "∇": r"\nabla ",
    "≈": r"\approx ", "ã": r"\tilde a", "Ã": r"\tilde A", "Δ": r"\Delta ", "…": r"\dots ",
    "ᵀ": r"^{\mathsf T}",
}  # fmt: skip
LATEX_TEXT = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "^": r"\textasciicircum{}",
    "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}",
}  # fmt: skip
PREAMBLE = r"""\documentclass[fleqn]{article}
\usepackage[a4paper, margin=18mm]{geometry}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{amsmath, amssymb}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\begin{document}
"""


def latex(trace: Any) -> str:
    """The trace as a LaTeX document."""
    lines = [PREAMBLE + rf"\section*{{{latex_text(trace.title)}}}"]
    for equation, new_part, new_layer in sections(trace.equations):
        if new_part:
            lines.append(rf"\subsection*{{{PARTS[equation.part]}}}")
        if new_layer and equation.layer is not None:
            lines.append(rf"\subsubsection*{{Layer {equation.layer}}}")
        lines += _latex_equation(equation, trace.digits)
    return "\n".join([*lines, r"\end{document}", ""])


def _latex_equation(e: Equation, digits: int) -> list[str]:
    if not e.symbol:
        return [rf"\textit{{({latex_text(e.formula)})}}", ""]
    right = [_latex_stage(stage, digits) for stage in stages(e, digits)]
    body = [f"&= {lines[0]}" + "".join(rf" \\ &\qquad {more}" for more in lines[1:]) for lines in right]
    symbol = latex_math(e.symbol) if is_symbol(e) else rf"\text{{{latex_text(e.symbol)}}}"
    lines = [r"\begin{align*}", symbol + " " + " \\\\\n".join(body), r"\end{align*}"]
    notes = "; ".join(text for text in (e.shape, e.because, _left_out(e)) if text)
    return [*([rf"{{\small {_latex_note(notes)}}}\nopagebreak"] if notes else []), *lines]


def _latex_stage(stage: Stage, digits: int) -> list[str]:
    """What stands after an equals sign, in lines that fit the page."""
    if stage.words:
        return [rf"\text{{{latex_text(stage.pieces[0])}}}"]
    if len(stage.pieces) == 1 and isinstance(stage.pieces[0], str):
        return list(map(latex_math, broken(stage.pieces[0])))
    lines: list[str] = [""]
    width = 0
    for piece in stage.pieces:
        columns = 0 if isinstance(piece, str) else len(cells(piece, digits)[0])
        if width and width + columns > COLUMNS:
            lines.append("")
            width = 0
        width += columns
        lines[-1] += latex_math(piece) + " " if isinstance(piece, str) else _latex_matrix(piece, digits)
    return lines


def _latex_matrix(matrix: Any, digits: int) -> str:
    rows = r" \\ ".join(" & ".join(map(latex_math, row)) for row in cells(matrix, digits))
    return rf"\begin{{pmatrix}} {rows} \end{{pmatrix}} "


def _left_out(e: Equation) -> str:
    return left_out(e.value) if isinstance(e.value, list) else ""


def latex_math(text: str) -> str:
    """A plain formula as LaTeX mathematics."""
    joined = "".join(map(_latex_piece, pieces(text))).strip()
    return re.sub(r"(?:\\ )?([-+=]|\\(?:cdot|times|leftarrow|odot|rightarrow) )\\ ", r"\1", joined)


def _latex_piece(piece: Piece) -> str:
    if piece.kind == "space":
        return r"\ "
    if piece.kind == "sign":
        return LATEX_SIGNS.get(piece.text, piece.text)
    if piece.kind == "root":
        return rf"\sqrt{{{latex_math(piece.text)}}}"
    if piece.kind == "number":
        base = re.sub(r"e([+−]?)0*(\d+)", r" \\cdot 10^{\1\2}", piece.text).replace("+", "").replace("−", "-")
    elif piece.kind == "close":
        base = piece.text
    elif len(piece.text.strip("'∂")) == 1 or DERIVATIVE.fullmatch(piece.text):
        base = "".join(LATEX_SIGNS.get(c, c) for c in piece.text)
    else:
        word = piece.text.lstrip("∂").replace("_", r"\_")
        sign = LATEX_SIGNS["∂"] if piece.text.startswith("∂") else ""
        base = rf"\mathrm{{{sign}{word}}}"
    sub = f"_{{{latex_math(piece.sub)}}}" if piece.sub else ""
    transposed = piece.sup.endswith("T") and (piece.sup == "T" or piece.sup.endswith(" T"))
    sup = latex_math(piece.sup.removesuffix("T").strip()) + (r"\mathsf T" if transposed else "")
    return base + sub + (f"^{{{sup}}}" if sup else "")


def latex_text(text: str) -> str:
    """Words as LaTeX; characters that the fonts may not have are written as mathematics or as '?'."""
    out = []
    for character in text:
        if character in LATEX_TEXT:
            out.append(LATEX_TEXT[character])
        elif character in LATEX_SIGNS and character not in "ãÃ":
            out.append(f"${LATEX_SIGNS[character].strip()}$")
        else:
            out.append(character if character.isprintable() and ord(character) < 0x180 else "?")
    return "".join(out)


def _is_prose(text: str) -> bool:
    """Whether a note is words: two of them follow each other, or there is a year."""
    return bool(re.search(r"[A-Za-z]{3,} [a-z&A-Z]{2,}|\b[12]\d{3}\b|^no ", text))


def _latex_note(text: str) -> str:
    """A note that is mathematics where it can be, and words where it must be."""
    return "".join(latex_text(p) if words else rf"${latex_math(p)}$" for p, words in _mixed(text))


def _mixed(text: str) -> list[tuple[str, bool]]:
    """The pieces of a note, and whether each is words: only one with derivatives in it has both."""
    parts = re.split(r"(, |; )", text) if "∂" in text else [text]
    return [(part, part in (", ", "; ") or _is_prose(part)) for part in parts]


# ------------------------------------------------------------------ HTML

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-bottom: 1px solid #ccc; } h3 { margin-bottom: .3rem; }
div.equation { margin: .7rem 0; padding: .15rem 0 .25rem .8rem; overflow: auto hidden; }
div.equation { border-left: 3px solid #d8dee9; }
p.note { margin: 0; color: #57606a; font-size: .85rem; }
div.equation > math { display: block; margin: .15rem 0; }
"""


def to_html(trace: Any) -> str:
    """The trace as a web page by itself: MathML, no script, nothing from the network."""
    title = html.escape(trace.title)
    head = f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
    return f"{head}<style>{STYLE}</style></head><body>\n{fragment(trace)}\n</body></html>\n"


def fragment(trace: Any) -> str:
    """The trace as a piece of HTML."""
    lines = [f"<h1>{html.escape(trace.title)}</h1>"]
    for equation, new_part, new_layer in sections(trace.equations):
        if new_part:
            lines.append(f"<h2>{html.escape(PARTS[equation.part])}</h2>")
        if new_layer and equation.layer is not None:
            lines.append(f"<h3>Layer {equation.layer}</h3>")
        lines.append(_html_equation(equation, trace.digits))
    return "\n".join(lines)


def _html_equation(e: Equation, digits: int) -> str:
    if not e.symbol:
        return f"<p class='note'>({html.escape(e.formula)})</p>"
    symbol = mathml(e.symbol) if is_symbol(e) else f"<mtext>{html.escape(e.symbol)}</mtext>"
    lines: list[str] = []
    for stage in stages(e, digits):
        left = "<mspace width='1em'/>" if lines else symbol
        right = "".join(_html_piece(piece, stage, digits) for piece in stage.pieces)
        lines.append(f"<math><mrow>{left}<mo>=</mo>{right}</mrow></math>")
    notes = "; ".join(text for text in (e.shape, e.because, _left_out(e)) if text)
    inner = (html.escape(p) if words else f"<math>{mathml(p)}</math>" for p, words in _mixed(notes))
    note = f"<p class='note'>{''.join(inner)}</p>" if notes else ""
    return f"<div class='equation'>{''.join(lines)}{note}</div>"


def _html_piece(piece: Any, stage: Stage, digits: int) -> str:
    if isinstance(piece, str):
        return f"<mtext>{html.escape(piece)}</mtext>" if stage.words else mathml(piece)
    rows = ("".join(f"<mtd>{mathml(cell)}</mtd>" for cell in row) for row in cells(piece, digits))
    table = "".join(f"<mtr>{row}</mtr>" for row in rows)
    return f"<mrow><mo>(</mo><mtable>{table}</mtable><mo>)</mo></mrow>"


def mathml(text: str) -> str:
    """A plain formula as MathML."""
    return f"<mrow>{''.join(map(_mathml_piece, pieces(text)))}</mrow>"


def _mathml_piece(piece: Piece) -> str:
    text = html.escape(piece.text)
    if piece.kind == "space":
        return "<mspace width='.25em'/>"
    if piece.kind == "sign":
        return f"<mo>{text}</mo>"
    if piece.kind == "root":
        return f"<msqrt>{mathml(piece.text)}</msqrt>"
    tag = {"number": "mn", "close": "mo"}.get(piece.kind, "mi")
    base = f"<{tag}>{text}</{tag}>"
    if piece.sub and piece.sup:
        return f"<msubsup>{base}{mathml(piece.sub)}{mathml(piece.sup)}</msubsup>"
    if piece.sub:
        return f"<msub>{base}{mathml(piece.sub)}</msub>"
    return f"<msup>{base}{mathml(piece.sup)}</msup>" if piece.sup else base
