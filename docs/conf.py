"""How Sphinx builds the site: `make docs`."""

import contextlib
import io
import re
from importlib import metadata
from typing import Any

import latex2mathml.converter

project = "chainrule"
author = "The chainrule authors"
release = metadata.version("chainrule")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 2
html_theme = "furo"
html_title = "chainrule"
html_math_renderer = "mathml"
exclude_patterns = ["_build"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

PRINTED = {"mathematics", "own_activation"}  # pages on which each block is followed by what it prints
BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def print_blocks(app: Any, page: str, source: list[str]) -> None:
    """Run a page's blocks of Python and put their output below them."""
    if page not in PRINTED:
        return
    names: dict[str, Any] = {}

    def run(block: re.Match[str]) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(block[1], page, "exec"), names)
        text = printed.getvalue().strip("\n")
        return block[0] + (f"\n```text\n{text}\n```\n" if text else "")

    source[0] = BLOCK.sub(run, source[0])


def inline(translator: Any, node: Any) -> None:
    """A formula in a line, as MathML: it needs no script and no network."""
    translator.body.append(latex2mathml.converter.convert(node.astext()))
    raise _skip()


def display(translator: Any, node: Any) -> None:
    """A formula by itself."""
    translator.body.append(latex2mathml.converter.convert(node.astext(), display="block"))
    raise _skip()


def _skip() -> Exception:
    from docutils import nodes

    return nodes.SkipNode()


def setup(app: Any) -> None:
    """Tell Sphinx of the two."""
    app.connect("source-read", print_blocks)
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
