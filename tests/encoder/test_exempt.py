"""Claim: pairs of an exempt query or key have no bell, in every placement and kernel, gradients in σ included."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

from attn_dynamics.encoder import (
    KERNELS,
    TrainedBell,
    Window,
    bells,
    exempt_tokens,
    load_encoder,
    slice_windows,
    use_kernel,
    windowed,
)
from attn_dynamics.encoder.dense import AttentionInputs, dense
from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import Bell
from tests.encoder.conftest import SMALL, apart, batch, outputs, outputs_and_slopes
from tests.encoder.test_kernels import contexts_and_slopes, drawn
from tests.window.drawn import KINDS

MiniLM = Callable[[Window], PreTrainedModel]
SPECIAL: dict[str, Any] = SMALL | {
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 1,
    "sep_token_id": 2,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def with_exempt(asked: AttentionInputs, share: float, seed: int = 0) -> AttentionInputs:
    """Draw exempt tokens, in the first sequence some more."""
    chance = torch.rand(asked.query.shape[0], asked.query.shape[2], generator=torch.Generator().manual_seed(seed))
    exempt = chance < share * torch.linspace(1.5, 1.0, len(chance))[:, None]
    return asked._replace(exempt=exempt if asked.padding is None else exempt & asked.padding)


def by_hand(asked: AttentionInputs, bell: TrainedBell, half_width: int | None) -> torch.Tensor:
    """Contexts of real queries, pair by pair."""
    found = torch.zeros_like(asked.query)
    bell_of = np.exp(bell.log(torch.arange(-200.0, 201.0, dtype=torch.float64)).detach().numpy())
    for b, h, i in np.ndindex(*asked.query.shape[:3]):
        weights, height = torch.zeros(asked.query.shape[2], dtype=torch.float64), []
        for j in range(asked.query.shape[2]):
            free = asked.exempt is not None and bool(asked.exempt[b, i] or asked.exempt[b, j])
            seen = asked.padding is None or bool(asked.padding[b, j])
            near = half_width is None or abs(i - j) <= half_width
            height.append(1.0 if free else bell_of[h, 200 + j - i])
            if seen and (near or free):
                weights[j] = torch.exp(asked.query[b, h, i] @ asked.key[b, h, j] * asked.scaling)
        heights = torch.tensor(height, dtype=torch.float64)
        if bell.bell.renormalises:
            weights = weights * heights / (weights * heights).sum()
        else:
            weights = weights / weights.sum() * heights
        found[b, h, i] = weights @ asked.value[b, h]
    return found if asked.padding is None else found * asked.padding[:, None, :, None]


@pytest.mark.parametrize(("placement", "scale"), KINDS)
@pytest.mark.parametrize("half_width", [None, 3])
def test_the_dense_window_is_the_sum_pair_by_pair(placement: str, scale: str, half_width: int | None) -> None:
    bell = TrainedBell(Bell(placement, scale), 2.0, 3, half_width=half_width, dtype=torch.float64)
    asked = with_exempt(drawn(14), 0.2)
    found, _ = contexts_and_slopes(dense, asked, bell)
    torch.testing.assert_close(found, by_hand(asked, bell, half_width), rtol=0.0, atol=1e-13)
    # Negative control: without them.
    assert (contexts_and_slopes(dense, asked._replace(exempt=None), bell)[0] - found).abs().max() > 1e-3


@pytest.mark.parametrize(("placement", "scale"), KINDS)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize(("length", "half_width"), [(300, 40), (97, 0)])
def test_slices_gather_them(
    placement: str, scale: str, padded: bool, share: float, length: int, half_width: int
) -> None:
    bell = TrainedBell(Bell(placement, scale), 6.0, 3, half_width=half_width, dtype=torch.float64)
    asked = with_exempt(drawn(length, padded=padded), share)
    wanted, slope = contexts_and_slopes(dense, asked, bell)
    for frozen in (False, True):
        bell.parameter.requires_grad_(not frozen)
        with torch.set_grad_enabled(not frozen):
            found = KERNELS["sliced"](asked, bell)[0].detach()
        found = found * asked.padding[:, None, :, None] if asked.padding is not None else found
        torch.testing.assert_close(found, wanted, rtol=0.0, atol=1e-13)
    bell.parameter.requires_grad_(True)
    torch.testing.assert_close(contexts_and_slopes(KERNELS["sliced"], asked, bell)[1], slope, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("half_width", [None, 5])
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_a_fourth_dimension_carries_them(
    half_width: int | None, padded: bool, dtype: torch.dtype, allowed: float
) -> None:
    bell = TrainedBell(Bell(), 3.0, 3, half_width=half_width, dtype=torch.float64)
    asked = with_exempt(drawn(130, padded=padded), 0.1)
    wanted, slope = contexts_and_slopes(dense, asked, bell)
    given = asked._replace(**{name: getattr(asked, name).to(dtype) for name in ("query", "key", "value")})
    found, found_slope = contexts_and_slopes(KERNELS["low-rank"], given, bell)
    torch.testing.assert_close(found.double(), wanted, rtol=0.0, atol=allowed)
    torch.testing.assert_close(found_slope, slope, rtol=1000 * allowed, atol=allowed)


QUESTION = "Where does the river end?"
PASSAGE = "It flows through seven towns before it meets the sea, which is cold there for most of the year."


def test_the_question_is_what_stands_before_the_first_separator(minilm: MiniLM) -> None:
    tokenizer = load_encoder().tokenizer
    given = tokenizer([QUESTION, "Who?"], [PASSAGE, PASSAGE], padding=True, return_tensors="pt")
    model = windowed(load_encoder().model.eval(), Window(start_width=2.0, exempt="question"), tokenizer)
    expected = (given["token_type_ids"] == 0) & given["attention_mask"].bool() | (given["input_ids"] == 102)
    assert torch.equal(cast(Tensor, exempt_tokens(model, given)), expected)
    # A single text has no question.
    single = tokenizer([PASSAGE, "Who?"], padding=True, return_tensors="pt")
    assert cast(Tensor, exempt_tokens(model, single)).sum(dim=1).tolist() == [2, 2]
    # Special tokens alone are three in each sequence.
    model = windowed(load_encoder().model.eval(), Window(start_width=2.0, exempt="special"), tokenizer)
    special = outputs(model, dict(given))
    exempt = cast(Tensor, exempt_tokens(model, given))
    assert exempt.sum(dim=1).tolist() == [3, 3]
    # The same mask given with the batch is the same window.
    model = windowed(load_encoder().model.eval(), Window(start_width=2.0, exempt="mask"))
    assert apart(outputs(model, dict(given) | {"exempt_tokens": exempt}).detach(), special.detach()) == 0.0


FAMILIES = [
    (BertModel, BertConfig),
    (RobertaModel, RobertaConfig),
    (DistilBertModel, DistilBertConfig),
    (AlbertModel, AlbertConfig),
    (ModernBertModel, ModernBertConfig),
]


@pytest.mark.parametrize(("kind", "settings"), FAMILIES, ids=lambda each: each.__name__)
def test_the_mask_reaches_the_attention_of_its_own_pass(kind: type[PreTrainedModel], settings: type) -> None:
    """Checkpointing computes the layers of both passes again, after the second."""
    torch.manual_seed(0)
    model = windowed(kind(settings(**SPECIAL)), Window(start_width=2.0, exempt="mask"))
    masks = [torch.rand(2, 20, generator=torch.Generator().manual_seed(seed)) < 0.3 for seed in range(2)]
    ids = torch.randint(5, 50, (2, 20), generator=torch.Generator().manual_seed(2))
    slopes = []
    for checkpointed in (False, kind is not AlbertModel):  # which supports none
        if checkpointed:
            getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model.zero_grad()
        sums = [model(input_ids=ids, exempt_tokens=each).last_hidden_state[..., 0].square().sum() for each in masks]
        (sums[0] - 2.0 * sums[1]).backward()
        slopes.append(torch.cat([cast(Tensor, each.parameter.grad) for each in bells(model).values()]))
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-4, atol=1e-6)
    # Negative control: the masks make a difference.
    with torch.no_grad():
        one, other = (model(input_ids=ids, exempt_tokens=each).last_hidden_state for each in masks)
    assert (one - other).abs().max() > 1e-3


def test_kernels_agree_in_an_encoder(minilm: MiniLM) -> None:
    given = batch()
    given["exempt_tokens"] = torch.rand(given["input_ids"].shape, generator=torch.Generator().manual_seed(0)) < 0.1
    model = minilm(Window(start_width=3.0, window=17, exempt="mask", each="head"))
    wanted, slopes = outputs_and_slopes(model, given)
    for kernel in ("low-rank", "sliced"):
        use_kernel(model, kernel)
        found, found_slopes = outputs_and_slopes(model, given)
        assert (found - wanted).abs().max() <= 1e-5
        assert apart(found_slopes, slopes) <= 1e-3
    use_kernel(model, "dense")
    slice_windows(model, 1e-6)
    with torch.no_grad():
        assert (outputs(model, given) - wanted).abs().max() <= 1e-4


@pytest.fixture
def small(tmp_path: Path) -> PreTrainedModel:
    torch.manual_seed(0)
    return BertModel(BertConfig(**SMALL)).eval()


def test_a_saved_encoder_knows_its_exempt_tokens(tmp_path: Path, small: PreTrainedModel) -> None:
    tokenizer = load_encoder().tokenizer
    tokenizer.save_pretrained(tmp_path)
    windowed(small, Window(start_width=2.0, exempt="question"), tokenizer).save_pretrained(tmp_path)
    again = load_encoder(tmp_path).model.eval()
    for first, second in zip(bells(small).values(), bells(again).values(), strict=True):
        assert first.exemption == second.exemption
        assert first.exemption.separator == AutoTokenizer.from_pretrained(tmp_path).sep_token_id


def test_what_it_lacks_is_told(small: PreTrainedModel) -> None:
    ids = torch.ones(1, 5, dtype=torch.long)
    with pytest.raises(InputError, match="tokenizer"):
        windowed(small, Window(exempt="question"))
    with pytest.raises(InputError, match="exempt"):
        Window(exempt="all")  # pyright: ignore[reportArgumentType]
    windowed(small, Window(exempt="mask"))
    with pytest.raises(InputError, match="exempt_tokens"):
        small(input_ids=ids)
    small(input_ids=ids, exempt_tokens=ids.bool())
    plain = windowed(BertModel(BertConfig(**SMALL)).eval(), Window())
    with pytest.raises(InputError, match="exempt_tokens"):
        plain(input_ids=ids, exempt_tokens=ids.bool())
    exemption = replace(next(iter(bells(small).values())).exemption, kind="question", separator=1)
    with pytest.raises(InputError, match="input_ids"):
        exemption.tokens(None, None, None)
