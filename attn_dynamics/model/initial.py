"""Initial values by name: LMN21's published code, its text, its analysis, and the start that makes its theory exact."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from attn_dynamics.check import instance, integer, number, one_of
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import HEADS, Head, TwoLayer, glorot, torch_linear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.memory import check_room

EMBEDDING_SCALE = 1e-3
"""Standard deviation of the initial embeddings in LMN21's text, which states the variance 10⁻⁶."""
PUBLISHED_EMBEDDING_SCALE = 1e-6
"""Standard deviation of the initial embeddings in LMN21's code."""
QUERY_SCALE = 0.3
"""Standard deviation of the entries of the query, N(0, 0.3²)."""
PUBLISHED_KEY_DIM = 10
"""Dimension of keys and query in LMN21's code, independent of the embedding dimension."""

COPIES = 4
"""Number of arrays of the size of the embeddings that a draw holds at once, including the keys."""

Draw = Callable[[np.random.Generator, type[Head], int, int, int, int, int], Parameters]


def published(
    rng: np.random.Generator, head: type[Head], n_words: int, n_classes: int, d: int, d_k: int, hidden: int
) -> Parameters:
    """Draw as LMN21's code does: E with standard deviation 10⁻⁶, trained layers as torch initialises `Linear`."""
    return Parameters(
        query=QUERY_SCALE * rng.standard_normal(d_k),
        keys=np.zeros((n_words, d_k)),
        embeddings=PUBLISHED_EMBEDDING_SCALE * rng.standard_normal((n_words, d)),
        head=head.draw(rng, d, n_classes, hidden, torch_linear),
    )


def paper(
    rng: np.random.Generator, head: type[Head], n_words: int, n_classes: int, d: int, d_k: int, hidden: int
) -> Parameters:
    """Draw as LMN21's text states: q ~ N(0, 0.3²), K = 0, E ~ N(0, 10⁻⁶) (theory §1); trained layers by Glorot."""
    return Parameters(
        query=QUERY_SCALE * rng.standard_normal(d_k),
        keys=np.zeros((n_words, d_k)),
        embeddings=EMBEDDING_SCALE * rng.standard_normal((n_words, d)),
        head=head.draw(rng, d, n_classes, hidden, glorot),
    )


def lmn21(
    rng: np.random.Generator, head: type[Head], n_words: int, n_classes: int, d: int, d_k: int, hidden: int
) -> Parameters:
    """Draw for LMN21's analysis: as `paper`, with orthonormal columns in the head's first layer and ‖q‖ = 1."""
    start = paper(rng, head, n_words, n_classes, d, d_k, hidden)
    first = {start.head.first: _orthonormal(start.head.first_layer)}
    return replace(start, query=start.query / np.linalg.norm(start.query), head=start.head.replace(**first))


def mean_field(
    rng: np.random.Generator, head: type[Head], n_words: int, n_classes: int, d: int, d_k: int, hidden: int
) -> Parameters:
    """Draw for the mean-field theory (theory §4): as `lmn21`, with E = 0."""
    start = lmn21(rng, head, n_words, n_classes, d, d_k, hidden)
    return replace(start, embeddings=np.zeros_like(start.embeddings))


PRESETS: dict[str, Draw] = {"published": published, "paper": paper, "lmn21": lmn21, "mean-field": mean_field}


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

    `embedding_dim` is d, and `key_dim` is the dimension d_k of keys and query: by default 10 for `published`, else d.
    `scale` multiplies the embeddings of the preset. Their standard deviation is 10⁻⁶ for `published`, 10⁻³ for `paper`
    and `lmn21`, and 0 for `mean-field`. The other draws are the same for every scale.

    Raises:
        InputError: an unknown preset or model, a dimension below one, a scale that is negative or not finite, or more
            columns in the head's first layer than dimensions if the preset needs them orthonormal.
    """
    head, preset = HEADS[one_of("model", model, HEADS)], one_of("preset", preset, PRESETS)
    n_words, n_classes = integer("n_words", n_words, 1), integer("n_classes", n_classes, 2)
    d, hidden = integer("embedding_dim", embedding_dim, 1), integer("hidden_dim", hidden_dim, 1)
    if key_dim is None:
        key_dim = PUBLISHED_KEY_DIM if preset == "published" else d
    d_k = integer("key_dim", key_dim, 1)
    scale = number("start_scale", scale, least=0, fix="1 is the preset's own.")
    instance("rng", rng, np.random.Generator, fix="numpy.random.default_rng(0) makes one.")
    sizes = {"embedding_dim": d, "key_dim": d_k, "hidden_dim": hidden if head is TwoLayer else 1}
    room = n_words * max(d, d_k) + d * max(n_classes, sizes["hidden_dim"])
    check_room(COPIES * 8 * room, sizes)
    start = PRESETS[preset](rng, head, n_words, n_classes, d, d_k, hidden)
    return replace(start, embeddings=scale * start.embeddings)


def _orthonormal(weight: np.ndarray) -> np.ndarray:
    if weight.shape[1] > weight.shape[0]:
        raise InputError(
            "embedding_dim",
            expected=f"at least the {weight.shape[1]} columns of the head's first layer",
            given=weight.shape[0],
            fix="Raise the embedding dimension, or take the preset 'paper'.",
        )
    columns, upper = np.linalg.qr(weight)
    return columns * np.sign(np.diag(upper))
