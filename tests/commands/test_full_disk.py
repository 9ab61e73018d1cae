"""A disk that is full or a place that cannot be written: one message, no halves of files, and nothing old is lost."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from attn_dynamics.commands import run_steps
from attn_dynamics.results.figures import run as run_figures
from tests.commands.driving import (
    TASK,
    TINY,
    Call,
    contents,
    differences,
    eager,
    forked,
    read_json,
    trajectory,
    unfinished,
)

FullDisk = Callable[[int], None]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    """Choose the file, counted from 1, from which on the disk of the next run is full; 0 gives space again."""
    usual, writes = os.fsync, 0

    def choose(first: int) -> None:
        nonlocal writes
        writes = 0

        def synced(file: int) -> None:
            nonlocal writes
            writes += 1
            if first and writes >= first:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            usual(file)

        monkeypatch.setattr(os, "fsync", synced)

    return choose


def one_error(err: str) -> str:
    (message,) = (line for line in err.replace("\r", "\n").splitlines() if line.startswith("error: "))
    assert "Traceback" not in err
    return message


FILES = ("config.json", "checkpoint.npz", "trajectory.nc", "summary.json", "config.json", "command.txt")
"""In the order in which a run writes them."""
RESUMED = FILES[1:5]
"""A resumed run writes its configuration last: it may be longer only once it is."""


@pytest.mark.parametrize("first", range(1, 6))
def test_a_full_disk_is_named_with_what_helps(first: int, call: Call, place: Path, full_disk: FullDisk) -> None:
    full_disk(first)
    done = call(*TINY, "--out", "here")
    assert done.code == 2
    message = one_error(done.err)
    assert "expected to write" in message
    assert FILES[first - 1] in message
    assert "No space left on device" in message
    assert "--resume" in message
    assert unfinished(place) == []
    full_disk(0)
    again = call(*TINY, "--out", "here", "--resume")
    assert again.code == 0, again.said
    call(*TINY, "--out", "whole")
    assert differences(place / "here", place / "whole") == []


@pytest.mark.parametrize("first", [1, *(pytest.param(first, marks=pytest.mark.slow) for first in (2, 3, 4))])
def test_a_full_disk_leaves_earlier_results_whole(first: int, call: Call, place: Path, full_disk: FullDisk) -> None:
    here, longer = place / "here", ("--epochs", "90", *TASK, "--out", "here", "--resume")
    call(*TINY, "--out", "here")
    before = contents(here)
    full_disk(first)
    assert call(*longer).code == 2
    after = contents(here)
    assert after.keys() == before.keys()
    for name in RESUMED[first - 1 :]:
        assert after[name] == before[name], f"{name} is not as it was"
    assert unfinished(place) == []
    assert trajectory(here).sizes["epoch"] in (61, 91)
    read_json(here / "summary.json")
    full_disk(0)
    assert call(*longer).code == 0
    call("--epochs", "90", *TASK, "--out", "whole")
    assert differences(here, place / "whole") == []


def test_a_disk_that_fills_while_figures_are_drawn_keeps_the_numbers(
    call_drawing: Call, place: Path, full_disk: FullDisk
) -> None:
    full_disk(len(FILES) + 1)
    done = call_drawing(*TINY, "--out", "here")
    assert done.code == 2
    assert ".png" in one_error(done.err)
    assert read_json(place / "here/summary.json")["epochs"] == 60
    assert trajectory(place / "here").sizes["epoch"] == 61
    assert unfinished(place) == []


@pytest.mark.parametrize("largest", [3000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_files_that_may_not_grow_are_as_good_as_a_full_disk(largest: int, call: Call, place: Path) -> None:
    call(*TINY, "--out", "earlier")
    before = contents(place / "earlier")
    done = forked(*TINY, "--out", "here", cwd=place, largest_file=largest)
    assert done.code == 2
    assert "File too large" in one_error(done.err)
    assert unfinished(place) == []
    assert contents(place / "earlier") == before
    done = forked("--epochs", "70", *TASK, "--out", "earlier", "--resume", cwd=place, largest_file=largest)
    assert done.code == 2
    assert unfinished(place) == []
    after = contents(place / "earlier")
    assert all(after[name] == before[name] for name in ("checkpoint.npz", "trajectory.nc", "summary.json"))


def test_a_file_where_the_figures_belong_is_an_error_and_no_trace(call_drawing: Call, place: Path) -> None:
    run = place / "here"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_figures, "save_figures", lambda trajectory, folder: folder.write_text("mine") and [])
        assert call_drawing(*TINY, "--out", "here").code == 0
    done = call_drawing(*TINY, "--out", "here", "--resume")
    assert done.code == 2
    assert "figures" in one_error(done.err)
    assert (run / "figures").read_text() == "mine"


def test_a_checkpoint_that_cannot_be_written_ends_the_run_with_the_last_one_standing(
    call: Call, place: Path, full_disk: FullDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_steps, "Checkpoint", eager)
    monkeypatch.setattr("attn_dynamics.training.checkpoint.SHARE", 0)
    arguments = ("--epochs", "40", *TASK, "--out")
    call(*arguments, "whole")
    full_disk(12)  # the configuration, ten checkpoints, and no more
    done = call(*arguments, "here")
    assert done.code == 2
    assert "checkpoint.npz" in one_error(done.err)
    with np.load(place / "here/checkpoint.npz") as saved:
        assert saved["epoch"] == 9
    full_disk(0)
    assert call(*arguments, "here", "--resume").code == 0
    assert differences(place / "here", place / "whole") == []
