"""Reports of proofs: every step with its verdict, a table of claims, and what sympy alone does not prove."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proofs.printing import HEAD, formula, line, words
from proofs.proof import Result, Verdict

COLOURS = {Verdict.PROVED: "green", Verdict.REFUTED: "red", Verdict.OPEN: "red", Verdict.AGREES: "yellow"}


def steps(result: Result) -> RenderableType:
    """Show one claim: its statement, each step with its verdict and its relation, and the mutants."""
    parts: list[RenderableType] = [
        Text(f"{result.name} ({', '.join(filter(None, (result.claim, result.case)))})  {result.title}", "bold")
    ]
    for step, verdict in result.steps:
        parts.append(Text.assemble("  ", (verdict.value, COLOURS[verdict]), f"  {step.name}"))
        parts.append(Padding(Text(line(step.statement), "dim"), (0, 0, 0, 10), expand=False))
    for mutant, rejected in result.mutants.items():
        mark = ("rejected", "green") if rejected else ("survives", "red")
        parts.append(Text.assemble("  ", mark, f"  mutant: {mutant.text} ({mutant.kind})"))
    return Group(*parts, Text())


def table(results: Sequence[Result]) -> Table:
    """Show one line per claim."""
    out = Table("name", "id", "verdict", title="proofs")
    for name in ("steps", "mutants rejected", "seconds"):
        out.add_column(name, justify="right")
    for result in results:
        rejected = f"{sum(result.mutants.values())}/{len(result.mutants)}"
        mark = Text("proved", "green") if result.proved else Text("not proved", "red")
        out.add_row(result.name, result.claim, mark, str(len(result.steps)), rejected, f"{result.seconds:.1f}")
    return out


def remarks(results: Sequence[Result]) -> Iterator[str]:
    """Yield what is only checked numerically, and the theorems taken from analysis."""
    numeric = [f"  {result.claim}: {step.name} ({step.reason})" for result in results for step in result.numeric]
    yield "Only checked numerically:" + ("" if numeric else " nothing.")
    yield from numeric
    taken: dict[str, list[str]] = {}
    for result in results:
        for theorem in result.taken:
            taken.setdefault(theorem, []).append(result.claim)
    yield "Taken from analysis:" + ("" if taken else " nothing.")
    yield from (f"  {theorem}: {', '.join(claims)}" for theorem, claims in taken.items())


def document(results: Sequence[Result]) -> str:
    """Return a LaTeX document of all statements, assumptions, steps and mutants."""
    return HEAD + "\n".join(part for result in results for part in _section(result)) + "\n\\end{document}\n"


def _section(result: Result) -> Iterator[str]:
    yield rf"\section*{{{result.claim}: {'proved' if result.proved else 'not proved'}}}"
    yield words(result.title) + r"\par\medskip"
    yield r"\textbf{Statement.}"
    yield from map(formula, result.statement)
    yield r"\textbf{Given.}"
    yield from map(formula, result.given)
    yield r"\textbf{Steps.}"
    for step, verdict in result.steps:
        by = f", by {step.by}" if step.by else ""
        yield rf"\par {words(step.name)} (\emph{{{verdict.value}}}{words(by)})"
        yield formula(step.statement)
    yield r"\textbf{Mutants.}"
    for mutant, rejected in result.mutants.items():
        yield rf"\par {words(mutant.text)} ({mutant.kind}): \emph{{{'rejected' if rejected else 'survives'}}}"
