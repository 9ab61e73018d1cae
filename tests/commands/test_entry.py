"""Claim: the console script does what the modules do, and says what it cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

from attn_dynamics.commands import entry

ROOT = Path(__file__).parents[2]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    start = "import sys; from attn_dynamics.commands.entry import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", start, *arguments], cwd=cwd, capture_output=True, text=True)


def test_a_run_from_any_folder(tmp_path: Path) -> None:
    done = run("simulate", "--epochs", "20", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "summary.json").exists()
    bad = run("simulate", "--epochs", "-1", cwd=tmp_path)
    assert bad.returncode == 2
    assert "--epochs" in bad.stderr


def test_commands_of_the_checkout_run_in_it_alone(tmp_path: Path) -> None:
    done = run("prove", "--claim", "M3", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "proved" in done.stdout
    outside = run("prove", "--claim", "M3", cwd=tmp_path)
    assert outside.returncode == 2
    assert outside.stderr.startswith("error: prove: expected to be run in the checkout")
    assert run("experiment", "synthetic", "--help", cwd=ROOT).returncode == 0
    for no_experiment in ("nothing", "experiment", "../x", "zipf.y"):
        refused = run("experiment", no_experiment, cwd=ROOT)
        assert refused.returncode == 2
        assert refused.stderr.startswith("error: experiment: expected one of ablation")


@pytest.mark.parametrize(
    ("given", "code", "said"), [((), 0, "simulate"), (("simulat",), 2, "simulate"), (("--version",), 0, ".")]
)
def test_it_lists_its_commands(
    given: tuple[str, ...], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["attn-dynamics", *given])
    assert entry.main() == code
    out = capsys.readouterr()
    assert said in out.out + out.err
