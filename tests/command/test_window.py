"""Claim: `--model attn-window` leaves results and figures, says what theory says, and refuses what it cannot use."""

from pathlib import Path

import numpy as np
import pytest

from attn_dynamics.commands.simulate import is_window
from attn_dynamics.commands.window import table
from attn_dynamics.results.assumptions import MANY, SHORT
from attn_dynamics.results.figures.window import FIGURES, width_figure
from attn_dynamics.results.window_assumptions import ONE_TOKEN
from tests.command.driving import Call, contents, ended, read_json, started, trajectory

WINDOW = ("--model", "attn-window")
BRIEF = (*WINDOW, "--epochs", "200", "--sequences", "3", "--out", "here")
LEFT = {"config.json", "command.txt", "summary.json", "trajectory.nc"}
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
    assert call(*BRIEF, "--resume").code == 0
    assert (place / "here" / "trajectory.nc").read_bytes() == before
    assert call(*BRIEF, "--overwrite", "--seed", "1").code == 0
    assert files(place) == LEFT


def test_steps_that_leave_no_bell_end_with_what_was_recorded(call_drawing: Call, place: Path) -> None:
    done = call_drawing(*BRIEF, "--learning-rate", "1e5", "--start-width", "20")
    assert done.code == 1
    assert "lower --learning-rate" in done.err
    assert files(place) == LEFT | DRAWN
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
        (("--start-width", "0.1"), ("--start-width", "reaches what is useful", "0.1 for a distance of 10")),
        (("--distance", "51"), ("--distance", "half-width 50", "got 51")),
        (("--bell-rate", "0"), ("--bell-rate", "above 0", "got 0.0")),
        (("--epochs", "0"), ("--epochs", "1 or more", "got 0")),
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
    summary = {"task": "needle", "seed": 0, "epochs": 5, "ended": "epochs", "settles": float("nan")}
    shown = table(summary | numbers | {"width": width, "predicted_width": 1.0})
    assert told in [*shown.columns[3].cells]
