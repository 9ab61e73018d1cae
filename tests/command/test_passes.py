"""Replicates that memory has no room for at once go in several passes, and nothing but the checkpoints tells."""

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from attn_dynamics import experiment, simulate
from attn_dynamics.batch.compiled import Compiled
from attn_dynamics.config import Config
from attn_dynamics.tasks import load_task
from tests.command.driving import TINY, Call, calling_at, contents, differences, read_json, trajectory

FIVE = (*TINY, "--replicates", "5", "--out")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Choose how many replicates of these there is room for."""

    def choose(replicates: int) -> None:
        monkeypatch.setattr(experiment, "_fitting", lambda config, task: replicates)

    return choose


def pressing_in_pass(number: int, epoch: int) -> Callable[..., AbstractContextManager[Callable[[int, float], None]]]:
    """Stands in for the progress bars: presses Ctrl-C at an epoch of one pass."""
    begun = count()

    def bar(epochs: int, label: str) -> AbstractContextManager[Callable[[int, float], None]]:
        at = epoch if next(begun) == number else None
        return calling_at(at, lambda: os.kill(os.getpid(), signal.SIGINT), epochs, label)

    return bar


def passes(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoint*"))


def but_for_checkpoints(ours: Path, theirs: Path) -> list[str]:
    """What two runs disagree on, to the bit, beside how they were divided into passes."""
    return [each for each in differences(ours, theirs) if not each.startswith(("checkpoint", "files"))]


def test_replicates_in_several_passes_are_those_of_one(call: Call, room: Callable[[int], None]) -> None:
    room(5)
    assert call(*FIVE, "one").code == 0
    room(2)
    done = call(*FIVE, "three")
    assert done.code == 0
    assert passes(Path("one")) == ["checkpoint.npz"]
    assert passes(Path("three")) == ["checkpoint-2.npz", "checkpoint-4.npz", "checkpoint.npz"]
    assert but_for_checkpoints(Path("one"), Path("three")) == []
    assert trajectory(Path("three")).sizes["replicate"] == 5
    call(*TINY, "--replicates", "5", "--seed", "1", "--out", "other")
    assert but_for_checkpoints(Path("one"), Path("other")) != [], "negative control"


@pytest.mark.parametrize("later", [1, 2, 5])
def test_the_passes_chosen_at_first_are_gone_on_with_whatever_room_there_is_later(
    later: int, call: Call, room: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    room(5)
    call(*FIVE, "one")
    room(2)
    with monkeypatch.context() as patch:
        patch.setattr(simulate, "meter", pressing_in_pass(1, 20))
        done = call(*FIVE, "torn")
    assert done.code == 130
    ends = [run["ended"] for run in read_json(Path("torn/summary.json"))["runs"]]
    assert ends == ["epochs", "epochs", "interrupted", "interrupted"]
    np.testing.assert_array_equal(np.isfinite(trajectory(Path("torn")).train_loss).sum("epoch"), [61, 61, 22, 22])
    room(later)
    done = call(*FIVE, "torn", "--resume")
    assert done.code == 0
    assert [line for line in done.err.splitlines() if line.startswith("torn")] == [
        "torn, replicates 0 to 1: complete at epoch 60",
        "torn, replicates 2 to 3: goes on from epoch 21",
        "torn, replicates 4 to 4: nothing to go on from, starts anew",
    ]
    assert but_for_checkpoints(Path("one"), Path("torn")) == []


def test_checkpoints_of_passes_are_replaced_with_all_else(call: Call, room: Callable[[int], None]) -> None:
    room(2)
    call(*FIVE, "here")
    Path("here/checkpoint-mine.npz").write_bytes(b"mine")
    assert call(*TINY, "--out", "here", "--overwrite").code == 0
    assert passes(Path("here")) == ["checkpoint-mine.npz", "checkpoint.npz"]


def test_a_damaged_checkpoint_of_replicates_is_refused(call: Call) -> None:
    call(*FIVE, "here")
    Path("here/checkpoint.npz").write_bytes(b"anything")
    before = contents(Path("here"))
    done = call(*FIVE, "here", "--resume")
    assert done.code == 2
    assert "checkpoint.npz: expected a checkpoint" in done.said
    assert contents(Path("here")) == before


def test_as_many_go_at_once_as_the_memory_that_is_free_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(replicates=100, epochs=10)
    task = load_task(config.task, experiment.task_options(config))
    found = []
    for free in (2**29, 2**30, 2**20, None):
        monkeypatch.setattr(Compiled, "free_memory", lambda self, free=free: free)
        found.append(experiment._fitting(config, task))
    half, whole, none, unknown = found
    assert 2 * half - 2 <= whole <= 2 * half + 2, "the fixed part is small beside half a GiB"
    assert half > 10
    assert none <= 0
    assert unknown == 100
