"""Claim: docs/theory.md says where each claim is proved, measured and tested; no link in the documents is dead."""

import re
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from attn_dynamics.claims import CLAIMS
from proofs import PROOFS

ROOT = Path(__file__).parents[1]
THEORY = ROOT / "docs" / "theory.md"
DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def passages(text: str) -> dict[str, str]:
    """By its id, what stands under the heading of a claim, or in its row of a table."""
    text = FENCED.sub("", text)
    headed = re.findall(r"^#+ ([A-Z]\d+) (.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| ([A-Z]\d+) \|(.*)$", text, re.MULTILINE)
    return dict(headed + rows)


def links(text: str) -> list[str]:
    """Relative links, without the part of the page."""
    found = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text))]
    return [target for target in found if target and ":" not in target]


def dead(document: Path) -> list[str]:
    return [target for target in links(document.read_text()) if not (document.parent / target).exists()]


def unnamed(text: str, sources: Mapping[str, Callable]) -> list[str]:
    """Ids whose passage does not exist, or has no link to the file of their proof or measurement."""
    found = passages(text)
    files = {id: f"../{source.__module__.replace('.', '/')}.py" for id, source in sources.items()}
    return [id for id, file in files.items() if file not in links(found.get(id, ""))]


MEASURED = {id: claim.measurement for id, claim in CLAIMS.items()}
PROVED = {id: proof.derivation for id, proof in PROOFS.items()}


@pytest.mark.parametrize("sources", [MEASURED, PROVED], ids=["measured", "proved"])
def test_every_claim_is_named_with_its_file(sources: Mapping[str, Callable]) -> None:
    assert sources
    assert unnamed(THEORY.read_text(), sources) == []


def test_every_measured_claim_is_named_with_its_test() -> None:
    found = passages(THEORY.read_text())
    assert [id for id in CLAIMS if f"../tests/claims/test_{id.lower()}.py" not in links(found[id])] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_link_is_dead(document: Path) -> None:
    assert dead(document) == []


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    """Negative control: an id without heading, one without its file, a link to no file."""
    text = THEORY.read_text()
    assert unnamed(text.replace("### B1 ", "### The relation, "), PROVED) == ["B1"]
    assert unnamed(text.replace("| G1 |", "| G7 |"), PROVED) == ["G1"]
    assert "A1" in unnamed(text.replace("../proofs/conservation.py", "../proofs/sen.py"), PROVED)
    page = tmp_path / "page.md"
    page.write_text("[here](page.md#top) [gone](gone.md) [far](https://far.org)\n```\n[code](none)\n```\n")
    assert dead(page) == ["gone.md"]


def test_the_claim_of_contributing_holds_and_its_control_fails(tmp_path: Path) -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text().split("\n## A new claim is one file\n")[1].split("\n## ")[0]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert example is not None
    file, before = tmp_path / "shift.py", set(CLAIMS)
    file.write_text(example[1])
    try:
        runpy.run_path(str(file))
        (entered,) = CLAIMS.keys() - before
        assert CLAIMS[entered].judge(quick=True).holds
    finally:
        for id in CLAIMS.keys() - before:
            del CLAIMS[id]
