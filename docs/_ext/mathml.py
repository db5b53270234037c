"""Formulas as MathML, which browsers draw by themselves: no script, and nothing from a network."""

import re

from docutils.nodes import SkipNode, math, math_block
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

GROUP = r"(\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})"  # braces in braces in braces
REWRITTEN = {  # what docutils does not know, or draws less well
    r"\\dots\b": r"\\ldots",
    r"\\[bB]ig(?![a-z])": "",
    r"\\mathrel\{\+\}=": r"\\text{ += }",
    rf"\\underbrace{GROUP}_{GROUP}": r"\\underset\2{\\underbrace\1}",
}

HATTED = re.compile(  # docutils puts the index of an accented letter under it, as of a sum
    r"<munderover>\s*(<mi>[^<]*</mi>)\s*(\S(?:(?!munder).)*?)\s*"
    r"(<mo stretchy=\"false\">[^<]</mo>)\s*</munderover>",
    re.DOTALL,
)


def to_mathml(node: math | math_block) -> str:
    """The formula of a node; one that docutils cannot read is a warning, and shown as it is."""
    tex = node.astext()
    for pattern, replacement in REWRITTEN.items():
        tex = re.sub(pattern, replacement, tex)
    try:
        mathml = tex2mathml(tex, as_block=isinstance(node, math_block))
    except MathError as error:
        logging.getLogger(__name__).warning("%s: %s", error, tex, location=node)
        return f"<code>{node.astext()}</code>"
    return HATTED.sub(r'<msub><mover accent="true">\1\3</mover>\2</msub>', mathml)


def visit(self, node: math | math_block) -> None:
    """Write it out, a display in a box that can scroll."""
    text = to_mathml(node)
    block = isinstance(node, math_block)
    self.body.append(f'<div class="math">{text}</div>' if block else text)
    raise SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (visit, None), (visit, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True}
