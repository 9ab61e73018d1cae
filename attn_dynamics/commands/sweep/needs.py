"""What sweeps need beyond the core, the extra `distributed`; imported only where it is used."""

from importlib import import_module
from types import ModuleType

from attn_dynamics.errors import InputError
from attn_dynamics.system.extras import how_to_get

NEEDED = ("distributed", "pyarrow")
"""The libraries of that extra."""


def needed(name: str) -> ModuleType:
    """A module of that extra.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        fix = how_to_get("distributed")
        raise InputError(name, expected="this library to be installed", given=error, fix=fix) from None
