"""The command within this process, in an empty folder of its own."""

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from attn_dynamics.commands import run_steps, simulate, window_run
from attn_dynamics.results.figures import replicates as spread
from attn_dynamics.results.figures import run as run_figures
from tests.commands.driving import Call, calling, calling_at, without_figures


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch_by_epoch: None) -> Path:
    """An empty folder that is the working directory, for runs that look up after every epoch."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def call_drawing(place: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command in this process."""
    return calling(simulate.main, capsys)


@pytest.fixture
def call(call_drawing: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run the command in this process and draw no figures."""
    monkeypatch.setattr(run_figures, "save_figures", without_figures)
    monkeypatch.setattr(spread, "save_replicates", without_figures)
    monkeypatch.setattr(window_run, "save_window_figures", without_figures)
    return call_drawing


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Choose the epoch of the next run at which Ctrl-C is pressed, and how often."""

    def choose(epoch: int, times: int = 1) -> None:
        def press() -> None:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(run_steps, "meter", partial(calling_at, epoch, press))

    return choose
