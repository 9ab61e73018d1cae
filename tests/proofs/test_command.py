"""The command: what it prints, what it writes, and its exit codes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sympy as sp
from matplotlib.mathtext import MathTextParser

from proofs import CLAIMS, PROOFS, Proof, Step
from proofs.__main__ import main
from proofs.printing import formula, words
from proofs.proof import Equal, factor, sign

QUICK = ("A5", "B4", "M3")


def test_claims_steps_and_verdicts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--claim", *QUICK]) == 0
    out = capsys.readouterr().out
    for claim in QUICK:
        assert f"{PROOFS[claim].name} ({claim}" in out
        assert PROOFS[claim].title in " ".join(out.split())
        for step in PROOFS[claim].derivation():
            assert step.name in out
        for mutant in PROOFS[claim].mutants:
            assert mutant.text in " ".join(out.split())
    assert out.count("rejected  mutant") == sum(len(PROOFS[claim].mutants) for claim in QUICK)
    assert "survives" not in out
    assert re.search(r"Only checked numerically:\n  B4: .*scipy", out)
    assert re.search(r"Taken from analysis:\n  the chain rule: M3", out)


def test_an_unknown_claim_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    measured = "tokens W22 counted (D1) is measured, not proved: python -m analysis.verdicts --claim D1."
    known = ", ".join(f"{each} ({PROOFS[each].name})" for each in CLAIMS)
    assert "B1 (SEN relation), " in known
    for claim, fix in {
        "Z9": "Choose from these.",
        "b1": "Perhaps you meant B1.",
        "D1": measured,
        "d1": measured,
    }.items():
        assert main(["--claim", "B1", claim]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err == f"error: --claim: expected one of {known}, got '{claim}'. {fix}\n"


def wrong(*, double: int = 3) -> Iterator[Step]:
    """Twice x is 3x."""
    x = sp.Symbol("x")
    yield Equal("a sum", x + x, double * x, concludes=True)


def right(*, double: int = 2) -> Iterator[Step]:
    """Twice x is 2x."""
    return wrong(double=double)


@pytest.mark.parametrize(
    "proof",
    [Proof("A5", wrong, (sign("a sign", double=-3),)), Proof("A5", right, (factor("none", double=2),))],
    ids=["a false claim", "a mutant that survives"],
)
def test_a_failure_is_an_exit_code(
    proof: Proof, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PROOFS, "A5", proof)
    assert main(["--claim", "A5"]) == 1
    out = capsys.readouterr().out
    assert ("refuted" in out) == (proof.derivation is wrong)
    assert ("survives" in out) == (proof.derivation is right)


def test_ctrl_c_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*, x: int = 0) -> Iterator[Step]:
        raise KeyboardInterrupt

    monkeypatch.setitem(PROOFS, "A5", Proof("A5", interrupted, ()))
    assert main(["--claim", "A5"]) == 130
    assert "Traceback" not in capsys.readouterr().err


# --- the document


def test_the_document_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "proofs.tex"
    assert main(["--claim", *QUICK, "--latex", str(path)]) == 0
    text = path.read_text(encoding="ascii")
    assert [each.name for each in tmp_path.iterdir()] == ["proofs.tex"]
    assert text.startswith(r"\documentclass")
    assert text.rstrip().endswith(r"\end{document}")
    assert text.count("{") == text.count("}")
    assert re.findall(r"\\begin{(\w+)}", text) == re.findall(r"\\end{(\w+)}", text)
    for claim in QUICK:
        assert rf"\section*{{{claim}: proved}}" in text
        for step in PROOFS[claim].derivation():
            assert formula(step.statement) in text


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_word_and_formula_can_be_set(claim: str) -> None:
    proof, parser = PROOFS[claim], MathTextParser("agg")
    steps = list(proof.derivation())
    for text in (proof.title, *(step.name for step in steps), *(mutant.text for mutant in proof.mutants)):
        assert words(text).isascii(), text
        assert not set("_^{}$&%#\\") & set(re.sub(r"\\ensuremath{([^{}]|{[^{}]*})*}", "", words(text))), text
    for relation in (*(step.statement for step in steps), *proof.given):
        setting = formula(relation).removeprefix(r"\fit{").removesuffix("}")
        assert setting.isascii()
        # The parser of matplotlib knows no stacked bounds.
        setting = setting.replace(r"\substack{", "{").replace(r"\\", ",")
        parser.parse(f"${setting}$")


@pytest.mark.parametrize("place", ["missing/proofs.tex", "."])
def test_no_place_for_the_document_is_refused_first(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--claim", "A5", "--latex", str(tmp_path / place)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    wanted = "a new or a regular file" if place == "." else "a file in a folder that exists"
    assert captured.err.startswith(f"error: --latex: expected {wanted}, got ")
    assert captured.err.count("\n") == 1
