"""The parameters that a model may learn: query, keys, embeddings, head (theory §1)."""

from dataclasses import dataclass

from attn_dynamics.check import as_floats, instance
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array, Head

TRAINABLE = ("query", "keys", "embeddings", "head")
"""Names that `train` may contain."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Parameters:
    """The parameters of one model, or their gradient, in float64.

    Raises:
        InputError: shapes do not fit together, or entries are not finite.

    Example:
        >>> from attn_dynamics import FixedLinear
        >>> parameters = Parameters(
        ...     query=np.ones(2), keys=np.eye(2), embeddings=np.eye(2), head=FixedLinear(weight=np.eye(2))
        ... )
        >>> parameters.scores.tolist()
        [1.0, 1.0]
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
        shapes = {
            "query": (self.query.size,),
            "keys": (len(self.keys), self.query.size),
            "embeddings": (len(self.keys), self.head.first_layer.shape[0]),
        }
        for name, wanted in shapes.items():
            given = getattr(self, name).shape
            if given != wanted:
                fix = "Make query, keys, embeddings and head fit each other."
                raise InputError(name, expected=f"shape {wanted}", given=f"shape {given}", fix=fix)

    @property
    def scores(self) -> Array:
        """Return the scores s = K q (V,)."""
        return self.keys @ self.query
