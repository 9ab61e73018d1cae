"""All results of commands on one self-contained HTML page.

python -m analysis.report
"""

import base64
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import tyro
from markupsafe import Markup
from PIL import Image

from analysis import render
from analysis.judge import read_rows
from analysis.provenance import moment, provenance
from attn_dynamics.commands.shell import run_command
from attn_dynamics.commands.window_run import off_theory
from attn_dynamics.errors import InputError
from attn_dynamics.files.output import COMMAND, default_file, expanded, results_file
from attn_dynamics.files.storage import read_json_object, read_parquet, write_whole
from attn_dynamics.results.folder import TRAJECTORY
from attn_dynamics.results.summary import broken, largest_difference, word_rows
from attn_dynamics.statistics import in_words, shown_as
from attn_dynamics.tasks.class_labels import listed
from attn_dynamics.training.corpus_config import WINDOW

TABLE, RESULTS, SUMMARY, VERDICTS = "table.csv", "results.parquet", "summary.json", "verdicts.parquet"
"""Files that a folder may hold beside its command and figures, in the order of preference."""
PAGE = Path("runs/report.html")
BROKEN = "broken_assumptions"
"""Column of a sweep that is shown if any run breaks an assumption, even if all break the same."""
FIRST = ("replicates", "sen", "width", "words", "tokens", "bell", "loss")
"""Figures that precede all others, in this order."""
TITLE = "How attention learns: what was run"


class Picture(NamedTuple):
    """A figure embedded in the page."""

    name: str
    data: str
    """Image as a data URI."""


class Part(NamedTuple):
    """Results of one command."""

    anchor: str
    title: str
    command: str
    when: str
    note: str
    """Number of claims that hold."""
    remarks: list[str]
    """Assumptions that fail."""
    tables: list[Markup]
    claims: list[dict[str, Any]]
    """Content of the folded section of claims."""
    figures: list[Picture]


@dataclass(frozen=True)
class Options:
    """Write one page with the results that commands left in their folders."""

    folders: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of results; by default all under --under."""
    under: Path = Path("runs")
    """Folder in which to look for folders of results."""
    out: Path | None = None
    """File of the page; by default a new one, runs/report.html with a number."""
    overwrite: bool = False
    """Replace the page if it exists."""

    EXAMPLE: ClassVar = "runs/attn-tc-synthetic-seed0 --out report.html"


def run(options: Options) -> int:
    """Gather the results and write the page; return the exit code.

    Raises:
        InputError: there are no results, a folder is not from a command, or the page already exists.
        StorageError: the page could not be written.
    """
    named = options.out and results_file("--out", options.out, overwrite=options.overwrite, make=True)
    folders = options.folders or tuple(found(expanded(options.under, "--under")))
    if not folders:
        fix = "Run something first, as python -m attn_dynamics.simulate does."
        raise InputError("--under", expected="folders of results", given=f"none in {options.under}", fix=fix)
    with nullcontext(named) if named else default_file(PAGE, overwrite=options.overwrite) as out:
        text = page([part(folder, out.parent) for folder in folders])
        write_whole(out, lambda file: file.write(text.encode(errors="replace")))
    print(f"{len(folders)} parts in {out}")
    return 0


def found(under: Path) -> Iterator[Path]:
    """Yield every folder of results, runs first and claims last, NAME-2 before NAME-10, none inside another."""
    marked = sorted((path.parent for path in under.rglob(COMMAND)), key=_naturally)
    whole = [folder for folder in marked if not any(other in folder.parents for other in marked)]
    yield from sorted(whole, key=lambda folder: ((folder / VERDICTS).exists(), not (folder / TRAJECTORY).exists()))


def _naturally(path: Path) -> list[list[str | int]]:
    """Return a sort key for paths that orders numbers in names by size."""
    return [[int(each) if each.isdecimal() else each for each in re.split(r"(\d+)", name)] for name in path.parts]


def part(folder: Path, place: Path) -> Part:
    """Read the results in a folder, for a page in the folder `place`.

    Raises:
        InputError: no command made the folder, or its files cannot be read.
    """
    try:
        command = (folder / COMMAND).read_text(encoding="utf-8", errors="replace").strip()
        when = moment((folder / COMMAND).stat().st_mtime)
        figures = [Picture(path.stem, _data(path)) for path in ranked(folder)]
        note, claims = _claims(folder, place)
        tables = [] if claims else _tables(folder)
        remarks = _remarks(folder)
    except InputError:
        raise
    except (OSError, ValueError, KeyError) as error:
        fix = "Run its command again, or leave it out."
        raise InputError(
            "folder", expected="results that a command left", given=f"{folder}: {error}", fix=fix
        ) from None
    anchor = "-".join(folder.parts).strip("-./")
    return Part(anchor, folder.name, command, when, note, remarks, tables, claims, figures)


def page(parts: Sequence[Part]) -> str:
    """Fill in the page's template."""
    return render.filled("report.html", title=TITLE, parts=parts, facts=provenance())


def ranked(folder: Path) -> list[Path]:
    """Return the figures in a folder of results by their importance."""
    return sorted([*folder.glob("*.png"), *folder.glob("figures/*.png")], key=_rank)


def _rank(path: Path) -> tuple[int, str]:
    """Return a sort key for figures by their importance."""
    return (FIRST.index(path.stem) if path.stem in FIRST else len(FIRST)), path.stem


def _claims(folder: Path, place: Path) -> tuple[str, list[dict[str, Any]]]:
    """Return the summary of a folder's verdicts and what is said of each claim; nothing without verdicts."""
    rows = read_rows(folder / VERDICTS) if (folder / VERDICTS).exists() else []
    return render.summary(rows) if rows else "", render.claims(rows, place)


def _tables(folder: Path) -> list[Markup]:
    """Return the tables of a folder; without a table those of its summary."""
    if (folder / TABLE).exists():
        frames = [pd.read_csv(folder / TABLE, keep_default_na=False)]
    elif (folder / RESULTS).exists():
        frames = [_columns_that_differ(read_parquet(folder / RESULTS))]
    elif (folder / SUMMARY).exists():
        frames = _of_summary(read_json_object(folder / SUMMARY))
    else:
        return []
    return [Markup(frame.to_html(index=False, border=0, float_format="{:.4g}".format)) for frame in frames]


def _remarks(folder: Path) -> list[str]:
    """Describe the assumptions that a run breaks, from its summary; a sweep has them in its rows."""
    summary = read_json_object(folder / SUMMARY) if (folder / SUMMARY).exists() else {}
    describe = off_theory if summary.get("model") == WINDOW else broken
    return describe(summary) if "assumptions" in summary else []


def _of_summary(summary: dict[str, Any]) -> list[pd.DataFrame]:
    """Return tables of a run's words beside the theory and of its other numbers; for replicates, their means."""
    words, runs = summary.pop("words", None), summary.pop("runs", [])
    if classes := summary.pop("classes", None):
        summary["classes"] = listed(list(classes))
    for name in summary.pop("confidence_95", {}):
        summary[name] = in_words(np.array([run[name] for run in runs], float))
    rest = pd.DataFrame(flat(summary), columns=["quantity", shown_as(len(runs)) if runs else "value"])
    return [_of_words(words), rest] if words else [rest]


def _of_words(words: dict[str, Any]) -> pd.DataFrame:
    """Return a table of a run's words beside SEN, with the largest difference in the last row."""
    finals = {word: {name: np.nan if x is None else x for name, x in each.items()} for word, each in words.items()}
    rows, largest = word_rows({"words": finals}), largest_difference({"words": finals})
    foot = [dict.fromkeys(rows[0], "") | {"word": "largest", "difference": largest}] if largest else []
    frame = pd.DataFrame(rows + foot)
    return frame.loc[:, (frame != "").any()]


def _columns_that_differ(results: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a sweep that differ between runs, in settings and results."""
    texts = results.astype(str)
    named = {BROKEN} if BROKEN in results and any(results[BROKEN].fillna("")) else set()
    columns = [name for name in texts if name in named or len(texts) == 1 or len({*texts[name]}) > 1]
    return results.loc[:, columns]


def flat(content: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and values, nested names with their path; lists and null values are left out."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name} · ")
        elif isinstance(value, float):
            yield above + name, f"{value:.4g}"
        elif not isinstance(value, list) and value is not None:
            yield above + name, str(value)


def _data(path: Path) -> str:
    """Return a figure in 256 colours as a data URI, which looks the same at a third of the bytes."""
    buffer = BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").quantize().save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


main = partial(run_command, Options, run, prog="python -m analysis.report", interrupted="interrupted")

if __name__ == "__main__":
    sys.exit(main())
