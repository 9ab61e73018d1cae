"""Passages of docs/theory.md: what it says of each claim."""

import re
from pathlib import Path
from typing import NamedTuple

THEORY = Path(__file__).parents[1] / "docs" / "theory.md"
HEADED = re.compile(r"^### ([A-Z]\d+) · (.*?)\n(.*?)(?=^#|\Z)", re.DOTALL | re.MULTILINE)
ROW = re.compile(r"^\| ([A-Z]\d+) \| (.*?) \| (.*) \|$", re.MULTILINE)
GROUP = re.compile(r"^## ([A-Z]): (.*?)\n(.*?)(?=^#)", re.DOTALL | re.MULTILINE)
STATED = re.compile(r"\*\*Statement(?:\.\*\*|\*\* \(.*?\)\.)\s+(.*?)(?:\.\s|\n- |\Z)", re.DOTALL)
WHERE = re.compile(r"^- \*(?:Proved|Not proved).*", re.DOTALL | re.MULTILINE)
"""Last paragraph of a passage: where its claim is proved, measured and drawn."""


class Passage(NamedTuple):
    """Passage of docs/theory.md on one claim."""

    title: str
    """Title after the claim's id; empty for a row of a table."""
    text: str
    """Statement, assumptions, proof or idea, and what was seen, in Markdown."""
    where: str
    """Line with the files that prove, measure and draw the claim, in Markdown."""


def passages(text: str) -> dict[str, Passage]:
    """Return the passage of each claim by its id: the text below its heading, or its row of the first table."""
    headed = {id: _passage(title, body) for id, title, body in HEADED.findall(text)}
    rows = {
        id: Passage("", f"**Statement.** {said}", f"- *Proved* in {where}.") for id, said, where in ROW.findall(text)
    }
    return rows | headed


def paragraphs(passage: Passage) -> dict[str, str]:
    """Return the paragraphs of a passage by the word in bold that begins each, without formulas of their own lines."""
    plain = re.sub(r"^```.*?^```", "", passage.text, flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"^(?:- )?\*\*(\w[^*.,]*)[^*]*\*\*(.*?)(?=^- \*\*|^\*\*|\Z)", plain, re.DOTALL | re.MULTILINE)
    return dict(found)


def first_sentence(passage: Passage) -> str:
    """Return the first sentence of a passage's statement in one line of Markdown, its formulas within the line."""
    text = re.sub(r"^```math\n(.*?)\s*([.,]?)\s*^```", r"$\1$\2", passage.text, flags=re.DOTALL | re.MULTILINE)
    said = STATED.search(text)
    return " ".join(said[1].split()) if said else passage.title


class Group(NamedTuple):
    """Claims that share a setting."""

    title: str
    """Title of the group's section."""
    setting: str
    """Setting that the claims of the group share, in Markdown."""


def groups(text: str) -> dict[str, Group]:
    """Return each group of claims by its letter; that of the gradients has no heading of its own."""
    headed = {letter: Group(title[:1].upper() + title[1:], body.strip()) for letter, title, body in GROUP.findall(text)}
    return {"M": Group("Gradients", "")} | headed


def drawn(passage: Passage) -> list[str]:
    """Return the names of the figures that show a claim."""
    _, _, said = passage.where.partition("*Drawn:*")
    return re.findall(r"`([\w-]+)`", said)


def _passage(title: str, body: str) -> Passage:
    where = WHERE.search(body)
    end = where.start() if where else len(body)
    return Passage(title, body[:end].strip(), body[end:].strip())
