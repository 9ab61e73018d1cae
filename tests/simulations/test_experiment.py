"""Claim: runs are kept as they end and taken over to the bit where nothing changed; bad input is one line."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import xarray as xr
from matplotlib.figure import Figure

from attn_dynamics.commands.shell import BAD_INPUT, FAILED, INTERRUPTED
from attn_dynamics.errors import InputError, StorageError
from attn_dynamics.files import run_store
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results.figures import style
from attn_dynamics.statistics import interval
from attn_dynamics.tasks import Task, load_task
from attn_dynamics.training import configured_run
from attn_dynamics.training.checkpoint import Checkpoint, CheckpointMismatch
from attn_dynamics.training.corpus_config import Config
from attn_dynamics.training.run import Diverged, Interrupted, Run, RunsInterrupted
from attn_dynamics.training.settings import Training
from simulations import ablation, capacity, experiment, labelled, noise, query, sst, suppression, synthetic, text
from tests.commands.driving import contents

SCRIPTS = {script.Settings.name: script for script in (ablation, capacity, noise, query, sst, suppression, synthetic)}
TINY = ("--quick", "--seeds", "2", "--epochs", "30")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One model, and no figures, which take longer than a tiny run and are looked at in test_scripts.py."""
    monkeypatch.setattr(suppression, "HEADS", ("attn-fc",))
    for name in ("signs_figure", "words_figure", "relation_figure"):
        monkeypatch.setattr(suppression, name, lambda *given: Figure(figsize=(1, 1)))
    for name in ("loss_figure", "leaders_figure", "words_figure", "attention_figure", "draw_figure"):
        monkeypatch.setattr(labelled, name, lambda *given: Figure(figsize=(1, 1)))


def run_tiny(folder: Path, *more: str) -> int:
    return suppression.main([*TINY, "--out", str(folder), *more])


def cells(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted((folder / "cells").iterdir())}


def test_resume_takes_over_what_is_the_same_and_trains_the_rest(tmp_path: Path) -> None:
    assert run_tiny(tmp_path) == 0
    before, rows = cells(tmp_path), pd.read_parquet(tmp_path / "rows.parquet")
    gone = tmp_path / "cells" / "1.0-attn-fc-1.nc"
    trained = xr.load_dataset(gone)
    gone.unlink()
    assert run_tiny(tmp_path, "--resume") == 0
    after = cells(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {gone.name}
    again = xr.load_dataset(gone)
    assert again.score.values.tobytes() == trained.score.values.tobytes()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "rows.parquet"), rows)


def test_results_are_gone_on_with_or_replaced_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fewer seeds, other epochs and no flag at all are refused; --overwrite trains everything anew."""
    assert run_tiny(tmp_path, "--seeds", "3") == 0
    (tmp_path / "figures" / "mine.png").write_bytes(b"mine")
    before = contents(tmp_path)
    for more, told in {
        (): "--out: expected a new or empty folder, got",
        ("--resume",): "seeds = 2 instead of 3",
        ("--resume", "--seeds", "3", "--epochs", "31"): "epochs = 31 instead of 30",
        ("--resume", "--seeds", "3", "--first-seed", "1"): "first_seed = 1 instead of 0",
        ("--resume", "--seeds", "3", "--learning-rate", "0.2"): "learning_rate = 0.2 instead of 0.1",
    }.items():
        assert run_tiny(tmp_path, *more) == BAD_INPUT
        assert told in capsys.readouterr().err
        assert contents(tmp_path) == before
    assert run_tiny(tmp_path, "--overwrite") == 0
    left = [path.name for path in (tmp_path / "cells").iterdir()]
    assert left
    assert not any(name.endswith("-2.nc") for name in left)
    assert (tmp_path / "figures" / "mine.png").read_bytes() == b"mine"


def test_the_first_seed_shifts_the_runs_and_the_learning_rate_their_time(tmp_path: Path) -> None:
    """Seeds 3 and 4 are the last two of five from 0; what a folder of before these options lacks is their default."""
    names = {name: tmp_path / name for name in ("all", "last", "fast")}
    assert run_tiny(names["all"], "--seeds", "5") == 0
    assert run_tiny(names["last"], "--first-seed", "3") == 0
    assert run_tiny(names["fast"], "--first-seed", "3", "--learning-rate", "0.2") == 0
    rows = {name: pd.read_parquet(folder / "rows.parquet") for name, folder in names.items()}
    pd.testing.assert_frame_equal(rows["last"], rows["all"].query("seed >= 3").reset_index(drop=True))
    assert not rows["fast"].equals(rows["last"])
    fast = xr.load_dataset(names["fast"] / "cells" / "1.0-attn-fc-3.nc")
    np.testing.assert_allclose(fast.time, 0.2 * fast.epoch)
    kept = json.loads((names["all"] / "config.json").read_text())
    del kept["first_seed"], kept["learning_rate"]
    (names["all"] / "config.json").write_text(json.dumps(kept))
    assert run_tiny(names["all"], "--seeds", "5", "--resume", "--learning-rate", "0.2") == BAD_INPUT
    assert run_tiny(names["all"], "--seeds", "5", "--resume") == 0


def test_cells_of_other_data_are_refused_and_damaged_ones_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tiny(tmp_path) == 0
    one, other = sorted((tmp_path / "cells").iterdir())[:2]
    good = one.read_bytes()
    one.write_bytes(other.read_bytes())
    assert run_tiny(tmp_path, "--resume") == BAD_INPUT
    assert f"{one}: expected a run of these data" in capsys.readouterr().err
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    one.write_bytes(flipped)
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    assert run_tiny(tmp_path, "--resume") == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "rows.parquet"), rows)
    assert one.read_bytes() != bytes(flipped)


@pytest.mark.slow
def test_processes_of_their_own_give_the_same_bits(tmp_path: Path) -> None:
    assert run_tiny(tmp_path / "one") == 0
    assert run_tiny(tmp_path / "two", "--workers", "2") == 0
    one, two = (pd.read_parquet(tmp_path / name / "rows.parquet") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def stopping_after(runs: int, error: Callable[[], BaseException]) -> Callable[..., Run]:
    """Stands in for training: raises something once so many runs have ended."""
    usual, ended = configured_run.train, 0

    def train(*given: Any, **more: Any) -> Run:
        nonlocal ended
        if ended == runs:
            raise error()
        ended += 1
        return usual(*given, **more)

    return train


def test_ctrl_c_keeps_the_runs_that_had_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(configured_run, "train", stopping_after(3, KeyboardInterrupt))
    assert run_tiny(tmp_path) == INTERRUPTED
    assert len(cells(tmp_path)) == 3
    assert not (tmp_path / "summary.json").exists()
    assert "--resume" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_is_a_failure_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    so_far = xr.Dataset(coords={"epoch": range(7)})
    error = Diverged(Run(parameters=None, trajectory=so_far, ended="diverged", best_epoch=6, training=Training()), "")
    monkeypatch.setattr(configured_run, "train", stopping_after(1, lambda: error))
    assert run_tiny(tmp_path) == FAILED
    assert "error: 0.001-attn-fc-1: loss at epoch 7: expected a finite number" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--seeds", "1"], ["--quick", "--full"], ["--epochs", "0"], ["--first-seed", "-1"], ["--learning-rate", "0"]],
    ids=" ".join,
)
@pytest.mark.parametrize("name", SCRIPTS)
def test_bad_input_is_refused(
    name: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    try:
        code = SCRIPTS[name].main([*arguments, "--out", str(out)])
    except SystemExit as stop:  # from the parser of arguments
        code = stop.code
    assert code == BAD_INPUT
    assert "expected" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("given", ["absent.txt", "empty.txt"])
def test_a_text_that_cannot_be_read_is_refused(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.txt").touch()
    assert text.main(["--quick", "--task", str(tmp_path / given), "--out", str(tmp_path / "out")]) == BAD_INPUT
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.slow
def test_an_unfulfilled_exact_statement_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Negative control: the sign of M lost."""
    usual = suppression.misalignment
    monkeypatch.setattr(suppression, "misalignment", lambda *given: -usual(*given))
    assert run_tiny(tmp_path) == FAILED
    assert json.loads((tmp_path / "summary.json").read_text())["accuracy_exact"] == 0.0
    assert "100.00% of the first moves were told wrong" in capsys.readouterr().out


def test_the_interval_over_seeds_begins_at_five() -> None:
    values = np.array([1.0, 2.0, 4.0, 4.0, 5.0])
    # Student's t of 4 degrees of freedom at 97.5 %: 2.776445; s/√5 = 0.734847.
    assert interval(values) == pytest.approx(
        {"mean": 3.2, "low": 3.2 - 2.776445 * 0.734847, "high": 3.2 + 2.776445 * 0.734847}, rel=1e-5
    )
    few = interval(values[:4])
    assert few["mean"] == 2.75
    assert np.isnan([few["low"], few["high"]]).all()


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("seeds", [3, 5])
def test_a_band_is_drawn_from_five_seeds_on_and_below_a_line_a_seed(seeds: int, log: bool) -> None:
    axes, values = Figure().subplots(), np.arange(1.0, 4.0 * seeds + 1).reshape(seeds, 4) ** 2
    runs = [xr.Dataset({"loss": ("epoch", each)}, {"time": ("epoch", np.arange(4.0))}) for each in values]
    style.draw_runs(axes, runs, "loss", 0, "loss", log=log)
    assert len(axes.collections) == (seeds >= 5)
    shown = np.array([line.get_xydata() for line in axes.lines], float)
    mean = np.exp(np.log(values).mean(axis=0)) if log else values.mean(axis=0)
    np.testing.assert_allclose(shown[..., 1], values[:, 1:] if seeds < 5 else mean[None, 1:])
    assert shown[0, 0, 0] == 1.0, "time 0 has no place on a log axis"
    assert axes.get_legend_handles_labels()[1] == ["loss"]
    assert ("95 %" in style.seeds_as(seeds)) == (seeds >= 5)


@pytest.mark.parametrize("seeds", [4, 5])
def test_the_share_of_words_has_an_interval_from_five_seeds_on(seeds: int) -> None:
    found = suppression.share(pd.Series([True, False, True, True]), seeds)
    assert found["mean"] == 0.75
    assert np.isnan(found["low"]) == (seeds < 5)


# --- on a device, all seeds in one pass


def labelled_file(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [(k % 2, " ".join([f"c{k % 2}", *(f"w{w}" for w in rng.integers(30, size=4))])) for k in range(120)]
    path = folder / "lines.txt"
    path.write_text("".join(f"{label} {words}\n" for label, words in rows))
    return path


def run_text(file: Path, folder: Path, *more: str) -> int:
    given = ("--task", str(file), "--quick", "--epochs", "40", "--model", "attn-tc", "--seeds", "3")
    return text.main([*given, "--out", str(folder), *more])


def test_former_names_of_options_are_read_on_the_line_and_in_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder whose settings have the former names is gone on with; one of another model is the negative control."""
    file, folder = labelled_file(tmp_path), tmp_path / "out"
    call = ["--task", str(file), "--quick", "--epochs", "20", "--seeds", "2", "--out", str(folder)]
    assert text.main([*call, "--models=attn-fc"]) == 0
    assert "--models is called --model now\n" in capsys.readouterr().err
    kept = json.loads((folder / "config.json").read_text())
    kept |= {old: kept.pop(new) for old, new in {"models": "model", "words": "follow"}.items()}
    (folder / "config.json").write_text(json.dumps(kept))
    before = cells(folder)
    assert text.main([*call, "--resume", "--model", "attn-tc"]) == BAD_INPUT
    assert "model = ['attn-tc'] instead of ['attn-fc']" in capsys.readouterr().err
    assert text.main([*call, "--resume", "--models", "attn-fc"]) == 0
    assert cells(folder) == before


@pytest.mark.slow
def test_on_a_device_the_rows_are_the_same_to_round_off(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    file = labelled_file(tmp_path)
    for device in ("numpy", "cpu"):
        assert run_text(file, tmp_path / device, "--device", device) == 0
    one, many = (pd.read_parquet(tmp_path / device / "rows.parquet") for device in ("numpy", "cpu"))
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), many.drop(columns="seconds"), rtol=1e-9)
    assert not list((tmp_path / "cpu" / "cells").glob("*.npz"))


class PowerCut(BaseException):
    """Ends a run once its checkpoint is on the disk."""


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch, epoch_by_epoch: None) -> list[int]:
    """The epochs at which checkpoints are written, which is at all."""
    epochs: list[int] = []

    class Noting(Checkpoint):
        def save(self, identity: str, arrays: dict[str, np.ndarray]) -> None:
            super().save(identity, arrays)
            epochs.append(int(arrays["epoch"]))

    monkeypatch.setattr(experiment, "Checkpoint", partial(Noting, every=0.0))
    monkeypatch.setattr("attn_dynamics.training.checkpoint.SHARE", 0)
    return epochs


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many seeds go into each pass on a device."""
    sizes, usual = [], configured_run.train_many

    def counted(config: Config, task: Task, starts: Sequence[Parameters], **more: Any) -> list[Run]:
        sizes.append(len(starts))
        return usual(config, task, starts, **more)

    monkeypatch.setattr(configured_run, "train_many", counted)
    return sizes


def cut_at(epoch: int, run: Callable[[], int]) -> None:
    """Let the power go when a checkpoint of this epoch is there."""
    usual = Checkpoint.save

    def save(self: Checkpoint, identity: str, arrays: dict[str, np.ndarray]) -> None:
        usual(self, identity, arrays)
        if arrays["epoch"] == epoch:
            raise PowerCut

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", save)
        with pytest.raises(PowerCut):
            run()


def cut_while_keeping(number: int, run: Callable[[], int]) -> None:
    """Let the power go when so many cells are kept."""
    usual, kept = run_store.write_netcdf, []

    def write(path: Path, run: xr.Dataset) -> None:
        if len(kept) == number:
            raise PowerCut
        kept.append(path)
        usual(path, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_store, "write_netcdf", write)
        with pytest.raises(PowerCut):
            run()


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "cells").glob("*.npz"))


def rows(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "rows.parquet").drop(columns="seconds")


TORCH = [pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch"), pytest.mark.slow]
DEVICES = ("numpy", pytest.param("cpu", marks=TORCH))


@pytest.mark.slow
def test_on_a_device_only_the_seeds_that_are_missing_are_trained(tmp_path: Path, passes: list[int]) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    run = partial(run_text, labelled_file(tmp_path), tmp_path / "cpu", "--device", "cpu")
    assert run() == 0
    gone = next((tmp_path / "cpu" / "cells").glob("*-1.nc"))
    gone.unlink()
    assert run("--resume") == 0
    assert passes == [3, 1]
    assert gone.exists()


@pytest.mark.parametrize("device", DEVICES)
def test_what_was_cut_off_goes_on_from_its_checkpoint(device: str, tmp_path: Path, saved: list[int]) -> None:
    file = labelled_file(tmp_path)
    assert run_text(file, tmp_path / "whole", "--device", device) == 0
    for more, first in ((("--resume",), 25), (("--overwrite",), 0)):
        run = partial(run_text, file, tmp_path / more[0], "--device", device)
        cut_at(25, run)
        assert len(checkpoints(tmp_path / more[0])) == 1
        assert run() == run("--resume", "--epochs", "20") == BAD_INPUT
        saved.clear()
        assert run(*more) == 0
        assert saved[0] == first, "negative control: with --overwrite it begins anew"
        assert checkpoints(tmp_path / more[0]) == []
        pd.testing.assert_frame_equal(rows(tmp_path / more[0]), rows(tmp_path / "whole"), check_exact=True)


@pytest.mark.slow
def test_a_pass_that_was_cut_off_while_it_was_kept_is_not_trained_again(tmp_path: Path, saved: list[int]) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    run = partial(run_text, labelled_file(tmp_path), tmp_path / "cut", "--device", "cpu")
    cut_while_keeping(1, run)
    saved.clear()
    assert run("--resume") == 0
    assert set(saved) == {40}
    assert checkpoints(tmp_path / "cut") == []
    run = partial(run_text, labelled_file(tmp_path), tmp_path / "again", "--device", "cpu")
    cut_while_keeping(1, run)
    (tmp_path / "again" / "cells" / checkpoints(tmp_path / "again")[0]).unlink()
    saved.clear()
    assert run("--resume") == 0
    assert saved[0] == 0, "negative control: without its checkpoint"


@pytest.mark.slow
def test_more_seeds_than_were_cut_off_leave_no_checkpoint_behind(
    tmp_path: Path, saved: list[int], passes: list[int]
) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    file = labelled_file(tmp_path)
    run = partial(run_text, file, tmp_path / "cut", "--device", "cpu")
    cut_at(25, run)
    saved.clear()
    assert run("--resume", "--seeds", "5") == 0
    assert passes == [3, 3, 2]
    assert saved[0] == 25
    assert checkpoints(tmp_path / "cut") == []
    assert run_text(file, tmp_path / "whole", "--device", "cpu", "--seeds", "5") == 0
    pd.testing.assert_frame_equal(rows(tmp_path / "cut"), rows(tmp_path / "whole"), rtol=1e-9)


@pytest.mark.parametrize(("room", "sizes"), [(2, [2, 1]), (0, [1, 1, 1]), (9, [3]), (None, [3])])
def test_seeds_beyond_memory_go_in_several_passes(
    room: int | None, sizes: list[int], tmp_path: Path, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    monkeypatch.setattr(configured_run, "most_replicates", lambda *given: room)
    assert run_text(labelled_file(tmp_path), tmp_path / "out", "--device", "cpu") == 0
    assert passes == sizes
    assert len(rows(tmp_path / "out").seed.unique()) == 3


# --- processes


def nothing() -> Run:
    return Run(parameters=None, trajectory=xr.Dataset(), ended="interrupted", best_epoch=0, training=Training())


@pytest.mark.parametrize(
    "stop", [Interrupted(nothing(), "epoch 7"), RunsInterrupted([nothing()], "epoch 7")], ids=["one", "many"]
)
def test_ctrl_c_finds_its_way_out_of_a_process(stop: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: Any, **more: Any) -> Run:
        raise stop

    monkeypatch.setattr(configured_run, "train", interrupted)
    cell = experiment.Cell(config=Config(), task=load_task("synthetic", configured_run.task_options(Config())))
    with pytest.raises(KeyboardInterrupt) as caught:
        experiment._train(cell, [configured_run.start(cell.config, cell.task)], Checkpoint(Path("nowhere")))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (KeyboardInterrupt, "interrupted after epoch 7")


@pytest.mark.parametrize(
    "error",
    [
        InputError("epochs", expected="more", given=3, fix="Give more."),
        CheckpointMismatch("checkpoint", expected="one", given="none", fix="Remove it."),
        StorageError(Path("here"), "no space"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_refused_finds_its_way_out_of_a_process(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


@pytest.mark.slow
@pytest.mark.parametrize("initializer", ["workers.begin_process", "None"], ids=["ours", "negative control"])
def test_processes_end_with_the_one_that_made_them(initializer: str) -> None:
    program = f"""
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from attn_dynamics.system import workers
pool = ProcessPoolExecutor(1, get_context("spawn"), initializer={initializer})
print(pool.submit(os.getpid).result(), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.terminate()
    until = time.monotonic() + 3.0
    while Path(f"/proc/{child}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    left = Path(f"/proc/{child}").exists()
    if left:
        os.kill(child, signal.SIGKILL)
    assert left == (initializer == "None")


@contextmanager
def two_at_work(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Train two runs in two processes, each with a checkpoint."""
    arguments = ["--workers", "2", "--seeds", "2", "--epochs", "400000", "--out", "."]
    line = [sys.executable, "-m", "simulations.query", *arguments]
    told = {"cwd": folder, "env": os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}}
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True, **told) as process:
        while len([*folder.glob("cells/*.npz")]) < 2:
            assert process.poll() is None
            time.sleep(0.1)
        yield process


@pytest.mark.slow
def test_a_process_that_is_killed_is_told_in_one_line(tmp_path: Path) -> None:
    with two_at_work(tmp_path) as process:
        workers = [each for each in psutil.Process(process.pid).children() if "spawn_main" in " ".join(each.cmdline())]
        workers[0].kill()
        _, error = process.communicate(timeout=60)
    assert process.returncode == BAD_INPUT
    assert "error: --workers: expected processes that live, got a killed one. Give it more memory" in error
    assert "Traceback" not in error


@pytest.mark.slow
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to one", "to all"])
def test_a_plain_kill_ends_the_processes_and_keeps_what_they_trained(
    send: Callable[[int, int], None], tmp_path: Path
) -> None:
    with two_at_work(tmp_path) as process:
        before = cells(tmp_path)
        time.sleep(1.0)
        send(process.pid, signal.SIGTERM)
        _, error = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert error.endswith("interrupted; what was trained so far is kept for --resume\n")
    assert "Traceback" not in error
    after = cells(tmp_path)  # checkpoints still, because neither run was trained to its end
    assert after.keys() == before.keys() == {"attn-fc-0.npz", "attn-fc-1.npz"}
    assert all(after[name] > before[name] for name in before)


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    assert run_text(labelled_file(tmp_path), tmp_path / "out", "--precision", "float32") == 2
    assert not (tmp_path / "out").exists()
