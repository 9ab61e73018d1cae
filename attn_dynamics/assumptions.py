"""Which assumptions of the theory a task and a start meet, by the short name."""

from attn_dynamics.results.assumptions import Assumption, check_assumptions

__all__ = ["Assumption", "check_assumptions"]
