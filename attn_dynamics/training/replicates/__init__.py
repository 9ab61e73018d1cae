"""Many starts on the same data in one pass: replicates as columns of the sparse products."""

from attn_dynamics.training.replicates.descent import (
    check_update,
    descend_many,
    max_replicates,
    replicates_in,
    resume_points,
)

__all__ = ["check_update", "descend_many", "max_replicates", "replicates_in", "resume_points"]
