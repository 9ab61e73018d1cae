"""How a single attention layer learns: exact-gradient simulators whose every run stands beside the theory."""

import ast
import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from attn_dynamics.system import interrupt

if interrupt.command_starts():
    interrupt.end_at_once()
if "MPLBACKEND" in os.environ:
    from attn_dynamics.system import backend as backend

from attn_dynamics.system.version import VERSION


def _public() -> dict[str, str]:
    """Return the module of each public name, which the stub beside this file imports."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    lines = (line for line in stub.body if isinstance(line, ast.ImportFrom))
    return {each.name: line.module or "" for line in lines for each in line.names}


__version__ = VERSION
_MODULES = _public()
__all__ = ["__version__", *sorted(_MODULES)]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, because the libraries behind all of them load for a second."""
    if name in _MODULES:
        globals()[name] = found = getattr(import_module(_MODULES[name]), name)
        return found
    if not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*_MODULES, "__doc__", "__version__"})
