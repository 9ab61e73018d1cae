"""Optional dependencies, checked on use by the extra that installs them."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from attn_dynamics.errors import InputError

ROOT = Path(__file__).parents[2]
"""The checkout, or the folder of the installed packages."""
LIBRARIES = {"proofs": ("mpmath", "sympy"), "analysis": ("jinja2", "PIL", "pyarrow", "sympy")}
"""Libraries of the extras that whole commands need, by the names under which they are imported."""


def how_to_get(extra: str) -> str:
    """Return how to install an extra, for a checkout or an installed wheel."""
    if (ROOT / "pyproject.toml").is_file():
        return f'Run pip install -e ".[{extra}]" in the folder of the project.'
    return f'Run pip install "attn-dynamics[{extra}]".'


def require(extra: str, *names: str) -> None:
    """Check that libraries of an extra are installed.

    Raises:
        InputError: a library is not installed.
    """
    for name in names:
        if find_spec(name) is None:
            raise InputError(
                name, expected="this library to be installed", given=f"No module named {name!r}", fix=how_to_get(extra)
            )


def imported(extra: str, name: str) -> ModuleType:
    """Import a module of an extra.

    Raises:
        InputError: the module is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        fix = how_to_get(extra)
        raise InputError(name, expected="this library to be installed", given=error, fix=fix) from None
