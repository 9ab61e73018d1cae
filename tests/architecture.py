"""The map of docs/architecture.md, made from what packages and modules say of themselves.

python tests/architecture.py prints it.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).parents[1]
PACKAGES = (
    *("attn_dynamics", "attn_dynamics/tasks", "attn_dynamics/model", "attn_dynamics/kernels", "attn_dynamics/training"),
    *("attn_dynamics/training/replicates", "attn_dynamics/theory", "attn_dynamics/claims"),
    *("attn_dynamics/claims/_support", "attn_dynamics/window", "attn_dynamics/encoder", "attn_dynamics/questions"),
    *("attn_dynamics/results", "attn_dynamics/results/figures", "attn_dynamics/files", "attn_dynamics/system"),
    *("attn_dynamics/commands", "attn_dynamics/commands/sweep"),
    *("proofs", "simulations", "analysis", "analysis/compare", "analysis/pages"),
    *("analysis/theory_figures", "benchmarks", "fuzz"),
)
"""Packages in the order of the map: domain, results, plumbing, and those beside the library."""
WIDTH = 120


def architecture() -> str:
    """Return the map: a line a package with the first sentence of its documentation, and the names of its modules."""
    return "\n".join(line for package in PACKAGES for line in _lines(ROOT / package, package.count("/")))


def _lines(folder: Path, depth: int) -> Iterator[str]:
    indent = "    " * depth
    yield f"{indent}{folder.name + '/':<{20 - len(indent)}} {_purpose(folder / '__init__.py')}"
    names = sorted((path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")), key=_in_order)
    if folder.name == "attn_dynamics":
        for name in names:
            yield f"    {name + '.py':<16} {_purpose(folder / f'{name}.py')}"
    else:
        yield from wrap(", ".join(names), WIDTH, initial_indent=f"{indent}    ", subsequent_indent=f"{indent}    ")


def _in_order(name: str) -> list[str | int]:
    """Count c2 before c10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _purpose(path: Path) -> str:
    told = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    return " ".join(told.split())


if __name__ == "__main__":
    print(architecture())
