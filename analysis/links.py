"""Where docs/theory.md says what a claim states."""

import os
import re
from functools import cache
from pathlib import Path

THEORY = Path(__file__).parents[1] / "docs" / "theory.md"


def link(id: str, folder: Path) -> str:
    """Give the address of a claim's passage from a file in a folder; empty where the documents are not there."""
    if not THEORY.exists():
        return ""
    return f"{Path(os.path.relpath(THEORY, folder)).as_posix()}#{anchors().get(id, '')}".removesuffix("#")


@cache
def anchors() -> dict[str, str]:
    """Give the anchor of each claim as GitHub makes it of a heading; a row of a table has that of the heading above."""
    found, anchor = {}, ""
    for line in THEORY.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"#+ (.*)", line):
            anchor = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
        if id := re.match(r"(?:#+|\|) ([A-Z]\d+) ", line):
            found.setdefault(id[1], anchor)
    return found
