"""Re-exports `check_assumptions` from results/assumptions.py."""

from attn_dynamics.results.assumptions import Assumption, check_assumptions

__all__ = ["Assumption", "check_assumptions"]
