"""The parameters that a model may learn: query, keys, embeddings, head (theory §1)."""

from dataclasses import dataclass

from attn_dynamics.check import as_floats, instance
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array, Head

TRAINABLE = ("query", "keys", "embeddings", "head")
"""Names that `train` may contain."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Parameters:
    """The parameters of one model, float64; also the shape of its gradient.

    Raises:
        InputError: shapes do not fit together, or entries are not finite.
    """

    query: Array
    """Query q (d_k,)."""
    keys: Array
    """Keys K (V, d_k)."""
    embeddings: Array
    """Embeddings E (V, d)."""
    head: Head
    """Classifier with first layer (d, r)."""

    def __post_init__(self) -> None:
        for name in ("query", "keys", "embeddings"):
            object.__setattr__(self, name, as_floats(name, getattr(self, name)))
        instance("head", self.head, Head, fix="Take FixedLinear, TrainedLinear or TwoLayer.")
        self._expect("query", self.query.ndim == 1, "shape (d_k,)", self.query.shape)
        self._expect("keys", self.keys.ndim == 2 and self.keys.shape[1] == self.query.size, "(V, d_k)", self.keys.shape)
        wanted = (self.keys.shape[0], self.head.first_layer.shape[0])
        self._expect("embeddings", self.embeddings.shape == wanted, f"(V, d) = {wanted}", self.embeddings.shape)

    @property
    def scores(self) -> Array:
        """Return the scores s = K q (V,)."""
        return self.keys @ self.query

    @staticmethod
    def _expect(name: str, holds: bool, expected: str, given: tuple[int, ...]) -> None:
        if not holds:
            raise InputError(
                name, expected=f"shape {expected}", given=f"shape {given}", fix="Make query, keys and head fit it."
            )
