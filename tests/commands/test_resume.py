"""A run that was cut off goes on from its checkpoint to the very bits of a run that was not."""

import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_dynamics.commands import run_steps
from attn_dynamics.results.figures import run as run_figures
from attn_dynamics.system import interrupt
from tests.commands.driving import (
    TASK,
    TINY,
    Call,
    Moment,
    contents,
    differences,
    eager,
    ended,
    film_folder,
    films,
    forked,
    read_json,
    started,
    trajectory,
    unfinished,
)

KILLED = -9
LENGTH = 900
"""Epochs of a run that is killed."""


def settings(kind: str, folder: Path) -> tuple[object, ...]:
    text = ("--task", film_folder(folder / "films"), "--follow", "good") if "text" in kind else TASK
    return {
        "fixed linear": ("--epochs", LENGTH, *text, "--model", "attn-fc"),
        "two-layer": ("--epochs", LENGTH, *text, "--model", "attn-tl", "--full"),
        "trained query": ("--epochs", LENGTH, *text, "--train", "query", "keys", "embeddings", "head"),
        "text, early stopping": ("--epochs", LENGTH, *text, "--model", "attn-tl", "--patience", "750"),
        "replicates": ("--epochs", 500, *text, "--replicates", "2"),
    }[kind]


KINDS = ("fixed linear", "two-layer", "trained query", "text, early stopping", "replicates")


def slow(value: object) -> object:
    return pytest.param(value, marks=pytest.mark.slow)


every_kind = pytest.mark.parametrize("kind", [kind if kind.startswith("text") else slow(kind) for kind in KINDS])


@every_kind
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_never_was(
    kind: str, call: Call, place: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(KINDS.index(kind))
    arguments = settings(kind, tmp_path)
    assert call(*arguments, "--out", "whole").code == 0
    kills = 0
    for latest in (200, 400, 700):
        # Whichever comes first; the first write, of the configuration, has a test of its own.
        moment = Moment(epoch=int(rng.integers(latest - 200, latest)), write=int(rng.integers(3, 30)))
        code = forked(*arguments, "--out", "torn", "--resume", cwd=place, killed=moment).code
        assert code in (0, KILLED)
        kills += code == KILLED
    assert kills >= 2
    assert call(*arguments, "--out", "torn", "--resume").code == 0
    assert differences(place / "torn", place / "whole") == []
    assert unfinished(place / "torn") == []


@pytest.mark.parametrize("write", [2, 4, *(pytest.param(number, marks=pytest.mark.slow) for number in (1, 3))])
def test_a_run_that_is_killed_as_it_writes_a_file_goes_on(write: int, call: Call, place: Path) -> None:
    # Configuration, checkpoint (perhaps more than once), trajectory, summary.
    arguments = ("--epochs", 3, *TASK, "--out")
    assert call(*arguments, "whole").code == 0
    assert forked(*arguments, "torn", cwd=place, killed=Moment(write=write)).code in (0, KILLED)
    done = call(*arguments, "torn", "--resume")
    assert done.code == 0, done.said
    assert differences(place / "torn", place / "whole") == []
    assert unfinished(place / "torn") == []


def test_a_run_with_a_checkpoint_is_not_done_again(
    call: Call, ctrl_c: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (*TINY, "--out", "here")
    ctrl_c(40)
    assert call(*arguments).code == 130
    seen: list[int] = []
    monkeypatch.setattr(run_steps, "meter", _Watching(seen))
    assert call(*arguments, "--resume").code == 0
    assert seen == list(range(40, 61))


class _Watching:
    """A progress bar that keeps the epochs it is shown."""

    def __init__(self, seen: list[int]) -> None:
        self._seen = seen

    def __call__(self, epochs: int, label: str) -> "_Watching":
        return self

    def __enter__(self) -> Callable[[int, float], None]:
        return lambda epoch, loss: self._seen.append(epoch)

    def __exit__(self, *error: object) -> None: ...


def test_without_a_checkpoint_a_resumed_run_starts(call: Call) -> None:
    assert call(*TINY, "--out", "new", "--resume").code == 0
    assert call(*TINY, "--out", "whole").code == 0
    Path("empty").mkdir()
    assert call(*TINY, "--out", "empty", "--resume").code == 0
    Path("begun").mkdir()
    Path("begun/config.json").write_bytes(Path("whole/config.json").read_bytes())
    assert call(*TINY, "--out", "begun", "--resume").code == 0
    for out in ("new", "empty", "begun"):
        assert differences(Path(out), Path("whole")) == []


# --- what is said


def standings(err: str) -> list[str]:
    """The lines on where runs go on, which stand before the progress bar."""
    return [line for line in err.replace("\r", "\n").splitlines() if re.search("resumes at|complete at|anew", line)]


def test_a_resumed_run_says_where_it_goes_on(call: Call, ctrl_c: Callable[..., None]) -> None:
    resumed = (*TINY, "--resume")
    ctrl_c(40)
    assert standings(call(*resumed).err) == ["runs/attn-tc-synthetic-seed0: no checkpoint, starts anew"]
    ctrl_c(-1)
    assert standings(call(*resumed).err) == ["runs/attn-tc-synthetic-seed0: resumes at epoch 40"]
    assert standings(call(*resumed).err) == ["runs/attn-tc-synthetic-seed0: complete at epoch 60"]
    longer = call("--epochs", "1500", *TASK, "--resume")
    assert standings(longer.err) == ["runs/attn-tc-synthetic-seed0: resumes at epoch 60"]


def test_the_line_stands_before_the_progress_bar(call: Call) -> None:
    call(*TINY, "--out", "here")
    done = call("--epochs", "90", *TASK, "--out", "here", "--resume")
    assert done.err.startswith("here: resumes at epoch 60\n")
    assert "epochs/s" in done.err


def test_a_run_that_is_not_resumed_says_nothing_of_it(call: Call) -> None:
    """Negative control."""
    assert standings(call(*TINY, "--out", "here").err) == []
    assert standings(call(*TINY, "--out", "here", "--overwrite").err) == []


@pytest.mark.slow
def test_resumed_replicates_say_where_they_go_on(call: Call, ctrl_c: Callable[..., None]) -> None:
    arguments = (*TINY, "--replicates", "3", "--out", "here", "--resume")
    ctrl_c(20)
    assert standings(call(*arguments).err) == ["here: no checkpoint, starts anew"]
    ctrl_c(-1)
    (line,) = standings(call(*arguments).err)
    assert line.startswith("here: resumes at epoch ")
    assert standings(call(*arguments).err) == ["here: complete at epoch 60"]


def test_a_run_that_lost_its_patience_is_complete(call: Call, tmp_path: Path) -> None:
    folder = film_folder(tmp_path / "films")
    arguments = ("--task", folder, "--patience", "25", "--epochs", "3000", "--out", "here")
    call(*arguments)
    ended = read_json(Path("here/summary.json"))["epochs"]
    assert standings(call(*arguments, "--resume").err) == [f"here: complete at epoch {ended}"]


def test_a_run_whose_data_gained_dev_data_is_refused(call: Call, tmp_path: Path) -> None:
    """Early stopping is the default with dev data, and the checkpoint of a run without it has no best epoch."""
    folder = film_folder(tmp_path / "films", dev=False)
    given = ("--task", folder, "--out", "here", "--epochs")
    assert call(*given, 9).code == 0
    assert call(*given, 10, "--resume").code == 0, "negative control: the data are the same"
    films(folder / "dev.txt", sentences=12)
    done = call(*given, 11, "--resume")
    assert done.code == 2, done.said
    assert "expected a checkpoint of this run, got one of another" in done.said


# --- longer and shorter


@pytest.mark.parametrize("model", [slow("attn-fc"), "attn-tc", slow("attn-tl")])
def test_more_epochs_lengthen_a_run_to_what_it_would_have_been(model: str, call: Call) -> None:
    task = ("--model", model, *TASK)
    assert call("--epochs", "60", *task, "--out", "here").code == 0
    assert call("--epochs", "137", *task, "--out", "here", "--resume").code == 0
    assert call("--epochs", "137", *task, "--out", "whole").code == 0
    assert differences(Path("here"), Path("whole")) == []
    assert trajectory(Path("here")).sizes["epoch"] == 138


@pytest.mark.slow
def test_a_run_outlasts_a_library_that_cannot_be_loaded(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call(*TINY, "--out", "whole")
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "attn_dynamics.results.figures.run")
        patch.setitem(sys.modules, "matplotlib", None)
        patch.delattr("attn_dynamics.results.figures.run")
        done = call(*TINY, "--out", "here")
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "checkpoint.npz keeps the run, and --resume goes on from there." in done.said
    again = call(*TINY, "--out", "here", "--resume")
    assert again.err.startswith("here: complete at epoch 60\n")
    assert differences(Path("here"), Path("whole")) == []


def test_more_epochs_lengthen_replicates_too(call: Call) -> None:
    task = (*TASK, "--replicates", "2")
    call("--epochs", "30", *task, "--out", "here")
    assert call("--epochs", "47", *task, "--out", "here", "--resume").code == 0
    call("--epochs", "47", *task, "--out", "whole")
    assert differences(Path("here"), Path("whole")) == []


def test_fewer_epochs_are_refused(call: Call) -> None:
    call(*TINY, "--out", "here")
    before = contents(Path("here"))
    done = call("--epochs", "59", *TASK, "--out", "here", "--resume")
    assert done.code == 2
    assert done.said.startswith("error: --epochs: expected at least the 60")
    assert "got 59" in done.said
    assert "what it has so far is kept" in done.said
    assert contents(Path("here")) == before


@pytest.mark.parametrize("more", [(), slow(("--replicates", "2"))])
def test_a_finished_run_that_is_resumed_stays_as_it_is(more: tuple[str, ...], call: Call) -> None:
    arguments = (*TINY, *more, "--out")
    for out in ("here", "whole"):
        call(*arguments, out)
    done = call(*arguments, "here", "--resume")
    assert done.code == 0
    assert "measured" in done.out
    assert differences(Path("here"), Path("whole")) == []


def test_a_run_that_stopped_early_stays_as_it_is(call: Call, tmp_path: Path) -> None:
    arguments = ("--task", film_folder(tmp_path / "films"), "--patience", "25", "--epochs", "3000", "--out")
    for out in ("here", "whole"):
        call(*arguments, out)
    for _ in range(2):
        assert call(*arguments, "here", "--resume").code == 0
    assert differences(Path("here"), Path("whole")) == []
    assert read_json(Path("here/summary.json"))["ended"] == "patience"


# --- Ctrl-C


@every_kind
def test_ctrl_c_leaves_usable_results_and_the_run_goes_on_to_the_same_bits(
    kind: str, call: Call, ctrl_c: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_steps, "Checkpoint", eager)
    arguments = settings(kind, tmp_path)
    assert call(*arguments, "--out", "whole").code == 0
    for epoch in (123, 457):
        ctrl_c(epoch)
        done = call(*arguments, "--out", "torn", "--resume")
        assert done.code == 130
        summary, run, whole = read_json(Path("torn/summary.json")), trajectory(Path("torn")), trajectory(Path("whole"))
        runs = summary["runs"] if kind == "replicates" else [summary]
        assert "interrupted" in [each["ended"] for each in runs]
        if kind == "replicates":  # which are asked when their mean epoch is shown
            run, whole = run.isel(replicate=0).dropna("epoch"), whole.isel(replicate=0)
        else:
            assert f"interrupted after epoch {epoch}; --resume goes on from there" in done.said
            assert summary["epochs"] == epoch
        assert run.sizes["epoch"] == runs[0]["epochs"] + 1
        np.testing.assert_array_equal(run.train_loss, whole.train_loss[: run.sizes["epoch"]])
        assert "measured" in done.out
    ctrl_c(-1)
    assert call(*arguments, "--out", "torn", "--resume").code == 0
    assert differences(Path("torn"), Path("whole")) == []


def test_ctrl_c_keeps_all_replicates(call: Call, ctrl_c: Callable[..., None]) -> None:
    arguments = (*TINY, "--replicates", "3", "--out")
    call(*arguments, "whole")
    ctrl_c(20)
    assert call(*arguments, "torn").code == 130
    summary, joined = read_json(Path("torn/summary.json")), trajectory(Path("torn"))
    assert "interrupted" in [run["ended"] for run in summary["runs"]]
    epochs = [run["epochs"] + 1 for run in summary["runs"]]
    np.testing.assert_array_equal(np.isfinite(joined.train_loss).sum("epoch"), epochs)
    ctrl_c(-1)
    assert call(*arguments, "torn", "--resume").code == 0
    assert differences(Path("torn"), Path("whole")) == []


def test_a_second_ctrl_c_does_not_wait_and_the_run_can_still_go_on(
    call: Call, ctrl_c: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_steps, "Checkpoint", eager)
    arguments = (*TINY, "--out")
    call(*arguments, "whole")
    ctrl_c(30, times=2)
    done = call(*arguments, "torn")
    assert done.code == 130
    assert "Traceback" not in done.err
    assert "before anything was computed" not in done.err
    ctrl_c(-1)
    assert call(*arguments, "torn", "--resume").code == 0
    assert differences(Path("torn"), Path("whole")) == []


def test_ctrl_c_while_figures_are_drawn_keeps_the_numbers(
    call: Call, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    call(*TINY, "--out", "whole")
    monkeypatch.setattr(run_figures, "save_figures", cut_off)
    done = call(*TINY, "--out", "here")
    assert done.code == 130
    assert "before anything was computed" not in done.err
    assert differences(place / "here", place / "whole") == []


@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def test_a_plain_kill_is_taken_for_ctrl_c_until_the_work_is_done(ctrl_c: Any) -> None:
    before = signal.signal(signal.SIGINT, ctrl_c)
    try:
        interrupt.end_at_once()
        assert (signal.getsignal(signal.SIGINT) == signal.SIG_IGN) == (ctrl_c == signal.SIG_IGN)
        with interrupt.interruptible():
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            with interrupt.deferred_interrupt() as asked:
                assert not asked()
                signal.raise_signal(signal.SIGTERM)
                assert asked()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("number", "background"),
    [
        (signal.SIGINT, False),
        pytest.param(signal.SIGTERM, False, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, True, marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_ends_the_program_with_its_exit_code_and_figures(number: int, background: bool, place: Path) -> None:
    process = started("--epochs", "500000", *TASK, "--out", "here", cwd=place, background=background)
    assert process.stderr is not None
    shown = ""
    while "loss" not in shown:
        letter = process.stderr.read(1)
        assert letter, f"it ended by itself: {shown}"
        shown += letter
    time.sleep(0.3)
    if background:
        process.send_signal(signal.SIGINT)  # which it does not hear
    process.send_signal(number)
    done = ended(process)
    assert done.code == 130
    assert "Traceback" not in done.err
    assert read_json(place / "here/summary.json")["ended"] == "interrupted"
    assert trajectory(place / "here").sizes["epoch"] > 1
    assert len(list((place / "here/figures").iterdir())) == 5
    assert unfinished(place) == []


# --- at its own pace


@pytest.mark.slow
def test_the_program_killed_at_arbitrary_times_ends_as_if_it_never_was(place: Path) -> None:
    rng = np.random.default_rng(2024)
    arguments = ("--epochs", "30000", "--sentences", "400", "--dictionary", "2000", "--model", "attn-tl", "--out")
    begun = time.monotonic()
    assert ended(started(*arguments, "whole", cwd=place), 600).code == 0
    length = time.monotonic() - begun
    for share in rng.uniform(0.1, 0.9, 4):
        process = started(*arguments, "torn", "--resume", cwd=place)
        time.sleep(share * max(length, 8.0))
        process.kill()
        assert ended(process).code in (0, KILLED)
    assert ended(started(*arguments, "torn", "--resume", cwd=place), 600).code == 0
    assert differences(place / "torn", place / "whole") == []
    assert unfinished(place / "torn") == []


@pytest.mark.slow
def test_the_program_interrupted_at_arbitrary_times_ends_as_if_it_never_was(place: Path) -> None:
    rng = np.random.default_rng(2025)
    arguments = ("--epochs", "30000", "--sentences", "400", "--dictionary", "2000", "--out")
    begun = time.monotonic()
    assert ended(started(*arguments, "whole", cwd=place), 600).code == 0
    length = time.monotonic() - begun
    for share in rng.uniform(0.3, 0.6, 2):
        process = started(*arguments, "torn", "--resume", cwd=place)
        time.sleep(share * length)
        process.send_signal(2)
        assert ended(process).code in (0, 130)
    assert ended(started(*arguments, "torn", "--resume", cwd=place), 600).code == 0
    assert differences(place / "torn", place / "whole") == []
