"""Many starts on the same data in one pass: replicates as columns of the sparse products."""

from attn_dynamics.training.replicates.descent import descend_many, max_replicates, replicates_in, resume_points

__all__ = ["descend_many", "max_replicates", "replicates_in", "resume_points"]
