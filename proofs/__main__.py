"""The command: every proof and its mutants.

python -m proofs --claim B1 C3 --latex proofs.tex
"""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from tqdm import tqdm

from attn_dynamics.commands.shell import FAILED, run_command
from attn_dynamics.files.output import results_file
from attn_dynamics.files.storage import write_whole
from attn_dynamics.system.console import console
from proofs import CLAIMS, find, report


@dataclass(frozen=True)
class Options:
    """Prove the theory."""

    claim: tuple[str, ...] = ()
    """Ids of claims, by default all."""
    latex: Path | None = None
    """File for a LaTeX document of statements, assumptions and steps."""
    overwrite: bool = False
    """Replace the file if it exists."""

    EXAMPLE: ClassVar = "--claim B1 C3 --latex proofs.tex"


def run(options: Options) -> int:
    """Prove, print, and write; return the exit code.

    Raises:
        InputError: a claim is unknown, or the document exists or cannot be written; nothing was proved.
        StorageError: the document could not be written.
    """
    proofs = [find(claim) for claim in options.claim or CLAIMS]
    latex = options.latex and results_file("--latex", options.latex, overwrite=options.overwrite)
    terminal, results = console(), []
    with tqdm(proofs, unit=" proofs", dynamic_ncols=True) as bar:
        for proof in bar:
            bar.set_description_str(proof.claim)
            results.append(proof.prove())
    for result in results:
        terminal.print(report.steps(result))
    terminal.print(report.table(results))
    for remark in report.remarks(results):
        terminal.print(remark, soft_wrap=True)
    if latex is not None:
        text = report.document(results).encode()
        write_whole(latex, lambda file: file.write(text))
        terminal.print(f"document in {latex}", soft_wrap=True)
    return 0 if all(result.holds for result in results) else FAILED


main = partial(run_command, Options, run, prog="python -m proofs", interrupted="interrupted")

if __name__ == "__main__":
    sys.exit(main())
