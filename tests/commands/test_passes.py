"""Replicates that memory has no room for at once go in several passes, and nothing but the checkpoints tells."""

import os
import re
import signal
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from attn_dynamics.commands import run_steps
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks import Task
from attn_dynamics.training import configured_run, memory
from attn_dynamics.training.corpus_config import Config
from attn_dynamics.training.memory import MemoryNeed
from attn_dynamics.training.replicates.threads import Threads
from attn_dynamics.training.run import Run
from tests.commands.driving import TINY, Call, calling_at, contents, differences, films, read_json, trajectory

THREE = (*TINY, "--replicates", "3", "--out")
FIVE = (*TINY, "--replicates", "5", "--out")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Choose how many replicates of these there is room for."""

    def choose(replicates: int) -> None:
        monkeypatch.setattr(configured_run, "most_replicates", lambda *given: replicates)

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
    return differences(ours, theirs, but_for="checkpoint")


def test_replicates_in_several_passes_are_those_of_one(call: Call, room: Callable[[int], None]) -> None:
    room(3)
    assert call(*THREE, "one").code == 0
    room(1)
    done = call(*THREE, "three")
    assert done.code == 0
    assert passes(Path("one")) == ["checkpoint.npz"]
    assert passes(Path("three")) == ["checkpoint-1.npz", "checkpoint-2.npz", "checkpoint.npz"]
    assert but_for_checkpoints(Path("one"), Path("three")) == []
    assert trajectory(Path("three")).sizes["replicate"] == 3
    call(*TINY, "--replicates", "3", "--seed", "1", "--out", "other")
    assert but_for_checkpoints(Path("one"), Path("other")) != [], "negative control"
    Path("three/replicate-2/summary.json").unlink()
    assert but_for_checkpoints(Path("one"), Path("three")) == ["files {'replicate-2/summary.json'}"], "negative control"


@pytest.mark.slow
@pytest.mark.parametrize("later", [1, 2, 5])
def test_the_passes_chosen_at_first_are_gone_on_with_whatever_room_there_is_later(
    later: int, call: Call, room: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    room(5)
    call(*FIVE, "one")
    room(2)
    with monkeypatch.context() as patch:
        patch.setattr(run_steps, "meter", pressing_in_pass(1, 20))
        done = call(*FIVE, "torn")
    assert done.code == 130
    ends = [run["ended"] for run in read_json(Path("torn/summary.json"))["runs"]]
    assert ends[:2] == ["epochs", "epochs"]
    assert "interrupted" in ends[2:]
    room(later)
    done = call(*FIVE, "torn", "--resume")
    assert done.code == 0
    first, second, third = [line for line in done.err.splitlines() if line.startswith("torn")]
    assert first == "torn, replicates 0 to 1: complete at epoch 60"
    assert second.startswith("torn, replicates 2 to 3: resumes at epoch ")
    assert third == "torn, replicate 4: no checkpoint, starts anew"
    assert but_for_checkpoints(Path("one"), Path("torn")) == []


def test_checkpoints_of_passes_are_replaced_with_all_else(call: Call, room: Callable[[int], None]) -> None:
    room(1)
    call(*THREE, "here")
    Path("here/checkpoint-mine.npz").write_bytes(b"mine")
    assert call(*TINY, "--out", "here", "--overwrite").code == 0
    assert passes(Path("here")) == ["checkpoint-mine.npz", "checkpoint.npz"]


def test_a_damaged_checkpoint_of_replicates_is_refused(call: Call) -> None:
    call(*THREE, "here")
    Path("here/checkpoint.npz").write_bytes(b"anything")
    before = contents(Path("here"))
    done = call(*THREE, "here", "--resume")
    assert done.code == 2
    assert "checkpoint.npz: expected a checkpoint" in done.said
    assert contents(Path("here")) == before


# --- on resuming, what has finished


def trained_again(folder: str, *more: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many replicates go into each pass that is trained when a folder is resumed."""
    sizes, usual = [], configured_run.train_many

    def counted(config: Config, task: Task, starts: Sequence[Parameters], **options: Any) -> list[Run]:
        sizes.append(len(starts))
        return usual(config, task, starts, **options)

    with monkeypatch.context() as patch:
        patch.setattr(configured_run, "train_many", counted)
        assert call(*FIVE, folder, "--resume", *more).code == 0
    return sizes


@pytest.mark.slow
def test_a_pass_that_has_finished_is_not_trained_again(
    call: Call, room: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    again = partial(trained_again, "here", call=call, monkeypatch=monkeypatch)
    room(2)
    call(*FIVE, "here")
    call(*FIVE, "whole")
    assert again() == []
    assert differences(Path("here"), Path("whole")) == []
    for lost in ("trajectory.nc", "summary.json"):
        Path(f"here/replicate-3/{lost}").unlink()
        assert again() == [2], "negative control: a file is missing"
        assert differences(Path("here"), Path("whole")) == []
    assert again("--epochs", "61") == [2, 2, 1], "negative control: there is more to do"
    assert [run["epochs"] for run in read_json(Path("here/summary.json"))["runs"]] == [61] * 5


def test_a_pass_on_other_data_is_not_taken_for_finished(
    call: Call, room: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    room(2)
    given = ("--task", films(Path("films.txt")), "--epochs", "9", "--replicates", "3", "--out", "here")
    assert call(*given).code == 0
    films(Path("films.txt"), seed=1)
    done = call(*given, "--resume")
    assert done.code == 2
    assert "expected a checkpoint of this run, got one of another" in done.said
    monkeypatch.setattr("attn_dynamics.results.summary.data_digest", lambda task: read_data(Path("here")))
    assert call(*given, "--resume").code == 0, "negative control: the data are not looked at"


def read_data(folder: Path) -> str:
    return trajectory(folder / "replicate-0").attrs["data"]


# --- by the memory that there is

LARGE = ("--dictionary", "3000", "--embedding-dim", "50", "--sentences", "40", "--test-sentences", "10")
FAR = ("--start-scale", "100")
"""Too far from 0 for a prediction, which takes its time."""
LIMIT = 2**25
"""Of bytes, of which a start takes 2.4 million, and its whole training some 9."""


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[int]]]:
    """A machine of `LIMIT` bytes, of which all that numpy and Python hold is not free; the size of each pass."""
    sizes, usual = [], configured_run.pass_size

    def noted(*given: Any) -> int:
        sizes.append(usual(*given))
        return sizes[-1]

    monkeypatch.setattr(configured_run, "pass_size", noted)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    monkeypatch.setattr(Threads, "free_memory", lambda self: LIMIT + before - tracemalloc.get_traced_memory()[0])
    yield lambda: sizes
    tracemalloc.stop()


SEVEN = (*LARGE, *FAR, "--epochs", "4", "--replicates", "7", "--out", "here")


@pytest.mark.slow
def test_passes_fit_into_the_memory_that_is_free_and_leave_none_of_it_taken(
    call: Call, limited: Callable[[], list[int]]
) -> None:
    done = call(*SEVEN)
    assert done.code == 0, done.said
    assert tracemalloc.get_traced_memory()[1] < LIMIT
    assert limited() == [2, 2, 2, 1]
    assert trajectory(Path("here")).sizes["replicate"] == 7


def test_starts_that_are_not_counted_are_noticed(
    call: Call, limited: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: a pass is sized by what training adds to its starts, and to the brim."""
    usual = memory.bytes_needed

    def short(*given: Any, **more: Any) -> list[MemoryNeed]:
        return [each._replace(each=each.each - each.start) for each in usual(*given, **more)]

    monkeypatch.setattr(memory, "bytes_needed", short)
    monkeypatch.setattr(configured_run, "SHARE", 1.0)
    done = call(*SEVEN)
    assert done.code == 2
    assert re.search(r"At most \d fit at a time", done.said)


@pytest.mark.slow
def test_a_pass_that_leaves_its_starts_behind_is_noticed(
    call: Call, limited: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: what one pass drew is there while the next ones are sized."""
    usual, behind = configured_run.start, []

    def kept(*given: Any) -> Parameters:
        behind.append(usual(*given))
        return behind[-1]

    monkeypatch.setattr(configured_run, "start", kept)
    call(*SEVEN)
    assert limited() != [2, 2, 2, 1]


@pytest.mark.parametrize("replicates", [1, 2])
def test_a_rule_that_needs_too_much_is_refused_before_anything_is_written(
    replicates: int, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Threads, "free_memory", lambda self: 10 * 2**20)
    given = (*LARGE, *FAR, "--epochs", "1", "--replicates", replicates, "--out", "here")
    done = call(*given, "--rule", "adam")
    assert done.code == 2, done.said
    assert re.search(r"memory: expected about .* for a run, got .* MiB that are free for it", done.said)
    assert not Path("here").exists()
    done = call(*given)
    assert done.code == 0, "negative control: plain descent fits"
