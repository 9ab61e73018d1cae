"""Attention within a bell, computed for every pair of tokens; the reference for any placement and scale."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop

from attn_dynamics.encoder.bell import TrainedBell

HIDDEN = 1e30
"""Amount subtracted from scores of padding."""


class AttentionInputs(NamedTuple):
    """Inputs of an attention module, for B sequences, H heads, L tokens."""

    query: Tensor
    """Queries (B, H, L, d)."""
    key: Tensor
    """Keys (B, H, L, d)."""
    value: Tensor
    """Values (B, H, L, d)."""
    padding: Tensor | None
    """Padding mask (B, L), true at tokens."""
    mask: Tensor | None
    """Mask (B, 1 or H, L, L) of pairs, if any: true at visible tokens, or terms to add to the scores."""
    scaling: float
    """Factor on the scores, 1/√d."""
    dropout: float
    """Probability with which a weight is dropped."""
    exempt: Tensor | None = None
    """Mask (B, L), true at tokens exempt from the bell; None if there are none."""


def dense(inputs: AttentionInputs, bell: TrainedBell) -> tuple[Tensor, Tensor]:
    """Return contexts (B, H, L, d) and weights (B, H, L, L); a query that sees no token has context 0."""
    places = torch.arange(inputs.key.shape[2], device=inputs.key.device)
    distances = places - places[:, None]
    scores = inputs.query @ inputs.key.mT * inputs.scaling
    seen, log_bell = None if inputs.padding is None else inputs.padding[:, None, None], bell.log(distances)
    near = None if bell.half_width is None else distances.abs() <= bell.half_width
    if inputs.exempt is not None:
        pairs = exempt_pairs(inputs.exempt)
        log_bell, near = torch.where(pairs, 0.0, log_bell), None if near is None else near | pairs
    if near is not None:
        seen = both(seen, near)
    if inputs.mask is not None and inputs.mask.dtype == torch.bool:
        seen = both(seen, inputs.mask)
    elif inputs.mask is not None:
        scores = scores + inputs.mask
    weights = drop(masked_weights(scores, log_bell, bell, seen), inputs.dropout)
    return weights.to(inputs.value.dtype) @ inputs.value, weights


def masked_weights(scores: Tensor, log_bell: Tensor, bell: TrainedBell, seen: Tensor | None) -> Tensor:
    """Return the weight of each token for each query.

    Args:
        scores: scores (B, H, …, queries, tokens).
        log_bell: ln U, of a shape that broadcasts.
        bell: bell whose placement decides the formula.
        seen: mask, true at visible tokens, of a shape that broadcasts; None if all are visible.
    """
    exponents = scores + log_bell if bell.bell.renormalises else scores
    if seen is not None:
        # The smallest number instead of -∞, because the softmax of a row of -∞ is NaN.
        exponents = exponents.masked_fill(~seen, torch.finfo(exponents.dtype).min)
    shares = torch.softmax(exponents, dim=-1)
    if seen is not None:
        shares = shares * seen.any(dim=-1, keepdim=True)
    return shares if bell.bell.renormalises else shares * torch.exp(log_bell)


def exempt_pairs(exempt: Tensor, queries: slice = slice(None), keys: slice = slice(None)) -> Tensor:
    """Return the mask (B, 1, queries, keys) of pairs with an exempt query or key, from the exempt tokens (B, L)."""
    return exempt[:, None, queries, None] | exempt[:, None, None, keys]


def both(one: Tensor | None, other: Tensor) -> Tensor:
    """Return the conjunction of two masks; None as the first stands for all true."""
    return other if one is None else one & other
