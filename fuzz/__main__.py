"""Bad input by the thousand against all commands and the Python API, counted by family.

python -m fuzz
"""

import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from rich.table import Table
from tqdm import tqdm

from attn_dynamics.check import integer
from attn_dynamics.commands.shell import FAILED, run_command
from attn_dynamics.system.console import console
from fuzz import api, commands, environment, files
from fuzz.case import Case, Verdict, judged


@dataclass(frozen=True)
class Options:
    """Try bad input of every kind, and count the outcomes."""

    seed: int = 0
    """Random seed of misspellings, mutations and flipped bits."""
    every: int = 1
    """Stride through the cases of each family; above 1 for a smoke test."""
    family: tuple[str, ...] = ()
    """Try only families whose names start with one of these."""

    EXAMPLE: ClassVar = "--seed 1 --every 20"


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(Options, run, arguments, prog="python -m fuzz", interrupted="interrupted")


def run(options: Options) -> int:
    """Try all cases and print their outcomes; return the exit code.

    Raises:
        InputError: an option is out of range.
    """
    integer("seed", options.seed, 0)
    chosen = [*selected(options.seed, integer("every", options.every, 1), options.family)]
    verdicts: list[Verdict] = []
    for case in tqdm(chosen, unit=" cases", dynamic_ncols=True):
        verdicts.append(judged(case))
        if verdicts[-1].mishandled:
            tqdm.write(told(verdicts[-1]))
            sys.stdout.flush()
    wrong = sum(verdict.mishandled for verdict in verdicts)
    terminal = console()
    terminal.print(table(verdicts))
    terminal.print(f"{len(verdicts):,} cases, {wrong:,} mishandled", soft_wrap=True)
    return FAILED if wrong else 0


def told(verdict: Verdict) -> str:
    """Describe in one ASCII line how a case ended."""
    case = verdict.case
    return f"{verdict.ended}: {ascii(f'{case.family}: {case.name}')[1:-1]}: {ascii(verdict.said)[1:400]}"


def selected(seed: int, every: int, families: tuple[str, ...] = ()) -> Iterator[Case]:
    """Yield every `every`-th case of each family, for some families or for all."""
    rng, seen = random.Random(seed), Counter[str]()
    for case in (*commands.cases(rng), *api.cases(), *files.cases(rng), *environment.cases()):
        if not families or case.family.startswith(families):
            seen[case.family] += 1
            if (seen[case.family] - 1) % every == 0:
                yield case


def table(verdicts: list[Verdict]) -> Table:
    """Return a table of how the cases of each family ended."""
    found = Table(title="Bad input, by family and by how it ended")
    for name in ("family", "cases", "how they ended", "mishandled"):
        found.add_column(name, justify="right" if name in ("cases", "mishandled") else "left")
    for family in dict.fromkeys(verdict.case.family for verdict in verdicts):
        ours = [verdict for verdict in verdicts if verdict.case.family == family]
        ended = Counter(verdict.ended for verdict in ours).most_common()
        wrong = sum(verdict.mishandled for verdict in ours)
        found.add_row(family, f"{len(ours):,}", ", ".join(f"{count:,} {end}" for end, count in ended), f"{wrong}")
    return found


if __name__ == "__main__":
    sys.exit(main())
