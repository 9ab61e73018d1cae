"""Everything that was run, on one page of HTML that needs nothing beside it.

python -m analysis.report
"""

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import tyro
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis import render
from analysis.judge import Row
from attn_dynamics.command import COMMAND, run_command
from attn_dynamics.errors import InputError
from attn_dynamics.storage import make_folder, write_whole

TABLE, RESULTS, SUMMARY, VERDICTS = "table.csv", "results.parquet", "summary.json", "verdicts.parquet"
"""What a folder may hold beside its command and figures, in the order of preference."""
TITLE = "How attention learns: what was run"


class Picture(NamedTuple):
    """A figure within the page."""

    name: str
    data: str
    """As a data URI."""


class Part(NamedTuple):
    """What one command left."""

    anchor: str
    title: str
    command: str
    note: str
    table: Markup
    figures: list[Picture]


@dataclass(frozen=True)
class Options:
    """One page of what commands left in their folders."""

    folders: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of results; by default all under --under."""
    under: Path = Path("runs")
    """Where to look for folders of results."""
    out: Path = Path("runs/report.html")
    """The page."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    prog = "python -m analysis.report"
    return run_command(Options, run, arguments, prog=prog, interrupted="interrupted")


def run(options: Options) -> int:
    """Gather and write; the exit code.

    Raises:
        InputError: there is nothing to gather, or a folder is none that a command left.
        StorageError: the page could not be written.
    """
    folders = options.folders or tuple(found(options.under))
    if not folders:
        fix = "Run something first, as python -m attn_dynamics.simulate does."
        raise InputError("--under", expected="folders of results", given=f"none in {options.under}", fix=fix)
    text = page([part(folder) for folder in folders])
    make_folder(options.out.parent)
    write_whole(options.out, lambda file: file.write(text.encode()))
    print(f"{len(folders)} parts in {options.out}")
    return 0


def found(under: Path) -> Iterator[Path]:
    """Every folder that a command left, claims first, and none within another."""
    marked = sorted(path.parent for path in under.rglob(COMMAND))
    whole = [folder for folder in marked if not any(other in folder.parents for other in marked)]
    yield from sorted(whole, key=lambda folder: not (folder / VERDICTS).exists())


def part(folder: Path) -> Part:
    """What is in a folder.

    Raises:
        InputError: no command left it, or what it holds cannot be read.
    """
    try:
        command = (folder / COMMAND).read_text().strip()
        note, table = _table(folder)
        images = sorted([*folder.glob("*.png"), *folder.glob("figures/*.png")])
        figures = [Picture(path.stem, _data(path)) for path in images]
    except (OSError, ValueError) as error:
        fix = "Run its command again, or leave it out."
        raise InputError(
            "folder", expected="results that a command left", given=f"{folder}: {error}", fix=fix
        ) from None
    return Part("-".join(folder.parts).strip("-./"), folder.name, command, note, table, figures)


def page(parts: Sequence[Part]) -> str:
    """The page."""
    files = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=files, autoescape=True, undefined=StrictUndefined).get_template("report.html.jinja")
    return template.render(title=TITLE, parts=parts)


def _table(folder: Path) -> tuple[str, Markup]:
    """A remark and the table of a folder; the summary where there is no other."""
    if (folder / VERDICTS).exists():
        records = pd.read_parquet(folder / VERDICTS).to_dict("records")
        rows = [Row(**{str(name): value for name, value in record.items()}) for record in records]
        return render.summary(rows), Markup(render.html_table(rows))
    if (folder / TABLE).exists():
        frame = pd.read_csv(folder / TABLE, keep_default_na=False)
    elif (folder / RESULTS).exists():
        frame = _columns_that_differ(pd.read_parquet(folder / RESULTS))
    elif (folder / SUMMARY).exists():
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        if not isinstance(summary, dict):
            raise ValueError(f"{SUMMARY} holds no names and values")
        frame = pd.DataFrame(flat(summary), columns=["quantity", "value"])
    else:
        return "", Markup("")
    return "", Markup(frame.to_html(index=False, border=0, float_format="{:.4g}".format))


def _columns_that_differ(results: pd.DataFrame) -> pd.DataFrame:
    """Of a sweep what tells its runs apart, in settings and results."""
    texts = results.astype(str)
    differ = [len(results) == 1 or texts[name].nunique() > 1 for name in results.columns]
    return results.loc[:, differ]


def flat(content: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of nested ones, lists of more than numbers left out."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name} · ")
        elif isinstance(value, float):
            yield above + name, f"{value:.4g}"
        elif not isinstance(value, list):
            yield above + name, "" if value is None else str(value)


def _data(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


if __name__ == "__main__":
    sys.exit(main())
