"""Claim: every claim of the registry holds, its controls fail, at either size, and its statement can be set."""

import pytest
from matplotlib.mathtext import MathTextParser

from attn_dynamics.claims import CLAIMS, Claim


@pytest.mark.parametrize("quick", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["quick", "full"])
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=list(CLAIMS))
def test_a_claim_holds_and_its_controls_fail(claim: Claim, quick: bool) -> None:
    verdict = claim.judge(quick=quick)
    assert verdict.measured.holds, verdict.measured
    for text, measured in verdict.controls.items():
        assert not measured.holds, (text, measured)
    assert verdict.unguarded == []


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=list(CLAIMS))
def test_a_statement_is_mathematics_that_can_be_set(claim: Claim) -> None:
    MathTextParser("agg").parse(f"${claim.statement}$")
    assert all((claim.quantity, claim.tolerance, claim.assumptions, claim.source))
