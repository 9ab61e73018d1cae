"""Attention within a bell as it is written, every pair of tokens: the reference for any placement and scale."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop

from attn_dynamics.encoder.bell import TrainedBell


class AttentionInputs(NamedTuple):
    """What an attention module asks for; B sequences, H heads, L tokens."""

    query: Tensor
    """(B, H, L, d)."""
    key: Tensor
    """(B, H, L, d)."""
    value: Tensor
    """(B, H, L, d)."""
    padding: Tensor | None
    """(B, L), true where there is a token."""
    mask: Tensor | None
    """(B, 1 or H, L, L) where more is asked than padding: true where a token may be seen, or summands of the scores."""
    scaling: float
    """What scores are multiplied by, 1/√d."""
    dropout: float
    """Share of the weights that is dropped."""


def dense(asked: AttentionInputs, bell: TrainedBell) -> tuple[Tensor, Tensor]:
    """Contexts (B, H, L, d) and weights (B, H, L, L); a query that sees no token has a context of 0."""
    places = torch.arange(asked.key.shape[2], device=asked.key.device)
    distances = places - places[:, None]
    scores = asked.query @ asked.key.mT * asked.scaling
    seen = None if asked.padding is None else asked.padding[:, None, None]
    if bell.half_width is not None:
        seen = both(seen, distances.abs() <= bell.half_width)
    if asked.mask is not None and asked.mask.dtype == torch.bool:
        seen = both(seen, asked.mask)
    elif asked.mask is not None:
        scores = scores + asked.mask
    weights = drop(masked_weights(scores, bell.log(distances), bell, seen), asked.dropout)
    return weights.to(asked.value.dtype) @ asked.value, weights


def masked_weights(scores: Tensor, log_bell: Tensor, bell: TrainedBell, seen: Tensor | None) -> Tensor:
    """What each query gives to each token, in the order of `PLACEMENTS`.

    Args:
        scores: (B, H, …, queries, tokens).
        log_bell: ln U, of a shape that fits.
        bell: the placement.
        seen: true where a token may be seen, of a shape that fits.
    """
    exponents = scores + log_bell if bell.bell.renormalises else scores
    if seen is not None:
        # No -∞: a row of them has no softmax, and its gradient is no number.
        exponents = exponents.masked_fill(~seen, torch.finfo(exponents.dtype).min)
    shares = torch.softmax(exponents, dim=-1)
    if seen is not None:
        shares = shares * seen.any(dim=-1, keepdim=True)
    return shares if bell.bell.renormalises else shares * torch.exp(log_bell)


def both(one: Tensor | None, other: Tensor) -> Tensor:
    """True where both are."""
    return other if one is None else one & other
