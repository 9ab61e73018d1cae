"""LMN21's two configurations on text: what its code says, and what its text says; and the first from E(0) = 0.

The code starts from embeddings of size 10⁻⁶. From exactly zero Attn-TC closes in n - 1 dimensions (law A6), which
trains some forty times faster, so that many more starts can be looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from attn_dynamics.tasks import Task, padded

Name = Literal["published", "published-zero", "paper"]
"""Of a configuration."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A start, the dimension of the embeddings of each model, and whether sentences are padded."""

    start: str
    """Name of the initial values, which also decides the dimension of keys and query."""
    padding: bool
    """Whether sentences are filled up to one length with a word that is attended to and trained."""
    embedding_dim: Mapping[str, int]
    """d of each model."""
    start_scale: float = 1.0
    """Factor on the initial embeddings."""

    def prepare(self, task: Task) -> Task:
        """Give the task with its sentences as this configuration wants them."""
        return padded(task) if self.padding else task


CONFIGURATIONS = {
    "published": Configuration(
        start="published", padding=True, embedding_dim={"attn-fc": 200, "attn-tc": 100, "attn-tl": 200}
    ),
    "published-zero": Configuration(
        start="published",
        padding=True,
        embedding_dim={"attn-fc": 200, "attn-tc": 100, "attn-tl": 200},
        start_scale=0.0,
    ),
    "paper": Configuration(
        start="paper", padding=False, embedding_dim=dict.fromkeys(("attn-fc", "attn-tc", "attn-tl"), 200)
    ),
}
"""By name. The text gives Attn-TC d = 200 too, where the code has 100; for Attn-TL on text neither says anything."""
