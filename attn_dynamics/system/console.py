"""Where commands print their tables."""

from rich.console import Console

NARROWEST = 40
"""Columns below which a table cannot be laid out."""


def console() -> Console:
    """Return the terminal, which prints text as it is; one of fewer columns is written to as if it had `NARROWEST`."""
    found = Console(markup=False, highlight=False)
    found.width = max(found.width, NARROWEST)
    return found
