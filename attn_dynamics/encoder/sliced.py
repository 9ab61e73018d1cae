"""Keys sliced to a half-width w before the product, in time and memory linear in the length, for any bell.

Queries are processed in blocks. A block of b queries gets scores with the b + 2w keys around it, and with copies of all
E exempt keys. Exempt queries get scores with all keys, outside the blocks.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop
from torch.nn.functional import pad, scaled_dot_product_attention

from attn_dynamics.encoder.bell import TrainedBell
from attn_dynamics.encoder.dense import HIDDEN, AttentionInputs, dense, masked_weights
from attn_dynamics.errors import InputError

LEAST = 64
"""Smallest number of queries in a block."""
AT_ONCE = 1 << 23
"""Number of explicit scores that are held in memory at a time on a CPU."""


class Blocks(NamedTuple):
    """Queries in n blocks of b, each with its K = b + 2w + E keys: those around it and the exempt ones."""

    queries: Tensor
    """Queries (B, H, n, b, d)."""
    keys: Tensor
    """Keys (B, H, n, K, d); a view of overlapping blocks if no key is exempt."""
    values: Tensor
    """Values (B, H, n, K, d), in the same layout."""
    real: Tensor
    """Mask (B or 1, n, 1, K), true at tokens; an exempt token counts once, among the gathered ones."""
    near: Tensor
    """Mask (b, K), true at pairs within w and at exempt keys, the same in all blocks."""
    log_bell: Tensor
    """ln U (1 or H, b, K), the same in all blocks; 0 at exempt keys."""


def sliced(inputs: AttentionInputs, bell: TrainedBell) -> tuple[Tensor, None]:
    """Return contexts (B, H, L, d), equal to those of `dense` with the same half-width.

    If the bell is renormalised and σ is not trained, torch's `scaled_dot_product_attention` computes them, with ln U
    added to the scores.

    Raises:
        InputError: there is no half-width, or there is a mask of pairs.
    """
    if bell.half_width is None:
        fix = "Give a window, or call slice_windows."
        raise InputError("kernel", expected="a half-width to slice to", given="none", fix=fix)
    if inputs.mask is not None:
        given, fix = f"one of shape {tuple(inputs.mask.shape)}", "Use kernel='dense' for it."
        raise InputError("attention_mask", expected="a mask of padding (B, L)", given=given, fix=fix)
    length, half = inputs.query.shape[2], bell.half_width
    gathered = None if inputs.exempt is None else _gathered(inputs, inputs.exempt)
    if computed(length, half, 0 if gathered is None else gathered.places.shape[1]) >= 1.0:
        return dense(inputs, bell)[0], None
    blocks = _blocks(inputs, bell, half, gathered)
    trained = torch.is_grad_enabled() and bell.parameter.requires_grad
    # The fused kernel computes no gradient of the added term, and types narrower than float32 would round it.
    fused = bell.bell.renormalises and not trained and inputs.query.dtype in (torch.float32, torch.float64)
    contexts = (_fused if fused else _written)(inputs, blocks, bell).flatten(2, 3)[:, :, :length]
    return contexts if gathered is None else _with_exempt(contexts, inputs, gathered), None


def computed(length: int, half: int, exempt: int = 0) -> float:
    """Return the share of pairs whose scores are computed in a sequence of some length; 1 if a block meets all keys.

    For slightly longer sequences the share may be above 1, because the last block is padded.
    """
    block = max(half, LEAST)
    if block + 2 * half + exempt >= length:
        return 1.0
    return (-(-length // block) * block * (block + 2 * half + exempt) + exempt * length) / length**2


class Gathered(NamedTuple):
    """Exempt tokens of each sequence, at most E of them."""

    places: Tensor
    """Positions (B, E) of exempt tokens, and of others in sequences that have fewer."""
    real: Tensor
    """Mask (B, E), true at exempt tokens."""
    queries: Tensor
    """Queries (B, H, E, d)."""
    keys: Tensor
    """Keys (B, H, E, d)."""
    values: Tensor
    """Values (B, H, E, d)."""


def _gathered(inputs: AttentionInputs, exempt: Tensor) -> Gathered:
    most = int(exempt.sum(dim=1).max())
    places = exempt.int().argsort(dim=1, descending=True, stable=True)[:, :most]
    rows = (_at(each, places) for each in (inputs.query, inputs.key, inputs.value))
    return Gathered(places, exempt.gather(1, places), *rows)


def _at(rows: Tensor, places: Tensor) -> Tensor:
    """Return the rows (B, H, E, d) at these positions of each sequence."""
    return rows.take_along_dim(places[:, None, :, None], dim=2)


def _with_exempt(contexts: Tensor, inputs: AttentionInputs, gathered: Gathered) -> Tensor:
    """Return contexts (B, H, L, d) in which those of exempt queries, which see all tokens without a bell, are new."""
    scores = gathered.queries @ inputs.key.mT * inputs.scaling
    if inputs.padding is not None:
        scores = scores.masked_fill(~inputs.padding[:, None, None], torch.finfo(scores.dtype).min)
    weights = drop(torch.softmax(scores, dim=-1), inputs.dropout)
    # In a sequence with fewer exempt tokens, the other positions keep their contexts.
    found = torch.where(
        gathered.real[:, None, :, None], weights.to(inputs.value.dtype) @ inputs.value, _at(contexts, gathered.places)
    )
    return contexts.scatter(2, gathered.places[:, None, :, None].expand_as(found), found)


def _blocks(inputs: AttentionInputs, bell: TrainedBell, half: int, gathered: Gathered | None) -> Blocks:
    sequences, heads, length, size = inputs.query.shape
    block = max(half, LEAST)
    number = -(-length // block)
    after = number * block - length
    keys, values = (
        pad(each, (0, 0, half, half + after)).unfold(2, block + 2 * half, block).mT
        for each in (inputs.key, inputs.value)
    )
    real = inputs.query.new_ones(1, length, dtype=torch.bool) if inputs.padding is None else inputs.padding
    real = real if inputs.exempt is None else real & ~inputs.exempt
    rows, columns = (torch.arange(each, device=inputs.query.device) for each in (block, block + 2 * half))
    distances = columns - half - rows[:, None]
    around = Blocks(
        queries=pad(inputs.query, (0, 0, 0, after)).view(sequences, heads, number, block, size),
        keys=keys,
        values=values,
        real=pad(real, (half, half + after)).unfold(1, block + 2 * half, block)[:, :, None],
        near=distances.abs() <= half,
        log_bell=bell.log(distances),
    )
    return around if gathered is None else _joined(around, gathered)


def _joined(around: Blocks, gathered: Gathered) -> Blocks:
    """Return the blocks with the exempt keys appended."""
    number, most = around.keys.shape[2], gathered.places.shape[1]
    keys, values = (
        torch.cat([near, far[:, :, None].expand(-1, -1, number, -1, -1)], dim=3)
        for near, far in ((around.keys, gathered.keys), (around.values, gathered.values))
    )
    exempt = gathered.real[:, None, None].expand(-1, number, -1, -1)
    return around._replace(
        keys=keys,
        values=values,
        real=torch.cat([around.real, exempt], dim=-1),
        near=pad(around.near, (0, most), value=True),
        log_bell=pad(around.log_bell, (0, most)),
    )


def _fused(inputs: AttentionInputs, blocks: Blocks, bell: TrainedBell) -> Tensor:
    """Return contexts (B, H, n, b, d) by torch's fused kernel, with every block as a separate sequence."""
    sequences, _, number, _, _ = blocks.queries.shape
    # Scores of padding are low instead of -∞, so that each row has a softmax; every query keeps its own token.
    added = blocks.log_bell.to(inputs.query.dtype).masked_fill(~blocks.near, -torch.inf)
    added = added - HIDDEN * (~blocks.real)[:, :, None].to(added.dtype)
    contexts = scaled_dot_product_attention(
        *(each.transpose(1, 2).flatten(0, 1) for each in (blocks.queries, blocks.keys, blocks.values)),
        attn_mask=added.expand(sequences, *added.shape[1:]).flatten(0, 1),
        dropout_p=inputs.dropout,
        scale=inputs.scaling,
    )
    contexts = contexts.unflatten(0, (sequences, number)).transpose(1, 2)
    if inputs.padding is None:
        return contexts
    return contexts * (blocks.real & blocks.near).any(dim=-1, keepdim=True)[:, None]


def _written(inputs: AttentionInputs, blocks: Blocks, bell: TrainedBell) -> Tensor:
    """Return contexts (B, H, n, b, d) by explicit scores, for any placement and with a gradient in σ."""
    sequences, heads, number, _, _ = blocks.queries.shape
    near, log_bell = blocks.near, blocks.log_bell[:, None]
    step = number
    if inputs.query.device.type == "cpu":
        step = max(1, AT_ONCE // (sequences * heads * near.numel()))
    parts = []
    for first in range(0, number, step):
        part = slice(first, first + step)
        scores = blocks.queries[:, :, part] @ blocks.keys[:, :, part].mT * inputs.scaling
        weights = drop(masked_weights(scores, log_bell, bell, (blocks.real[:, part] & near)[:, None]), inputs.dropout)
        parts.append(weights.to(inputs.value.dtype) @ blocks.values[:, :, part])
    return torch.cat(parts, dim=2)
