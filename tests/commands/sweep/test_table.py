"""The table: one file, whole at any time, never another sweep's rows lost without being asked."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import attn_dynamics.commands.sweep.command as command
from attn_dynamics.commands.sweep import table
from attn_dynamics.commands.sweep.grid import Grid
from attn_dynamics.commands.sweep.table import FILE, Row, Table, row
from attn_dynamics.files.output import COMMAND
from attn_dynamics.files.storage import HOST
from attn_dynamics.results import summary as results
from attn_dynamics.results.summary import versions
from attn_dynamics.tasks import load_task
from tests.commands.driving import Call, contents, film_folder
from tests.commands.sweep.driving import TINY, differences, holds, rows

SWEEP = (*TINY, "--model", "attn-fc", "attn-tc", "--seed", "0", "1")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of four runs."""
    from tests.commands.sweep.driving import nothing, one_by_one

    folder = tmp_path_factory.mktemp("kept") / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "clustered", nothing)
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
    kept = Table(place, [config, *others])
    kept.write([row(config, odd | {"last_epoch": 3, "versions": versions()})])
    (found,) = rows(place)
    assert differences([found], [row(config, odd | {"last_epoch": 3, "versions": versions()})]) == []
    assert found["versions"] == " ".join(versions())
    assert found["dev_loss"] is None
    again = Table(place, [config, *others])
    again.resume()
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


def test_rows_of_other_versions_are_not_gone_on_with(here: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the patch, and with it under --overwrite, the command goes on."""
    arguments = (*SWEEP, "--out", "here")
    assert call(*arguments, "--resume").code == 0
    before = contents(here)
    later = [name.replace("numpy ", "numpy 9.") for name in versions()]
    monkeypatch.setattr(command, "versions", lambda device: later)
    for larger in ((), ("--start-scale", 1, 2)):
        done = call(*arguments, *larger, "--resume")
        assert done.code == 2
        assert f"--resume: expected the versions that made here/results.parquet, {' '.join(versions())}" in done.said
        assert f"got {' '.join(later)}. Install those" in done.said
        assert done.err.count("\n") == 1
    assert contents(here) == before
    assert {each["versions"] for each in rows(here)} == {" ".join(versions())}
    assert call(*TINY, "--out", "here", "--overwrite").code == 0


@pytest.mark.parametrize(("device", "torch", "code"), [("cpu", 2, 2), ("cpu", 1, 0), ("numpy", 2, 0)])
def test_torch_is_among_the_versions_where_it_computes(
    device: str, torch: int, code: int, call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative controls: the same torch as before, and compiled loops, which never see it."""
    pytest.importorskip("torch", reason="needs PyTorch")

    def pretend(number: int) -> None:
        monkeypatch.setattr(results, "version", lambda name: f"{number}+cu{number}" if name == "torch" else "0")

    arguments = (*TINY, "--device", device, "--out", "here")
    pretend(1)
    assert call(*arguments).code == 0
    assert [each["versions"].count("torch 1+cu1") for each in rows(place / "here")] == [int(device == "cpu")]
    pretend(torch)
    done = call(*arguments, "--resume")
    assert done.code == code
    assert ("torch 2+cu2 python" in done.said) == (code == 2)


@pytest.mark.parametrize("single", [False, True])
def test_rows_of_other_data_are_not_gone_on_with(
    single: bool, call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label exchanged in one line, in a folder of splits or a file that every seed splits in its own way."""
    folder = film_folder(place / "films")
    file = next(path for path in folder.iterdir() if "test" in path.name)
    task = str(file if single else folder)
    loaded: list[str] = []
    monkeypatch.setattr(table, "load_task", lambda *given: loaded.append(given[0]) or load_task(*given))
    arguments = ("--task", task, "--epochs", 3, "--out", "here", "--model", "attn-fc", "attn-tc", "--seed", 0, 1)
    assert call(*arguments).code == 0
    assert call(*arguments, "--resume").code == 0
    assert loaded == [task] * (2 if single else 1)  # once for each distinct data
    before, text = contents(place / "here"), file.read_text(encoding="utf-8")
    file.write_text(("0" if text[0] != "0" else "1") + text[1:], encoding="utf-8")
    done = call(*arguments, 2, "--resume")  # made larger or not
    assert done.code == 2
    assert f"--resume: expected the data of the run in here/results.parquet on {task}, seed 0, got other" in done.said
    assert done.err.count("\n") == 1
    assert contents(place / "here") == before
    file.write_text(text, encoding="utf-8")
    assert call(*arguments, "--resume").code == 0


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
    (place / "there" / f".{FILE}.{HOST}-{2**22 + 1}-0123abcd.partial").write_bytes(b"torn")
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


def test_without_a_folder_the_last_sweep_that_fits_is_gone_on_with(call: Call) -> None:
    for seed in (0, 5):
        assert call(*TINY, "--seed", seed).code == 0
    assert "2 of 2 runs are in runs/sweep/results.parquet" in call(*TINY, "--seed", 0, 1, "--resume").out
    refused = call(*TINY, "--seed", 7, "--resume")
    assert refused.code == 2
    assert "every run in runs/sweep-2/results.parquet among its own, got one without seed = 5" in refused.said
