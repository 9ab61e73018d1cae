"""Claim: two further dimensions, and keys sliced, give what the dense reference gives, gradients in σ included (D9)."""

from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel

from attn_dynamics.encoder import TrainedBell, Window, bells, use_kernel
from attn_dynamics.encoder import low_rank as by_dimensions
from attn_dynamics.encoder.dense import AttentionInputs, dense
from attn_dynamics.encoder.low_rank import low_rank
from attn_dynamics.encoder.sliced import sliced
from attn_dynamics.model.bell import Bell
from tests.encoder.conftest import LENGTHS, apart, batch, outputs, outputs_and_slopes
from tests.window.drawn import KINDS

OUTPUTS, SLOPES = 1e-5, 1e-3
"""Absolute, outputs being of the size 1; and relative."""
MiniLM = Callable[[Window], PreTrainedModel]


def drawn(
    length: int, *, dtype: torch.dtype = torch.float64, padded: bool = True, sequences: int = 2, size: int = 8
) -> AttentionInputs:
    """What a module of three heads could ask; the second sequence ends after two thirds."""
    random = torch.Generator().manual_seed(length)
    query, key, value = (torch.randn(sequences, 3, length, size, generator=random).to(dtype) for _ in range(3))
    padding = torch.ones(sequences, length, dtype=torch.bool)
    padding[1:, 2 * length // 3 :] = False
    return AttentionInputs(query, key, value, padding if padded else None, None, size**-0.5, 0.0)


def contexts_and_slopes(
    kernel: Callable, asked: AttentionInputs, bell: TrainedBell
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of real queries, and the gradient in the bell's parameter."""
    bell.zero_grad()
    found = kernel(asked, bell)[0]
    if asked.padding is not None:
        found = found * asked.padding[:, None, :, None]
    (found * torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).to(found.dtype)).sum().backward()
    assert bell.parameter.grad is not None
    return found.detach(), bell.parameter.grad.clone()


@pytest.mark.parametrize("lengths", [LENGTHS, (80,)], ids=["padded", "whole"])
@pytest.mark.parametrize(
    "settings",
    [
        Window(start_width=1.0, each="head"),
        Window(start_width=4.0, scale="log"),
        Window(start_width=30.0, scale="variance", window=33),
    ],
    ids=["narrow, by head", "ln σ", "cut"],
)
def test_two_further_dimensions_are_the_dense_window(
    minilm: MiniLM, settings: Window, lengths: tuple[int, ...]
) -> None:
    model, given = minilm(settings), batch(lengths)
    wanted, slopes = outputs_and_slopes(model, given)
    use_kernel(model, "low-rank")
    found, found_slopes = outputs_and_slopes(model, given)
    assert (found - wanted).abs().max() <= OUTPUTS
    assert apart(found_slopes, slopes) <= SLOPES
    # Negative control: a hundredth more of σ.
    with torch.no_grad():
        for each in bells(model).values():
            each.parameter.mul_(1.01)
    found, found_slopes = outputs_and_slopes(model, given)
    assert (found - wanted).abs().max() > 10 * OUTPUTS
    assert apart(found_slopes, slopes) > SLOPES


@pytest.mark.parametrize("lengths", [LENGTHS, (80,)], ids=["padded", "whole"])
def test_sliced_keys_are_the_dense_window_of_the_same_width(minilm: MiniLM, lengths: tuple[int, ...]) -> None:
    model, given = minilm(Window(start_width=5.0, window=21)), batch(lengths)
    wanted, slopes = outputs_and_slopes(model, given)
    use_kernel(model, "sliced")
    found, found_slopes = outputs_and_slopes(model, given)
    assert (found - wanted).abs().max() <= OUTPUTS
    assert apart(found_slopes, slopes) <= SLOPES
    # Negative control: one token less on either side, the slip between windows with and without their ends.
    for each in bells(model).values():
        each.half_width = 9
    with torch.no_grad():
        assert (outputs(model, given) - wanted).abs().max() > 10 * OUTPUTS


@pytest.mark.parametrize(("placement", "scale"), KINDS)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("length", "half_width"), [(150, 7), (200, 32), (300, 70), (40, 30), (97, 0), (33, 500)])
def test_slices_of_any_kind_and_length(placement: str, scale: str, padded: bool, length: int, half_width: int) -> None:
    width = max(6.0, half_width / 5)
    bell = TrainedBell(Bell(placement, scale), width, 3, half_width=half_width, dtype=torch.float64)
    asked = drawn(length, padded=padded)
    wanted, slope = contexts_and_slopes(dense, asked, bell)
    found, found_slope = contexts_and_slopes(sliced, asked, bell)
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=1e-13)
    torch.testing.assert_close(found_slope, slope, rtol=1e-10, atol=1e-13)
    if 1 <= half_width < length - 1:
        bell.half_width = half_width - 1
        assert (contexts_and_slopes(sliced, asked, bell)[0] - wanted).abs().max() > 1e-6


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("half_width", [None, 5])
@pytest.mark.parametrize("scale", ["deviation", "variance", "log"])
def test_further_dimensions_in_float64(scale: str, half_width: int | None, padded: bool) -> None:
    bell = TrainedBell(Bell("renormalised", scale), 3.0, 3, half_width=half_width, dtype=torch.float64)
    asked = drawn(70, padded=padded)
    wanted, slope = contexts_and_slopes(dense, asked, bell)
    found, found_slope = contexts_and_slopes(low_rank, asked, bell)
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=1e-12)
    torch.testing.assert_close(found_slope, slope, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("padded", [False, True])
def test_a_frozen_bell_is_a_summand_of_the_scores(padded: bool, heads: int) -> None:
    """The kernel of stage 2, with the gradient of what is still trained."""
    bell = TrainedBell(Bell(), 6.0, heads, half_width=20, dtype=torch.float64)
    with torch.no_grad():
        bell.parameter.copy_(torch.linspace(6.0, 9.0, heads))
    bell.parameter.requires_grad_(False)
    found = []
    for kernel in (dense, sliced):
        asked = drawn(500, padded=padded)
        leaves = [each.requires_grad_() for each in (asked.query, asked.key, asked.value)]
        contexts = kernel(asked, bell)[0]
        contexts.pow(3).sum().backward()
        found.append([contexts.detach(), *(each.grad for each in leaves)])
    for one, other in zip(*found, strict=True):
        assert (one - other).abs().max() <= 1e-12
    # Negative control: another bell.
    with torch.no_grad():
        bell.parameter.mul_(1.001)
        assert (sliced(drawn(500, padded=padded), bell)[0] - found[0][0]).abs().max() > 1e-6


def test_a_long_sequence_needs_its_blocks_centred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theory D9: in float32 with σ = 5, positions count from the middle of each block of queries."""
    bell = TrainedBell(Bell(), 5.0, 1)
    asked = drawn(2048, dtype=torch.float32, sequences=1, padded=False)
    wide = asked._replace(query=asked.query.double(), key=asked.key.double(), value=asked.value.double())
    with torch.no_grad():
        wanted = low_rank(wide, bell)[0]
        assert (low_rank(asked, bell)[0] - wanted).abs().max() <= 2e-5
        # Negative control: one centre for all.
        monkeypatch.setattr(by_dimensions, "REACH", 1e6)
        assert (low_rank(asked, bell)[0] - wanted).abs().max() > 1e-3


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kernel", [dense, low_rank, sliced], ids=lambda kernel: kernel.__name__)
def test_a_sequence_of_padding_alone_has_contexts_of_0_and_no_gradient(kernel: Callable, frozen: bool) -> None:
    bell = TrainedBell(Bell(), 2.0, 1, half_width=4)
    asked = drawn(120, dtype=torch.float32)
    assert asked.padding is not None
    asked.padding[1] = False
    if frozen:
        bell.parameter.requires_grad_(False)
    query = asked.query.requires_grad_()
    found = kernel(asked, bell)[0]
    assert torch.equal(found[1], torch.zeros_like(found[1]))
    assert found[0].abs().min() > 0
    found.sum().backward()
    assert query.grad is not None
    assert frozen or (bell.parameter.grad is not None and torch.isfinite(bell.parameter.grad).all())
    assert torch.isfinite(query.grad).all()
    assert torch.equal(query.grad[1], torch.zeros_like(query.grad[1]))


@pytest.mark.parametrize("kernel", [dense, low_rank], ids=lambda kernel: kernel.__name__)
def test_a_mask_of_pairs_is_honoured(kernel: Callable) -> None:
    bell = TrainedBell(Bell(), 4.0, 1, dtype=torch.float64, half_width=12)
    asked, pairs = drawn(50, padded=False), torch.ones(50, 50, dtype=torch.bool).tril()[None, None]
    added = torch.zeros(1, 1, 50, 50, dtype=torch.float64).masked_fill(~pairs, -torch.inf)
    found, by_summands = (kernel(asked._replace(mask=each), bell)[0] for each in (pairs, added))
    torch.testing.assert_close(found, by_summands)
    # A query that sees the tokens before it does not know what comes after.
    value = asked.value.clone()
    value[:, :, 30:] = 0.0
    changed = kernel(asked._replace(mask=pairs, value=value), bell)[0]
    torch.testing.assert_close(changed[:, :, :30], found[:, :, :30])
    # Negative control: without the mask it does.
    assert (kernel(asked._replace(value=value), bell)[0] - kernel(asked, bell)[0])[:, :, :30].abs().max() > 1e-2


def test_half_precision_attends_in_float32() -> None:
    """bfloat16 has three digits: its own product of the further dimensions would be noise."""
    bell, asked = TrainedBell(Bell(), 3.0, 1), drawn(64, dtype=torch.float32)
    narrow = asked._replace(**{name: getattr(asked, name).bfloat16() for name in ("query", "key", "value")})
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found, wanted = low_rank(narrow, bell)[0], dense(asked, bell)[0]
    assert found.dtype == torch.bfloat16
    assert (found - wanted).abs().max() <= 0.05


@pytest.mark.parametrize("scale", ["deviation", "variance", "log"])
@pytest.mark.parametrize("width", [1e-20, 1e-3, 0.1, 0.24, 0.26])
@pytest.mark.parametrize("kernel", [dense, low_rank, sliced], ids=lambda kernel: kernel.__name__)
def test_bells_narrower_than_a_token_are_right_in_float32(kernel: Callable, width: float, scale: str) -> None:
    """Down to 0.1 token, where a query sees itself alone and the slope is 0."""
    bell = TrainedBell(Bell(scale=scale), width, 1, half_width=20)
    exact = TrainedBell(bell.bell, width, 1, half_width=20, dtype=torch.float64)
    wanted, slope = contexts_and_slopes(dense, drawn(90), exact)
    found, found_slope = contexts_and_slopes(kernel, drawn(90, dtype=torch.float32), bell)
    torch.testing.assert_close(found.double(), wanted, rtol=0.0, atol=1e-5)
    torch.testing.assert_close(found_slope.double(), slope, rtol=1e-2, atol=1e-12)


def test_two_dimensions_alone_would_answer_with_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    monkeypatch.setattr(by_dimensions, "NARROW", 0.0)
    _, slope = contexts_and_slopes(low_rank, drawn(90, dtype=torch.float32), TrainedBell(Bell(), 1e-3, 1))
    assert abs(slope) > 1.0
