"""The command: the tokens that W22's windows reach, under each way to compute the bell (theory D1).

python -m analysis.window_counts
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from rich.table import Table

from attn_dynamics.commands.shell import run_command
from attn_dynamics.files.output import results_file
from attn_dynamics.files.storage import write_whole
from attn_dynamics.system.console import console, table
from attn_dynamics.window.reach import EXPONENTS, PREFACTORS, BellFormula
from attn_dynamics.window.w22 import BELL_FORMULAS, DECIMAL, TABLE, blank, misses, tokens


@dataclass(frozen=True)
class Options:
    """Count the tokens of W22's windows again."""

    csv: Path | None = None
    """File for a table of the numbers."""
    overwrite: bool = False
    """Replace the file if it exists."""


def run(options: Options) -> int:
    """Count, print and write; return the exit code.

    Raises:
        InputError: the file exists or cannot be written; nothing was counted.
        StorageError: the file could not be written.
    """
    csv = options.csv and results_file("--csv", options.csv, overwrite=options.overwrite)
    rows = pd.DataFrame([counted(each) for each in BELL_FORMULAS])
    if csv is not None:
        write_whole(csv, lambda file: rows.to_csv(file, index=False))
    console().print(printed(rows))
    return 0


def counted(formula: BellFormula) -> dict[str, object]:
    """Return a formula's counts for the three rows of W22."""
    start, _, third = TABLE
    low, high = blank(formula, third)
    return {
        "exponent": f"-{EXPONENTS[formula.scale]}",
        "prefactor": PREFACTORS[formula.prefactor],
        "float": formula.precision,
        "tokens at σ = 1": tokens(formula, start.sigmas[0]),
        "fewest at σ = 9.5": tokens(formula, DECIMAL[0]),
        "most at σ = 9.5": tokens(formula, DECIMAL[-1]),
        f"{third.tokens} tokens from σ": low,
        f"{third.tokens} tokens below σ": high,
        "fits": misses(formula) == 0,
    }


def printed(rows: pd.DataFrame) -> Table:
    """Return the counts as a table, whose last row has the counts of W22."""
    start, learned, third = TABLE
    names = ("exponent", "prefactor", "float", "σ = 1", "σ = 9.5", f"{third.tokens}: σ in", "fits")
    lines = [
        (*kind, str(one), str(few) if few == most else f"{few}–{most}", f"[{low:.2f}, {high:.2f})", ("no", "yes")[fits])
        for *kind, one, few, most, low, high, fits in rows.itertuples(index=False)
    ]
    out = table("tokens reached, w = 128; 9.5 is any of 9.45 to 9.55", names, lines, names[3:])
    out.add_section()
    out.add_row("W22", "", "", str(start.tokens), str(learned.tokens), "blank", "")
    return out


main = partial(run_command, Options, run, prog="python -m analysis.window_counts", interrupted="interrupted")

if __name__ == "__main__":
    raise SystemExit(main())
