"""Table of verdicts for the terminal, for Markdown, and as a self-contained HTML page."""

import base64
import html
import math
import re
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
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
STYLE = """
details.claim { border-bottom: 1px solid #ddd; padding: .3rem 0; }
details.claim > summary { cursor: pointer; }
details.claim b { display: inline-block; min-width: 2.6rem; }
details.claim > div { margin: .4rem 0 .8rem 1.2rem; }
.verdict { font-weight: 600; margin-left: .5rem; }
.bad .verdict { color: #b00020; }
details.claim img { max-width: 100%; vertical-align: middle; }
details.claim p { margin: .3rem 0; }
"""
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Verdicts</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; color: #111; }}
{style}
</style>
<h1>Verdicts</h1>
<p>{summary}</p>
{claims}
</html>
"""


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
    told = _facts(row) | {told: getattr(row, name) for name, told in _story(row).items()} | where
    listed = "".join(f"- {name}: {value}\n" for name, value in told.items())
    return f"\n## {row.id} {row.name}: {row.verdict}\n\n{row.statement}\n\n{listed}"


def page(rows: Sequence[Row], folder: Path) -> str:
    """Write a self-contained HTML page, for a file in a folder."""
    return PAGE.format(style=STYLE, summary=html.escape(summary(rows)), claims=html_claims(rows, folder))


def html_claims(rows: Sequence[Row], folder: Path) -> str:
    """Write one line per claim, which unfolds to its statement, its judgement and its assumptions."""
    return "\n".join(_html_claim(row, folder) for row in rows)


def _html_claim(row: Row, folder: Path) -> str:
    holds = row.verdict == HOLDS
    facts = ", ".join(f"{name} {value}" for name, value in _facts(row).items())
    address = link(row.id, folder)
    where = f'<p><a href="{html.escape(address)}">{row.id} in docs/theory.md</a></p>' if address else ""
    story = [f"<p>{told}: {html.escape(getattr(row, name))}</p>" for name, told in _story(row).items()]
    return (
        f'<details class="claim{"" if holds else " bad"}"{"" if holds else " open"}>'
        f"<summary><b>{row.id}</b> {html.escape(row.name)} "
        f'<span class="verdict">{html.escape(row.verdict)}</span></summary>'
        f"<div><p>{_drawn(row.statement)}</p><p>{html.escape(facts)}</p>{''.join(story)}{where}</div></details>"
    )


def _facts(row: Row) -> dict[str, str]:
    known = {name.replace("_", " "): _cell(row, name) for name in FACTS}
    return {name: value for name, value in known.items() if value}


def _story(row: Row) -> dict[str, str]:
    return {name: told for name, told in STORY.items() if getattr(row, name)}


@cache
def _drawn(statement: str) -> str:
    if not statement.startswith("$"):
        return html.escape(statement)
    buffer = BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "mathtext.fontset": "cm"}):
        math_to_image(statement, buffer, format="svg")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(statement)}" src="data:image/svg+xml;base64,{data}">'


def _cell(row: Row, name: str) -> str:
    value = getattr(row, name)
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"
