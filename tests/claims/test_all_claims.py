"""Claim: every claim of the registry holds, its controls fail, no bound is loose, and its statement can be set.

Its file and that of its tests begin with its id, and rest on no other claim.
"""

import math
import re
from pathlib import Path

import pytest
from matplotlib.mathtext import MathTextParser

import attn_dynamics.claims
from attn_dynamics.claims import CLAIMS, Claim

EXEMPT = {
    "A8": {"linear", "two_layers", "broken"},  # counts that have to be 0
    "C5": {"mean_field", "descent"},  # nothing falls: the value is 0
    "D1": {"tokens", "other_formulas"},  # counts that have to be 0
    "E2": {"occurrence", "purity"},  # the level of a test
    "G3": {"factor"},  # the level of a test
}
"""Parts whose bound is no estimate of their value, so that nothing says how far above it they may be."""


@pytest.mark.parametrize("quick", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["quick", "full"])
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=list(CLAIMS))
def test_a_claim_holds_and_its_controls_fail(claim: Claim, quick: bool) -> None:
    verdict = claim.judge(quick=quick)
    assert verdict.measured.holds, verdict.measured
    for text, measured in verdict.controls.items():
        assert not measured.holds, (text, measured)
    assert verdict.unguarded == []
    assert verdict.loose == [], {name: each.slack for name, each in verdict.measured.each().items()}
    unheld = {name.split(",")[0] for name, each in verdict.measured.each().items() if math.isinf(each.within)}
    assert unheld == EXEMPT.get(claim.id, set())
    assert verdict.holds


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=list(CLAIMS))
def test_a_statement_is_mathematics_that_can_be_set(claim: Claim) -> None:
    MathTextParser("agg").parse(f"${claim.statement}$")
    assert all((claim.quantity, claim.tolerance, claim.assumptions, claim.source))


FOLDER = Path(attn_dynamics.claims.__file__).parent
FILES = {path.stem for path in FOLDER.glob("[a-z]*.py")} - {"claim"}
TESTS = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_[a-z][0-9]*.py")}


def ids_of(file: str) -> list[str]:
    """The ids that a name begins with: b1_…, c9_c10_…, or all from a2 to a4 in a2_to_a4_…."""
    beginning = re.match(r"(?:[a-z]\d+_(?:to_)?)*", file)
    assert beginning is not None
    ids = re.findall(r"[a-z]\d+", beginning[0])
    if "_to_" in beginning[0]:
        ids = [f"{ids[0][0]}{number}" for number in range(int(ids[0][1:]), int(ids[1][1:]) + 1)]
    return [id.upper() for id in ids]


def test_a_file_begins_with_the_ids_of_its_claims_and_so_do_its_tests() -> None:
    entered: dict[str, list[str]] = {}
    for id, claim in CLAIMS.items():
        entered.setdefault(claim.measurement.__module__.rsplit(".", 1)[1], []).append(id)
    assert {file: ids_of(file) for file in FILES} == entered
    assert TESTS == FILES
    # Negative control: what a name says is read from it.
    names = ("a2_to_a4_balance", "c9_c10_memorisation", "d10_product", "sen_b1")
    assert [ids_of(name) for name in names] == [["A2", "A3", "A4"], ["C9", "C10"], ["D10"], []]


def other_claims(text: str) -> list[str]:
    return re.findall(r"\battn_dynamics\.claims\.([a-z]\d\w*)", text)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.stem)
def test_a_claim_rests_on_no_other_claim(path: Path) -> None:
    assert other_claims(path.read_text(encoding="utf-8")) == []


def test_a_claim_that_rests_on_another_is_told() -> None:
    """Negative control."""
    assert other_claims("from attn_dynamics.claims.b1_sen import RTOL\nfrom attn_dynamics.claims.claim import x") == [
        "b1_sen"
    ]
