"""Claim: the command draws every figure of the theory, whole files only, and refuses what it does not know."""

from pathlib import Path

import pytest
from matplotlib.image import imread

from analysis.theory_figures import __main__ as theory_figures
from attn_dynamics.commands.shell import BAD_INPUT


@pytest.mark.slow
def test_every_figure_is_drawn(tmp_path: Path) -> None:
    assert theory_figures.main(["--quick", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {f"{name}.png" for name in theory_figures.FIGURES}
    for path in tmp_path.glob("*.png"):
        assert imread(path)[..., :3].std() > 0.05, path


@pytest.mark.parametrize("arguments", [["--figure", "phase"], ["--quick", "--out", "/dev/null/figures"]])
def test_bad_input_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert theory_figures.main(arguments) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
