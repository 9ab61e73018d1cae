"""Settings of the site, which `make docs` builds."""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

from attn_dynamics import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "attn-dynamics"
author = copyright = "The attn-dynamics authors"
release = version = __version__
extensions = [
    "mathml",
    "source_anchors",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "tutorial/*.ipynb", "tutorial/*.py"]

# Pages are read on code hosts too: formulas stand between dollars, and headings have the anchors that hosts give them.
myst_enable_extensions = ["dollarmath", "deflist"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # docstrings say types, shapes and units in words
autodoc_member_order = "bysource"
# Only names of this package are checked, because those of others would need a network.
nitpick_ignore_regex = [("py:(class|obj)", r"(?!attn_dynamics\b).*")]
default_role = "py:obj"
napoleon_numpy_docstring = False
python_display_short_literal_types = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "tutorial",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
}

html_theme = "furo"
html_title = "attn-dynamics"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
linkcheck_anchors = False


PAGES = {
    "CONTRIBUTING.md": "/contributing.md",
    "CHANGELOG.md": "/changelog.md",
    "examples/README.rst": "/tutorial/index.rst",
    "examples/3_your_own_claim.py": "/tutorial/3_your_own_claim.rst",
}
"""Pages of the site by the files of the repository that they show."""


def setup(app: Sphinx) -> None:
    """Lead links to files that the site shows to its pages."""
    app.connect("source-read", _within_the_site)


def _within_the_site(app: Sphinx, page: str, source: list[str]) -> None:
    for file, shown in PAGES.items():
        source[0] = re.sub(rf"\]\((\.\./)+{re.escape(file)}", f"]({shown}", source[0])
