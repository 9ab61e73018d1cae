"""Ways to run a sweep, in this process without Dask or as its users do, and to compare what two sweeps left."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from attn_dynamics.commands.sweep.runner import outcome
from attn_dynamics.commands.sweep.table import FILE, RESULTS, SETTINGS, Row
from attn_dynamics.training.corpus_config import Config
from tests.commands import driving
from tests.commands.driving import TASK

TINY = ("--epochs", "60", *TASK)
LONGER = ("--epochs", "2000", *TASK)
"""Runs of some tenths of a second, so that a kill meets one on its way."""
DEADLINE = 240.0
"""Seconds after which a sweep that does not get on is given up."""


# --- in this process


@contextmanager
def nothing(workers: int, scheduler: str | None) -> Iterator[None]:
    """Stands in for the cluster."""
    yield None


def one_by_one(client: None, configs: Sequence[Config]) -> Iterator[tuple[list[Row], list[str]]]:
    """Stands in for the stream of results: the runs in this process, last first."""
    for config in reversed(configs):
        yield [outcome(config)], []


# --- as its users do


started = partial(driving.started, command="sweep", leads=True)
"""Start the command as a program of its own, the leader of its process group."""


ended = partial(driving.ended, seconds=DEADLINE)
"""Wait for a sweep to end."""


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait while the sweep runs; it is an error if it ends first."""
    begun = time.monotonic()
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - begun < DEADLINE
        time.sleep(0.02)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that carry out the runs of a local sweep."""
    return [child for child in psutil.Process(process.pid).children() if "spawn_main" in _command_line(child)]


def kill_a_worker(process: subprocess.Popen[str]) -> None:
    """SIGKILL one worker, and wait until another stands in its place."""
    before = workers(process)
    before[0].kill()
    wait_for(process, lambda: before[0] not in workers(process) and len(workers(process)) == len(before))


def kill_the_client(process: subprocess.Popen[str]) -> None:
    """SIGKILL the sweep itself, and wait for its workers to notice."""
    left = workers(process)
    process.kill()
    process.communicate(timeout=DEADLINE)
    _, alive = psutil.wait_procs(left, timeout=60)
    assert not alive


def press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """SIGINT to all that the terminal holds, as a key does."""
    os.killpg(process.pid, signal.SIGINT)


def _command_line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


# --- what was left


def rows(folder: Path) -> list[Row]:
    """The table of a sweep, which may be replaced at any time; empty if there is none yet."""
    if not (folder / FILE).exists():
        return []
    with (folder / FILE).open("rb") as file:  # Arrow opens a path more than once
        return pq.read_table(file).to_pylist()


def differences(ours: list[Row], theirs: list[Row]) -> list[str]:
    """What two tables disagree on, to the bit, sorted by settings: all but the seconds."""
    one, other = _by_settings(ours), _by_settings(theirs)
    found = [f"only one has {key}" for key in one.keys() ^ other.keys()]
    for key in one.keys() & other.keys():
        names = [name for name in RESULTS if name != "seconds" and _bits(one[key][name]) != _bits(other[key][name])]
        found += [f"{name} of {key}" for name in names]
    return found if len(ours) == len(theirs) == len(one) else [*found, "numbers of rows"]


def holds(table: list[Row], before: list[Row]) -> bool:
    """Whether rows stand in a table as they were to the bit, the seconds too: their runs were not run again."""
    now = _by_settings(table)
    return all(
        list(map(_bits, now[key].values())) == list(map(_bits, row.values()))
        for key, row in _by_settings(before).items()
    )


def _by_settings(table: list[Row]) -> dict[tuple[Any, ...], Row]:
    return {tuple(row[name] for name in SETTINGS): row for row in table}


def _bits(value: Any) -> Any:
    return value.hex() if isinstance(value, float) else value
