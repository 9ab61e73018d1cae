"""LMN21's configurations on text: from its code, from its text, and the first from E(0) = 0.

The code starts from embeddings of size 10⁻⁶. From exactly zero Attn-TC closes in n - 1 dimensions (law A6). This trains
about forty times faster, so that many more starts can be run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from attn_dynamics.tasks import Task, padded

Name = Literal["published", "published-zero", "paper"]
"""Name of a configuration."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A start, the embedding dimension of each model, and whether sentences are padded."""

    start: str
    """Name of the initial values, which also determines the dimension of keys and query."""
    padding: bool
    """Whether sentences are padded to one length with a word that is attended to and trained."""
    embedding_dim: Mapping[str, int]
    """Embedding dimension d of each model."""
    start_scale: float = 1.0
    """Factor on the initial embeddings."""

    def prepare(self, task: Task) -> Task:
        """Return the task with sentences as this configuration needs them."""
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
"""Configurations by name. The text gives d = 200 for Attn-TC too, the code 100; neither gives d for Attn-TL on text."""
