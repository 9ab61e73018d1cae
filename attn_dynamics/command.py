"""What a command tells the shell: exit codes, and one line in the place of a traceback."""

import sys
from collections.abc import Callable

from attn_dynamics.errors import InputError, StorageError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
"""Exit codes: it ran and what it did failed, the input cannot be used or a result not be written, Ctrl-C."""


def guarded(run: Callable[[], int], *, interrupted: str) -> int:
    """The exit code of a command; `interrupted` is what to say on Ctrl-C."""
    try:
        return run()
    except (InputError, StorageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return INTERRUPTED
