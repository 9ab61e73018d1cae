"""Terminal and tables of commands."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

NARROWEST = 40
"""Least number of columns in which a table can be laid out."""


def console() -> Console:
    """Return the terminal, which prints text without markup; a narrower one counts as `NARROWEST` columns wide."""
    found = Console(markup=False, highlight=False)
    found.width = max(found.width, NARROWEST)
    return found


def table(
    title: str, names: Iterable[str], rows: Iterable[Sequence[str]], right: Collection[str] = (), **look: Any
) -> Table:
    """Lay out rows of plain text below the names of their columns, of which some stand at the right."""
    out = Table(title=title, **look)
    for name in names:
        out.add_column(str(name), justify="right" if name in right else "left")
    for row in rows:
        out.add_row(*map(Text, row))
    return out
