"""Claim: the command draws W22's numbers beside the rows of an experiment on questions, and refuses what are none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from analysis import window_figures
from attn_dynamics.commands.shell import BAD_INPUT

ROW = {"scale": "variance", "placement": "product", "start_width": 1.0, "bell_rate": 1.0, "seed": 0, "f1": 14.0}
ROWS = pd.DataFrame(
    [
        ROW | {"row": "fixed", "placement": "renormalised", "start_width": 1e6, "bell_rate": 0.0, "f1": 20.0},
        ROW | {"row": "product"},
        ROW | {"row": "product-100", "bell_rate": 100.0},
        ROW | {"row": "narrow", "placement": "renormalised", "scale": "deviation", "f1": 19.0},
    ]
).assign(width=lambda rows: rows.start_width, reach=lambda rows: 0.01 * rows.bell_rate, reached_last=29)


@pytest.mark.parametrize("rows", [ROWS, ROWS[1:], ROWS[:1]])
def test_every_figure_is_drawn(tmp_path: Path, rows: pd.DataFrame) -> None:
    """Also where the row without a bell is not there, or no other."""
    rows.to_parquet(tmp_path / "rows.parquet")
    assert window_figures.main(["--rows", str(tmp_path / "rows.parquet"), "--out", str(tmp_path / "out")]) == 0
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == set(window_figures.FIGURES)
    for path in (tmp_path / "out").glob("*.png"):
        assert imread(path)[..., :3].std() > 0.03, path


def test_theory_and_w22_are_where_they_should_be() -> None:
    axes = window_figures.counts(ROWS).axes[0]
    lines = {line.get_label(): np.asarray(line.get_xydata()) for line in axes.lines}
    assert lines["W22"].tolist() == [[1.0, 29.0], [9.5, 89.0], [pytest.approx(14.8, abs=0.1), 111.0]]
    left, right = window_figures.growth(ROWS).axes
    powers = {line.get_label(): np.asarray(line.get_ydata()) for line in left.lines}
    assert powers["D6: rate$^{1/4}$, deviation trained"][-1] == pytest.approx(9.5**0.5 * 100**0.25)
    assert powers["D6: rate$^{1/6}$, variance trained"][-1] == pytest.approx(9.5**0.5 * 100 ** (1 / 6))
    # A variance that moves by 0.01 a unit of rate, all one way: √(1 + 10) at a thousand.
    assert np.asarray(right.lines[1].get_ydata())[-1] == pytest.approx(11.0**0.5)


@pytest.mark.parametrize("content", [None, b"", b"PAR1", "other"])
def test_what_are_no_rows_is_one_line(tmp_path: Path, content: object, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.parquet"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        pd.DataFrame({"row": ["fixed"]}).to_parquet(file)
    assert window_figures.main(["--rows", str(file), "--out", str(tmp_path / "out")]) == BAD_INPUT
    error = capsys.readouterr().err
    assert "--rows" in error
    assert "simulations.squad" in error
    assert error.count("\n") == error.count(": expected ") == 1
    assert ".." not in error
