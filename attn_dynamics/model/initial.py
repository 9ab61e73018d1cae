"""Initial values by name: those of LMN21's code, text and analysis, and those of the mean-field theory."""

from dataclasses import dataclass, replace

import numpy as np

from attn_dynamics.check import instance, integer, number, one_of
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import HEADS, DrawLayer, TwoLayer, glorot, torch_linear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.memory import check_room

QUERY_SCALE = 0.3
"""Standard deviation of the entries of the query, N(0, 0.3²)."""
PUBLISHED_KEY_DIM = 10
"""Dimension of keys and query in LMN21's code, independent of the embedding dimension."""
COPIES = 4
"""Number of arrays of the size of the embeddings that a draw needs at once, including the keys."""


@dataclass(frozen=True)
class Preset:
    """A rule for initial values: q ~ N(0, 0.3²), K = 0, E normal with mean 0 (theory §1)."""

    embedding_scale: float
    """Standard deviation of the embeddings."""
    layer: DrawLayer = glorot
    """Function that draws the trained layers."""
    orthonormal: bool = False
    """Whether ‖q‖ = 1 and the columns of the head's first layer are orthonormal, as LMN21's analysis assumes."""


PRESETS = {
    "published": Preset(1e-6, torch_linear),  # LMN21's code
    "paper": Preset(1e-3),  # LMN21's text, which states the variance 10⁻⁶
    "lmn21": Preset(1e-3, orthonormal=True),
    "mean-field": Preset(0.0, orthonormal=True),  # theory §4
}
"""Presets by name."""


def draw(
    preset: str,
    model: str,
    *,
    n_words: int,
    n_classes: int,
    embedding_dim: int,
    key_dim: int | None = None,
    hidden_dim: int = 10,
    scale: float = 1.0,
    rng: np.random.Generator,
) -> Parameters:
    """Draw the initial parameters of a model by the name of a preset.

    Args:
        preset: a name in `PRESETS`: published, paper, lmn21 or mean-field.
        model: a name in `HEADS`.
        n_words: size V of the vocabulary.
        n_classes: number n of classes.
        embedding_dim: dimension d of the embeddings.
        key_dim: dimension d_k of keys and query; by default 10 for `published`, otherwise d.
        hidden_dim: number of hidden units of a two-layer head.
        scale: factor on the embeddings of the preset, whose standard deviation is 10⁻⁶ for `published`, 10⁻³ for
            `paper` and `lmn21`, and 0 for `mean-field`. The other draws are the same for every scale.
        rng: source of the draws.

    Raises:
        InputError: the preset or model is unknown, a dimension is below 1, the scale is negative or not finite, or the
            preset needs orthonormal columns and the head's first layer has more columns than dimensions.

    Example:
        >>> start = draw("paper", "attn-fc", n_words=5, n_classes=2, embedding_dim=3, rng=np.random.default_rng(0))
        >>> start.embeddings.shape, start.scores.tolist()
        ((5, 3), [0.0, 0.0, 0.0, 0.0, 0.0])
    """
    head, preset = HEADS[one_of("model", model, HEADS)], one_of("preset", preset, PRESETS)
    n_words, n_classes = integer("n_words", n_words, 1), integer("n_classes", n_classes, 2)
    d, hidden = integer("embedding_dim", embedding_dim, 1), integer("hidden_dim", hidden_dim, 1)
    if key_dim is None:
        key_dim = PUBLISHED_KEY_DIM if preset == "published" else d
    d_k = integer("key_dim", key_dim, 1)
    scale = number("scale", scale, least=0, fix="1 is the preset's own.")
    instance("rng", rng, np.random.Generator, fix="numpy.random.default_rng(0) makes one.")
    sizes = {"embedding_dim": d, "key_dim": d_k, "hidden_dim": hidden if head is TwoLayer else 1}
    room = n_words * max(d, d_k) + d * max(n_classes, sizes["hidden_dim"])
    check_room(COPIES * 8 * room, sizes)
    how = PRESETS[preset]
    start = Parameters(
        query=QUERY_SCALE * rng.standard_normal(d_k),
        keys=np.zeros((n_words, d_k)),
        # Adding 0 turns -0 into 0.
        embeddings=scale * (how.embedding_scale * rng.standard_normal((n_words, d)) + 0.0),
        head=head.draw(rng, d, n_classes, hidden, how.layer),
    )
    return _orthonormal(start) if how.orthonormal else start


def _orthonormal(start: Parameters) -> Parameters:
    """Return parameters with ‖q‖ = 1 and orthonormal columns in the head's first layer.

    Raises:
        InputError: the first layer has more columns than dimensions.
    """
    head = start.head
    d, r = head.first_layer.shape
    if r > d:
        fix = "Raise the embedding dimension, or take the preset 'paper'."
        raise InputError("embedding_dim", expected=f"at least the {r} columns of the first layer", given=d, fix=fix)
    columns, upper = np.linalg.qr(head.first_layer)
    columns *= np.sign(np.diag(upper))
    return replace(start, query=start.query / np.linalg.norm(start.query), head=head.replace(**{head.first: columns}))
