"""The command of sweeps within this process, in an empty folder of its own."""

from pathlib import Path

import pytest

import attn_dynamics.commands.sweep.command as command
from tests.command.driving import Call, Outcome
from tests.sweep.driving import nothing, one_by_one


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

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        try:
            code = command.main([*map(str, arguments)])
        except SystemExit as stop:  # from the parser of arguments
            code = stop.code if isinstance(stop.code, int) else 1
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run


@pytest.fixture
def call(call_dask: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run the command in this process, and all runs with it."""
    monkeypatch.setattr(command, "clustered", nothing)
    monkeypatch.setattr(command, "stream", one_by_one)
    return call_dask
