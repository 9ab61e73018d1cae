"""The console script: `attn-dynamics simulate …` is the same as `python -m attn_dynamics.simulate …`.

A wheel contains the packages of proofs, experiments and analysis below this package, where their names cannot collide.
The script makes them importable in its own process.
"""

import runpy
import sys
from pathlib import Path

from attn_dynamics.check import did_you_mean, shown
from attn_dynamics.commands.listing import commands
from attn_dynamics.errors import InputError
from attn_dynamics.system.extras import LIBRARIES, ROOT, require
from attn_dynamics.system.interrupt import end_at_once
from attn_dynamics.system.script import COMMANDS, EXPERIMENT, SCRIPT
from attn_dynamics.system.version import VERSION

BUNDLED = Path(__file__).parents[1] / "_bundled"
"""Folder of the packages that a wheel carries; a checkout has them beside this package."""


def main() -> int:
    """Run the command that the first argument names; return the exit code."""
    end_at_once()
    name, *rest = sys.argv[1:] or ["--help"]
    if name == "--version":
        print(f"{SCRIPT} {VERSION}")
        return 0
    if name in ("-h", "--help"):
        print(f"usage: {SCRIPT} COMMAND [OPTIONS]\n")
        for each, command in COMMANDS.items():
            print(f"  {each:<11} {command.purpose}")
        print(f"\n{SCRIPT} COMMAND --help tells the options of a command.")
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
    """Return the module of a command, and make it importable; for an experiment, remove its name from the arguments.

    Raises:
        InputError: there is no such command or experiment, or a library is missing.
    """
    if name not in COMMANDS:
        given, fix = shown(name), did_you_mean(name, COMMANDS)
        raise InputError("command", expected=f"one of {', '.join(COMMANDS)}", given=given, fix=fix)
    module, _, extra = COMMANDS[name]
    if extra:
        require(extra, *LIBRARIES[extra])
    folder = BUNDLED if BUNDLED.is_dir() else ROOT
    sys.path.insert(0, str(folder))
    if name != EXPERIMENT or not rest or rest[0].startswith("-"):
        return module
    experiment, known = rest.pop(0), [each.rpartition(".")[2] for each in commands(folder / module)]
    if experiment not in known:
        fix = did_you_mean(experiment, known)
        raise InputError(name, expected=f"one of {', '.join(known)}", given=shown(experiment), fix=fix)
    return f"{module}.{experiment}"
