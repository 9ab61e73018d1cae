"""Ways to run the command, and to compare what two runs left.

In this process; in a child that is forked from a server which has imported everything (to be killed, or short of disk
space, in a tenth of a second); and as its users do.
"""

import functools
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray as xr

from attn_dynamics.commands import run_steps, simulate, window_run
from attn_dynamics.files.output import of_command, results_folder
from attn_dynamics.files.storage import read_netcdf
from attn_dynamics.results.figures import replicates as spread
from attn_dynamics.results.figures import run as run_figures
from attn_dynamics.system import threads
from attn_dynamics.training.checkpoint import Checkpoint
from tests.forking import context

TASK = ("--dictionary", "50", "--sentences", "40", "--test-sentences", "10", "--other-words", "5")
TINY = ("--epochs", "60", *TASK)
"""A run of the synthetic task in some hundredths of a second."""
FIGURES = ("sen", "loss", "words", "distributions", "signals")


class Outcome(NamedTuple):
    """What the user sees of a run."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Standard error without line breaks, frames and progress bars."""
        lines = [line for line in self.err.replace("\r", "\n").splitlines() if "epochs/s" not in line]
        return " ".join(" ".join(lines).replace("│", " ").split())


Call = Callable[..., Outcome]


def calling(main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> Call:
    """A function that runs a command in this process."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        try:
            code = main([*map(str, arguments)])
        except SystemExit as stop:  # from the parser of arguments
            code = stop.code if isinstance(stop.code, int) else 1
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run


def without_figures(run: object, folder: Path) -> list[Path]:
    """Stands in for drawing, which takes a hundred times as long as a tiny run."""
    return []


def eager(path: Path) -> Checkpoint:
    """A checkpoint that is written as often as its cost allows."""
    return Checkpoint(path, every=0.0)


# --- as its users do


def started(
    *arguments: object, cwd: Path, background: bool = False, command: str = "simulate", leads: bool = False
) -> subprocess.Popen[str]:
    """A command as a program of its own; in the background it is deaf to Ctrl-C, as a script's `&` makes it."""
    return subprocess.Popen(
        [sys.executable, "-m", f"attn_dynamics.{command}", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_IGN) if background else None,
        start_new_session=leads,
    )


def ended(process: subprocess.Popen[str], seconds: float = 120.0) -> Outcome:
    """Wait for a program to end."""
    out, err = process.communicate(timeout=seconds)
    return Outcome(process.returncode, out, err)


# --- forked


class Moment(NamedTuple):
    """When a child is killed: at an epoch, or as its n-th file is on the disk but not yet in its place."""

    epoch: int | None = None
    write: int | None = None


def forked(*arguments: object, cwd: Path, killed: Moment | None = None, largest_file: int | None = None) -> Outcome:
    """The command without figures and with eager checkpoints, in a child that may be killed or denied large files."""
    streams = cwd / ".out", cwd / ".err"
    child = context().Process(target=_child, args=([*map(str, arguments)], cwd, streams, killed, largest_file))
    child.start()
    child.join(120)
    if child.exitcode is None:
        child.kill()
        raise TimeoutError(f"{arguments} did not end")
    out, err = (stream.read_text(encoding="utf-8") for stream in streams)
    for stream in streams:
        stream.unlink()
    return Outcome(child.exitcode, out, err)


def _child(
    arguments: list[str], cwd: Path, streams: tuple[Path, Path], killed: Moment | None, largest_file: int | None
) -> None:
    os.chdir(cwd)
    for number, stream in enumerate(streams, 1):
        os.dup2(os.open(stream, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
    threads.TURN = 0.0
    run_figures.save_figures = without_figures
    window_run.save_window_figures = without_figures
    spread.save_replicates = without_figures  # pyright: ignore[reportAttributeAccessIssue]
    run_steps.Checkpoint = eager  # pyright: ignore[reportAttributeAccessIssue]
    if killed is not None:
        _arm(killed)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    code = simulate.main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def hold(called: tuple[str, ...], folder: Path, pipe: Connection) -> None:
    """Hold a folder as a command of this description does, until something is sent."""
    with results_folder(of_command(*called), folder, folder):
        pipe.send("held")
        pipe.recv()


def _arm(killed: Moment) -> None:
    usual, writes = os.fsync, 0

    def synced(file: int) -> None:
        nonlocal writes
        usual(file)
        writes += 1
        if writes == killed.write:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = synced
    run_steps.meter = functools.partial(calling_at, killed.epoch, lambda: os.kill(os.getpid(), signal.SIGKILL))


@contextmanager
def calling_at(
    epoch: int | None, act: Callable[[], object], epochs: int, label: str
) -> Iterator[Callable[[int, float], None]]:
    """Stands in for the progress bar: does something once an epoch is reached; never if that is None or negative."""

    def show(now: int, loss: float) -> None:
        nonlocal epoch
        if epoch is not None and now >= epoch >= 0:
            epoch = None
            act()

    yield show


# --- what was left


def read_json(path: Path) -> Any:
    """A JSON file of a run; numbers that JSON does not know are refused."""
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def trajectory(folder: Path) -> xr.Dataset:
    """The trajectory of a run."""
    return read_netcdf(folder / "trajectory.nc")


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file by its path, bytes and all, and every folder as None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def unfinished(folder: Path) -> list[Path]:
    """Files that were begun and never put in their place."""
    return [path for path in folder.rglob("*") if "partial" in path.name]


def differences(ours: Path, theirs: Path, but_for: str | None = None) -> list[str]:
    """What two finished runs disagree on, to the bit: all but seconds, figures and how they were called.

    Left out are also files whose names begin with `but_for`.
    """
    found = []
    names = [{str(path.relative_to(folder)) for path in _compared(folder, but_for)} for folder in (ours, theirs)]
    if names[0] != names[1]:
        found.append(f"files {names[0] ^ names[1]}")
    for name in sorted(names[0] & names[1]):
        one, other = ours / name, theirs / name
        if name.endswith("summary.json"):
            same = _timeless(read_json(one)) == _timeless(read_json(other))
        elif name.endswith(".nc"):
            same = _datasets_equal(read_netcdf(one), read_netcdf(other))
        elif name.endswith(".npz"):
            same = _archives_equal(one, other)
        else:
            same = one.read_bytes() == other.read_bytes()
        if not same:
            found.append(name)
    return found


def _compared(folder: Path, but_for: str | None) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".png", ".txt") and not (but_for and path.name.startswith(but_for)):
            yield path


def _timeless(summary: Any) -> Any:
    if isinstance(summary, dict):
        return {name: _timeless(value) for name, value in summary.items() if name != "seconds"}
    return [_timeless(each) for each in summary] if isinstance(summary, list) else summary


def _datasets_equal(one: xr.Dataset, other: xr.Dataset) -> bool:
    if not one.identical(other):
        return False
    numbers = [name for name in one.variables if one[name].dtype.kind in "fiu"]
    return all(one[name].values.tobytes() == other[name].values.tobytes() for name in numbers)


def _archives_equal(one: Path, other: Path) -> bool:
    with np.load(one) as ours, np.load(other) as theirs:
        return set(ours) == set(theirs) and all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)


# --- data


def films(path: Path, *, sentences: int = 40, flipped: bool = False, seed: int = 0) -> Path:
    """A file of labelled lines that can be learned; with `flipped` every label is the wrong one."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(sentences):
        good = number % 2 == 1
        others = " ".join(f"word{word}" for word in rng.integers(0, 12, rng.integers(2, 7)))
        lines.append(f"{int(good != flipped)} {'good' if good else 'bad'} {others}\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


def film_folder(folder: Path, *, dev: bool = True) -> Path:
    """A folder of labelled lines whose dev data contradict the training data: the dev loss rises from the start."""
    folder.mkdir(parents=True)
    films(folder / "train.txt")
    films(folder / "test.txt", sentences=12, seed=1)
    if dev:
        films(folder / "dev.txt", sentences=12, flipped=True, seed=2)
    return folder
