"""Smooth head that is not linear, for relations that hold under any head."""

from dataclasses import dataclass
from typing import Self, final

import numpy as np

from attn_dynamics.model.heads import Array, DrawLayer, Head, glorot


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TanhHead(Head):
    """Head z = U₂ᵀ tanh(U₁ᵀ v), with both layers trained."""

    weight_in: Array
    """First weight U₁ (d, h)."""
    weight_out: Array
    """Second weight U₂ (h, n)."""
    first = "weight_in"
    trained = ("weight_in", "weight_out")

    @property
    def n_classes(self) -> int:
        """Return the number n of classes."""
        return self.weight_out.shape[-1]

    def shapes(self, d: int, r: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of U₁ and U₂."""
        return {"weight_in": (d, r), "weight_out": (r, self.n_classes)}

    def forward(self, projected: Array) -> tuple[Array, Array]:
        """Return the logits, and the hidden units."""
        hidden = np.tanh(projected)
        return self.weight_out.mT @ hidden, hidden

    def backward(self, kept: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        """Return the slopes before tanh, and the gradient of U₂."""
        return (self.weight_out @ slopes) * (1.0 - kept**2), {"weight_out": kept @ slopes.mT}

    @classmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int, layer: DrawLayer = glorot) -> Self:
        """Draw both layers."""
        return cls(weight_in=layer(rng, d, hidden)[0], weight_out=layer(rng, hidden, n_classes)[0])
