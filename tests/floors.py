"""Print the lowest versions that pyproject.toml allows, as constraints for pip: python tests/floors.py [EXTRA ...]."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[(?P<extras>[\w.,-]+)\])?(>=(?P<floor>[\w.]+))?")
"""A requirement as this project writes them: a name with its lowest version, or extras of the project itself."""


def floors(project: dict, extras: list[str]) -> Iterator[str]:
    """Yield "name==version" for the core and these extras, and for every extra that they name."""
    optional, pending, seen = project["optional-dependencies"], list(extras), set()
    requirements = list(project["dependencies"])
    while pending:
        extra = pending.pop()
        if extra not in seen:
            seen.add(extra)
            requirements += optional[extra]
            own = filter(None, map(re.compile(rf"{project['name']}\[(.*)\]").fullmatch, optional[extra]))
            pending += [name for match in own for name in match[1].split(",")]
    for requirement in sorted(set(requirements)):
        match = REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise SystemExit(f"{PROJECT.name}: expected name>=version, got {requirement!r}")
        # PyTorch is pinned by requirements.txt alone: its lowest version comes with gigabytes of CUDA.
        if match["floor"] and match["name"] != "torch":
            yield f"{match['name']}=={match['floor']}"


if __name__ == "__main__":
    print(*floors(tomllib.loads(PROJECT.read_text())["project"], sys.argv[1:]), sep="\n")
