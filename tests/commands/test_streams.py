"""Whatever becomes of a terminal, the results of a run are there and nothing but one line is said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attn_dynamics.system.console import NARROWEST, console
from tests.commands.driving import TINY

FILES = {"config.json", "command.txt", "summary.json", "trajectory.nc", "checkpoint.npz", "figures"}
SIMULATE = (sys.executable, "-m", "attn_dynamics.simulate")


@pytest.mark.parametrize(("columns", "width"), [("1", NARROWEST), ("90", 90)])
def test_a_table_has_room_on_a_narrow_terminal_too(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == width


def shell(line: str, place: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command within a line of the shell, as "$@"."""
    given = ["bash", "-c", f"set -o pipefail; {line}", "bash", *SIMULATE, *map(os.fsencode, map(str, arguments))]
    return subprocess.run(given, cwd=place, capture_output=True, timeout=300, env=os.environ | environment)


LINES = {
    "a reader that leaves": ('"$@" | head -1', {}, 0),
    "no standard error": ('"$@" 2>&-', {}, 0),
    "no standard output": ('"$@" >&-', {}, 0),
    "a full disk under it": ('"$@" >/dev/full', {}, 2),
    "ascii": ('"$@"', {"PYTHONIOENCODING": "ascii"}, 0),
    "one column": ('"$@"', {"COLUMNS": "1"}, 0),
    "latin-1": ('"$@"', {"PYTHONIOENCODING": "latin-1"}, 0),
    "a notebook's backend": ('"$@"', {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}, 0),
    "no backend at all": ('"$@"', {"MPLBACKEND": "nonsense"}, 0),
    "LaTeX asked for": ('"$@"', {"MATPLOTLIBRC": "usetex.rc"}, 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LINES)
def test_no_terminal_costs_results(kind: str, tmp_path: Path) -> None:
    line, environment, code = LINES[kind]
    (tmp_path / "usetex.rc").write_text("text.usetex: True\nfont.size: 40\n")
    done = shell(line, tmp_path, *TINY, "--out", "here", **environment)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    left = {path.name for path in (tmp_path / "here").iterdir()}
    assert left >= FILES - ({"figures"} if code else set())


def test_help_can_be_read_on_any_terminal(tmp_path: Path) -> None:
    done = shell('"$@" | head -3', tmp_path, "--help", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"usage: ")
    assert done.stderr == b""


@pytest.mark.slow
def test_names_that_are_no_text_are_written_and_read(tmp_path: Path) -> None:
    arguments = (*TINY, "--out", "caf\udce9")
    assert shell('"$@"', tmp_path, *arguments).returncode == 0
    again = shell('"$@"', tmp_path, *arguments, "--resume")
    assert again.returncode == 0, again.stderr
    assert {os.fsencode(path.name) for path in tmp_path.iterdir()} == {b"caf\xe9"}
    assert b"caf\xe9" in (tmp_path / "caf\udce9" / "command.txt").read_bytes()
