"""Claim: the table of verdicts joins proof and measurement, and nothing that fails can pass for one that holds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from analysis import judge, links, render, verdicts
from attn_dynamics.claims import CLAIMS, Claim, Control, Measured
from attn_dynamics.claims._support.drawn import sst2
from attn_dynamics.claims.claim import together
from attn_dynamics.commands.shell import BAD_INPUT, FAILED, INTERRUPTED, record_command
from attn_dynamics.files.storage import read_json_object
from attn_dynamics.system import workers as system_workers
from attn_dynamics.tasks.treebank import ABSENT, VARIABLE
from proofs.proof import Proof

PROVED = cache(Proof.prove)
"""Results of proofs, each proved once for all tests; whether they hold is the matter of tests/proofs."""


@pytest.fixture(autouse=True)
def proved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prove nothing a second time."""
    monkeypatch.setattr(Proof, "prove", lambda proof: PROVED(proof))


def claim(value: float, *, broken: float = 1.0) -> Claim:
    """One that measures a value where the bound is 0.5, and another in its control."""
    return Claim(
        id="B1",
        name="a claim",
        statement=r"x \leq \frac{1}{2} | \|\nu\|",
        source="here",
        assumptions="none",
        quantity="x < y",
        tolerance="half of one",
        observed=False,
        controls=(Control("broken", {"value": broken}),),
        measurement=lambda *, quick, value=value: Measured(value, 0.5),
    )


@pytest.mark.parametrize(
    ("value", "broken", "verdict"),
    [(0.2, 1.0, "holds"), (0.5, 0.6, "holds"), (0.7, 1.0, "FAILS"), (0.2, 0.4, "FAILS"), (float("nan"), 1.0, "FAILS")],
)
def test_a_row_holds_only_if_the_claim_does_and_its_control_fails(
    value: float, broken: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CLAIMS, "B1", claim(value, broken=broken))
    row = judge.judge("B1", quick=True)
    assert row.verdict == verdict
    assert row.proof == "proved, 7/7 mutants rejected"
    assert row.control == ("1/1" if broken > 0.5 else "0/1")
    assert row.controls == [{"control": "broken", "measured": broken, "bound": 0.5}]


def test_every_part_of_a_measurement_must_be_failed_by_some_control(monkeypatch: pytest.MonkeyPatch) -> None:
    def measurement(*, quick: bool, value: float = 0.2) -> Measured:
        return together(moved=Measured(value, 0.5), still=Measured(0.1, 0.5))

    monkeypatch.setitem(CLAIMS, "B1", replace(claim(0.2), measurement=measurement))
    row = judge.judge("B1", quick=True)
    assert row.measured == 0.4
    assert row.control == "1/1, none fails still"
    assert row.verdict == "FAILS"


def test_how_far_bounds_are_above_their_values_is_told_and_a_loose_one_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def measurement(*, quick: bool, value: float = 0.2, wide: float = 0.5) -> Measured:
        counted = Measured(float(value > 1.0), 0.5, within=float("inf"))
        return together(first=Measured(value, 0.5), second_part=Measured(value, wide), counted=counted)

    controls, told = (Control("broken", {"value": 9.0}),), {}
    for wide in (0.5, 4.0):
        narrow = replace(claim(0.2), controls=controls, measurement=partial(measurement, wide=wide))
        monkeypatch.setitem(CLAIMS, "B1", narrow)
        row = judge.judge("B1", quick=True)
        told[row.slack] = row.verdict
        verdicts.write([row], tmp_path)
        assert pd.read_parquet(tmp_path / "verdicts.parquet").slack.tolist() == [row.slack]
        for name in ("verdicts.md", "verdicts.html"):
            assert row.slack in (tmp_path / name).read_text()
    held, wide = "first 2.5 of 10; second part 2.5 of 10", "first 2.5 of 10; second part 20 of 10"
    assert told == {held: "holds", wide: "FAILS"}


def test_what_a_bound_rests_on_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for observed, told in ((True, "observation"), (False, "formula")):
        monkeypatch.setitem(CLAIMS, "B1", replace(claim(0.2), observed=observed))
        assert judge.judge("B1", quick=True).rests_on == told


def test_an_error_is_a_verdict_that_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLAIMS, "B1", claim("no number"))  # pyright: ignore[reportArgumentType]
    row = judge.judge("B1", quick=True)
    assert row.verdict == "ERROR"
    assert "TypeError" in row.detail


def test_the_table_in_its_forms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(CLAIMS, "B1", claim(0.7))
    table = judge.in_order(judge.judge(id, quick=True) for id in ("M4", "B1"))
    assert [row.id for row in table] == ["B1", "M4"]
    assert render.summary(table) == "1 of 2 claims hold; 2 have a proof, 1 are measured (quick size)."
    verdicts.write(table, tmp_path)
    kept = pd.read_parquet(tmp_path / "verdicts.parquet")
    assert kept.verdict.tolist() == ["FAILS", "holds"]
    assert kept.measured[0] == 0.7
    lines = (tmp_path / "verdicts.md").read_text().splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")] == [
        ["id", "name", "proof", "measured", "bound", "controls", "verdict"],
        ["B1", "SEN relation", "proved 7/7", "0.7", "0.5", "1/1", "FAILS"],
        ["M4", "gradient of Attn-TC", "proved 3/3", "", "", "", "holds"],
    ]
    first, second = (lines.index(line) for line in ("## B1 SEN relation: FAILS", "## M4 gradient of Attn-TC: holds"))
    assert lines[first + 2] == r"$x \leq \frac{1}{2} | \|\nu\|$"
    heads = [line.split(":")[0] for line in lines[first + 4 : second - 1]]
    assert len(heads) == len(set(heads)) > 8
    assert {"- quantity: x < y", "- measured: 0.7", "- bound: 0.5"} <= {*lines[first:second]}
    page = (tmp_path / "verdicts.html").read_text()
    assert "data:image/svg+xml" in page
    assert "x &lt; y" in page
    assert "half of one" in page
    assert '<details class="claim bad" open><summary><b>B1</b> SEN relation <span class="verdict">FAILS' in page
    address = links.link("B1", tmp_path)
    assert f"- passage: [docs/theory.md]({address})" in lines[first:second]
    assert f'<a href="{address}">' in page
    assert (tmp_path / address.split("#")[0]).resolve() == links.THEORY
    assert address.endswith("#b1--the-relation")


def test_every_claim_has_a_passage_and_a_name_that_fits_the_terminal() -> None:
    assert set(judge.IDS) == links.anchors().keys() & judge.IDS
    assert len(set(judge.NAMES.values())) == len(judge.IDS)
    row: dict[str, Any] = dict(size="quick", statement="", verdict="holds", seconds=0.0, measured=8.88e-15)
    row |= dict(proof="proved for some case, 7/7 mutants rejected", control="5/5", bound=8.88e-15)
    rows = [judge.Row(id=id, name=name, **row) for id, name in judge.NAMES.items()]
    assert overflowing(rows) == []
    assert overflowing([replace(rows[0], name="a name that is much too long")]), "negative control"


def overflowing(rows: list[judge.Row]) -> list[str]:
    """Lines of the table at 80 columns that begin no row, below the rule."""
    console = Console(file=StringIO(), width=80)
    console.print(render.table(rows))
    lines = console.file.getvalue().rpartition("─")[2].splitlines()  # pyright: ignore[reportAttributeAccessIssue]
    return [line for line in lines if line.strip() and line.split()[0] not in judge.IDS]


def test_the_command_judges_and_says_so_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verdicts, "judge_all", lambda ids, **_: (judge.judge(id, quick=True) for id in ids))
    assert verdicts.main(["--claim", "M4", "--out", str(tmp_path)]) == 0
    assert {"date", "versions", "text"} <= read_json_object(tmp_path / verdicts.ORIGIN).keys()
    assert judge.read_rows(tmp_path / verdicts.TABLE)[0].verdict == "holds"
    monkeypatch.setitem(CLAIMS, "M4", claim(0.7))
    assert verdicts.main(["--claim", "M4", "--out", str(tmp_path), "--overwrite"]) == FAILED
    assert "FAILS" in capsys.readouterr().out


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(judge, "judge", _killed)
    assert verdicts.main(["--claim", "B1", "--quick", "--out", str(tmp_path / "out")]) == BAD_INPUT
    assert "--workers: expected processes that live, got a killed one." in capsys.readouterr().err


def test_ctrl_c_ends_at_once_and_replaces_nothing_before_a_verdict_is_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    record_command(tmp_path, verdicts.PROG)
    (tmp_path / "verdicts.md").write_text("of before")
    monkeypatch.setattr(judge, "judge", _asleep)
    monkeypatch.setattr(system_workers, "wait", pressed)
    begun = time.monotonic()
    assert verdicts.main(["--claim", "B1", "M4", "--out", str(tmp_path), "--overwrite"]) == INTERRUPTED
    assert time.monotonic() - begun < 30  # one that waits for its workers takes a minute
    assert capsys.readouterr().err.endswith("interrupted; no verdict was ready\n")
    assert (tmp_path / "verdicts.md").read_text() == "of before"


def _asleep(id: str, *, quick: bool) -> None:
    time.sleep(60)


def test_ctrl_c_keeps_the_verdicts_that_are_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut_off(ids: list[str], **_: object) -> Iterator[judge.Row]:
        yield judge.judge(ids[0], quick=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(verdicts, "judge_all", cut_off)
    assert verdicts.main(["--claim", "M4", "A5", "--out", str(tmp_path)]) == INTERRUPTED
    assert capsys.readouterr().err.endswith(
        f"interrupted; 1 of 2 verdicts were ready; {tmp_path} keeps what was written of them\n"
    )
    assert pd.read_parquet(tmp_path / "verdicts.parquet").id.tolist() == ["M4"]


def test_ctrl_c_while_the_first_verdict_is_written_tells_that_one_was_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verdicts, "judge_all", lambda ids, **_: (judge.judge(id, quick=True) for id in ids))
    monkeypatch.setattr(verdicts, "write_parquet", cut_off)
    assert verdicts.main(["--claim", "M4", "A5", "--out", str(tmp_path)]) == INTERRUPTED
    assert "interrupted; 1 of 2 verdicts were ready" in capsys.readouterr().err
    assert (tmp_path / "verdicts.md").exists()


@pytest.mark.slow
def test_a_plain_kill_does_not_reach_the_processes_that_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "judge", _terminated)
    assert [*judge.judge_all(["B1"], quick=True, workers=1)] == ["B1"]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGINT, signal.SIGTERM}


def _terminated(id: str, *, quick: bool) -> str:
    os.kill(os.getpid(), signal.SIGTERM)
    return id


def _killed(id: str, *, quick: bool) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("arguments", [["--claim", "Z9"], ["--workers", "0"]])
def test_bad_input_is_one_line(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verdicts.main([*arguments, "--out", str(tmp_path / "out")]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "expected" in error
    assert not (tmp_path / "out").exists()


def test_a_folder_of_real_text_that_is_none_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    assert verdicts.main(["--claim", "A1", "--out", str(tmp_path / "out")]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith(f"error: {VARIABLE}: expected a folder")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("quick", "said"), [(True, "SST-2 at full size only"), (False, ABSENT)])
def test_the_table_says_whether_real_text_was_measured(
    quick: bool, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    sst2.cache_clear()
    monkeypatch.setattr(verdicts, "judge_all", lambda ids, **_: (judge.judge(id, quick=True) for id in ids))
    assert verdicts.main(["--claim", "A5", *["--quick"] * quick, "--out", str(tmp_path)]) == 0
    assert f"real text: {said}" in capsys.readouterr().out
    assert "random ragged sentences; SST-2 at full size only" in (tmp_path / "verdicts.md").read_text()
    sst2.cache_clear()


@pytest.mark.slow
def test_from_the_shell_in_processes_of_their_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "analysis.verdicts", "--quick", "--claim", "M4", "A5", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pd.read_parquet(tmp_path / "verdicts.parquet").verdict.tolist() == ["holds", "holds"]
