"""Claim: a shell completes commands, experiments, options and their values from the script that a command prints."""

import shutil
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from attn_dynamics.commands import completion
from attn_dynamics.commands.shell import BAD_INPUT
from attn_dynamics.system.script import COMMANDS

COMPLETE = """source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tyro_attn_dynamics; echo "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script of each shell."""
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        with redirect_stdout(StringIO()) as printed:
            assert completion.main([shell]) == 0
        (folder / shell).write_text(printed.getvalue(), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ([""], [*COMMANDS, "-h", "--help"]),
        (["experiment", "z"], ["zipf"]),
        (["experiment", "zipf", "--qu"], ["--quick"]),
        (["prove", "--lat"], ["--latex"]),
        (["simulate", "--model", "attn-"], ["attn-fc", "attn-tc", "attn-tl", "attn-window"]),
        (["simulate", "--distance"], ["--distance", "--distances"]),
        (["simulate", "--latex"], []),  # negative control: an option of another command
    ],
)
def test_bash_completes(scripts: Path, typed: list[str], offered: list[str]) -> None:
    command = ["bash", "-c", COMPLETE, "bash", scripts / "bash", "attn-dynamics", *typed]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == sorted(offered)


def test_bash_offers_files_where_the_script_offers_nothing(scripts: Path) -> None:
    asked = COMPLETE.replace('echo "${COMPREPLY[@]}"', 'echo "${#COMPREPLY[@]}"; complete -p attn-dynamics')
    for typed, offers in (("runs/", 0), ("--ou", 1)):
        command = ["bash", "-c", asked, "bash", scripts / "bash", "attn-dynamics", "compare", typed]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        number, registered = done.stdout.splitlines()
        assert int(number) == offers
        assert "-o bashdefault -o default" in registered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_of_its_shell(scripts: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", scripts / shell], check=True)


def test_without_its_extra_a_command_has_no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(completion.LIBRARIES, "proofs", ("no_such_library",))
    with redirect_stdout(StringIO()) as printed:
        assert completion.main(["bash"]) == 0
    assert "prove" in printed.getvalue()
    assert "--latex" not in printed.getvalue()
    assert "--workers" in printed.getvalue(), "options of other commands stay"


def test_a_value_without_an_option_is_asked_for_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert completion.main([]) == BAD_INPUT
    assert capsys.readouterr().err.startswith("error: shell: expected a value, got none. ")
