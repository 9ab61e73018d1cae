"""The console script: `attn-dynamics simulate …` does what `python -m attn_dynamics.simulate …` does."""

import runpy
import sys
from pathlib import Path

from attn_dynamics.check import did_you_mean, shown
from attn_dynamics.commands.listing import commands
from attn_dynamics.errors import InputError
from attn_dynamics.system.version import VERSION

COMMANDS = {
    "simulate": ("attn_dynamics.simulate", "one run, or replicates of it, with its results in a folder"),
    "sweep": ("attn_dynamics.sweep", "every combination of the settings given, in one table"),
    "prove": ("proofs", "the theory, symbolically"),
    "verify": ("analysis.verdicts", "every claim, with the controls that must fail"),
    "experiment": ("simulations", "an experiment of the literature, by its name"),
    "figures": ("analysis.theory_figures", "the figures of the theory"),
    "report": ("analysis.report", "a page of all that was run"),
}
"""Module and purpose of each command."""
HELP = ("-h", "--help")


def main() -> int:
    """Run the command that the first argument names; return the exit code."""
    name, *rest = sys.argv[1:] or ["--help"]
    if name == "--version":
        print(f"attn-dynamics {VERSION}")
        return 0
    if name in HELP:
        print("usage: attn-dynamics COMMAND [OPTIONS]\n")
        for each, (_, purpose) in COMMANDS.items():
            print(f"  {each:<11} {purpose}")
        print("\nattn-dynamics COMMAND --help tells the options of a command.")
        return 0
    try:
        module = _module(name, rest)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    sys.argv[1:] = rest
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0


def _module(name: str, rest: list[str]) -> str:
    """Return the module of a command, and take an experiment's name off the arguments.

    Raises:
        InputError: there is no such command, or it needs the checkout.
    """
    if name not in COMMANDS:
        fix = did_you_mean(name, COMMANDS)
        raise InputError("command", expected=f"one of {', '.join(COMMANDS)}", given=shown(name), fix=fix)
    module = COMMANDS[name][0]
    if name == "experiment" and rest and not rest[0].startswith("-"):
        module = f"{module}.{rest.pop(0)}"
    if not module.startswith("attn_dynamics."):
        _enter_checkout(name, module)
    return module


def _enter_checkout(name: str, module: str) -> None:
    """Let the modules of the checkout be imported if this folder is one.

    Raises:
        InputError: this folder is no checkout, or has no such experiment.
    """
    here = Path.cwd()
    if not (here / "attn_dynamics").is_dir() or not (here / module.partition(".")[0]).is_dir():
        fix = "Clone the repository, and run this in its folder."
        raise InputError(name, expected="to be run in the checkout", given=shown(str(here)), fix=fix)
    sys.path.insert(0, str(here))
    package, _, own = module.partition(".")
    known = [each.rpartition(".")[2] for each in commands(here / package)] if own else []
    if own and package == "simulations" and own not in known:
        raise InputError(name, expected=f"one of {', '.join(known)}", given=shown(own), fix=did_you_mean(own, known))
