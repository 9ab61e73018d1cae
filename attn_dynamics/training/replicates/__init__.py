"""Many starts on the same data: single runs on threads, or columns of the sparse products on a device of torch."""

from attn_dynamics.training.replicates.descent import (
    check_rule,
    descend_many,
    max_replicates,
    replicates_in,
    resume_points,
)

__all__ = ["check_rule", "descend_many", "max_replicates", "replicates_in", "resume_points"]
