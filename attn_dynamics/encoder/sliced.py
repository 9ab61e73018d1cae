"""Keys sliced to a half-width before the product: time and memory linear in the length, any placement and scale.

Queries go in blocks, each with its own keys and those within w of them; so a block of b queries meets b + 2w keys.
"""

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop
from torch.nn.functional import pad

from attn_dynamics.encoder.bell import TrainedBell
from attn_dynamics.encoder.dense import Asked, dense, weigh
from attn_dynamics.errors import InputError

LEAST = 32
"""Queries of a block at least."""
AT_ONCE = 1 << 21
"""Scores that are held at once on a processor, so that they stay in its caches."""


def sliced(asked: Asked, bell: TrainedBell) -> tuple[Tensor, None]:
    """Contexts (B, H, L, d), those of `dense` with the same half-width.

    Raises:
        InputError: no half-width, or a mask of pairs.
    """
    if bell.half_width is None:
        fix = "Give a window, or call slice_windows."
        raise InputError("kernel", expected="a half-width to slice to", given="none", fix=fix)
    if asked.mask is not None:
        given, fix = f"one of shape {tuple(asked.mask.shape)}", "Use kernel='dense' for it."
        raise InputError("attention_mask", expected="a mask of padding (B, L)", given=given, fix=fix)
    sequences, heads, length, size = asked.query.shape
    half = bell.half_width
    block = max(half, LEAST)
    if block + 2 * half >= length:
        return dense(asked, bell)[0], None
    blocks = -(-length // block)
    queries = pad(asked.query, (0, 0, 0, blocks * block - length)).view(sequences, heads, blocks, block, size)
    around = (half, half + blocks * block - length)
    keys, values = (pad(each, (0, 0, *around)).unfold(2, block + 2 * half, block) for each in (asked.key, asked.value))
    real = asked.query.new_ones(1, length, dtype=torch.bool) if asked.padding is None else asked.padding
    real = pad(real, around).unfold(1, block + 2 * half, block)[:, None, :, None]
    distances = torch.arange(-half, block + half, device=queries.device) - torch.arange(
        block, device=queries.device
    ).unsqueeze(1)
    near, log_bell = distances.abs() <= half, bell.log(distances[None])
    step = blocks
    if queries.device.type == "cpu":
        step = max(1, AT_ONCE // (sequences * heads * distances.numel()))
    parts = []
    for first in range(0, blocks, step):
        part = slice(first, first + step)
        scores = queries[:, :, part] @ keys[:, :, part] * asked.scaling
        weights = drop(weigh(scores, log_bell, bell, real[:, :, part] & near), asked.dropout)
        parts.append(weights.to(values.dtype) @ values[:, :, part].mT)
    return torch.cat(parts, dim=2).flatten(2, 3)[:, :, :length], None
