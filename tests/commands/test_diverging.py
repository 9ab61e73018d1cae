"""A run whose loss is no longer finite says so, ends with exit code 1 and keeps all that came before."""

from pathlib import Path

import numpy as np
import pytest

from attn_dynamics.results.summary import loss_steps
from tests.commands.driving import TASK, TINY, Call, film_folder, read_json, trajectory


@pytest.mark.parametrize(
    ("model", "rate"),
    [("attn-tc", "1e6"), ("attn-tc", "1e300"), ("attn-tl", "1e6"), ("attn-tl", "1e300")],
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
    assert "expected a finite number" in done.err


@pytest.mark.parametrize(("rate", "epochs"), [("1e6", 2000), ("1e308", 60)])
def test_a_rate_that_is_far_too_large_and_does_not_diverge_is_no_error(rate: str, epochs: int, call: Call) -> None:
    """Under a fixed head one word soon has all attention of its sentence, and slopes that are exactly 0 follow."""
    done = call("--epochs", epochs, *TASK, "--model", "attn-fc", "--learning-rate", rate, "--out", "here")
    assert done.code == 0
    assert "Warning" not in done.err
    assert read_json(Path("here/summary.json"))["epochs"] == epochs


def test_steps_too_long_for_the_flow_are_told_although_the_loss_only_falls(call: Call) -> None:
    done = call(*TINY, "--model", "attn-fc", "--learning-rate", "30", "--out", "here")
    assert done.code == 0
    summary, loss = read_json(Path("here/summary.json")), trajectory(Path("here")).train_loss.values
    assert (np.diff(loss) < 0).all()
    assert summary["loss_rises"] == 0
    assert summary["largest_loss_step"] == pytest.approx(max(1 - loss[1:] / loss[:-1]))
    (told,) = (line for line in done.out.splitlines() if "gradient flow" in line)
    assert f"changed by up to {100 * summary['largest_loss_step']:.0f} %" in told
    assert "rose" not in told
    assert "--learning-rate" in told
    assert told.startswith("SEN (B1, ")
    assert " and mean field (C9, " in told


@pytest.mark.slow
def test_a_loss_that_rises_is_counted_and_told(call: Call) -> None:
    done = call(*TINY, "--model", "attn-tl", "--learning-rate", "10", "--replicates", "2", "--out", "here")
    assert done.code == 0
    rises = [int((np.diff(run) > 0).sum()) for run in trajectory(Path("here")).train_loss.values]
    summary = read_json(Path("here/summary.json"))
    assert [run["loss_rises"] for run in summary["runs"]] == rises
    assert summary["loss_rises"] == max(rises) > 0
    coarsest = max(summary["runs"], key=lambda run: run["largest_loss_step"])["loss_rises"]
    assert f"assumes short steps: the training loss rose at {coarsest} epochs and changed by up to" in done.out


@pytest.mark.parametrize("model", ["attn-fc", "attn-tc", "attn-tl"])
@pytest.mark.parametrize("start", ["published", "lmn21", "mean-field"])
def test_steps_that_follow_the_flow_are_no_matter(model: str, start: str, call: Call) -> None:
    """Negative control: the learning rate as it is by default."""
    done = call("--epochs", "1000", *TASK, "--model", model, "--start", start, "--out", "here")
    summary = read_json(Path("here/summary.json"))
    assert summary["loss_rises"] == 0
    assert 0 < summary["largest_loss_step"] < 0.05
    assert "gradient flow" not in done.out


@pytest.mark.parametrize(("rate", "short"), [("0.1", True), ("5", False)])
def test_an_epoch_of_several_steps_may_change_the_loss_as_much_as_they(rate: str, short: bool, call: Call) -> None:
    done = call("--epochs", "300", *TASK, "--batch-size", "1", "--learning-rate", rate, "--out", "here")
    assert read_json(Path("here/summary.json"))["largest_loss_step"] > 0.1, "as much as one step may"
    assert ("assume short steps" in done.out) != short


def test_round_off_is_no_rise() -> None:
    settled = 0.5 + 1e-15 * np.random.default_rng(0).standard_normal(1000)
    assert loss_steps(settled) == {"loss_rises": 0, "largest_loss_step": 0.0}
    assert loss_steps(np.array([2.0, 1.0, 4.0, 0.0])) == {"loss_rises": 1, "largest_loss_step": 1.0}
    assert loss_steps(np.array([2.0])) == {"loss_rises": 0, "largest_loss_step": 0.0}


def test_a_run_that_diverges_draws_its_figures(call_drawing: Call) -> None:
    done = call_drawing(*TINY, "--learning-rate", "1e6", "--out", "here")
    assert done.code == 1
    assert len(list(Path("here/figures").glob("*.png"))) == 5


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_that_diverged_diverges_again_when_resumed(call: Call) -> None:
    arguments = (*TINY, "--learning-rate", "1e6", "--out", "here")
    assert call(*arguments).code == 1
    before = trajectory(Path("here"))
    assert call(*arguments, "--resume").code == 1
    assert trajectory(Path("here")).identical(before)
