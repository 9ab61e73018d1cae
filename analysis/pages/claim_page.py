"""Page of one claim in Markdown: its passage of the theory, its proof, its measurement, and what rests on it."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analysis.judge import HOLDS, NAMES
from analysis.pages.claim_graph import Standing, above, below
from analysis.pages.pictures import Picture
from analysis.render import filled
from analysis.theory_page import THEORY, Group, Passage, drawn, first_sentence
from analysis.verdict_file import Outcome, Published, excess
from attn_dynamics.claims import CLAIMS
from proofs import PROOFS, Agrees, Proof, Step
from proofs.printing import latex

MATHEMATICS = re.compile(r"(^```.*?^```|`[^`]*`|\$[^$]*\$|\[[^\]]*\]\([^)]*\))", re.DOTALL | re.MULTILINE)
"""Pattern of formulas, code and links, in which no id of a claim is looked for."""
ID = re.compile(r"\b([A-GM]\d+)\b")


@dataclass(frozen=True)
class Book:
    """Sources of all pages: the theory's text, the published verdicts and the figures."""

    folder: Path
    """Folder of the pages of claims."""
    passages: Mapping[str, Passage]
    """Passage of the theory on each claim, by its id."""
    groups: Mapping[str, Group]
    """Title and setting of each group of claims, by its letter."""
    published: Published | None
    """Published verdicts; None if nothing is published."""
    pictures: Sequence[Picture] = ()
    """Figures that pages may show."""

    def outcome(self, id: str) -> Outcome | None:
        """Return the published verdict on a claim; None if there is none."""
        return self.published.claims.get(id) if self.published else None


def standing(id: str, outcome: Outcome | None) -> Standing:
    """Return how a claim is known; without a verdict, as the registries have it."""
    if outcome and outcome.verdict != HOLDS:
        return "does not hold"
    if id not in CLAIMS:
        return "proved only"
    if id not in PROOFS:
        return "measured only"
    return "proved in a case, measured" if PROOFS[id].case else "proved and measured"


def page(id: str, book: Book) -> str:
    """Write the page of a claim."""
    passage, outcome, names = book.passages[id], book.outcome(id), set(book.passages) - {id}
    return filled(
        "claim.md",
        id=id,
        name=heading(id),
        setting=linked(moved(book.groups[id[0]].setting, book.folder), names),
        title=title(id, book.passages),
        standing=standing(id, outcome),
        passage=linked(moved(passage.text, book.folder), names),
        where=moved(re.sub(r"^- |\s*\*Drawn:\*.*", "", passage.where, flags=re.DOTALL), book.folder),
        pictures=[(each, _from(each.path, book.folder)) for each in _shown(passage, book.pictures)],
        proof=_proof(PROOFS[id]) if id in PROOFS else None,
        claim=CLAIMS.get(id),
        outcome=outcome,
        controls=[*_controls(outcome)] if outcome else [],
        published=book.published,
        below=below(id),
        above=above(id),
        names={each: heading(each) for each in NAMES},
        theory=_from(THEORY, book.folder),
        share=share(outcome),
        plain=plain,
    )


def heading(id: str) -> str:
    """Return the name of a claim with a capital, unless it begins with a formula."""
    name, second = NAMES[id], NAMES[id].split()[1:2]
    return name if second and not second[0][0].isalnum() else name[:1].upper() + name[1:]


def title(id: str, passages: Mapping[str, Passage]) -> str:
    """Return the title of a claim's passage; for a row of a table, its proved statement."""
    return plain(passages[id].title) or in_short(id, passages)


def in_short(id: str, passages: Mapping[str, Passage]) -> str:
    """Return the proved statement of a claim for a table; without a proof, the first sentence of its passage."""
    if id in PROOFS:
        return plain(PROOFS[id].title.rstrip("."))
    return first_sentence(passages[id]).replace("|", r"\|")


def share(outcome: Outcome | None) -> str:
    """Return the measured number and its bound; "" if nothing was measured."""
    if outcome is None or outcome.bound is None:
        return ""
    return f"{_number(outcome.measured)} of {_number(outcome.bound)}"


def least_excess(outcome: Outcome | None) -> str:
    """Return how many times its bound the nearest control measured; "" without controls."""
    return _times(min(map(excess, outcome.controls))) if outcome and outcome.controls else ""


def moved(text: str, folder: Path) -> str:
    """Return a text of docs/theory.md with its links as they are from a folder."""
    return re.sub(r"(?<=\]\()(?!\w+:)([^)#\s]*)", partial(_moved, folder=folder), text)


def _moved(target: re.Match[str], *, folder: Path) -> str:
    return _from(THEORY.parent / target[1] if target[1] else THEORY, folder)


def linked(text: str, ids: set[str]) -> str:
    """Return a text whose ids of claims lead to their pages; those in formulas, code and links stay."""
    parts = MATHEMATICS.split(text)
    parts[::2] = [
        ID.sub(lambda found: f"[{found[1]}]({found[1]}.md)" if found[1] in ids else found[1], each)
        for each in parts[::2]
    ]
    return "".join(parts)


def plain(text: str) -> str:
    """Escape the signs of Markdown in a text."""
    return re.sub(r"([\\`*_<>\[\]$|])", r"\\\1", text)


def _from(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _shown(passage: Passage, pictures: Sequence[Picture]) -> list[Picture]:
    """Return the figures of runs and of the theory that a passage names."""
    known = {each.name: each for each in pictures if re.search(r"\.(simulate|theory_figures)\b", each.command)}
    return [known[name] for name in drawn(passage) if name in known]


def _proof(proof: Proof) -> dict[str, object]:
    """Return what a page says of a proof, whose steps are derived anew but not judged."""
    return {
        "title": proof.title,
        "case": proof.case,
        "steps": [*map(_step, proof.derivation())],
        "mutants": [(each.kind, each.text) for each in proof.mutants],
    }


def _step(step: Step) -> dict[str, object]:
    return {
        "name": step.name,
        "by": step.by,
        "numeric": step.reason if isinstance(step, Agrees) else "",
        "concludes": step.concludes,
        "formula": "" if isinstance(step, Agrees) else latex(step.statement),
    }


def _controls(outcome: Outcome) -> Iterator[tuple[str, str, str, str]]:
    """Yield each control with its value, its bound, and how many times the bound the value is."""
    for each in outcome.controls:
        yield each["control"], _number(each["measured"]), _number(each["bound"]), _times(excess(each))


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}"


def _times(ratio: float) -> str:
    if ratio >= 1e6:
        return "above a million"
    return f"{ratio:.2g}" if ratio < 100 else f"{ratio:,.0f}"
