"""Benchmarks of training time, beside PyTorch and JAX, and by size: all, or those named.

python -m benchmarks paper window
"""

import inspect
import sys
from dataclasses import dataclass
from typing import ClassVar

import tyro

from attn_dynamics.check import some_of
from attn_dynamics.commands.shell import run_command
from benchmarks.growth import growth
from benchmarks.replicates import replicates
from benchmarks.rivals import paper, sst2
from benchmarks.rules import rules
from benchmarks.whole_jobs import whole_jobs
from benchmarks.window import window

BENCHMARKS = {
    "paper": paper,
    "sst2": sst2,
    "growth": growth,
    "replicates": replicates,
    "rules": rules,
    "jobs": whole_jobs,
    "window": window,
}


@dataclass(frozen=True)
class Options:
    """Measure how long training takes."""

    benchmarks: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names of benchmarks to run; by default all."""

    EXAMPLE: ClassVar = "paper growth"


Options.__doc__ = f"{Options.__doc__}\n\n" + "\n".join(
    f"- {name}: {inspect.cleandoc(each.__doc__ or '')}" for name, each in BENCHMARKS.items()
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(Options, run, arguments, prog="python -m benchmarks", interrupted="interrupted")


def run(options: Options) -> int:
    """Run the named benchmarks, or all; return the exit code.

    Raises:
        InputError: a name is unknown; nothing was run.
    """
    some_of("benchmarks", options.benchmarks, BENCHMARKS)
    for name in options.benchmarks or BENCHMARKS:
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
