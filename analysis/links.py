"""Links from a claim to its passage in docs/theory.md."""

import os
import re
from functools import cache
from pathlib import Path

from analysis.theory_page import THEORY


def link(id: str, folder: Path) -> str:
    """Return the address of a claim's passage from a file in a folder; "" without the documents."""
    if not THEORY.exists():
        return ""
    return f"{Path(os.path.relpath(THEORY, folder)).as_posix()}#{anchors().get(id, '')}".removesuffix("#")


@cache
def anchors() -> dict[str, str]:
    """Return the anchor of each claim as GitHub makes it from a heading; a table row has that of the heading above."""
    found, anchor = {}, ""
    for line in THEORY.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"#+ (.*)", line):
            anchor = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
        if id := re.match(r"(?:#+|\|) ([A-Z]\d+) ", line):
            found.setdefault(id[1], anchor)
    return found
