"""Claim: the site is built only if its examples run, its links lead somewhere and its formulas can be shown."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import attn_dynamics

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLE = '"""Example\n=======\n"""\n\nassert 1 + 1 == {}\n'


REFERENCE = """```{eval-rst}
.. currentmodule:: attn_dynamics

.. autoclass:: Run
   :members:

.. autoexception:: attn_dynamics.training.run.Diverged
```
"""
"""A public name and one that only its module has, of one file."""


def build(folder: Path, *, total: int, link: str, formula: str) -> subprocess.CompletedProcess[str]:
    """Build a site of one page and one example with the settings of `make docs`."""
    pages, examples = folder / "pages", folder / "examples"
    for each in (pages / "_static", examples):
        each.mkdir(parents=True)
    (examples / "README.rst").write_text("Tutorial\n========\n")
    (examples / "1_example.py").write_text(EXAMPLE.format(total))
    (pages / "_static" / "site.css").touch()
    (pages / "index.md").write_text(
        f"# Home\n\n[away]({link}) ${formula}$\n\n```{{toctree}}\ntutorial/index\n```\n\n{REFERENCE}"
    )
    options = ["-W", "--keep-going", "-n", "-q", "-c", str(DOCS), "-D", "html_css_files=site.css"]
    options += ["-D", f"sphinx_gallery_conf.examples_dirs={examples}"]
    command = [sys.executable, "-m", "sphinx", *options, str(pages), str(folder / "html")]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def test_a_good_site_is_built(tmp_path: Path) -> None:
    done = build(tmp_path, total=2, link="tutorial/1_example.rst", formula=r"\lVert q \rVert^2")
    assert done.returncode == 0, done.stderr
    html = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
    assert '<mo stretchy="false"' in html
    source = tmp_path / "html" / "_modules" / "attn_dynamics" / "training" / "run.html"
    back = re.findall(r'index\.html#(attn_dynamics[^"]+)"', source.read_text(encoding="utf-8"))
    assert {"attn_dynamics.training.run.Run", "attn_dynamics.training.run.Diverged"} <= {*back}
    assert nowhere(back, html) == set()
    assert nowhere([*back, "attn_dynamics.Gone"], html) == {"attn_dynamics.Gone"}, "negative control"


def nowhere(anchors: list[str], html: str) -> set[str]:
    """Return the anchors that a page does not have."""
    return {*anchors} - {*re.findall(r'\bid="([^"]+)"', html)}


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"total": 3}, "AssertionError"),
        ({"link": "gone.md"}, "gone.md"),
        ({"formula": r"\unheard q"}, "has no MathML"),
    ],
    ids=["an example that raises", "a dead link", "a formula that cannot be shown"],
)
def test_a_fault_fails_the_build(fault: dict, told: str, tmp_path: Path) -> None:
    done = build(tmp_path, **{"total": 2, "link": "tutorial/1_example.rst", "formula": "q"} | fault)
    assert done.returncode != 0
    assert told in done.stderr + done.stdout


def unlisted(reference: str) -> set[str]:
    """Return the public names that no directive of the reference documents."""
    return set(attn_dynamics.__all__) - {"__version__", *re.findall(r"^\.\. auto\w+:: (\w+)$", reference, re.MULTILINE)}


def test_the_reference_documents_every_public_name() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    assert unlisted(text) == set()
    assert unlisted(text.replace(":: descend\n", ":: gone\n")) == {"descend"}, "negative control"
