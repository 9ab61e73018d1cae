"""Listing of a package's commands, printed by `python -m PACKAGE`."""

import ast
import sys
from pathlib import Path

from attn_dynamics.check import shown
from attn_dynamics.errors import InputError
from attn_dynamics.system.script import called
from attn_dynamics.system.version import VERSION

COMMAND = 'if __name__ == "__main__":'
"""Line that makes a module a command."""


def commands(package: Path) -> dict[str, str]:
    """Return the purpose of each command of a package, by its module."""
    files = {path.stem: path for path in package.glob("*.py") if path.stem != "__main__"}
    files |= {path.parent.name: path for path in package.glob("*/__main__.py")}
    texts = {f"{package.name}.{name}": path.read_text(encoding="utf-8") for name, path in files.items()}
    return {name: _purpose(text) for name, text in sorted(texts.items()) if COMMAND in text.splitlines()}


def list_commands(package: Path, arguments: list[str], more: str = "") -> int:
    """Print a package's commands and further text, or the version; return the exit code."""
    unknown = [each for each in arguments if each not in ("-h", "--help", "--version")]
    if unknown:
        module, listed = f"{package.name}.{unknown[0]}", called(f"python -m {package.name}")
        fix = f"Run {called(f'python -m {module}')}." if module in commands(package) else f"Run {listed} to see them."
        error = InputError(package.name, expected="one of its commands", given=shown(unknown[0]), fix=fix)
        print(f"error: {error}", file=sys.stderr)
        return 2
    if "--version" in arguments:
        print(f"attn-dynamics {VERSION}")
        return 0
    for module, purpose in commands(package).items():
        print(f"{called(f'python -m {module}')} --help\n    {purpose}")
    if more:
        print(more)
    return 0


def _purpose(text: str) -> str:
    """Return the first paragraph of a module's documentation."""
    text = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
    text = " ".join(text.split()).removeprefix("The command: ")
    return text[:1].upper() + text[1:]
