"""Many starts on the same data in one pass: replicates as columns of the sparse products, in numpy or torch."""

from attn_dynamics.training.replicates.descent import descend_many, replicates_in, room_for, standing_many

__all__ = ["descend_many", "replicates_in", "room_for", "standing_many"]
