"""Every proof of the registry proves, and every mutant of it fails."""

import inspect

import pytest

from attn_dynamics.errors import InputError
from proofs import CLAIMS, GROUPS, PROOFS, Verdict, prove

LISTED = {
    *(f"A{k}" for k in range(1, 9)),
    "B1",
    *(f"B{k}" for k in range(4, 10)),
    *(f"C{k}" for k in (1, 3, 4, 6, 8, 9, 10, 11)),
    "D4",
    "D5",
    "E1",
}
GRADIENTS = {f"M{k}" for k in range(1, 6)}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_proved_and_its_mutants_are_not(claim: str) -> None:
    result = prove(claim)
    assert {step.name: verdict for step, verdict in result.steps if verdict is not Verdict.PROVED} == {
        step.name: Verdict.AGREES for step in result.numeric
    }
    assert len(result.numeric) <= (claim == "B4"), "hardly anything may be only checked numerically"
    assert all(step.reason for step in result.numeric)
    assert [mutant.text for mutant, rejected in result.mutants.items() if not rejected] == []
    assert result.statement
    assert result.seconds < 90
    kinds = [mutant.kind for mutant in result.mutants]
    assert len(kinds) >= 2
    assert {"sign", "factor"} & set(kinds)
    assert "assumption" in kinds


def test_what_the_theory_lists_is_proved() -> None:
    assert set(CLAIMS) >= LISTED | GRADIENTS


def test_every_equation_that_is_given_is_used() -> None:
    for claim, proof in PROOFS.items():
        changed = {name for mutant in proof.mutants for name in mutant.equations}
        assert changed == set(inspect.signature(proof.derivation).parameters), claim


def test_every_group_holds_proofs() -> None:
    assert {group.__name__ for group in GROUPS} == {PROOFS[claim].derivation.__module__ for claim in CLAIMS}


def test_an_unknown_claim_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected one of A1 .* got 'Z9'"):
        prove("Z9")
