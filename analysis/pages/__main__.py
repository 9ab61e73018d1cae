"""The command: a page a claim, the graph of the claims, and the gallery of figures, in Markdown.

python -m analysis.pages --out docs/generated
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from analysis.judge import IDS
from analysis.pages.claim_graph import ORDER, STANDINGS, Standing, below, graph
from analysis.pages.claim_page import Book, heading, in_short, least_excess, page, plain, share, standing
from analysis.pages.pictures import Picture, pictures
from analysis.render import filled
from analysis.theory_page import THEORY, groups, passages
from analysis.verdict_file import DOCS, VERDICTS, read
from attn_dynamics.commands.shell import record_command, run_recorded
from attn_dynamics.files.output import clear, expanded, of_command, results_folder
from attn_dynamics.files.storage import make_folder, write_whole

PROG = "python -m analysis.pages"
LEFT = of_command(PROG, "generated pages", "*.md", "graph.svg", "claims/*.md", "figures/*/*.png")


@dataclass(frozen=True)
class Options:
    """Write the pages that the registries, the theory and the published verdicts make."""

    out: Path = DOCS / "generated"
    """Folder for the pages."""
    figures: Path = Path("runs/gallery")
    """Folder of folders of results, as `make gallery` leaves them, whose figures the gallery shows."""
    overwrite: bool = False
    """Replace the pages in the folder."""

    EXAMPLE: ClassVar = "--out docs/generated --overwrite"


def run(options: Options, line: str) -> int:
    """Write all pages; return the exit code. `line` calls the command.

    Raises:
        InputError: the folder holds other files, or pages without --overwrite, or what is published cannot be read, or
            a figure says nowhere what it shows.
        StorageError: a page could not be written.
    """
    published = read() if (DOCS / VERDICTS).exists() else None
    with results_folder(LEFT, options.out, options.out, overwrite=options.overwrite) as folder:
        clear(folder, LEFT)
        record_command(folder, line)
        shown = [*pictures(expanded(options.figures, "--figures"), folder / "figures")]
        theory = THEORY.read_text(encoding="utf-8")
        book = Book(make_folder(folder / "claims"), passages(theory), groups(theory), published, shown)
        written = 0
        for name, text in _pages(book):
            write_whole(folder / name, lambda file, text=text: file.write(text.encode()))
            written += 1
    print(f"{written} pages in {options.out}")
    return 0


def _pages(book: Book) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page."""
    titles = {letter: group.title for letter, group in book.groups.items()}
    standings: dict[str, Standing] = {id: standing(id, book.outcome(id)) for id in IDS}
    known = [each for each in STANDINGS if each in standings.values()]
    lines = {id: _line(id, book) for id in IDS}
    facts = {"published": book.published, "lines": lines, "names": {id: heading(id) for id in IDS}}
    grouped = {letter: [id for id in IDS if id.startswith(letter)] for letter in ORDER}
    yield "graph.svg", graph(standings, titles, "claims/{id}.html")
    yield (
        "verdicts.md",
        filled("verdicts.md", counts={each: [*standings.values()].count(each) for each in known}, **facts),
    )
    yield "gallery.md", filled("gallery.md", commands=by_command(book.pictures), plain=plain)
    yield "claims/index.md", filled("claims.md", grouped=grouped, titles=titles, **facts)
    for id in IDS:
        yield f"claims/{id}.md", page(id, book)


def by_command(shown: Iterable[Picture]) -> dict[str, list[Picture]]:
    """Return the pictures of each command, in the order of their appearance."""
    commands: dict[str, list[Picture]] = {}
    for each in shown:
        commands.setdefault(each.command, []).append(each)
    return commands


def _line(id: str, book: Book) -> dict[str, object]:
    """Return what the tables say of a claim."""
    outcome = book.outcome(id)
    return {
        "in_short": in_short(id, book.passages),
        "standing": standing(id, outcome),
        "verdict": outcome.verdict if outcome else "",
        "share": share(outcome),
        "controls": f"{outcome.failing}/{len(outcome.controls)}" if outcome and outcome.controls else "",
        "excess": least_excess(outcome),
        "below": below(id),
    }


main = partial(run_recorded, Options, run, prog=PROG)

if __name__ == "__main__":
    sys.exit(main())
