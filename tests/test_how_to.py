"""Claim: the Python code of the pages and the commands on update rules run as they stand."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis.compare.__main__ import main as compare
from attn_dynamics.simulate import main as simulate
from attn_dynamics.training.rules import RULES

DOCS = Path(__file__).parents[1] / "docs"


def reviews() -> None:
    Path("reviews.csv").write_text("text,label\n" + "a clever film,good\na dull film,bad\n" * 10, encoding="utf-8")


def sweep() -> None:
    Path("runs/sizes").mkdir(parents=True)
    rows = {"model": ["attn-fc", "attn-tc"], "other_words": [5, 20], "sen_residual": [0.125, 0.25]}
    pd.DataFrame(rows).to_parquet("runs/sizes/results.parquet")


PAGES: dict[str, tuple[Callable[[], None], str]] = {
    "how-to/own-text.md": (reviews, 'column "text"'),
    "how-to/gpu.md": (reviews, "5 epochs\n"),
    "how-to/sweeps.md": (sweep, "0.125"),
    "python.md": (reviews, ""),
}
"""By page, what makes the files that its code reads, and a part of what it prints."""


@pytest.mark.parametrize("page", PAGES)
def test_the_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare, printed = PAGES[page]
    prepare()
    run_page(page)
    assert printed in capsys.readouterr().out


def run_page(page: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    exec("\n".join(blocks), {})


def deviations(text: str) -> list[tuple[str, str]]:
    """Return each rule of a printed table with its distance from the SEN curve."""
    return re.findall(r"^(\w[\w -]*?) +(-?\d+\.\d %)", text, re.MULTILINE)


@pytest.mark.slow
def test_the_page_of_rules_prints_the_deviations_that_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_page("how-to/rules.md")
    shown = deviations((DOCS / "how-to/rules.md").read_text(encoding="utf-8"))
    assert deviations(capsys.readouterr().out) == shown
    assert len(set(shown)) == 5
    assert Path("rules.png").exists()


@pytest.mark.slow
def test_the_commands_on_update_rules_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    section = (DOCS / "command.md").read_text(encoding="utf-8").split("\n## Update rules\n")[1].split("\n## ")[0]
    lines = [shlex.split(line) for line in section.splitlines() if line.startswith("python -m ")]
    assert {line[line.index("--rule") + 1] for line in lines if "--rule" in line} == {*RULES} - {"descent"}
    for _, _, module, *options in lines:
        if module == "analysis.compare":
            assert compare(options) == 0
        else:
            assert simulate([*options, "--epochs", "2", "--sentences", "50", "--dictionary", "50"]) == 0
