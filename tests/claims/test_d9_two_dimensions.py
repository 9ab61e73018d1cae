"""Claim D9: two further dimensions carry a renormalised bell, and its gradient, through a kernel that knows neither."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from attn_dynamics.window.low_rank import features, width_gradient
from tests.support import examples


def drawn(seed: int, length: int, d: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    query, key, value = (torch.from_numpy(rng.standard_normal((1, length, d))) for _ in range(3))
    return query, key, value


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 9), st.floats(0.5, 50.0))
def test_torchs_kernel_gives_the_same_contexts(seed: int, length: int, d: int, width: float) -> None:
    query, key, value = drawn(seed, length, d)
    places = np.arange(length)
    bell = torch.from_numpy(-0.5 * np.subtract.outer(places, places) ** 2 / width**2)
    wanted = torch.softmax(query @ key.mT / d**0.5 + bell, dim=-1) @ value
    more = features(places, places, width)
    wide = torch.cat([query, d**0.5 * torch.from_numpy(more.queries)[None]], dim=-1)
    deep = torch.cat([key, torch.from_numpy(more.keys)[None]], dim=-1)
    ours = scaled_dot_product_attention(wide, deep, value, scale=d**-0.5)
    # Products of the size length²/σ² cancel to the bell's exponent.
    bound = 16 * np.finfo(float).eps * (10.0 + (length / width) ** 2) * float(value.abs().max())
    assert float((ours - wanted).abs().max()) <= bound


def test_the_scale_of_the_kernel_has_to_be_undone() -> None:
    """Negative control."""
    query, key, value = drawn(0, 20, 4)
    places = np.arange(20)
    bell = torch.from_numpy(-0.5 * np.subtract.outer(places, places) ** 2 / 9.0)
    wanted = torch.softmax(query @ key.mT / 2.0 + bell, dim=-1) @ value
    more = features(places, places, 3.0)
    wide, deep = (torch.cat([a, torch.from_numpy(b)[None]], dim=-1) for a, b in zip((query, key), more, strict=True))
    ours = scaled_dot_product_attention(wide, deep, value, scale=0.5)
    assert float((ours - wanted).abs().max()) > 1e-2


@pytest.mark.parametrize("width", [0.8, 5.0, 30.0])
def test_the_gradient_to_the_width_comes_through(width: float) -> None:
    query, key, value = drawn(1, 30, 4)
    sigma = torch.tensor(width, dtype=torch.float64, requires_grad=True)
    places = torch.arange(30, dtype=torch.float64)
    scores = query @ key.mT / 2.0 - 0.5 * (places[:, None] - places) ** 2 / sigma**2
    loss = torch.tanh(torch.softmax(scores, dim=-1) @ value).sum()
    slopes, exact = torch.autograd.grad(loss, (scores, sigma))
    through = width_gradient(places.numpy(), places.numpy(), width, slopes[0].numpy())
    assert through == pytest.approx(exact.item(), rel=1e-9)
