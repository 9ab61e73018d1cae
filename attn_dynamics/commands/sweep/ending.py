"""End of a sweep on the terminal: what varied beside numbers, the runs that failed, and how to read the file."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType

from attn_dynamics.commands.sweep.table import SETTINGS, Row, Table
from attn_dynamics.statistics import FEWEST, half_width
from attn_dynamics.system.console import table

NUMBERS = ("train_loss", "dev_accuracy", "test_accuracy", "sen_residual", "prediction_residual")
"""Columns of results whose means are shown, unless no run has the number."""
MOST, MOST_NAMED = 20, 5
"""Largest numbers of lines, and of runs that are named."""
FINE = ("epochs", "patience")
"""Ends of runs whose numbers count."""


def ending(sweep: Table) -> Iterator[RenderableType]:
    """Yield the table of all combinations but for their seeds, in the order of the grid, and the lines below it."""
    wanted, rows = sweep.wanted, sweep.rows
    axes = [name for name in SETTINGS if name != "seed" and len({each[name] for each in wanted}) > 1]
    points = dict.fromkeys(_at(each, axes) for each in wanted)
    shown = [name for name in NUMBERS if any(row[name] is not None for row in rows)]
    lines = []
    for point in list(points)[:MOST]:
        fine = [row for row in rows if _at(row, axes) == point and row["ended"] in FINE]
        asked = sum(_at(each, axes) == point for each in wanted)
        runs = f"{len(fine)}" if len(fine) == asked else f"{len(fine)} of {asked}"
        lines.append([*map(_value, point), runs, *(_mean([row[name] for row in fine]) for name in shown)])
    names = [name.replace("_", " ") for name in (*axes, "runs", *shown)]
    about = f"means over seeds, ± 95 % interval from {FEWEST} runs on"
    yield table("what varied", names, lines, names[len(axes) :], caption=about)
    if len(points) > MOST:
        yield f"{MOST} of {len(points):,} combinations; the file has all"
    yield from _failed(sweep, axes)
    yield f"a row for each run: pandas.read_parquet({json.dumps(str(sweep.path), ensure_ascii=False)})"


def _failed(sweep: Table, axes: Sequence[str]) -> Iterator[str]:
    """Yield a line for each kind of failure, which names the first runs by what varied."""
    kinds = {end: [row for row in sweep.rows if row["ended"] == end] for end in ("diverged", "refused")}
    done = {_at(row, [*SETTINGS]) for row in sweep.rows}
    kinds["without a row"] = [each for each in sweep.wanted if _at(each, [*SETTINGS]) not in done]
    for kind, runs in kinds.items():
        if runs:
            named = "; ".join(_name(run, (*axes, "seed")) for run in runs[:MOST_NAMED])
            more = f"; and {len(runs) - MOST_NAMED:,} more" if len(runs) > MOST_NAMED else ""
            yield f"{kind}: {named}{more}"


def _at(row: Row, axes: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in axes)


def _name(row: Row, axes: Sequence[str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(row[name])}" for name in axes)


def _value(value: Any) -> str:
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _mean(values: Sequence[float | None]) -> str:
    """Write the mean of the numbers that are there, with its interval if they are enough; "" if none is there."""
    known = np.array([value for value in values if value is not None], float)
    if not known.size:
        return ""
    mean, half = known.mean(), half_width(known)  # NaN for few, and beside a number that is not finite
    return f"{mean:.4g} ± {half:.2g}" if np.isfinite(half) else f"{mean:.4g}"
