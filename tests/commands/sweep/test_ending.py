"""Claim: a sweep ends with what varied beside means over seeds, names the runs that failed, and says how to read it."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from attn_dynamics.commands.sweep.ending import MOST, ending
from attn_dynamics.commands.sweep.grid import Grid
from attn_dynamics.commands.sweep.table import Row, Table, row
from attn_dynamics.statistics import half_width
from tests.commands.driving import Call
from tests.commands.sweep.driving import TINY


def told(sweep: Table) -> str:
    console = Console(width=120)
    with console.capture() as seen:
        for each in ending(sweep):
            console.print(each, soft_wrap=isinstance(each, str))
    return seen.get()


def cells(text: str) -> list[list[str]]:
    """The cells of each line of the table, without its borders."""
    return [[each.strip() for each in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]


def swept(folder: Path, grid: Grid, left_out: Sequence[int] = (), ends: Sequence[str] = ("epochs",)) -> Table:
    """A table of made-up results, the loss of the k-th run being k²."""
    configs = grid.configs()
    sweep = Table(folder, configs)
    rows: list[Row] = [
        row(config, {"ended": ends[k % len(ends)], "train_loss": float(k**2), "last_epoch": 5})
        for k, config in enumerate(configs)
        if k not in left_out
    ]
    sweep.write(reversed(rows))
    return sweep


def test_axes_stand_in_the_order_of_the_grid_beside_means_with_intervals_from_five_on(tmp_path: Path) -> None:
    five, four = (Grid(model=("attn-tc", "attn-fc"), decay=(0.1, 0.0), seed=tuple(range(n))) for n in (5, 4))
    text = told(swept(tmp_path / "five", five))
    assert re.findall("model|decay|runs|train loss|seed |epochs|test", text)[:4] == [
        "model",
        "decay",
        "runs",
        "train loss",
    ]
    squares = (np.arange(20.0) ** 2).reshape(4, 5)
    points = [["attn-tc", "0.1"], ["attn-tc", "0"], ["attn-fc", "0.1"], ["attn-fc", "0"]]
    assert cells(text) == [
        [*point, "5", f"{each.mean():.4g} ± {half_width(each):.2g}"]
        for point, each in zip(points, squares, strict=True)
    ]
    few = cells(told(swept(tmp_path / "four", four)))
    assert [each[-1] for each in few] == [f"{each.mean():.4g}" for each in (np.arange(16.0) ** 2).reshape(4, 4)]


def test_runs_that_diverged_or_have_no_row_are_named_and_do_not_count(tmp_path: Path) -> None:
    grid = Grid(learning_rate=(0.1, 10.0), seed=(0, 1, 2))
    text = told(
        swept(tmp_path, grid, left_out=[2], ends=["epochs", "epochs", "epochs", "epochs", "epochs", "diverged"])
    )
    assert cells(text) == [["0.1", "2 of 3", "0.5"], ["10", "2 of 3", "12.5"]]
    assert "diverged: learning rate 10, seed 2\n" in text
    assert "without a row: learning rate 0.1, seed 2\n" in text
    whole = told(swept(tmp_path / "whole", grid))
    assert not re.search(r"^(diverged|without a row)", whole, re.MULTILINE), "negative control"


@pytest.mark.parametrize("more", [0, 1])
def test_a_long_table_is_cut_and_says_so(more: int, tmp_path: Path) -> None:
    text = told(swept(tmp_path, Grid(embedding_dim=tuple(range(2, 2 + MOST + more)))))
    assert len(cells(text)) == MOST
    assert (f"{MOST} of {MOST + more} combinations; the file has all" in text) == bool(more)


def test_the_command_ends_with_it_and_its_line_reads_the_file(call: Call) -> None:
    arguments = (*TINY, "--model", "attn-fc", "attn-tc", "--out", "he re")
    done, again = call(*arguments), call(*arguments, "--seed", 0, 1, "--resume")
    for each, seeds in ((done, 1), (again, 2)):
        (line,) = re.findall(r"a row for each run: (pandas\.read_parquet\(.+\))", each.out)
        assert line == 'pandas.read_parquet("he re/results.parquet")'
        assert [line[:2] for line in cells(each.out)] == [["attn-fc", str(seeds)], ["attn-tc", str(seeds)]]
    frame = pd.read_parquet("he re/results.parquet")
    means = frame.groupby("model", sort=False).train_loss.mean()
    assert [f"{mean:.4g}" for mean in means] == [each[2] for each in cells(again.out)]
