"""Keys sliced to a half-width before the product: time and memory linear in the length, any placement and scale.

Queries are processed in blocks, each with its own keys and those within w of them. A block of b queries meets b + 2w
keys. Exempt tokens are gathered: every block meets all E of them as well, and they themselves meet all keys.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop
from torch.nn.functional import pad, scaled_dot_product_attention

from attn_dynamics.encoder.bell import TrainedBell
from attn_dynamics.encoder.dense import AttentionInputs, dense, masked_weights
from attn_dynamics.errors import InputError

LEAST = 64
"""Smallest number of queries in a block."""
HIDDEN = 1e30
"""Amount subtracted from the scores of padding."""
AT_ONCE = 1 << 23
"""Number of scores that a processor holds at once if they are computed explicitly."""


class Blocks(NamedTuple):
    """Queries in n blocks of b, each with the K = b + 2w + E keys around it and exempt from the bell."""

    queries: Tensor
    """Queries (B, H, n, b, d)."""
    keys: Tensor
    """Keys (B, H, n, K, d), without exempt ones a view: neighbours overlap."""
    values: Tensor
    """Values (B, H, n, K, d), likewise."""
    real: Tensor
    """Mask (B or 1, n, 1, K), true at tokens that are seen here: each exempt one only once."""
    near: Tensor
    """Mask (b, K), true at pairs within w and at exempt keys, the same in all blocks."""
    log_bell: Tensor
    """ln U (1 or H, b, K), the same in all blocks; 0 at exempt keys."""


def sliced(asked: AttentionInputs, bell: TrainedBell) -> tuple[Tensor, None]:
    """Return contexts (B, H, L, d), equal to those of `dense` with the same half-width.

    A frozen renormalised bell goes through `scaled_dot_product_attention`, as a term added to the scores.

    Raises:
        InputError: there is no half-width, or the mask is one of pairs.
    """
    if bell.half_width is None:
        fix = "Give a window, or call slice_windows."
        raise InputError("kernel", expected="a half-width to slice to", given="none", fix=fix)
    if asked.mask is not None:
        given, fix = f"one of shape {tuple(asked.mask.shape)}", "Use kernel='dense' for it."
        raise InputError("attention_mask", expected="a mask of padding (B, L)", given=given, fix=fix)
    length, half = asked.query.shape[2], bell.half_width
    gathered = None if asked.exempt is None else _gathered(asked, asked.exempt)
    if computed(length, half, 0 if gathered is None else gathered.places.shape[1]) >= 1.0:
        return dense(asked, bell)[0], None
    blocks = _blocks(asked, bell, half, gathered)
    trained = torch.is_grad_enabled() and bell.parameter.requires_grad
    # Not in types narrower than float32, which would round the added term; kernels need no gradient of it.
    fused = bell.bell.renormalises and not trained and asked.query.dtype in (torch.float32, torch.float64)
    contexts = (_fused if fused else _written)(asked, blocks, bell).flatten(2, 3)[:, :, :length]
    return contexts if gathered is None else _with_exempt(contexts, asked, gathered), None


def computed(length: int, half: int, exempt: int = 0) -> float:
    """Return the share of all pairs of so many tokens whose scores are computed; 1 if a block would meet all keys.

    For slightly longer sequences it may be above 1, because the last block is padded.
    """
    block = max(half, LEAST)
    if block + 2 * half + exempt >= length:
        return 1.0
    return (-(-length // block) * block * (block + 2 * half + exempt) + exempt * length) / length**2


class Gathered(NamedTuple):
    """Exempt tokens of each sequence, E of them at most."""

    places: Tensor
    """Places (B, E), of any tokens where there are fewer."""
    real: Tensor
    """Mask (B, E), true at exempt tokens."""
    queries: Tensor
    """Queries (B, H, E, d)."""
    keys: Tensor
    """Keys (B, H, E, d)."""
    values: Tensor
    """Values (B, H, E, d)."""


def _gathered(asked: AttentionInputs, exempt: Tensor) -> Gathered:
    most = int(exempt.sum(dim=1).max())
    places = exempt.int().argsort(dim=1, descending=True, stable=True)[:, :most]
    rows = (_at(each, places) for each in (asked.query, asked.key, asked.value))
    return Gathered(places, exempt.gather(1, places), *rows)


def _at(rows: Tensor, places: Tensor) -> Tensor:
    """Return the rows (B, H, E, d) at some places of each sequence."""
    return rows.take_along_dim(places[:, None, :, None], dim=2)


def _with_exempt(contexts: Tensor, asked: AttentionInputs, gathered: Gathered) -> Tensor:
    """Return the contexts (B, H, L, d) with those of exempt queries, which see every token without a bell."""
    scores = gathered.queries @ asked.key.mT * asked.scaling
    if asked.padding is not None:
        scores = scores.masked_fill(~asked.padding[:, None, None], torch.finfo(scores.dtype).min)
    weights = drop(torch.softmax(scores, dim=-1), asked.dropout)
    # Where a sequence has fewer exempt tokens, its places hold others, whose contexts stay.
    found = torch.where(
        gathered.real[:, None, :, None], weights.to(asked.value.dtype) @ asked.value, _at(contexts, gathered.places)
    )
    return contexts.scatter(2, gathered.places[:, None, :, None].expand_as(found), found)


def _blocks(asked: AttentionInputs, bell: TrainedBell, half: int, gathered: Gathered | None) -> Blocks:
    sequences, heads, length, size = asked.query.shape
    block = max(half, LEAST)
    number = -(-length // block)
    after = number * block - length
    keys, values = (
        pad(each, (0, 0, half, half + after)).unfold(2, block + 2 * half, block).mT for each in (asked.key, asked.value)
    )
    real = asked.query.new_ones(1, length, dtype=torch.bool) if asked.padding is None else asked.padding
    real = real if asked.exempt is None else real & ~asked.exempt
    rows, columns = (torch.arange(each, device=asked.query.device) for each in (block, block + 2 * half))
    distances = columns - half - rows[:, None]
    around = Blocks(
        queries=pad(asked.query, (0, 0, 0, after)).view(sequences, heads, number, block, size),
        keys=keys,
        values=values,
        real=pad(real, (half, half + after)).unfold(1, block + 2 * half, block)[:, :, None],
        near=distances.abs() <= half,
        log_bell=bell.log(distances),
    )
    return around if gathered is None else _joined(around, gathered)


def _joined(around: Blocks, gathered: Gathered) -> Blocks:
    """Return the blocks with the exempt keys beside those around each."""
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


def _fused(asked: AttentionInputs, blocks: Blocks, bell: TrainedBell) -> Tensor:
    """Return contexts (B, H, n, b, d) by torch's fused kernel, with every block as a separate sequence."""
    sequences, _, number, _, _ = blocks.queries.shape
    # What is not to be seen is low, not -∞: every query's own token stays, so that each row has a softmax.
    added = blocks.log_bell.to(asked.query.dtype).masked_fill(~blocks.near, -torch.inf)
    added = added - HIDDEN * (~blocks.real)[:, :, None].to(added.dtype)
    contexts = scaled_dot_product_attention(
        *(each.transpose(1, 2).flatten(0, 1) for each in (blocks.queries, blocks.keys, blocks.values)),
        attn_mask=added.expand(sequences, *added.shape[1:]).flatten(0, 1),
        dropout_p=asked.dropout,
        scale=asked.scaling,
    )
    contexts = contexts.unflatten(0, (sequences, number)).transpose(1, 2)
    if asked.padding is None:
        return contexts
    return contexts * (blocks.real & blocks.near).any(dim=-1, keepdim=True)[:, None]


def _written(asked: AttentionInputs, blocks: Blocks, bell: TrainedBell) -> Tensor:
    """Return contexts (B, H, n, b, d) by explicit scores: for any placement, and with a gradient of σ."""
    sequences, heads, number, _, _ = blocks.queries.shape
    near, log_bell = blocks.near, blocks.log_bell[:, None]
    step = number
    if asked.query.device.type == "cpu":
        step = max(1, AT_ONCE // (sequences * heads * near.numel()))
    parts = []
    for first in range(0, number, step):
        part = slice(first, first + step)
        scores = blocks.queries[:, :, part] @ blocks.keys[:, :, part].mT * asked.scaling
        weights = drop(masked_weights(scores, log_bell, bell, (blocks.real[:, part] & near)[:, None]), asked.dropout)
        parts.append(weights.to(asked.value.dtype) @ blocks.values[:, :, part])
    return torch.cat(parts, dim=2)
