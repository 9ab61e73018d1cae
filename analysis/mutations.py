"""Mutations: equations broken on purpose, one at a time in a copy of the code; which verdict and test catch each?

python -m analysis.mutations
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.table import Table
from tqdm import tqdm

from attn_dynamics.commands.shell import run_command
from attn_dynamics.errors import InputError
from attn_dynamics.system.console import console

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


GRADIENT, WORDS = "attn_dynamics/model/gradient.py", "attn_dynamics/kernels/words.py"
SENTENCES, THEORY = "attn_dynamics/kernels/sentences.py", "attn_dynamics/theory"
MUTATIONS = (
    Mutation(
        WORDS,
        "∂L/∂s without the term of the context",
        "slope = -weight * (sums[word, width] + leading[word, width])",
        "slope = 0.0",
        ("A1", "B3"),
        "tests/test_gradient.py",
    ),
    Mutation(
        SENTENCES,
        "slopes are not divided by the normaliser",
        "slopes[column, row] / normalisers[row]",
        "slopes[column, row]",
        ("C1", "B3"),
        "tests/test_gradient.py",
    ),
    Mutation(
        GRADIENT,
        "sign of ∂L/∂κ",
        "keys=np.outer(gradient.scores, parameters.query)",
        "keys=-np.outer(gradient.scores, parameters.query)",
        ("A2",),
        "tests/test_gradient.py",
    ),
    Mutation(
        "attn_dynamics/training/dynamics.py",
        "scores move by ‖q‖ in the place of ‖q‖²",
        "learning_rate * (self._query @ self._query)",
        "learning_rate * (self._query @ self._query) ** 0.5",
        ("B3", "C9"),
        "tests/test_descent.py",
    ),
    Mutation(
        "attn_dynamics/training/dynamics.py",
        "sign of dq/dτ under flow",
        'slopes["query"] = self._keys.T',
        'slopes["query"] = -self._keys.T',
        ("A2", "B5"),
        "tests/test_flow.py",
    ),
    Mutation(
        "attn_dynamics/model/heads.py",
        "relu's slope is 1 everywhere",
        "slopes_in *= kept > 0.0",
        "slopes_in *= kept >= 0.0",
        ("A4",),
        "tests/test_gradient.py",
    ),
    Mutation(
        f"{THEORY}/sen.py",
        "m is lost in the relation",
        "* -np.expm1(-np.abs(s - s0)) / m",
        "* -np.expm1(-np.abs(s - s0))",
        ("B1", "B4"),
        "tests/theory/test_sen.py",
    ),
    Mutation(
        f"{THEORY}/sen.py",
        "factor 2 of the relation",
        "np.sqrt(2.0 * np.abs(travelled))",
        "np.sqrt(np.abs(travelled))",
        ("B1", "B4"),
        "tests/theory/test_sen.py",
    ),
    Mutation(
        f"{THEORY}/invariants.py",
        "sign in EᵀE - W Wᵀ",
        "embeddings.T @ embeddings - first @ first.T",
        "embeddings.T @ embeddings + first @ first.T",
        ("A3",),
        "tests/theory/test_invariants.py",
    ),
    Mutation(
        f"{THEORY}/mean_field.py",
        "1 - a is lost in ds/dτ",
        "* a * rest * pull * (r - r_other)",
        "* a * pull * (r - r_other)",
        ("C1", "C9"),
        "tests/theory/test_mean_field.py",
    ),
    Mutation(
        f"{THEORY}/unequal_topics.py",
        "sign of what a sentence memorises",
        "embeddings * (own * rest)[:, None] * pull",
        "-embeddings * (own * rest)[:, None] * pull",
        ("C10",),
        "tests/test_prediction.py",
    ),
    Mutation(
        f"{THEORY}/flow.py",
        "factor ½ of the modified flow",
        "0.5 * learning_rate",
        "learning_rate",
        ("C9", "C10"),
        "tests/theory/test_flow.py",
    ),
    Mutation(
        f"{THEORY}/asymptotics.py",
        "the next order of C4 without ln(mΛ²/B)",
        "- np.log(m * leading))",
        ")",
        ("C4",),
        "tests/theory/test_asymptotics.py",
    ),
    Mutation(
        f"{THEORY}/early.py",
        "a word's early score without those beside it",
        "beside=square / 2.0 * (",
        "beside=0.0 * (",
        ("E1",),
        "tests/theory/test_early.py",
    ),
    Mutation(
        "attn_dynamics/claims/claim.py",
        "one control that fails is enough",
        "self.rejected == len(self.controls)",
        "self.rejected > 0",
        (),
        "tests/claims/test_claim.py",
    ),
    Mutation(
        "attn_dynamics/claims/claim.py",
        "NaN is left out of what was measured",
        "float(np.max(flat))",
        "float(np.nanmax(flat))",
        (),
        "tests/claims/test_claim.py",
    ),
    Mutation(
        "proofs/proof.py",
        "what resists counts as proved",
        "sp.simplify(reduced) == 0 else Verdict.OPEN",
        "sp.simplify(reduced) == 0 else Verdict.PROVED",
        (),
        "tests/proofs/test_proof.py",
    ),
    Mutation(
        "proofs/proof.py",
        "a mutant is rejected by what merely resists",
        "any(verdict is Verdict.REFUTED for",
        "any(verdict is not Verdict.PROVED for",
        (),
        "tests/proofs/test_proof.py",
    ),
    Mutation(
        "attn_dynamics/model/heads.py",
        "no ones on the diagonal of the published U",
        "        np.fill_diagonal(weight, 1.0)\n",
        "",
        (),
        "tests/test_initial.py",
    ),
    Mutation(
        "attn_dynamics/model/heads.py",
        "half of Glorot's bound",
        "bound = (6.0 / (inputs + outputs)) ** 0.5",
        "bound = 0.5 * (6.0 / (inputs + outputs)) ** 0.5",
        (),
        "tests/test_initial.py",
    ),
    Mutation(
        "attn_dynamics/training/dynamics.py",
        "training signals count words that are held",
        "score_signal=signals[0], embedding_signal=signals[1]",
        "",
        (),
        "tests/test_dynamics.py",
    ),
)


@dataclass(frozen=True)
class Options:
    """Break the equations one by one in a copy of the code, and report what catches each; this takes half an hour."""

    text: str = ""
    """Text in the file name or description of the mutations to try."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    prog, kept = "python -m analysis.mutations", "interrupted"
    return run_command(Options, run, arguments, prog=prog, interrupted=kept)


def run(options: Options) -> int:
    """Try the mutations and print what caught each; return 1 if one was not caught.

    Raises:
        InputError: no mutation contains the text.
    """
    chosen = [each for each in MUTATIONS if options.text in each.file + each.text]
    if not chosen:
        raise InputError(
            "--text", expected="words of a mutation", given=repr(options.text), fix="Leave it out for all."
        )
    for each in chosen:
        mutated(each)
    rows = [tried(each) for each in tqdm(chosen, unit=" mutations", dynamic_ncols=True)]
    table = Table(title="Mutations that were tried")
    for name in ("file", "mutation", "verdict that fell", "test that failed"):
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    console().print(table)
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
    _run(
        copy,
        "analysis.verdicts",
        "--quick",
        "--workers",
        "1",
        "--out",
        "verdicts",
        "--overwrite",
        "--claim",
        *each.claims,
    )
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


if __name__ == "__main__":
    sys.exit(main())
