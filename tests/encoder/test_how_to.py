"""Claim: the how-to's code runs as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

from attn_dynamics.encoder import widths
from attn_dynamics.window.reach import half_width

PAGE = Path(__file__).parents[2] / "docs" / "encoder.md"


def test_the_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec("\n".join(blocks), names)  # one page, one set of names
    shape, reaches = capsys.readouterr().out.splitlines()[-2:]
    assert shape == "(6, 12)"
    assert reaches == str([half_width(float(each.max()), 0.01) for each in widths(names["again"])])
