"""Formulas as MathML, which browsers show without a script and without a network."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.writers.html5 import HTML5Translator

LOGGER = getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Enter the renderer of formulas that `html_math_renderer` names."""
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line.

    Raises:
        SkipNode: always, because the formula is written whole.
    """
    translator.body.append(f'<span class="math">{mathml(node, "inline")}</span>')
    raise nodes.SkipNode


def displayed(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on lines of its own, which keyboards can scroll.

    Raises:
        SkipNode: always, because the formula is written whole.
    """
    translator.body.append(f'<div class="math" tabindex="0">{mathml(node, "block")}</div>')
    raise nodes.SkipNode


def mathml(node: nodes.Element, display: str) -> str:
    """Return a formula as MathML, and warn of commands that the converter does not know."""
    found = convert(node.astext(), display=display)
    if "\\" in found:
        LOGGER.warning("a command of this formula has no MathML: %s", node.astext(), location=node)
    return found
