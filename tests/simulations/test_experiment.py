"""Claim: runs are kept as they end and taken over to the bit where nothing changed; bad input is one line."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from attn_dynamics import experiment as carried_out
from attn_dynamics.checkpoint import Checkpoint
from attn_dynamics.command import BAD_INPUT, FAILED, INTERRUPTED
from attn_dynamics.config import Config
from attn_dynamics.parameters import Parameters
from attn_dynamics.run import Diverged, Run
from attn_dynamics.tasks import Task
from simulations import ablation, capacity, experiment, query, sst, suppression, synthetic, text

SCRIPTS = {script.Settings.name: script for script in (ablation, capacity, query, sst, suppression, synthetic)}
TINY = ("--quick", "--seeds", "2", "--epochs", "30")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One model, and no figures, which take longer than a tiny run and are looked at in test_scripts.py."""
    monkeypatch.setattr(suppression, "HEADS", ("attn-fc",))
    for name in ("signs_figure", "words_figure", "relation_figure"):
        monkeypatch.setattr(suppression, name, lambda *given: Figure(figsize=(1, 1)))


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


def test_resume_takes_over_nothing_that_would_differ(tmp_path: Path) -> None:
    """Negative control: more epochs; and without --resume everything is trained anew."""
    assert run_tiny(tmp_path) == 0
    for more in (("--resume", "--epochs", "31"), ("--epochs", "31")):
        before = cells(tmp_path)
        assert run_tiny(tmp_path, *more) == 0
        after = cells(tmp_path)
        assert all(after[name] != before[name] for name in after)


def test_processes_of_their_own_give_the_same_bits(tmp_path: Path) -> None:
    assert run_tiny(tmp_path / "one") == 0
    assert run_tiny(tmp_path / "two", "--workers", "2") == 0
    one, two = (pd.read_parquet(tmp_path / name / "rows.parquet") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def stopping_after(runs: int, error: Callable[[], BaseException]) -> Callable[..., Run]:
    """Stands in for training: raises something once so many runs have ended."""
    usual, ended = carried_out.train, 0

    def train(*given: object) -> Run:
        nonlocal ended
        if ended == runs:
            raise error()
        ended += 1
        return usual(*given)  # pyright: ignore[reportArgumentType]

    return train


def test_ctrl_c_keeps_the_runs_that_had_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(carried_out, "train", stopping_after(3, KeyboardInterrupt))
    assert run_tiny(tmp_path) == INTERRUPTED
    assert len(cells(tmp_path)) == 3
    assert not (tmp_path / "summary.json").exists()
    assert "--resume" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_is_a_failure_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    so_far = xr.Dataset(coords={"epoch": range(7)})
    error = Diverged(Run(parameters=None, trajectory=so_far, ended="diverged", best_epoch=6), "")
    monkeypatch.setattr(carried_out, "train", stopping_after(1, lambda: error))
    assert run_tiny(tmp_path) == FAILED
    assert "error: 0.001-attn-fc-1.nc: loss at epoch 7: expected a finite number" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--seeds", "1"], ["--quick", "--full"], ["--epochs", "0"], ["--workers", "0"]], ids=" ".join
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


def test_an_unfulfilled_exact_statement_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Negative control: the sign of M lost."""
    usual = suppression.misalignment
    monkeypatch.setattr(suppression, "misalignment", lambda *given: -usual(*given))
    assert run_tiny(tmp_path) == FAILED
    assert json.loads((tmp_path / "summary.json").read_text())["accuracy_exact"] == 0.0
    assert "100.00% of the first moves were told wrong" in capsys.readouterr().out


def test_the_interval_of_a_share_of_seeds() -> None:
    values = np.array([1.0, 2.0, 4.0])
    # Student's t of 2 degrees of freedom at 97.5 %: 4.302653; s/√3 = 0.881917.
    assert experiment.interval(values) == pytest.approx(
        {"mean": 7 / 3, "low": 7 / 3 - 4.302653 * 0.881917, "high": 7 / 3 + 4.302653 * 0.881917}, rel=1e-5
    )


# --- on a device, all seeds in one pass


def labelled_file(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [(k % 2, " ".join([f"c{k % 2}", *(f"w{w}" for w in rng.integers(30, size=4))])) for k in range(120)]
    path = folder / "lines.txt"
    path.write_text("".join(f"{label} {words}\n" for label, words in rows))
    return path


def run_text(file: Path, folder: Path, *more: str) -> int:
    given = ("--task", str(file), "--quick", "--epochs", "40", "--models", "attn-tc", "--seeds", "3")
    return text.main([*given, "--out", str(folder), *more])


def test_on_a_device_the_rows_are_the_same_to_round_off(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    file = labelled_file(tmp_path)
    for device in ("numpy", "cpu"):
        assert run_text(file, tmp_path / device, "--device", device) == 0
    one, many = (pd.read_parquet(tmp_path / device / "rows.parquet") for device in ("numpy", "cpu"))
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), many.drop(columns="seconds"), rtol=1e-9)
    assert not list((tmp_path / "cpu" / "cells").glob("*.npz"))


def test_on_a_device_only_the_seeds_that_are_missing_are_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    file, trained, usual = labelled_file(tmp_path), [], carried_out.train_many
    assert run_text(file, tmp_path / "cpu", "--device", "cpu") == 0
    gone = next((tmp_path / "cpu" / "cells").glob("*-1.nc"))
    gone.unlink()

    def counted(config: Config, task: Task, starts: Sequence[Parameters], **more: Any) -> list[Run]:
        trained.append(len(starts))
        return usual(config, task, starts, **more)

    monkeypatch.setattr(carried_out, "train_many", counted)
    assert run_text(file, tmp_path / "cpu", "--device", "cpu", "--resume") == 0
    assert trained == [1]
    assert gone.exists()


def test_a_pass_that_was_cut_off_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    file, seen = labelled_file(tmp_path), []

    @contextmanager
    def cutting(epochs: int, label: str) -> Iterator[Callable[[int, float], None]]:
        def show(epoch: int, loss: float) -> None:
            seen.append(epoch)
            if epoch == 25 and 40 not in seen and seen.count(25) == 1:
                raise ConnectionError

        yield show

    monkeypatch.setattr(experiment, "meter", cutting)
    monkeypatch.setattr(experiment, "Checkpoint", partial(Checkpoint, every=0.0))
    monkeypatch.setattr("attn_dynamics.checkpoint.SHARE", 0)
    with pytest.raises(ConnectionError):
        run_text(file, tmp_path / "cpu", "--device", "cpu")
    assert len(list((tmp_path / "cpu" / "cells").glob("*.npz"))) == 1
    assert run_text(file, tmp_path / "cpu", "--device", "cpu", "--resume") == 0
    assert seen[26] == 25, "it began anew"
    monkeypatch.undo()
    assert run_text(file, tmp_path / "whole", "--device", "cpu") == 0
    one, many = (pd.read_parquet(tmp_path / name / "rows.parquet").drop(columns="seconds") for name in ("cpu", "whole"))
    pd.testing.assert_frame_equal(one, many, check_exact=True)


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        run_text(labelled_file(tmp_path), tmp_path / "out", "--precision", "float32")
    assert not (tmp_path / "out").exists()
