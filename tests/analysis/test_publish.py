"""Claim: only a full judgement of all claims from a commit is published, and the badge says what is published."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import judge, publish, verdict_file, verdicts
from analysis.verdict_file import DOCS, Outcome, Published
from attn_dynamics.claims import CLAIMS
from attn_dynamics.commands.shell import BAD_INPUT
from attn_dynamics.files.storage import write_json, write_parquet

ORIGIN = {"date": "2026-01-01 00:00 UTC", "commit": "abc1234", "versions": "numpy 2", "text": "SST-2", "machine": "a"}


def row(id: str, **differing: Any) -> judge.Row:
    """A claim that holds, and whose two controls exceed the bound."""
    controls = [{"control": text, "measured": value, "bound": 0.5} for text, value in (("a", 2.0), ("b", float("nan")))]
    known: dict[str, Any] = dict(id=id, size="full", verdict="holds", seconds=12.3, measured=0.123456, bound=0.5)
    return judge.Row(**known | {"statement": "", "controls": controls} | differing)


ROWS = [row(id) for id in judge.IDS]


def judged(folder: Path, rows: list[judge.Row], origin: Mapping[str, str] = ORIGIN) -> Path:
    """Leave a judgement as the command does."""
    folder.mkdir()
    write_parquet(folder / verdicts.TABLE, pd.DataFrame([vars(each) for each in rows]))
    write_json(folder / verdicts.ORIGIN, dict(origin))
    return folder


def test_a_full_judgement_is_published_once_and_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = judged(tmp_path / "judged", ROWS), tmp_path / "docs"
    out.mkdir()
    assert publish.main([str(folder), "--out", str(out)]) == 0
    kept = verdict_file.read(out)
    assert kept.commit == "abc1234"
    assert [*kept.claims] == [*judge.IDS]
    assert kept.claims["B1"].measured == 0.123
    assert [verdict_file.excess(each) for each in kept.claims["B1"].controls] == [4.0, float("inf")]
    assert kept.summary == (f"{len(ROWS)} claims hold", f"{2 * len(ROWS)} controls fail")
    text = (out / verdict_file.VERDICTS).read_text()
    assert not any(name in text for name in ("machine", "seconds")), "what differs from run to run"
    assert publish.main([str(folder), "--out", str(out)]) == BAD_INPUT
    assert "which exists" in capsys.readouterr().err
    assert publish.main([str(folder), "--out", str(out), "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("rows", "origin", "named"),
    [
        (ROWS[1:], ORIGIN, f"none on {ROWS[0].id}"),
        ([row("A1", size="quick"), *ROWS[1:]], ORIGIN, "quick ones on A1"),
        (ROWS, ORIGIN | {"commit": "abc1234 and changes"}, "abc1234 and changes"),
        (ROWS, {name: text for name, text in ORIGIN.items() if name != "commit"}, "got none"),
        (ROWS, {"commit": "abc1234", "date": "today"}, "without versions, text"),
    ],
    ids=["missing", "quick", "changed", "no commit", "no versions"],
)
def test_less_than_that_is_refused(
    rows: list[judge.Row], origin: Mapping[str, str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish.main([str(judged(tmp_path / "judged", rows, origin)), "--out", str(tmp_path)]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert named in error
    assert not (tmp_path / verdict_file.VERDICTS).exists()


def test_a_folder_without_verdicts_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish.main([str(tmp_path), "--out", str(tmp_path)]) == BAD_INPUT
    assert capsys.readouterr().err.startswith("error: ")


def test_the_badge_counts_what_fails() -> None:
    rows = [row("A1", verdict="FAILS", controls=[{"control": "a", "measured": 0.4, "bound": 0.5}]), *ROWS[1:]]
    some = publish.gathered(rows, ORIGIN)
    assert some.summary == (f"{len(ROWS) - 1} of {len(ROWS)} claims hold", f"{2 * len(ROWS) - 2} controls fail")
    assert all(text in verdict_file.badge(some) for text in some.summary)
    whole = publish.gathered(ROWS, ORIGIN)
    fallen = replace(whole, claims=dict(whole.claims, A1=some.claims["A1"]))
    assert verdict_file.badge(whole) != verdict_file.badge(fallen)


@pytest.mark.parametrize(("measured", "bound", "times"), [(3.0, 1.5, 2.0), (0.0, 0.0, 0.0), (1.0, 0.0, float("inf"))])
def test_by_how_much_a_control_exceeds_its_bound(measured: float, bound: float, times: float) -> None:
    assert verdict_file.excess({"measured": measured, "bound": bound}) == times


def told(badge: str) -> list[str]:
    """Texts of a badge."""
    return re.findall(r"<text[^>]*>(.*?)</text>", badge)


def unlike(kept: Published) -> set[str]:
    """Ids whose published verdict is not that of a claim of the registries with these controls."""
    known = {id: [each.text for each in CLAIMS[id].controls] if id in CLAIMS else [] for id in judge.IDS}
    found = {id: [each["control"] for each in outcome.controls] for id, outcome in kept.claims.items()}
    return {id for id in known.keys() | found.keys() if known.get(id) != found.get(id)}


def test_what_is_published_is_what_the_registries_hold_and_the_badge_says() -> None:
    kept = verdict_file.read()
    assert unlike(kept) == set()
    assert told((DOCS / verdict_file.BADGE).read_text(encoding="utf-8")) == [*kept.summary]
    claims = dict(kept.claims)
    claims["Z9"] = claims.pop("B1")
    claims["A1"] = replace(claims["A1"], controls=claims["A1"].controls[1:])
    assert unlike(replace(kept, claims=claims)) == {"A1", "B1", "Z9"}, "negative control"
    fallen: dict[str, Outcome] = dict(kept.claims, A1=replace(kept.claims["A1"], verdict="FAILS"))
    assert told(verdict_file.badge(replace(kept, claims=fallen))) != [*kept.summary], "negative control"
