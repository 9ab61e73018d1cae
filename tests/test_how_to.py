"""Claim: the Python code of the pages runs as it stands."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

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
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    exec("\n".join(blocks), {})
    assert printed in capsys.readouterr().out
