"""Claim: what is published agrees with itself: versions, addresses, the paper's references, the hosts' workflows."""

import re
import tomllib
from pathlib import Path

from attn_dynamics import __version__

ROOT = Path(__file__).parents[1]
PAPER = (ROOT / "paper/paper.md").read_text(encoding="utf-8")
BIBLIOGRAPHY = (ROOT / "paper/paper.bib").read_text(encoding="utf-8")
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
DOI = re.compile(r"10\.\d{4,9}/\S+")


def mismatched(paper: str, bibliography: str) -> set[str]:
    """Keys that are cited and not in the bibliography, or in it and not cited."""
    return {*re.findall(r"(?<=@)[a-z]+\d{4}\w+", paper)} ^ {*re.findall(r"^@\w+{(\w+),", bibliography, re.MULTILINE)}


def unfound(bibliography: str) -> list[str]:
    """Entries without a DOI or an address, or with a DOI that is none."""
    entries = re.split(r"^@\w+{", bibliography, flags=re.MULTILINE)[1:]
    dois = [re.search(r"^  doi = {(.*)}", entry, re.MULTILINE) for entry in entries]
    found = [
        bool(DOI.fullmatch(doi[1])) if doi else "\n  url = {https://" in entry
        for entry, doi in zip(entries, dois, strict=True)
    ]
    return [entry.partition(",")[0] for entry, there in zip(entries, found, strict=True) if not there]


def test_every_reference_is_cited_and_can_be_found() -> None:
    assert mismatched(PAPER, BIBLIOGRAPHY) == set()
    assert unfound(BIBLIOGRAPHY) == []


def test_a_wrong_reference_is_noticed() -> None:
    """Negative control."""
    assert mismatched(PAPER.replace("@lam2015numba", "@lam2016numba"), BIBLIOGRAPHY) == {"lam2015numba", "lam2016numba"}
    assert unfound(BIBLIOGRAPHY.replace("doi = {10.1145/", "doi = {https://doi.org/10.1145/")) == ["lam2015numba"]
    assert unfound(BIBLIOGRAPHY.replace("\n  url = {https://aclanthology.org/D13-1170},", "")) == [
        "socher2013recursive"
    ]


def test_the_paper_has_the_form_of_the_journal() -> None:
    text = PAPER.split("---\n", 2)[2]
    assert 750 <= len(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).split()) <= 1750
    sections = {
        "Summary",
        "Statement of need",
        "State of the field",
        "Software design",
        "Acknowledgements",
        "References",
    }
    assert sections <= {*re.findall(r"^# (.*)", text, re.MULTILINE)}
    figures = re.findall(r"\]\((\S+\.png)\)", text)
    assert figures
    assert all((ROOT / "paper" / each).is_file() for each in figures)


def test_versions_and_addresses_agree() -> None:
    assert f"\nversion: {__version__}\n" in CITATION
    assert f"\n## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    repository = re.search(r"^repository-code: (\S+)", CITATION, re.MULTILINE)
    assert urls.get("Repository") == (repository and repository[1]), "pyproject.toml and CITATION.cff name one address"


def test_hosts_call_the_scripts_of_the_project_alone() -> None:
    workflows = [*(ROOT / ".github/workflows").glob("*.yml"), ROOT / ".gitlab-ci.yml"]
    called = re.findall(r"^\W*(?:run|script): (.*)$", "\n".join(each.read_text() for each in workflows), re.MULTILINE)
    assert {*called} == {".ci/run", "make dist"}
