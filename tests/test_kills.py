"""Claim: a command that is killed at any time, again and again, ends with the bits of one that never was.

`KILLS=100 pytest -m slow tests/test_kills.py` spreads so many kills over all of them.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from attn_dynamics.commands import run_steps, simulate, window_run
from attn_dynamics.files.storage import read_netcdf, read_parquet
from attn_dynamics.results.figures import replicates as spread
from attn_dynamics.results.figures import run as run_figures
from attn_dynamics.results.figures import style
from simulations import experiment, suppression
from tests.commands.driving import TASK, contents, differences, eager, unfinished, without_figures
from tests.commands.sweep import driving as sweeps
from tests.forking import context

KILLS = int(os.environ.get("KILLS", "12"))
"""In all; some meet a command that has ended already, and are counted out."""
KILLED = -signal.SIGKILL
RUN = ("--epochs", "700", *TASK)
SIMULATED = {
    "attn-fc": (*RUN, "--model", "attn-fc"),
    "attn-tc": (*RUN, "--model", "attn-tc"),
    "attn-tl": (*RUN, "--model", "attn-tl"),
    "replicates": ("--epochs", "300", *TASK, "--replicates", "3"),
    "window": ("--model", "attn-window", "--epochs", "800"),
}
SUPPRESSED = ("--quick", "--seeds", "2", "--epochs", "300")


def _simulated(arguments: tuple[str, ...], *more: str) -> int:
    run_figures.save_figures = without_figures
    spread.save_replicates = without_figures  # pyright: ignore[reportAttributeAccessIssue]
    window_run.save_window_figures = without_figures
    run_steps.Checkpoint = eager  # pyright: ignore[reportAttributeAccessIssue]
    return simulate.main([*arguments, *more])


def _suppressed(*more: str) -> int:
    experiment.Checkpoint = eager  # pyright: ignore[reportAttributeAccessIssue]
    style.draw_all = lambda figures: [*figures]  # pyright: ignore[reportAttributeAccessIssue]
    suppression.HEADS = ("attn-fc",)
    return suppression.main([*SUPPRESSED, *more])


def _child(run: Callable[..., int], more: tuple[str, ...], place: Path) -> None:
    os.chdir(place)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    sys.exit(run(*more))


def _forked(run: Callable[..., int], more: tuple[str, ...], place: Path, lifetime: float | None = None) -> int | None:
    """Run a command in a child, and kill it after some seconds; its exit code."""
    child = context().Process(target=_child, args=(run, more, place))
    child.start()
    child.join(lifetime)
    if lifetime is not None and child.exitcode is None:
        child.kill()
    child.join()
    return child.exitcode


def torn(run: Callable[..., int], kills: int, place: Path) -> None:
    """Run a command whole as `whole`, and as `torn` until it was killed that often; a rerun then ends it."""
    rng, met = random.Random(kills), 0
    assert _forked(run, ("--out", "whole"), place) == 0  # which also compiles what no other command has
    begun = time.monotonic()
    assert _forked(run, ("--out", "whole", "--overwrite"), place) == 0
    length = time.monotonic() - begun
    while met < kills:
        code = _forked(run, ("--out", "torn", "--resume"), place, lifetime=rng.uniform(0.0, 1.1 * length))
        assert code in (0, KILLED)
        met += code == KILLED
        if code == 0:  # whole already: the next begins anew
            assert _same(place)
            for path in sorted((place / "torn").rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
    assert _forked(run, ("--out", "torn", "--resume"), place) == 0
    assert _same(place)
    assert unfinished(place / "torn") == []


def _same(place: Path) -> bool:
    """Whether both folders hold the same, to the bit; of an experiment's rows all but the seconds."""
    whole, other = place / "whole", place / "torn"
    if not (whole / "rows.parquet").exists():
        return differences(other, whole) == []
    tables = [
        read_parquet(folder / "rows.parquet").drop(columns="seconds", errors="ignore") for folder in (whole, other)
    ]
    cells = sorted(path.name for path in (whole / "cells").iterdir())
    kept = [{name: _untimed(folder / "cells" / name) for name in cells} for folder in (whole, other)]
    return (
        tables[0].equals(tables[1])
        and cells == sorted(path.name for path in (other / "cells").iterdir())
        and kept[0] == kept[1]
    )


def _untimed(path: Path) -> Any:
    run = read_netcdf(path)
    run.attrs.pop("seconds")
    numbers = {str(name): array.values.tobytes() for name, array in run.variables.items() if array.dtype.kind in "fiu"}
    return repr(run.attrs), numbers


@pytest.mark.slow
@pytest.mark.parametrize("name", SIMULATED)
def test_simulate(name: str, tmp_path: Path) -> None:
    torn(partial(_simulated, SIMULATED[name]), -(-KILLS // 6), tmp_path)


@pytest.mark.slow
def test_an_experiment(tmp_path: Path) -> None:
    torn(_suppressed, -(-KILLS // 6), tmp_path)


@pytest.mark.slow
def test_a_sweep(tmp_path: Path) -> None:
    """Killed when so many rows are there; its workers then end by themselves."""
    grid = ("--model", "attn-fc", "attn-tc", "attn-tl", "--seed", *range(8))
    arguments = ("--epochs", "1500", *TASK, *grid, "--workers", 2)
    assert sweeps.ended(sweeps.started(*arguments, "--out", "whole", cwd=tmp_path)).code == 0
    for _ in range(-(-KILLS // 12)):
        process = sweeps.started(*arguments, "--out", "torn", "--resume", cwd=tmp_path)
        before = len(sweeps.rows(tmp_path / "torn"))
        if before < 22:
            sweeps.wait_for(process, lambda: len(sweeps.rows(tmp_path / "torn")) > before)  # noqa: B023
        sweeps.kill_the_client(process)
    assert sweeps.ended(sweeps.started(*arguments, "--out", "torn", "--resume", cwd=tmp_path)).code == 0
    assert sweeps.differences(sweeps.rows(tmp_path / "torn"), sweeps.rows(tmp_path / "whole")) == []
    assert [*contents(tmp_path / "torn")] == ["command.txt", "results.parquet"]
