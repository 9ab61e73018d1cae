"""The terminal, and tables for it."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

NARROWEST = 40
"""Least width of the terminal, in characters, for which tables are laid out."""


def console() -> Console:
    """Return the terminal, which prints text without markup and counts as at least `NARROWEST` characters wide."""
    found = Console(markup=False, highlight=False)
    found.width = max(found.width, NARROWEST)
    return found


def table(
    title: str, names: Iterable[str], rows: Iterable[Sequence[str]], right: Collection[str] = (), **look: Any
) -> Table:
    """Return a table of plain text; the columns named in `right` are aligned to the right."""
    out = Table(title=title, **look)
    for name in names:
        out.add_column(str(name), justify="right" if name in right else "left")
    for row in rows:
        out.add_row(*map(Text, row))
    return out
