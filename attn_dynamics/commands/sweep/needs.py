"""Optional libraries of sweeps, the extra `distributed`; imported only on use."""

from importlib import import_module
from types import ModuleType

from attn_dynamics.errors import InputError
from attn_dynamics.system.extras import how_to_get

NEEDED = ("distributed", "pyarrow")
"""Libraries of the extra `distributed`."""


def needed(name: str) -> ModuleType:
    """Import a module of the extra `distributed`.

    Raises:
        InputError: the module is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        fix = how_to_get("distributed")
        raise InputError(name, expected="this library to be installed", given=error, fix=fix) from None
