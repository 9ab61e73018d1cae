"""Symbolic proofs of the theory, a file a group: each has steps, a verdict, and mutants that must fail.

A new proof is a generator of steps with `@proves(id, mutants…)` in the file of its group; a new group is one
more import.
"""

from attn_dynamics.check import did_you_mean
from attn_dynamics.claims import CLAIMS as MEASURED
from attn_dynamics.claims import in_theory_order
from attn_dynamics.errors import InputError
from attn_dynamics.system.script import called
from proofs import (
    asymptotics,
    attention,
    completeness,
    conservation,
    early_training,
    heads,
    label_noise,
    mean_field,
    optimisers,
    selection,
    sen,
    sen_beyond,
    sign_rules,
    signs,
    small_start,
    widths,
    window,
    zipf,
)
from proofs.proof import PROOFS, Agrees, Mutant, Proof, Result, Step, Verdict

__all__ = ["CLAIMS", "GROUPS", "PROOFS", "Agrees", "Mutant", "Proof", "Result", "Step", "Verdict", "find", "prove"]

GROUPS = (
    attention,
    heads,
    conservation,
    completeness,
    sen,
    sen_beyond,
    mean_field,
    signs,
    asymptotics,
    early_training,
    window,
    zipf,
    widths,
    label_noise,
    selection,
    small_start,
    optimisers,
    sign_rules,
)
"""Modules that hold proofs."""
CLAIMS = in_theory_order(PROOFS)
"""Ids of proved claims: those of the theory, and M1 to M5 for the gradients."""


def find(claim: str) -> Proof:
    """Return the proof of a claim.

    Raises:
        InputError: the claim has no proof.
    """
    if claim not in PROOFS:
        raise InputError(
            "claim",
            expected=f"one of {', '.join(f'{each} ({PROOFS[each].name})' for each in CLAIMS)}",
            given=repr(claim),
            fix=_instead(claim.upper()),
        )
    return PROOFS[claim]


def _instead(claim: str) -> str:
    """Return the advice for a claim that has no proof."""
    if claim in MEASURED and claim not in PROOFS:
        command = called("python -m analysis.verdicts")
        return f"{MEASURED[claim].name} ({claim}) is measured, not proved: {command} --claim {claim}."
    return did_you_mean(claim, CLAIMS)


def prove(claim: str) -> Result:
    """Run the proof of a claim and its mutants.

    Raises:
        InputError: the claim has no proof.
    """
    return find(claim).prove()
