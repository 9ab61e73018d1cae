"""Claim: in MiniLM the window keeps what attention promises: a wide bell changes nothing, padding is not seen."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    AttentionMaskInterface,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
)

from attn_dynamics.encoder import NAME, Window, bells, windowed
from attn_dynamics.encoder.interface import attention_modules
from attn_dynamics.errors import InputError
from tests.encoder.conftest import LENGTHS, SMALL, apart, batch, outputs

MiniLM = Callable[[Window], PreTrainedModel]
WIDE = 1e9
"""σ at which ln U is below the round-off of any score."""
KINDS = [
    Window(start_width=3.0),
    Window(start_width=3.0, kernel="low-rank"),
    Window(start_width=3.0, window=21, kernel="sliced"),
    Window(start_width=3.0, placement="product"),
    Window(start_width=3.0, placement="peak", window=21),
]
NAMES = [f"{each.placement}, {each.kernel}" for each in KINDS]


def small(**more: Any) -> BertConfig:
    return BertConfig(**SMALL, **more)


@pytest.mark.parametrize(
    "settings",
    [
        Window(start_width=WIDE),
        Window(start_width=WIDE, placement="peak"),
        Window(start_width=WIDE, kernel="low-rank"),
        Window(start_width=1e6, scale="log", each="head"),
    ],
    ids=["renormalised", "peak", "low-rank", "ln σ, by head"],
)
@torch.no_grad()
def test_a_wide_bell_gives_the_plain_model_back(minilm: MiniLM, pristine: PreTrainedModel, settings: Window) -> None:
    given = batch()
    plain = outputs(pristine, given)
    assert apart(outputs(minilm(settings), given), plain) <= 1e-6
    # Negative control: a bell a few times as wide as the sequences.
    narrower = Window(start_width=300.0, placement=settings.placement, scale=settings.scale)
    assert apart(outputs(minilm(narrower), given), plain) > 1e-4


@torch.no_grad()
def test_a_product_never_gives_it_back(minilm: MiniLM, pristine: PreTrainedModel) -> None:
    """Theory D10: its prefactor switches attention off."""
    given = batch()
    wide = outputs(minilm(Window(start_width=1e6, placement="product")), given)
    assert apart(wide, outputs(pristine, given)) > 0.1


def together_and_alone(model: PreTrainedModel) -> float:
    """How far members of a padded batch are from what they are alone."""
    given, distances, place = batch(), [], 0
    together = outputs(model, given)
    for row, length in enumerate(LENGTHS):
        single = {name: each[row : row + 1, :length] for name, each in given.items()}
        alone = outputs(model, single)
        distances.append(float((together[place : place + length] - alone).abs().max()))
        place += length
    return max(distances)


@pytest.mark.parametrize("settings", KINDS, ids=NAMES)
@torch.no_grad()
def test_a_batch_and_its_members_agree(minilm: MiniLM, settings: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    model = minilm(settings)
    assert together_and_alone(model) <= 1e-5
    # Negative control: without a mask function of that name transformers passes no padding on, and does not say so.
    monkeypatch.delitem(AttentionMaskInterface._global_mapping, NAME)
    assert together_and_alone(model) > 1e-2


@pytest.mark.parametrize("settings", KINDS, ids=NAMES)
@torch.no_grad()
def test_what_stands_in_padding_does_not_matter(minilm: MiniLM, settings: Window) -> None:
    model, given = minilm(settings), batch()
    words = given["input_ids"].clone()
    words[1, LENGTHS[1] :] = 999
    assert torch.equal(outputs(model, {**given, "input_ids": words}), outputs(model, given))
    # Negative control: what stands in a token does.
    words[1, LENGTHS[1] - 1] = 999
    assert (outputs(model, {**given, "input_ids": words}) - outputs(model, given)).abs().max() > 1e-2


@torch.no_grad()
def test_the_dense_window_hands_its_weights_out(minilm: MiniLM) -> None:
    model, given = minilm(Window(start_width=4.0, window=21)), batch()
    weights = model(**given, output_attentions=True).attentions
    assert len(weights) == 6
    real = given["attention_mask"].bool()
    for each in weights:
        torch.testing.assert_close(each.sum(-1).mean(1)[real], torch.ones(int(real.sum())))
        assert each.triu(11).abs().max() == 0.0
        assert each.triu(10).abs().max() > 0.0


def test_other_encoders_have_windows_too() -> None:
    config = DistilBertConfig(vocab_size=50, dim=16, n_layers=2, n_heads=2, hidden_dim=8)
    model = windowed(DistilBertModel(config).eval(), Window(each="head"))
    assert [each.parameter.shape for each in bells(model).values()] == [(2,), (2,)]
    narrow = model(input_ids=torch.arange(1, 20)[None]).last_hidden_state
    with torch.no_grad():
        for each in bells(model).values():
            each.parameter.fill_(WIDE)
    assert (model(input_ids=torch.arange(1, 20)[None]).last_hidden_state - narrow).abs().max() > 1e-4


def test_looking_for_attention_leaves_a_model_as_it_was() -> None:
    model = BertModel(small())
    model.encoder.layer[0].eval()
    before = {name: each.training for name, each in model.named_modules()}
    found = attention_modules(model)
    assert list(found.values()) == [2, 2]
    assert {name: each.training for name, each in model.named_modules()} == before
    assert model.config._attn_implementation == "sdpa"


def test_an_encoder_without_the_interface_is_refused() -> None:
    model = MPNetModel(MPNetConfig(**SMALL))
    with pytest.raises(
        InputError, match=r"encoder: expected an encoder whose attention goes through .* got MPNetModel"
    ):
        windowed(model, Window())


def test_a_model_that_looks_one_way_is_refused() -> None:
    with pytest.raises(InputError, match="attention to both sides"):
        windowed(BertModel(small(is_decoder=True)), Window())


def test_the_name_alone_is_no_window() -> None:
    model = BertModel(small())
    model.set_attn_implementation(NAME)
    with pytest.raises(InputError, match="a bell in every attention module, got BertSelfAttention"):
        model(input_ids=torch.tensor([[1, 2, 3]]))


def test_slices_refuse_a_mask_of_pairs() -> None:
    model = windowed(BertModel(small()), Window(window=3, kernel="sliced"))
    pairs = torch.ones(1, 1, 40, 40, dtype=torch.bool)
    with pytest.raises(InputError, match=r"a mask of padding \(B, L\), got one of shape \(1, 1, 40, 40\)"):
        model(input_ids=torch.ones(1, 40, dtype=torch.long), attention_mask=pairs)
