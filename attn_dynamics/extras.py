"""Libraries that the core does without: asked for where they are needed, by the extra that brings them."""

from importlib.util import find_spec

from attn_dynamics.errors import InputError


def how_to_get(extra: str) -> str:
    """What to do where a library of an extra is missing."""
    return f'Run pip install -e ".[{extra}]" in the folder of the project.'


def require(extra: str, *names: str) -> None:
    """See that these libraries of an extra are installed.

    Raises:
        InputError: one is not.
    """
    for name in names:
        if find_spec(name) is None:
            raise InputError(name, expected="this library to be installed", given="none", fix=how_to_get(extra))
