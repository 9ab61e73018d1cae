"""Claim: the command counts W22's tokens under every formula, and one row is W22's."""

from pathlib import Path

import pandas as pd
import pytest

from analysis import window_counts
from attn_dynamics.commands.shell import BAD_INPUT


def test_one_row_is_w22s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "counts.csv"
    assert window_counts.main(["--csv", str(file)]) == 0
    rows = pd.read_csv(file)
    assert len(rows) == 10
    fitting = rows.loc[rows.fits].squeeze()
    assert (fitting["exponent"], fitting["prefactor"], fitting["float"]) == ("-Δ²/2σ", "1", "float32")
    counts = [fitting[name] for name in ("tokens at σ = 1", "fewest at σ = 9.5", "most at σ = 9.5")]
    assert counts == [29, 89, 89]
    said = capsys.readouterr().out
    assert "[14.55, 15.08)" in said
    assert said.count("yes") == 1


def test_a_place_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert window_counts.main(["--csv", "/dev/null/counts.csv"]) == BAD_INPUT
    assert capsys.readouterr().err.count("\n") == 1
