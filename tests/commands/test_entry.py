"""Claim: the console script does what the modules do, and says what it cannot; `make dist` tries it in a wheel."""

import subprocess
import sys
from pathlib import Path

import pytest

from attn_dynamics.system.script import COMMANDS, script_line

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The console script as pip writes it, in a folder of its own."""
    file = tmp_path / "bin" / "attn-dynamics"
    file.parent.mkdir()
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r})"
    file.write_text(f"{start}\nfrom attn_dynamics.commands.entry import main\nsys.exit(main())\n")
    return file


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, script, *arguments]
    return subprocess.run(command, cwd=script.parents[1], capture_output=True, text=True)


def test_a_run_from_any_folder(script: Path) -> None:
    done = run(script, "simulate", "--epochs", "20", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert (script.parents[1] / "run" / "summary.json").exists()
    bad = run(script, "simulate", "--epochs", "-1")
    assert bad.returncode == 2
    assert "--epochs" in bad.stderr


def test_proofs_from_any_folder(script: Path) -> None:
    done = run(script, "prove", "--claim", "M3")
    assert done.returncode == 0, done.stderr
    assert "proved" in done.stdout


def test_results_say_the_line_that_makes_them_again(script: Path) -> None:
    """The line is that of the script, and the module takes the folder for its own."""
    figures = ["--figure", "early", "--quick", "--out", "drawn"]
    assert run(script, "figures", *figures).returncode == 0
    line = (script.parents[1] / "drawn" / "command.txt").read_text()
    assert line == f"attn-dynamics figures {' '.join(figures)}\n"
    again = [sys.executable, "-m", "analysis.theory_figures", *figures, "--overwrite"]
    done = subprocess.run(again, cwd=script.parents[1], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert (script.parents[1] / "drawn" / "command.txt").read_text().startswith("python -m analysis.theory_figures")


def test_help_names_the_script(script: Path) -> None:
    assert "usage: attn-dynamics experiment synthetic" in run(script, "experiment", "synthetic", "--help").stdout
    assert "attn-dynamics experiment synthetic --help" in run(script, "experiment").stdout


@pytest.mark.parametrize("no_experiment", ["nothing", "experiment", "../x", "zipf.y"])
def test_an_unknown_experiment_is_refused(script: Path, no_experiment: str) -> None:
    refused = run(script, "experiment", no_experiment)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: experiment: expected one of ablation")


@pytest.mark.parametrize(
    ("given", "code", "said"), [((), 0, "simulate"), (("simulat",), 2, "simulate"), (("--version",), 0, ".")]
)
def test_it_lists_its_commands(script: Path, given: tuple[str, ...], code: int, said: str) -> None:
    done = run(script, *given)
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def test_the_line_of_the_script_for_a_module() -> None:
    lines = {script_line(f"python -m {each.module}") for each in COMMANDS.values()}
    assert lines == {f"attn-dynamics {name}" for name in COMMANDS}
    assert script_line("python -m simulations.zipf") == "attn-dynamics experiment zipf"
    assert script_line("python -m analysis.mutations") == "python -m analysis.mutations", "no command of the script"
