"""Claim: `--model attn-window` leaves results and figures, says what theory says, and refuses what it cannot use."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from attn_dynamics.commands.simulate import is_window
from attn_dynamics.commands.window_run import table
from attn_dynamics.results.assumptions import MANY, SHORT
from attn_dynamics.results.figures.window import FIGURES, width_figure
from attn_dynamics.results.window_assumptions import ONE_TOKEN
from tests.commands.driving import (
    Call,
    Moment,
    contents,
    differences,
    ended,
    forked,
    read_json,
    started,
    trajectory,
    unfinished,
)
from tests.commands.test_resume import KILLED

WINDOW = ("--model", "attn-window")
BRIEF = (*WINDOW, "--epochs", "200", "--sequences", "3", "--out", "here")
LEFT = {"config.json", "checkpoint.npz", "command.txt", "summary.json", "trajectory.nc"}
DRAWN = {f"figures/{name}.png" for name in FIGURES}


def files(place: Path) -> set[str]:
    return {name for name, content in contents(place / "here").items() if content is not None}


@pytest.mark.parametrize("task", ["needle", "copying", "topics"])
def test_a_run_leaves_numbers_and_figures(task: str, call_drawing: Call, place: Path) -> None:
    done = call_drawing(*BRIEF, "--task", task)
    assert done.code == 0
    assert files(place) == LEFT | DRAWN
    summary, run = read_json(Path("here/summary.json")), trajectory(Path("here"))
    assert summary["task"] == task
    assert summary["width"] == run.width.values[-1] > 0.0
    assert summary["tokens_reached"] >= summary["tokens_held"]
    assert (summary["train_accuracy"] is not None) == (task == "topics")
    assert np.isfinite([run.predicted_width, run.predicted_held]).all()
    assert run.profile.sum("distance").values == pytest.approx([1.0, 1.0])


def test_the_needle_is_found_as_predicted(call: Call) -> None:
    done = call(*WINDOW, "--sequences", "2", "--learning-rate", "0.05", "--epochs", "6000", "--out", "here")
    summary = read_json(Path("here/summary.json"))
    assert summary["width"] == pytest.approx(10.0, rel=0.005)
    assert summary["settles"] == pytest.approx(10.0, rel=1e-5)
    assert summary["prediction_residual"] < 0.002
    assert "D4" in done.out


@pytest.mark.slow
def test_flow_is_what_small_steps_tend_to(call: Call) -> None:
    call(*BRIEF, "--flow")
    limit = read_json(Path("here/summary.json"))
    assert limit["prediction_residual"] < 1e-7
    call(*BRIEF, "--overwrite", "--learning-rate", "0.01", "--epochs", "2000")
    assert read_json(Path("here/summary.json"))["width"] == pytest.approx(limit["width"], rel=2e-3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--sequences", "3"), []),
        (("--sequences", "3", "--learning-rate", "3"), [("D2", SHORT)]),
        (("--sequences", "3", "--learning-rate", "3", "--flow"), []),
        (("--task", "copying", "--words", "100", "--placement", "peak"), [("D3", ONE_TOKEN)]),
        (("--task", "copying", "--words", "100000"), []),
        (("--task", "topics", "--sequences", "40"), [("D2", MANY)]),
        (("--task", "topics", "--learning-rate", "10"), []),
        (("--task", "topics", "--learning-rate", "300"), [("D2", SHORT)]),
    ],
)
def test_assumptions_that_fail_are_listed_and_told(arguments: tuple[str, ...], named: list, call: Call) -> None:
    done = call(*WINDOW, "--epochs", "100", *arguments, "--out", "here")
    found = read_json(Path("here/summary.json"))["assumptions"]
    assert [(each["law"], each["assumption"]) for each in found if not each["holds"]] == named
    assert ("assumes" in done.out) == bool(named)
    for law, assumption in named:
        assert f"The prediction of σ ({law}, here up to " in done.out
        assert f" off) assumes {assumption}: " in done.out
    legend = width_figure(trajectory(Path("here"))).axes[0].get_legend()
    assert legend is not None
    told = "\n".join(text.get_text() for text in legend.get_texts())
    assert [f"not met: {assumption}" in told for _, assumption in named] == [True] * len(named)
    assert ("not met" in told) == bool(named)


@pytest.mark.slow
def test_again_with_resume_is_the_same_and_another_run_is_refused(call: Call, place: Path) -> None:
    call(*BRIEF)
    before = (place / "here" / "trajectory.nc").read_bytes()
    refused = call(*BRIEF)
    assert refused.code == 2
    assert "--resume" in refused.err
    assert call(*BRIEF, "--resume", "--seed", "1").code == 2
    again = call(*BRIEF, "--resume")
    assert again.code == 0
    assert "here: complete at epoch 200" in again.err
    assert (place / "here" / "trajectory.nc").read_bytes() == before
    assert call(*BRIEF, "--overwrite", "--seed", "1").code == 0
    assert files(place) == LEFT


STOPPED = (*WINDOW, "--task", "topics", "--window", "21", "--length", "31", "--distance", "3", "--words", "20")
PATIENT = (*STOPPED, "--sequences", "12", "--epochs", "2000", "--patience", "900", "--out")
"""A run whose loss on further windows is lowest near epoch 170."""


@pytest.mark.parametrize(
    "arguments",
    [(*WINDOW, "--epochs", "3000", "--sequences", "3", "--out"), pytest.param(PATIENT, marks=pytest.mark.slow)],
    ids=["epochs", "patience"],
)
def test_a_run_killed_again_and_again_ends_as_if_it_never_was(
    arguments: tuple[str, ...], call: Call, place: Path
) -> None:
    assert call(*arguments, "whole").code == 0
    last = read_json(Path("whole/summary.json"))["epochs"]
    for moment in (Moment(epoch=last // 2), Moment(write=2), Moment(epoch=last - 5)):
        assert forked(*arguments, "torn", "--resume", cwd=place, killed=moment).code == KILLED
    done = call(*arguments, "torn", "--resume")
    assert done.code == 0
    assert re.search("torn: resumes at epoch [1-9]", done.err)
    assert differences(place / "torn", place / "whole") == []
    assert unfinished(place / "torn") == []


def test_ctrl_c_keeps_what_was_computed_and_the_run_goes_on_to_the_same_bits(
    call: Call, call_drawing: Call, ctrl_c: Callable[..., None], place: Path
) -> None:
    assert call(*BRIEF[:-1], "whole").code == 0
    ctrl_c(77)
    done = call_drawing(*BRIEF[:-1], "torn")
    assert done.code == 130
    assert "interrupted after epoch 77" in done.said
    summary = read_json(Path("torn/summary.json"))
    assert (summary["ended"], summary["epochs"]) == ("interrupted", 77)
    whole = trajectory(Path("whole")).width
    shared = trajectory(Path("torn")).width[:-1]
    np.testing.assert_array_equal(shared, whole[: shared.size])
    ctrl_c(-1)
    done = call(*BRIEF[:-1], "torn", "--resume")
    assert done.err.startswith("torn: resumes at epoch 77\n")
    assert differences(place / "torn", place / "whole") == []


def test_ctrl_c_ends_the_flow_with_what_it_reached(call: Call, ctrl_c: Callable[..., None]) -> None:
    ctrl_c(50)
    done = call(*BRIEF, "--flow")
    assert done.code == 130
    assert "interrupted after time" in done.said
    assert "--resume" not in done.said, "flow has no checkpoint"
    assert 50 <= read_json(Path("here/summary.json"))["epochs"] < 200
    ctrl_c(-1)
    assert call(*BRIEF, "--flow", "--resume").err.startswith("here: no checkpoint, starts anew")
    assert read_json(Path("here/summary.json"))["ended"] == "epochs"


def test_a_longer_run_is_what_it_would_have_been(call: Call, place: Path) -> None:
    call(*BRIEF)
    longer = (*WINDOW, "--epochs", "333", "--sequences", "3", "--out")
    assert call(*longer, "here", "--resume").code == 0
    assert call(*longer, "whole").code == 0
    assert differences(place / "here", place / "whole") == []
    assert call(*BRIEF, "--resume").code == 2


def test_patience_stops_at_the_lowest_loss_on_further_windows(call: Call) -> None:
    done = call(*PATIENT, "here")
    summary, run = read_json(Path("here/summary.json")), trajectory(Path("here"))
    assert summary["ended"] == "patience"
    assert summary["epochs"] == summary["best_epoch"] + 900
    story = f"stopped early at epoch {summary['epochs']:,}, best at {summary['best_epoch']}"
    assert story in " ".join(done.out.split())
    assert summary["dev_loss"] <= float(run.dev_loss.min()) < float(run.dev_loss[-1])
    # Negative control: without patience it runs on, and draws the same training windows.
    call(*STOPPED, "--sequences", "12", "--epochs", "1200", "--out", "on")
    on = read_json(Path("on/summary.json"))
    assert (on["ended"], on["epochs"], on["dev_loss"]) == ("epochs", 1200, None)
    assert float(trajectory(Path("on")).loss[0]) == float(run.loss[0])
    np.testing.assert_array_equal(trajectory(Path("on")).width[:90], run.width[:90])


def test_patience_has_no_effect_on_the_flow(call: Call) -> None:
    assert "Without effect on gradient flow: --patience." in call(*BRIEF, "--flow", "--patience", "5").err
    assert "Without effect" not in call(*BRIEF, "--overwrite", "--patience", "5").err


def test_steps_that_leave_no_bell_end_with_what_was_recorded(call_drawing: Call, place: Path) -> None:
    done = call_drawing(*BRIEF, "--learning-rate", "1e5", "--start-width", "20")
    assert done.code == 1
    assert "A learning rate below 100000 may mend it" in done.err
    assert files(place) == (LEFT | DRAWN) - {"checkpoint.npz"}
    assert read_json(Path("here/summary.json"))["ended"] == "diverged"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--window", "100"), ("--window", "odd number", "got 100")),
        (("--window", "0"), ("--window", "odd number", "got 0")),
        (("--window", "153"), ("--window", "at most the 151 tokens", "got 153")),
        (("--start-width", "0"), ("--start-width", "above 0", "got 0.0")),
        (("--start-width", "-2"), ("--start-width", "above 0", "got -2.0")),
        (("--start-width", "nan"), ("--start-width", "above 0", "got nan")),
        (("--start-width", "0.1"), ("--start-width", "reaches a useful token", "0.1 for a distance of 10")),
        (("--distance", "51"), ("--distance", "half-width 50", "got 51")),
        (("--bell-rate", "0"), ("--bell-rate", "above 0", "got 0.0")),
        (("--epochs", "0"), ("--epochs", "1 or more", "got 0")),
        (("--patience", "0"), ("--patience", "1 or more", "got 0")),
        (("--scale", "width"), ("--scale", "deviation", "variance")),
        (("--embedding-dim", "3"), ("--embedding-dim",)),
    ],
)
def test_what_cannot_be_used_is_refused(
    arguments: tuple[str, ...], said: tuple[str, ...], call: Call, place: Path
) -> None:
    done = call(*WINDOW, *arguments, "--out", "here")
    assert done.code == 2
    assert done.out == ""
    for part in said:
        assert part in done.said
    assert "Traceback" not in done.err
    assert contents(place) == {}


def test_the_model_is_asked_for_in_either_way() -> None:
    assert is_window(["--seed", "1", "--model", "attn-window"])
    assert is_window(["--model=attn-window"])
    assert not is_window(["--model", "attn-tc", "--out", "attn-window"])
    assert not is_window([])


@pytest.mark.slow
def test_the_program_does_the_same(place: Path) -> None:
    done = ended(started(*BRIEF, cwd=place))
    assert done.code == 0, done.err
    assert files(place) == LEFT | DRAWN


@pytest.mark.parametrize(("width", "told"), [(1.0 - 1e-9, "+0.00 %"), (0.9, "-10.00 %")])
def test_a_difference_that_rounds_to_zero_has_no_minus(width: float, told: str) -> None:
    numbers = {"train_loss": 0.1, "prediction_residual": None, "tokens_reached": 29, "tokens_held": 5}
    summary = {
        "model": "attn-window",
        "task": "needle",
        "seed": 0,
        "epochs": 5,
        "best_epoch": 5,
        "ended": "epochs",
        "settles": float("nan"),
    }
    shown = table(summary | numbers | {"width": width, "predicted_width": 1.0})
    assert told in [*shown.columns[3].cells]
