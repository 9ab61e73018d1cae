"""The command line of a run, which is read before the slow libraries for training and drawing are imported."""

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from attn_dynamics.commands.shell import run_recorded
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.system.script import own_script
from attn_dynamics.training.corpus_config import WINDOW, Config


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    prog = (own_script() if arguments is None else None) or "python -m attn_dynamics.simulate"
    if not is_window(sys.argv[1:] if arguments is None else arguments):
        return run_recorded(Config, _simulate, arguments, prog=prog)
    from attn_dynamics.commands.window_config import WindowConfig

    return run_recorded(WindowConfig, _simulate, arguments, prog=prog)


def is_window(arguments: Sequence[str]) -> bool:
    """Return whether a command line asks for the model attn-window."""
    given = [each.partition("=")[::2] if "=" in each else (each, next_) for each, next_ in pairwise([*arguments, ""])]
    return ("--model", WINDOW) in given


def _simulate(config: Any, line: str) -> int:
    """Import the libraries of a run, and run it."""
    with deferred_interrupt() as asked:  # a library may catch KeyboardInterrupt during its import
        if config.model == WINDOW:
            from attn_dynamics.commands.window_run import simulate_window as simulate
        else:
            from attn_dynamics.commands.corpus_run import simulate
    if asked():
        raise KeyboardInterrupt
    return simulate(config, line)
