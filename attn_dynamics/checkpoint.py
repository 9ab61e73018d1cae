"""Re-exports `Checkpoint` from training/checkpoint.py."""

from attn_dynamics.training.checkpoint import Checkpoint

__all__ = ["Checkpoint"]
