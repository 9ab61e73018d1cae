"""The command: print a script by which a shell completes the commands of the console script and their options.

attn-dynamics completion bash
"""

import sys
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, make_dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Union

import tyro

from attn_dynamics.commands.listing import commands
from attn_dynamics.commands.shell import run_command
from attn_dynamics.commands.window_config import WindowConfig
from attn_dynamics.system.extras import LIBRARIES
from attn_dynamics.system.options import option_types
from attn_dynamics.system.script import COMMANDS, EXPERIMENT, SCRIPT
from attn_dynamics.training.corpus_config import Config

SIMULATE = make_dataclass("Simulate", [], bases=(Config, WindowConfig), frozen=True)
"""Options of `simulate`, for models of a corpus and for windows together."""

FILES_IN_BASH = {
    "complete -F ": "complete -o bashdefault -o default -F ",
    'matches+=("$completion")': '[[ -z "$completion" ]] || matches+=("$completion")',
}
"""Lines of the script for bash, and what they have to be so that bash offers files where the script offers nothing."""


@dataclass(frozen=True)
class Options:
    """Print a script that completes commands and options; options of a command need its extra."""

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]]
    """Shell that is to read the script."""

    EXAMPLE: ClassVar = "bash"


def run(options: Options) -> int:
    """Print the script; return the exit code."""
    whole = _choice({name: (_of_command(name), command.purpose) for name, command in COMMANDS.items()})
    printed = StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        tyro.cli(whole, args=["--tyro-write-completion", options.shell, "-"], prog=SCRIPT)
    script = printed.getvalue()
    for found, wanted in FILES_IN_BASH.items():
        script = script.replace(found, wanted)
    print(script, end="")
    return 0


def _of_command(name: str) -> Any:
    """Return the options of a command as tyro reads them; none if its extra is not installed."""
    module, _, extra = COMMANDS[name]
    if extra and not all(map(find_spec, LIBRARIES[extra])):
        return make_dataclass(name, [])
    if name == EXPERIMENT:
        folder = Path(import_module(module).__path__[0])
        named = {each.rpartition(".")[2]: (each, purpose) for each, purpose in commands(folder).items()}
        found = {each: (_of_module(module), purpose) for each, (module, purpose) in named.items()}
        return make_dataclass(name, [("experiment", _choice(found))])
    return option_types(SIMULATE) if name == "simulate" else _of_module(module)


def _of_module(module: str) -> Any:
    """Return the options of a module's `main`, which is `run_command` or `run_recorded` with them."""
    package = bool(find_spec(module).submodule_search_locations)  # pyright: ignore[reportOptionalMemberAccess]
    main: partial[int] = import_module(f"{module}.__main__" if package else module).main
    return option_types(main.args[0])


def _choice(named: dict[str, tuple[Any, str]]) -> Any:
    """Return the choice between subcommands, from the options and purpose of each by name."""
    each = [
        Annotated[kind, tyro.conf.subcommand(name=name, description=purpose)] for name, (kind, purpose) in named.items()
    ]
    return tyro.conf.OmitArgPrefixes[tyro.conf.OmitSubcommandPrefixes[Union[tuple(each)]]]  # noqa: UP007


main = partial(run_command, Options, run, prog="python -m attn_dynamics.commands.completion")

if __name__ == "__main__":
    sys.exit(main())
