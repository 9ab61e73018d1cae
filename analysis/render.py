"""Table of verdicts for the terminal, for Markdown, and as a self-contained HTML page."""

import base64
import math
import re
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.mathtext import math_to_image
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.judge import HOLDS, Row
from analysis.links import link

STORY = {
    "proved": "proved",
    "assumptions": "assumes",
    "quantity": "quantity",
    "tolerance": "tolerance",
    "detail": "seen",
    "taken": "proof takes",
}
"""Label of each field of a row that is a sentence."""
COLUMNS = ("id", "name", "proof", "measured", "bound", "controls", "verdict")
"""Columns of the table for the terminal and for Markdown; the Parquet file has all fields."""
FACTS = ("proof", "measured", "bound", "slack", "rests_on", "control", "source", "seconds")
"""Fields of a claim that are a word or a number."""
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


def summary(rows: Sequence[Row]) -> str:
    """Return the number of claims, and how many hold."""
    held = sum(row.verdict == HOLDS for row in rows)
    proved = sum(row.proof.startswith("proved") for row in rows)
    measured = sum(bool(row.quantity) for row in rows)
    size = " and ".join(sorted({row.size for row in rows}))
    story = f"{held} of {len(rows)} claims hold; {proved} have a proof, {measured} are measured"
    return f"{story} ({size} size)."


def table(rows: Sequence[Row]) -> Table:
    """Show verdicts in the terminal, which is too narrow for statements."""
    out = Table(title=summary(rows), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        out.add_column(name, justify="right" if name in ("measured", "bound") else "left")
    for row in rows:
        out.add_row(*map(Text, _cells(row)), style="" if row.verdict == HOLDS else "bold red")
    return out


def _cells(row: Row) -> tuple[str, ...]:
    """Return the table cells of a claim."""
    proof = re.sub(r"^proved for .*,", "a case,", row.proof.replace(" mutants rejected", "")).replace(",", "")
    return row.id, row.name, proof, _number(row.measured), _number(row.bound), row.control, row.verdict


def remarks(rows: Sequence[Row]) -> list[str]:
    """Return remarks on claims that do not hold."""
    return [
        f"{row.id}: {_number(row.measured)} against a bound of {_number(row.bound)}, controls {row.control}; "
        f"bound over value {row.slack or 'not told'}; {row.quantity}; {row.detail or row.proof}"
        for row in rows
        if row.verdict != HOLDS
    ]


def markdown(rows: Sequence[Row], folder: Path) -> str:
    """Write the table, and below it how each claim was judged, for a file in a folder."""
    lines = ["# Verdicts", "", summary(rows), "", f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n" + "".join(_markdown_claim(row, folder) for row in rows)


def _markdown_claim(row: Row, folder: Path) -> str:
    """Write a section with the statement as mathematics for Markdown readers."""
    address = link(row.id, folder)
    where = {"passage": f"[docs/theory.md]({address})"} if address else {}
    listed = "".join(f"- {name}: {value}\n" for name, value in (_facts(row) | _story(row) | where).items())
    return f"\n## {row.id} {row.name}: {row.verdict}\n\n{row.statement}\n\n{listed}"


def page(rows: Sequence[Row], folder: Path) -> str:
    """Write a self-contained HTML page, for a file in a folder."""
    return filled("verdicts.html", summary=summary(rows), claims=claims(rows, folder))


def filled(template: str, **content: Any) -> str:
    """Fill in a template of this folder, as "report.html"."""
    return TEMPLATES.get_template(f"{template}.jinja").render(**content)


def claims(rows: Sequence[Row], folder: Path) -> list[dict[str, Any]]:
    """Return what a page in a folder says of each claim: one line, which unfolds to its statement and its judgement."""
    return [
        {
            "row": row,
            "holds": row.verdict == HOLDS,
            "facts": _facts(row),
            "story": _story(row),
            "image": _drawn(row.statement) if row.statement.startswith("$") else "",
            "address": link(row.id, folder),
        }
        for row in rows
    ]


def _facts(row: Row) -> dict[str, str]:
    known = {name.replace("_", " "): _cell(row, name) for name in FACTS}
    return {name: value for name, value in known.items() if value}


def _story(row: Row) -> dict[str, str]:
    return {label: getattr(row, name) for name, label in STORY.items() if getattr(row, name)}


@cache
def _drawn(formula: str) -> str:
    """Return a formula as the address of an image."""
    buffer = BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "mathtext.fontset": "cm"}):
        math_to_image(formula, buffer, format="svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _cell(row: Row, name: str) -> str:
    value = getattr(row, name)
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"
