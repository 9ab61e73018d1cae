"""The command of sweeps within this process, in an empty folder of its own."""

from pathlib import Path

import pytest

import attn_dynamics.commands.sweep.command as command
from tests.commands.driving import Call, calling
from tests.commands.sweep.driving import nothing, one_by_one


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def call_dask(place: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command in this process, its workers in others."""
    return calling(command.main, capsys)


@pytest.fixture
def call(call_dask: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run the command in this process, and all runs with it."""
    monkeypatch.setattr(command, "clustered", nothing)
    monkeypatch.setattr(command, "stream", one_by_one)
    return call_dask
