"""A trace as LaTeX and as HTML with MathML: both from the same plain equations, piece by piece."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.trace_equation import Equation, number, sections, shown
from chainrule.trace_parts import PARTS

PIECE = re.compile(
    r"(?P<name>[A-Za-zα-ωΑ-Ω∂ŷŶ]+(?:_[a-z]{2,}\w*)*'?)"
    r"(?:_(?:\{(?P<sub>[^}]*)\}|(?P<index>\d+|[a-zA-Z]\b)))?"
    r"(?:\^(?P<sup>\[\d+\]|\([^()]*\)|\w+))?(?P<transposed>ᵀ)?"
    r"|(?P<number>\d[\d.]*(?:e[+−]?\d+)?)(?:\^(?P<power>\w+))?"
    r"|(?P<space>\s+)|(?P<sign>.)"
)
DERIVATIVE = re.compile(r"(d)([wzabAZWb])")
LINE = 88  # a longer sum is broken


@dataclass(frozen=True)
class Piece:
    """A piece of a formula: a name or number with its index and exponent, a sign, or space."""

    kind: str
    text: str
    sub: str = ""
    sup: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """The pieces of a plain formula."""
    for found in PIECE.finditer(text):
        part = found.groupdict()
        if part["name"]:
            sup = (part["sup"] or "").removeprefix("(").removesuffix(")")
            sup += " T" if part["transposed"] else ""
            yield Piece("name", part["name"], part["sub"] or part["index"] or "", sup.strip())
        elif part["number"]:
            yield Piece("number", part["number"], sup=part["power"] or "")
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
    "≈": r"\approx ", "ᵀ": r"^{\mathsf T}",
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
    words = not _is_formula(e)
    right = [[rf"\text{{{latex_text(e.formula)}}}"] if words else list(map(latex_math, broken(e.formula)))]
    if e.numbers and e.numbers != e.formula:
        right.append([latex_math(line) for line in broken(e.numbers)])
    if isinstance(e.value, list):
        matrix, said = shown(e.value)
        rows = r" \\ ".join(" & ".join(latex_math(number(v, digits)) for v in row) for row in matrix)
        note = rf" \quad \text{{({said})}}" if said else ""
        right.append([rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}{note}"])
    elif e.value is not None and number(e.value, digits) != (e.numbers or e.formula):
        right.append([latex_math(number(e.value, digits))])
    body = [f"&= {part[0]}" + "".join(rf" \\ &\qquad {more}" for more in part[1:]) for part in right]
    symbol = latex_math(e.symbol) if _is_symbol(e) else rf"\text{{{latex_text(e.symbol)}}}"
    lines = [r"\begin{align*}", symbol + " " + " \\\\\n".join(body), r"\end{align*}"]
    notes = "; ".join(text for text in (e.shape, e.because) if text)
    return [*([rf"{{\small {_latex_note(notes)}}}\nopagebreak"] if notes else []), *lines]


def _is_symbol(e: Equation) -> bool:
    """Whether the left side is mathematics, and not the name of the target's column."""
    return e.part != "forward" or bool(re.match(r"[zabxZAWXbŷŶ]([_^]|$)", e.symbol))


def _is_formula(e: Equation) -> bool:
    """Whether the right side is mathematics, and not words."""
    words = ("its weights", "its biases", "the targets", "moved")
    return _is_symbol(e) and e.part != "input" and e.symbol != "X" and e.formula not in words


def latex_math(text: str) -> str:
    """A plain formula as LaTeX mathematics."""
    joined = "".join(map(_latex_piece, pieces(text))).strip()
    return re.sub(r"(?:\\ )?([-+=]|\\(?:cdot|times|leftarrow|odot|rightarrow) )\\ ", r"\1", joined)


def _latex_piece(piece: Piece) -> str:
    if piece.kind == "space":
        return r"\ "
    if piece.kind == "sign":
        return LATEX_SIGNS.get(piece.text, piece.text)
    if piece.kind == "number":
        base = re.sub(r"e([+−]?)0*(\d+)", r" \\cdot 10^{\1\2}", piece.text).replace("+", "").replace("−", "-")
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
        elif character in LATEX_SIGNS:
            out.append(f"${LATEX_SIGNS[character].strip()}$")
        else:
            out.append(character if character.isprintable() and ord(character) < 0x180 else "?")
    return "".join(out)


def _is_prose(text: str) -> bool:
    """Whether a note is words: two of them follow each other, or there is a year."""
    return bool(re.search(r"[A-Za-z]{3,} [a-z&A-Z]{2,}|\b[12]\d{3}\b|^no ", text))


def _latex_note(text: str) -> str:
    """A note that is mathematics where it can be, and words where it must be."""
    return latex_text(text) if _is_prose(text) else rf"${latex_math(text)}$"


# ------------------------------------------------------------------ HTML

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-bottom: 1px solid #ccc; } h3 { margin-bottom: .3rem; }
div.equation { margin: .7rem 0; padding: .15rem 0 .25rem .8rem; overflow: auto hidden; }
div.equation { border-left: 3px solid #d8dee9; }
p.note { margin: 0; color: #57606a; font-size: .85rem; } math { display: block; margin: .15rem 0; }
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
    words = not _is_formula(e)
    right = [f"<mtext>{html.escape(e.formula)}</mtext>" if words else mathml(e.formula)]
    if e.numbers and e.numbers != e.formula:
        right.append(mathml(e.numbers))
    said = ""
    if isinstance(e.value, list):
        matrix, said = shown(e.value)
        cells = ("".join(f"<mtd>{mathml(number(v, digits))}</mtd>" for v in row) for row in matrix)
        rows = "".join(f"<mtr>{row}</mtr>" for row in cells)
        right.append(f"<mo>(</mo><mtable>{rows}</mtable><mo>)</mo>")
    elif e.value is not None and number(e.value, digits) != (e.numbers or e.formula):
        right.append(mathml(number(e.value, digits)))
    symbol = mathml(e.symbol) if _is_symbol(e) else f"<mtext>{html.escape(e.symbol)}</mtext>"
    lefts = [symbol] + ["<mspace width='1em'/>"] * (len(right) - 1)
    lines = (
        f"<math><mrow>{left}<mo>=</mo>{part}</mrow></math>" for left, part in zip(lefts, right, strict=True)
    )
    notes = "; ".join(text for text in (e.shape, e.because, said) if text)
    inner = html.escape(notes) if _is_prose(notes) else f"<math>{mathml(notes)}</math>"
    note = f"<p class='note'>{inner}</p>" if notes else ""
    return f"<div class='equation'>{''.join(lines)}{note}</div>"


def mathml(text: str) -> str:
    """A plain formula as MathML."""
    return f"<mrow>{''.join(map(_mathml_piece, pieces(text)))}</mrow>"


def _mathml_piece(piece: Piece) -> str:
    text = html.escape(piece.text)
    if piece.kind == "space":
        return "<mspace width='.25em'/>"
    if piece.kind == "sign":
        return f"<mo>{text}</mo>"
    base = f"<mn>{text}</mn>" if piece.kind == "number" else f"<mi>{text}</mi>"
    if piece.sub and piece.sup:
        return f"<msubsup>{base}{mathml(piece.sub)}{mathml(piece.sup)}</msubsup>"
    if piece.sub:
        return f"<msub>{base}{mathml(piece.sub)}</msub>"
    return f"<msup>{base}{mathml(piece.sup)}</msup>" if piece.sup else base
