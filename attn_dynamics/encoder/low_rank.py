"""Renormalised bells by any attention kernel: ln U as two further dimensions of queries and keys (theory D9).

A third dimension carries padding, so that kernels need no mask, whose gradient some of them cannot compute. The first
two omit a term that is equal for all keys of a query. A fourth adds it for exempt keys, which lack the first two.
Exempt queries have none of the dimensions of the bell.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from attn_dynamics.encoder.bell import TrainedBell
from attn_dynamics.encoder.dense import HIDDEN, AttentionInputs, both, dense, exempt_pairs

REACH = 16.0
"""Number of queries with one centre, in units of the smallest σ, at which cancelling terms stay below some hundred."""
LEAST = 16
"""Smallest number of queries with one centre."""
NARROW = 0.25
"""Width σ, in tokens, below which `dense` computes: round-off of terms like j²/σ² would hide slopes of e^(-1/2σ²)."""
ALIGNED = 8
"""Multiple to which kernels need dimensions to be padded."""


def low_rank(inputs: AttentionInputs, bell: TrainedBell) -> tuple[Tensor, None]:
    """Return contexts (B, H, L, d) by `scaled_dot_product_attention`, in float32 or wider for the cancellation."""
    if bell.widths.min() < NARROW:
        return dense(inputs, bell)[0], None
    length, wide = inputs.query.shape[2], torch.promote_types(inputs.query.dtype, torch.float32)
    with torch.autocast(inputs.query.device.type, enabled=False):
        whole = inputs._replace(
            query=inputs.query.to(wide),
            key=inputs.key.to(wide),
            value=inputs.value.to(wide),
        )
        precision = bell.precision().to(wide)
        block = length if wide == torch.float64 else max(LEAST, int(REACH * bell.widths.min()))
        parts = [_part(whole, precision, bell.half_width, first, block) for first in range(0, length, block)]
    return torch.cat(parts, dim=2).to(inputs.value.dtype), None


def _part(inputs: AttentionInputs, precision: Tensor, half_width: int | None, first: int, block: int) -> Tensor:
    length = inputs.query.shape[2]
    last = min(first + block, length)
    # Keys that no query of the block sees are dropped before the product, unless exempt tokens may stand anywhere.
    near = None if inputs.exempt is not None else half_width
    low, high = (0, length) if near is None else (max(first - near, 0), min(last + near, length))
    if low == 0 and high == length and last - first == length:
        return _attend(inputs, precision, half_width, slice(first, last), slice(low, high))
    # Each block has its own keys, which the backward pass builds again, so that memory stays linear in the length.
    return checkpoint(_attend, inputs, precision, half_width, slice(first, last), slice(low, high), use_reentrant=False)


def _attend(inputs: AttentionInputs, precision: Tensor, half_width: int | None, queries: slice, keys: slice) -> Tensor:
    query, key, value = inputs.query[:, :, queries], inputs.key[:, :, keys], inputs.value[:, :, keys]
    places = torch.arange(inputs.query.shape[2], device=query.device, dtype=query.dtype)
    centre = 0.5 * (queries.start + queries.stop - 1)
    i, j = places[queries] - centre, places[keys] - centre
    near = None if half_width is None else (j - i[:, None]).abs() <= half_width
    if near is not None and inputs.exempt is not None:
        near = near | exempt_pairs(inputs.exempt, queries, keys)
    # The kernel multiplies by the scaling.
    ours, theirs = _ours(inputs, precision / inputs.scaling, i, queries), _theirs(inputs, j, keys)
    size = -(-(query.shape[-1] + theirs.shape[-1]) // ALIGNED) * ALIGNED
    out = scaled_dot_product_attention(
        _beside(query, ours, size),
        _beside(key, theirs, size),
        pad(value, (0, size - value.shape[-1])),
        attn_mask=_mask(inputs.mask, near, queries, keys),
        dropout_p=inputs.dropout,
        scale=inputs.scaling,
    )[..., : value.shape[-1]]
    if inputs.padding is None:
        return out
    some = inputs.padding[:, None, None, keys]
    return out * (some if near is None else some & near).any(dim=-1, keepdim=True)


def _ours(inputs: AttentionInputs, precision: Tensor, i: Tensor, queries: slice) -> Tensor:
    """Return the further dimensions (1 or B, 1 or H, queries, 4) of queries at positions i.

    They use -Δ²/2σ² = i j/σ² - j²/2σ² - i²/2σ², whose last term is equal for all keys of a query unless one is exempt.
    """
    slope = precision[:, None]
    of_bell = [slope * i, (-0.5 * slope).expand(-1, len(i)), 0.5 * slope * i**2]
    if inputs.exempt is not None:
        of_bell = [each * ~inputs.exempt[:, None, queries] for each in of_bell]
    found = torch.stack([*of_bell, torch.ones_like(of_bell[0])], dim=-1)
    return found if inputs.exempt is not None else found[None]


def _theirs(inputs: AttentionInputs, j: Tensor, keys: slice) -> Tensor:
    """Return the further dimensions (1 or B, 1, keys, 4) of keys at positions j."""
    hidden = torch.zeros_like(j)[None] if inputs.padding is None else ~inputs.padding[:, keys] * (-HIDDEN)
    exempt = torch.zeros_like(hidden, dtype=torch.bool) if inputs.exempt is None else inputs.exempt[:, keys]
    found = torch.stack(torch.broadcast_tensors(j * ~exempt, j**2 * ~exempt, exempt, hidden), dim=-1)
    return found[:, None].to(j.dtype)


def _beside(columns: Tensor, more: Tensor, size: int) -> Tensor:
    """Return rows (B, H, tokens, size): columns, further dimensions, and zeros."""
    more = pad(more, (0, size - columns.shape[-1] - more.shape[-1]))
    return torch.cat([columns, more.expand(*columns.shape[:-1], -1)], dim=-1)


def _mask(mask: Tensor | None, near: Tensor | None, queries: slice, keys: slice) -> Tensor | None:
    """Return the mask for torch's kernel; None without a half-width and without a mask of pairs."""
    if mask is not None:
        mask = mask.expand(-1, -1, mask.shape[-1], -1)[:, :, queries, keys]
    if near is None:
        return mask
    if mask is None or mask.dtype == torch.bool:
        return both(mask, near)
    return mask.masked_fill(~near, -torch.inf)
