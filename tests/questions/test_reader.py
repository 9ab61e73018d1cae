"""Answers do not depend on who is read beside them; a head is its seed's; attention is counted by its mass."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertModel, PreTrainedModel

from attn_dynamics.encoder import Window, bells, exempt_tokens, slice_windows, widths
from attn_dynamics.errors import InputError
from attn_dynamics.questions import Features, attended_pairs, attention_by_distance, cut, read, reader, tokens_held
from attn_dynamics.questions.reader import AT_ONCE
from attn_dynamics.window.reach import half_width
from tests.questions.conftest import asked


def head(model: PreTrainedModel) -> torch.Tensor:
    return model.get_parameter("qa_outputs.weight").detach()


def test_a_head_is_its_seeds(tiny: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, again, other = (head(reader(Window(), encoder=tiny, seed=seed).model) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.rand(2), expected), "the generator of others goes on as if nothing were"


def test_weights_kept_in_half_are_trained_in_whole(tiny: Path, tmp_path: Path) -> None:
    BertModel.from_pretrained(tiny).half().save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path)
    model = reader(Window(), encoder=tmp_path).model
    assert {each.dtype for each in model.parameters()} == {torch.float32}


def test_loading_says_nothing(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    reader(Window(), encoder=tiny)
    assert capfd.readouterr() == ("", "")


def test_answers_are_those_of_each_alone(tiny: Path, word_pieces, made: Features) -> None:
    model = reader(Window(start_width=5.0), encoder=tiny).model
    many = [each._replace(id=f"{each.id}-{k}") for k in range(4) for each in made.questions]
    long = asked("the house is red and old " * 30, "red", id="long")
    features = cut([*many[:20], long, *many[20:]], word_pieces, length=48, stride=8)
    assert len(features) > AT_ONCE
    shown = []
    together = read(model, features, show=shown.append)
    assert sum(shown) == len(features)
    alone = {}
    for each in features.questions:
        alone |= read(model, cut([each], word_pieces, length=48, stride=8))
    assert together == alone
    assert len(set(together.values())) > 3


def test_tokens_that_hold_the_attention(tiny: Path, made: Features) -> None:
    by_width = {
        width: tokens_held(attention_by_distance(reader(Window(start_width=width), encoder=tiny).model, made)[0])
        for width in (0.2, 2.0, 1e6)
    }
    assert by_width[0.2].tolist() == [1, 1]
    # ±1.96 σ hold 95 % of a bell, where scores are about even; sequences end, so a little less.
    assert np.abs(by_width[2.0] - 9).max() <= 2
    assert (by_width[1e6] > 15).all()


def test_attention_is_counted_by_distance_pair_by_pair(tiny: Path, made: Features) -> None:
    model = reader(Window(start_width=3.0), encoder=tiny).model
    found = attention_by_distance(model, made)
    expected = np.zeros_like(found)
    for window in range(min(AT_ONCE, len(made))):
        batch = {name: torch.from_numpy(each) for name, each in made.batch([window]).items()}
        with torch.inference_mode():
            weights = np.array([each[0].numpy() for each in model(**batch, output_attentions=True).attentions])
        places = np.arange(weights.shape[-1])
        first, last = made.passage[window]
        inside = (first <= places) & (places < last)
        for k, kept in enumerate((np.ones_like(inside), inside)):
            for i, j in itertools.product(np.flatnonzero(kept), repeat=2):
                expected[k, :, :, abs(i - j)] += weights[:, :, i, j]
    assert found == pytest.approx(expected / expected.sum(axis=-1, keepdims=True), abs=1e-6)
    assert np.abs(found[0] - found[1]).max() > 0.01, "question and separators are attended otherwise"


@pytest.mark.parametrize("exempt", ["none", "special", "question"])
def test_attended_pairs_are_counted_pair_by_pair(tiny: Path, made: Features, exempt: Any) -> None:
    model = reader(Window(start_width=1.0, each="head", exempt=exempt), encoder=tiny).model
    with torch.no_grad():
        for k, each in enumerate(bells(model).values()):
            each.parameter.add_(torch.tensor([0.0, 0.7 + k]))
    seen, pairs = np.zeros((2, 2)), 0
    for window in range(len(made)):
        batch = {name: torch.from_numpy(each) for name, each in made.batch([window]).items()}
        found = exempt_tokens(model, batch)
        free = np.zeros(batch["input_ids"].shape[1], bool) if found is None else found[0].numpy()
        apart = np.abs(np.arange(free.size) - np.arange(free.size)[:, None])
        reach = np.array([[half_width(each, 0.01) for each in row] for row in widths(model)])
        near = (apart <= reach[..., None, None]) | free | free[:, None]
        seen, pairs = seen + near.sum(axis=(2, 3)), pairs + free.size**2
    assert attended_pairs(model, made) == pytest.approx(seen / pairs)


def test_logits_keep_their_precision_where_the_encoder_is_narrow(tiny: Path, made: Features) -> None:
    model, types = reader(Window(), encoder=tiny).model, []
    model.register_forward_hook(lambda module, given, out: types.append(out.start_logits.dtype))
    narrow = read(model, made, precision="bfloat16")
    assert set(types) == {torch.float32}
    assert narrow.keys() == read(model, made).keys()


def test_a_kernel_without_weights_has_none_to_count(tiny: Path, made: Features) -> None:
    model = reader(Window(), encoder=tiny).model
    slice_windows(model, 0.1)
    with pytest.raises(InputError, match="use_kernel"):
        attention_by_distance(model, made)


def test_a_device_that_is_not_there(tiny: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match="GPU"):
        reader(Window(), encoder=tiny, device="cuda")
