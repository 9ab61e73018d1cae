"""Claim: every claim of the registry holds, its controls fail, no bound is loose, and its statement can be set."""

import math

import pytest
from matplotlib.mathtext import MathTextParser

from attn_dynamics.claims import CLAIMS, Claim

EXEMPT = {
    "C5": {"mean_field", "descent"},  # nothing falls: the value is 0
    "D1": {"tokens", "other_formulas"},  # counts that have to be 0
    "E2": {"occurrence", "purity"},  # the level of a test
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
