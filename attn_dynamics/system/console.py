"""Terminal for the tables of commands."""

from rich.console import Console

NARROWEST = 40
"""Least number of columns in which a table can be laid out."""


def console() -> Console:
    """Return the terminal, which prints text without markup; a narrower one counts as `NARROWEST` columns wide."""
    found = Console(markup=False, highlight=False)
    found.width = max(found.width, NARROWEST)
    return found
