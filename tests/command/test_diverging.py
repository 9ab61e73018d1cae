"""A run whose loss is no longer finite says so, ends with exit code 1 and keeps all that came before."""

from pathlib import Path

import numpy as np
import pytest

from tests.command.driving import TASK, TINY, Call, film_folder, read_json, trajectory


@pytest.mark.parametrize(
    ("model", "rate"),
    [("attn-fc", "1e300"), ("attn-tc", "1e6"), ("attn-tc", "1e300"), ("attn-tl", "1e6"), ("attn-tl", "1e300")],
)
def test_a_run_that_diverges_says_so_and_keeps_all_that_came_before(model: str, rate: str, call: Call) -> None:
    done = call(*TINY, "--model", model, "--learning-rate", rate, "--out", "here")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "Warning" not in done.err
    summary, run = read_json(Path("here/summary.json")), trajectory(Path("here"))
    assert summary["ended"] == "diverged"
    assert f"loss at epoch {summary['epochs'] + 1}: expected a finite number" in done.said
    assert "learning rate" in done.said
    assert run.sizes["epoch"] == summary["epochs"] + 1 >= 1
    for name in ("train_loss", "test_loss"):
        assert np.isfinite(run[name]).all()
        assert summary[name] == run[name][-1].item()
    assert "diverged" in done.out


def test_a_rate_that_is_far_too_large_and_does_not_diverge_is_no_error(call: Call) -> None:
    done = call("--epochs", "2000", *TASK, "--model", "attn-fc", "--learning-rate", "1e6", "--out", "here")
    assert done.code == 0
    assert "Warning" not in done.err
    assert read_json(Path("here/summary.json"))["epochs"] == 2000


def test_a_run_that_diverges_draws_its_figures(call_drawing: Call) -> None:
    done = call_drawing(*TINY, "--learning-rate", "1e6", "--out", "here")
    assert done.code == 1
    assert len(list(Path("here/figures").glob("*.png"))) == 5


def test_a_run_that_diverges_at_once_draws_its_figures(call_drawing: Call) -> None:
    done = call_drawing(*TINY, "--learning-rate", "1e300", "--out", "here")
    assert done.code == 1
    assert len(list(Path("here/figures").glob("*.png"))) == 5


def test_a_run_that_diverges_under_early_stopping_reports_its_best_epoch(call: Call, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films")
    arguments = ("--task", folder, "--model", "attn-tl", "--learning-rate", "1e300", "--epochs", "20", "--out", "here")
    assert call(*arguments).code == 1
    summary, run = read_json(Path("here/summary.json")), trajectory(Path("here"))
    assert summary["ended"] == "diverged"
    assert summary["best_epoch"] == int(run.dev_loss.values.argmin())
    assert summary["dev_loss"] == run.dev_loss.values.min()


def test_replicates_that_diverge_are_all_kept(call: Call) -> None:
    done = call(*TINY, "--learning-rate", "1e6", "--replicates", "2", "--out", "here")
    assert done.code == 1
    summary = read_json(Path("here/summary.json"))
    assert [run["ended"] for run in summary["runs"]] == ["diverged", "diverged"]
    assert trajectory(Path("here")).sizes["replicate"] == 2


def test_a_run_that_diverged_diverges_again_when_resumed(call: Call) -> None:
    arguments = (*TINY, "--learning-rate", "1e6", "--out", "here")
    assert call(*arguments).code == 1
    before = trajectory(Path("here"))
    assert call(*arguments, "--resume").code == 1
    assert trajectory(Path("here")).identical(before)
