"""Optional dependencies: asked for where they are needed, by the extra that brings them."""

from importlib.util import find_spec
from pathlib import Path

from attn_dynamics.errors import InputError

ROOT = Path(__file__).parents[2]
"""The checkout, or the folder that packages are installed in."""


def how_to_get(extra: str) -> str:
    """Return what to do where a library of an extra is missing, in a checkout or beside an installed wheel."""
    if (ROOT / "pyproject.toml").is_file():
        return f'Run pip install -e ".[{extra}]" in the folder of the project.'
    return f'Run pip install "attn-dynamics[{extra}]".'


def require(extra: str, *names: str) -> None:
    """See that these libraries of an extra are installed.

    Raises:
        InputError: one is not.
    """
    for name in names:
        if find_spec(name) is None:
            raise InputError(name, expected="this library to be installed", given="none", fix=how_to_get(extra))
