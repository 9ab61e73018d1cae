"""Claim: figures count as the same if and only if their marks are in the same places, up to rasterisation."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis import kept_figures
from analysis.kept_figures import FIGURES, NEAR, alike, known
from attn_dynamics.commands.shell import BAD_INPUT, FAILED
from attn_dynamics.results.figures import style
from attn_dynamics.tasks.treebank import VARIABLE


def curve(factor: float) -> Figure:
    """Draw a curve beside a fixed one."""
    figure, ((axes,),) = style.panels((4.0, 3.0))
    x = np.linspace(0.0, 1.0, 50)
    axes.plot(x, x**2, **style.THEORY)
    axes.plot(x, factor * x, **style.line(1))
    axes.set(xlabel="x", ylabel="y", ylim=(0.0, 1.2))
    return figure


def image(tmp_path: Path, factor: float) -> bytes:
    style.write_figure(lambda: curve(factor), tmp_path / "curve.png")
    return (tmp_path / "curve.png").read_bytes()


def test_a_curve_that_moved_is_noticed_and_a_pixel_is_not(tmp_path: Path) -> None:
    kept = kept_figures._pixels(image(tmp_path, 1.0))
    assert alike(kept, kept_figures._pixels(image(tmp_path, 1.0)))
    assert alike(kept, np.roll(kept, NEAR, axis=1))
    assert not alike(kept, np.roll(kept, 2 * NEAR, axis=1))
    assert not alike(kept, kept_figures._pixels(image(tmp_path, 1.03)))
    assert not alike(kept, kept[:-1])


def test_the_command_compares_and_replaces_only_if_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    drawn = {"factor": 1.0}
    monkeypatch.setattr(kept_figures, "_drawn", lambda drawing: image(tmp_path, drawn["factor"]))
    out = tmp_path / "figures"
    out.mkdir()
    assert kept_figures.main(["--out", str(out)]) == BAD_INPUT
    assert "--overwrite" in capsys.readouterr().err
    assert kept_figures.main(["--out", str(out), "--overwrite"]) == 0
    assert {path.name for path in out.iterdir()} == known().keys()
    assert kept_figures.main(["--out", str(out)]) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    drawn["factor"] = 1.05
    assert kept_figures.main(["--out", str(out)]) == FAILED
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert "differ: sen.png, window-width.png" in capsys.readouterr().out


def test_the_command_knows_every_figure_that_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert {path.name for path in FIGURES.iterdir()} == known().keys()


@pytest.mark.slow
def test_the_kept_figures_are_as_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert kept_figures.main([]) == 0
