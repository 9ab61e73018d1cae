"""Exit codes and error messages of a command, and the record of its call in its folder."""

import atexit
import gc
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from attn_dynamics.check import shown
from attn_dynamics.errors import InputError, StorageError
from attn_dynamics.files.output import COMMAND
from attn_dynamics.files.storage import write_whole
from attn_dynamics.system.interrupt import INTERRUPTED, interruptible
from attn_dynamics.system.options import by_option, read_options
from attn_dynamics.system.script import called
from attn_dynamics.system.streams import steady_streams

Given = TypeVar("Given")
FAILED, BAD_INPUT = 1, 2
"""Exit codes: the command ran and failed; its input cannot be used or a result cannot be written."""


def run_command(
    options: type[Given],
    run: Callable[[Given], int],
    arguments: Sequence[str] | None = None,
    *,
    prog: str,
    interrupted: str = "interrupted before anything was computed",
) -> int:
    """Read the options of a command, run it with them, and return its exit code.

    Args:
        options: class of the command's options.
        run: function that runs the command with its options.
        arguments: arguments of the command line; by default those of this process.
        prog: line `python -m MODULE` that calls the command.
        interrupted: message on Ctrl-C.
    """

    def with_options() -> int:
        try:
            return run(read_options(options, arguments, called(prog)))
        except InputError as error:
            raise by_option(error, options) from None

    return exit_code_of(with_options, interrupted=interrupted)


def run_recorded(
    options: type[Given],
    run: Callable[[Given, str], int],
    arguments: Sequence[str] | None = None,
    *,
    prog: str,
    interrupted: str = "interrupted before anything was computed",
) -> int:
    """Run a command like `run_command`, and also pass it the line that calls it."""
    line = command_line(called(prog), arguments)
    return run_command(options, lambda given: run(given, line), arguments, prog=prog, interrupted=interrupted)


def exit_code_of(run: Callable[[], int], *, interrupted: str) -> int:
    """Run a command and return its exit code; print `interrupted` on Ctrl-C."""
    steady_streams()
    atexit.register(gc.freeze)  # otherwise Python searches all objects for cycles as it ends, a fifth of a short run
    try:
        with interruptible():
            code = run()
            sys.stdout.flush()  # standard output may be a file on a full disk
            return code
    except (InputError, StorageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except MemoryError:
        print("error: memory: expected enough for these sizes, got too little. Give smaller sizes.", file=sys.stderr)
        return FAILED
    except OSError as error:
        refusal = InputError(
            shown(str(error.filename or "a file")),
            expected="to read or write it",
            given=error.strerror or error,
            fix="Name another path.",
        )
        print(f"error: {refusal}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return INTERRUPTED


def command_line(prog: str, arguments: Sequence[str] | None) -> str:
    """Return the line that calls a command with these arguments, by default those of this process, without --resume."""
    given = sys.argv[1:] if arguments is None else arguments
    return shlex.join([*shlex.split(prog), *(each for each in given if each != "--resume")])


def record_command(folder: Path, line: str) -> None:
    """Write the line that calls the command into its folder.

    Raises:
        StorageError: the file could not be written.
    """
    write_whole(folder / COMMAND, lambda file: file.write(os.fsencode(f"{line}\n")))
