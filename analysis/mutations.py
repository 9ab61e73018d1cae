"""Mutations: equations broken on purpose, one at a time in a copy of the code; which verdict and test catch each?

python -m analysis.mutations
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from attn_dynamics.commands.shell import run_command
from attn_dynamics.errors import InputError
from attn_dynamics.system.console import console, table

ROOT = Path(__file__).parents[1]
SOURCES = ("attn_dynamics", "analysis", "proofs", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Mutation:
    """One line that is made wrong."""

    file: str
    text: str
    """Description of the error."""
    right: str
    wrong: str
    claims: tuple[str, ...]
    """Ids of judged claims, of which at least one must fail; empty if no claim can notice, as for judging itself."""
    tests: str
    """File of tests, of which at least one must fail."""


def read(text: str) -> tuple[Mutation, ...]:
    """Read mutations apart by empty lines: file and error; claims and tests that must notice; the line as in a diff."""
    return tuple(_read(*block.splitlines()) for block in text.strip().split("\n\n"))


def _read(head: str, noticed: str, right: str, wrong: str) -> Mutation:
    file, error = head.split(": ", 1)
    *claims, tests = noticed.split()
    return Mutation(file, error, right.removeprefix("- "), wrong[2:], tuple(claims), tests)


MUTATIONS = read(Path(__file__).with_suffix(".txt").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Options:
    """Break the equations one by one in a copy of the code, and report what catches each; this takes half an hour."""

    text: str = ""
    """Text in the file name or description of the mutations to try."""


def run(options: Options) -> int:
    """Try the mutations and print what caught each; return 1 if one was not caught.

    Raises:
        InputError: no mutation contains the text.
    """
    chosen = [each for each in MUTATIONS if options.text in each.file + each.text]
    if not chosen:
        fix = "Leave it out for all."
        raise InputError("--text", expected="words of a mutation", given=repr(options.text), fix=fix)
    for each in chosen:
        mutated(each)
    rows = [tried(each) for each in tqdm(chosen, unit=" mutations", dynamic_ncols=True)]
    names = ("file", "mutation", "verdict that fell", "test that failed")
    console().print(table("Mutations that were tried", names, rows))
    print("\n".join("| " + " | ".join(row) + " |" for row in rows))
    caught = [test and (verdict or not each.claims) for each, (_, _, verdict, test) in zip(chosen, rows, strict=True)]
    return int(not all(caught))


def tried(each: Mutation) -> tuple[str, str, str, str]:
    """Return the file, the mutation, and what caught it: ids of claims, and a test; "" if nothing did."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in SOURCES:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy / name)
        (copy / each.file).write_text(mutated(each))
        return f"`{each.file}`", each.text, ", ".join(_fallen(copy, each)), _failed(copy, each)


def mutated(each: Mutation) -> str:
    """Return the text of the file with the wrong line."""
    text = (ROOT / each.file).read_text()
    if text.count(each.right) != 1:
        raise SystemExit(f"{each.file}: expected “{each.right}” once, found it {text.count(each.right)} times")
    return text.replace(each.right, each.wrong)


def _fallen(copy: Path, each: Mutation) -> list[str]:
    if not each.claims:
        return []
    command = "analysis.verdicts --quick --workers 1 --out verdicts --overwrite --claim"
    _run(copy, *command.split(), *each.claims)
    verdicts = pd.read_parquet(copy / "verdicts" / "verdicts.parquet")
    return verdicts.id[verdicts.verdict == "FAILS"].tolist()


def _failed(copy: Path, each: Mutation) -> str:
    done = _run(copy, "pytest", "-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", each.tests)
    failed = [line.split()[1] for line in done.splitlines() if line.startswith("FAILED")]
    return f"`{failed[0].split('[')[0]}`" if failed else ""


def _run(copy: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(copy), "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout


main = partial(run_command, Options, run, prog="python -m analysis.mutations", interrupted="interrupted")

if __name__ == "__main__":
    sys.exit(main())
