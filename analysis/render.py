"""The table of verdicts for the terminal, for Markdown and as a page of HTML that needs nothing beside it."""

import base64
import html
import math
import re
from collections.abc import Sequence
from functools import cache
from io import BytesIO

import matplotlib as mpl
from matplotlib.mathtext import math_to_image
from rich.table import Table
from rich.text import Text

from analysis.judge import HOLDS, Row

STORY = {
    "proved": "proved",
    "assumptions": "assumes",
    "quantity": "measured",
    "tolerance": "bound",
    "detail": "seen",
    "taken": "proof takes",
}
"""Fields of a row that are sentences, and what they are called."""
SHOWN = (
    "id",
    "statement",
    "source",
    "proof",
    "measured",
    "bound",
    "slack",
    "rests_on",
    "control",
    "verdict",
    "seconds",
)
"""The other columns; parquet has all."""
TITLES = [name.replace("_", " ") for name in SHOWN]
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Verdicts</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .4rem .6rem; text-align: left; vertical-align: top; }}
td.statement {{ min-width: 34rem; }}
img {{ vertical-align: middle; max-width: 100%; }}
small {{ color: #444; }}
</style>
<h1>Verdicts</h1>
<p>{summary}</p>
{table}
</html>
"""


def summary(rows: Sequence[Row]) -> str:
    """How many claims there are, and how many hold."""
    held = sum(row.verdict == HOLDS for row in rows)
    proved = sum(row.proof.startswith("proved") for row in rows)
    measured = sum(bool(row.quantity) for row in rows)
    size = " and ".join(sorted({row.size for row in rows}))
    story = f"{held} of {len(rows)} claims hold; {proved} have a proof, {measured} are measured"
    return f"{story} ({size} size)."


def table(rows: Sequence[Row]) -> Table:
    """For the terminal, which is too narrow for statements."""
    out = Table(title=summary(rows))
    for name in ("id", "proof", "measured", "bound", "controls", "verdict", "s"):
        out.add_column(name, justify="right" if name in ("measured", "bound", "s") else "left", no_wrap=True)
    for row in rows:
        proof = re.sub(r" for .*,", " (a case),", row.proof.replace(" mutants rejected", ""))
        cells = (row.id, proof, _number(row.measured), _number(row.bound), row.control, row.verdict)
        out.add_row(*map(Text, (*cells, f"{row.seconds:.1f}")), style="" if row.verdict == HOLDS else "bold red")
    return out


def remarks(rows: Sequence[Row]) -> list[str]:
    """What there is to say of claims that do not hold."""
    return [
        f"{row.id}: {_number(row.measured)} against a bound of {_number(row.bound)}, controls {row.control}; "
        f"bound over value {row.slack or 'not told'}; {row.quantity}; {row.detail or row.proof}"
        for row in rows
        if row.verdict != HOLDS
    ]


def markdown(rows: Sequence[Row]) -> str:
    """A table whose statements a reader of Markdown sets as mathematics."""
    titles, names = [*TITLES, *STORY.values()], (*SHOWN, *STORY)
    lines = [f"{summary(rows)}", "", f"| {' | '.join(titles)} |", "|" + "---|" * len(names)]
    for row in rows:
        lines.append("| " + " | ".join(_cell(row, name).replace("|", r"\|") for name in names) + " |")
    return "\n".join(lines) + "\n"


def page(rows: Sequence[Row]) -> str:
    """A page of HTML of its own."""
    return PAGE.format(summary=html.escape(summary(rows)), table=html_table(rows))


def html_table(rows: Sequence[Row]) -> str:
    """In HTML, with every statement drawn, and below it what is assumed, measured, and taken for a bound."""
    lines = []
    for row in rows:
        cells = {name: html.escape(_cell(row, name)) for name in SHOWN}
        story = [f"<small>{told}: {html.escape(getattr(row, name))}</small>" for name, told in _story(row).items()]
        cells["statement"] = "<br>".join([_drawn(row.statement), *story])
        lines.append("<tr>" + "".join(f'<td class="{name}">{cells[name]}</td>' for name in SHOWN) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in TITLES)
    return "\n".join(["<table>", f"<tr>{head}</tr>", *lines, "</table>"])


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
