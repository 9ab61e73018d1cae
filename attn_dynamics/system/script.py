"""The console script `attn-dynamics`: its commands, and the line that calls each."""

import shlex
import sys
from pathlib import Path
from typing import NamedTuple

SCRIPT = "attn-dynamics"
EXPERIMENT, EXPERIMENTS = "experiment", "simulations"
"""Command that takes the name of an experiment, and the package of the experiments."""


class Command(NamedTuple):
    """One command of the console script: the module that it runs, its purpose, and the extra that it needs."""

    module: str
    purpose: str
    extra: str | None = None


COMMANDS = {
    "simulate": Command("attn_dynamics.simulate", "one run, or replicates of it, with its results in a folder"),
    "sweep": Command("attn_dynamics.sweep", "every combination of the settings given, in one table"),
    "prove": Command("proofs", "the theory, symbolically", "proofs"),
    "verify": Command("analysis.verdicts", "every claim, with the controls that must fail", "analysis"),
    EXPERIMENT: Command(EXPERIMENTS, "an experiment of the literature, by its name", "analysis"),
    "figures": Command("analysis.theory_figures", "the figures of the theory", "analysis"),
    "compare": Command("analysis.compare", "any runs in common figures", "analysis"),
    "report": Command("analysis.report", "a page of all that was run", "analysis"),
    "completion": Command("attn_dynamics.commands.completion", "a script that completes commands in bash, zsh or fish"),
}


def script_line(prog: str) -> str:
    """Return the console script's form of `python -m MODULE`; other lines are returned unchanged."""
    module = prog.removeprefix("python -m ")
    if module.startswith(f"{EXPERIMENTS}."):
        return f"{SCRIPT} {EXPERIMENT} {module.partition('.')[2]}"
    return next((f"{SCRIPT} {name}" for name, each in COMMANDS.items() if each.module == module), prog)


def own_script() -> str | None:
    """Return the line `python FILE` if this process runs a Python file instead of a module or the console script."""
    file = next(iter(sys.orig_argv[1:2]), "")
    return shlex.join(["python", file]) if file.endswith(".py") else None


def called(prog: str) -> str:
    """Return a line `python -m MODULE` as this process calls it: under the console script if that started it."""
    started = [Path(each).name for each in sys.orig_argv[1:2]]
    return script_line(prog) if started == [SCRIPT] else prog
