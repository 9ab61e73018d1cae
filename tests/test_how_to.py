"""Claim: the code of the how-to pages runs as it stands."""

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[1] / "docs" / "how-to"
REVIEWS = "text,label\n" + "a clever film,good\na dull film,bad\n" * 10


@pytest.mark.parametrize(("page", "printed"), [("own-text", 'column "text"'), ("gpu", "5 epochs\n")])
def test_the_page_runs(
    page: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reviews.csv").write_text(REVIEWS, encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", (PAGES / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL)
    exec("\n".join(blocks), {})
    assert printed in capsys.readouterr().out
