"""Formulas as MathML, which browsers show without a script and without a network."""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.writers.html5 import HTML5Translator

TIGHT, THIN = 'lspace="0" rspace="0"', '<mspace width="0.167em"/>'
AS_IN_TEX = {
    "<mo>(&#x02016;|&#x0007C;)</mo>": rf'<mo stretchy="false" {TIGHT}>\1</mo>',
    "<mo>&#x0002F;</mo>": f"<mo {TIGHT}>/</mo>",
    "<mi>(&#x02032;|&#x027FA;)</mi>": r"<mo>\1</mo>",
    "(?<=</m[in]>)<mi>(ln|exp|tanh)</mi>": rf"{THIN}<mi>\1</mi>",
    r"<mi>(ln|exp|tanh)</mi>(?=<m[in]|<msu|<mf|<msq)": rf"<mi>\1</mi>{THIN}",
}
"""Patterns of what the converter spaces or stretches unlike TeX, and what stands instead."""
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
    for pattern, instead in AS_IN_TEX.items():
        found = re.sub(pattern, instead, found)
    return found
