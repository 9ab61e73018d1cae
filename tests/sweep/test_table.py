"""The table: one file, whole at any time, never another sweep's rows lost without being asked."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from attn_dynamics.command import COMMAND
from attn_dynamics.sweep.grid import Grid
from attn_dynamics.sweep.table import FILE, Row, Table, row
from tests.command.driving import Call, contents
from tests.sweep.driving import TINY, differences, holds, rows

SWEEP = (*TINY, "--model", "attn-fc", "attn-tc", "--seed", "0", "1")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of four runs."""
    import attn_dynamics.sweep.__main__ as command
    from tests.sweep.driving import nothing, one_by_one

    folder = tmp_path_factory.mktemp("kept") / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "cluster", nothing)
        patch.setattr(command, "stream", one_by_one)
        assert command.main([*SWEEP, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def here(kept: Path, place: Path) -> Path:
    shutil.copytree(kept, place / "here")
    return Path("here")


def test_a_row_is_a_run_in_the_order_of_the_grid_whatever_came_first(here: Path) -> None:
    found = [(each["model"], each["seed"], each["ended"], each["last_epoch"]) for each in rows(here)]
    assert found == [(model, seed, "epochs", 60) for model in ("attn-fc", "attn-tc") for seed in (0, 1)]
    assert [*contents(here)] == [COMMAND, FILE]


def test_numbers_and_gaps_come_back_to_the_bit(place: Path) -> None:
    config, *others = Grid(seed=(0, 1)).configs()
    odd = {"train_loss": 0.1 + 0.2, "sen_residual": float("nan"), "query_norm": float("inf"), "score_sum_drift": -0.0}
    table = Table(place, [config, *others])
    table.write([row(config, odd | {"last_epoch": 3, "versions": ["a 1", "b 2"]})])
    (found,) = rows(place)
    assert differences([found], [row(config, odd | {"last_epoch": 3, "versions": ["a 1", "b 2"]})]) == []
    assert found["versions"] == "a 1 b 2"
    assert found["dev_loss"] is None
    again = Table(place, [config, *others])
    again.open(resume=True, overwrite=False)
    assert differences(again.rows, [found]) == []
    assert again.missing == others


def test_a_wrong_seed_and_a_last_bit_are_differences(here: Path, call: Call) -> None:
    """Negative control of the comparison of tables."""
    assert differences(rows(here), rows(here)) == []
    assert call(*TINY, "--model", "attn-fc", "attn-tc", "--seed", "0", "2", "--out", "there").code == 0
    other = rows(Path("there"))
    assert differences(rows(here), other) != []
    disguised: list[Row] = [each | {"seed": 1 if each["seed"] == 2 else each["seed"]} for each in other]
    assert {name.split()[0] for name in differences(rows(here), disguised)} >= {"train_loss", "sen_residual"}
    nudged = rows(here)
    nudged[0]["train_loss"] = float(np.nextafter(nudged[0]["train_loss"], 1.0))
    assert len(differences(rows(here), nudged)) == 1
    assert differences(rows(here), rows(here)[1:]) != []
    assert differences(rows(here), [*rows(here), rows(here)[0]]) != []


@pytest.mark.parametrize("arguments", [SWEEP, (*TINY, "--seed", "5")])
def test_a_table_is_not_overwritten(here: Path, call: Call, arguments: tuple[str, ...]) -> None:
    before = contents(here)
    done = call(*arguments, "--out", "here")
    assert done.code == 2
    assert done.said.startswith("error: --out: expected a new or empty folder, got here, which holds the results of a")
    assert "--resume" in done.said
    assert "--overwrite" in done.said
    assert contents(here) == before


def test_a_table_is_replaced_when_asked(here: Path, call: Call) -> None:
    assert call(*TINY, "--seed", "5", "--out", "here", "--overwrite").code == 0
    assert [each["seed"] for each in rows(here)] == [5]


def test_another_sweep_is_not_gone_on_with(here: Path, call: Call) -> None:
    before = contents(here)
    done = call(*TINY, "--model", "attn-tc", "--seed", "0", "1", "--out", "here", "--resume")
    assert done.code == 2
    assert "--resume: expected a sweep that has every run in here/results.parquet among its own" in done.said
    assert "one without model = attn-fc" in done.said
    assert contents(here) == before


def test_a_sweep_can_be_made_larger(here: Path, call: Call) -> None:
    before = rows(here)
    done = call(*SWEEP, "2", "--out", "here", "--resume")
    assert done.code == 0
    assert "6 of 6 runs are in here/results.parquet" in done.out
    after = rows(here)
    assert holds(after, before)
    assert not holds([each | {"seconds": 0.0} for each in after], before)
    assert call(*SWEEP, "2", "--out", "there").code == 0
    assert differences(after, rows(Path("there"))) == []


def test_a_whole_sweep_is_not_run_again(here: Path, call: Call) -> None:
    before = contents(here)
    assert call(*SWEEP, "--out", "here", "--resume").code == 0
    assert contents(here) == before


def test_without_a_table_a_resumed_sweep_starts(call: Call, place: Path) -> None:
    (place / "there").mkdir()
    (place / "there" / f".{FILE}.partial").write_bytes(b"torn")
    assert call(*TINY, "--out", "there", "--resume").code == 0
    assert [*contents(place / "there")] == [COMMAND, FILE]


@pytest.mark.parametrize("flag", [(), ("--resume",), ("--overwrite",)])
def test_what_others_put_there_is_kept(call: Call, place: Path, flag: tuple[str, ...]) -> None:
    (place / "there").mkdir()
    (place / "there" / "summary.json").write_text("mine")
    (place / "file").write_text("mine")
    before = contents(place)
    for out in ("there", "file", "file/below"):
        done = call(*TINY, "--out", out, *flag)
        assert done.code == 2
        assert done.err.startswith("error: ")
        assert done.err.count("\n") == 1
    assert contents(place) == before


@pytest.mark.parametrize("content", [b"", b"mine", b"PAR1 mine PAR1"])
def test_what_is_no_table_is_refused(call: Call, place: Path, content: bytes) -> None:
    (place / FILE).write_bytes(content)
    done = call(*TINY, "--out", ".", "--resume")
    assert done.code == 2
    assert "results.parquet: expected the table of a sweep, got" in done.said
    assert done.err.count("\n") == 1
    assert contents(place) == {FILE: content}


def test_another_table_is_refused(call: Call, place: Path, kept: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(kept / FILE).drop_columns(["seed"]), place / FILE)
    done = call(*TINY, "--out", ".", "--resume")
    assert done.code == 2
    assert "expected the table of a sweep of this version, got other columns" in done.said
