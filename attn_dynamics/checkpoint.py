"""Checkpoints of runs, by the short name."""

from attn_dynamics.training.checkpoint import Checkpoint

__all__ = ["Checkpoint"]
