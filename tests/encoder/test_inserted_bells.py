"""Claim: bells are read, trained at their own rate, frozen, sliced, saved and loaded; bad settings are refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForQuestionAnswering,
    BertConfig,
    BertForQuestionAnswering,
    BertModel,
    PreTrainedModel,
)

from attn_dynamics.encoder import (
    Window,
    backbone,
    bells,
    freeze_bells,
    half_widths,
    load_encoder,
    parameter_groups,
    restore_windows,
    slice_windows,
    use_kernel,
    widths,
    windowed,
)
from attn_dynamics.errors import InputError
from attn_dynamics.window.reach import half_width
from tests.encoder.conftest import SMALL, batch, outputs, outputs_and_slopes

MiniLM = Callable[[Window], PreTrainedModel]


def small(settings: Window) -> BertModel:
    torch.manual_seed(0)
    return windowed(BertModel(BertConfig(**SMALL)), settings)


@pytest.mark.parametrize("scale", ["deviation", "variance", "log"])
def test_widths_are_read_as_deviations(scale: str) -> None:
    settings = Window(scale=scale, start_width=7.0)
    np.testing.assert_allclose(widths(small(settings)), np.full((2, 1), 7.0), rtol=1e-6)
    np.testing.assert_allclose(widths(small(replace(settings, each="head"))), np.full((2, 2), 7.0), rtol=1e-6)


def test_every_head_has_a_gradient_of_its_own(minilm: MiniLM) -> None:
    by_head = outputs_and_slopes(minilm(Window(start_width=3.0, each="head")), batch())[1]
    by_layer = outputs_and_slopes(minilm(Window(start_width=3.0)), batch())[1]
    assert by_head.shape == (6, 12)
    assert len(by_head.unique()) == 72
    torch.testing.assert_close(by_head.sum(1), by_layer[:, 0], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(12 * by_head[:, 0], by_layer[:, 0], rtol=1e-1)


def test_bells_go_at_a_multiple_of_the_rate() -> None:
    model = small(Window(start_width=5.0))
    backbone, own = parameter_groups(model, learning_rate=1e-3, bell_rate=100.0)
    assert (backbone["name"], backbone["lr"], own["name"], own["lr"]) == ("backbone", 1e-3, "bells", 0.1)
    assert len(own["params"]) == 2
    assert len(backbone["params"]) + 2 == len(list(model.parameters()))
    begun = widths(model)
    optimiser = torch.optim.AdamW([backbone, own], weight_decay=0.5)
    model(input_ids=torch.arange(1, 30)[None]).last_hidden_state.pow(3).sum().backward()
    optimiser.step()
    # The first step of Adam is the rate itself; with weight decay it would be 0.25 more.
    np.testing.assert_allclose(np.abs(widths(model) - begun), 0.1, rtol=1e-3)


def test_frozen_bells_are_left_to_no_optimiser() -> None:
    model = small(Window())
    freeze_bells(model)
    assert [each["name"] for each in parameter_groups(model, learning_rate=1e-3)] == ["backbone"]
    freeze_bells(model, frozen=False)
    assert [each["name"] for each in parameter_groups(model, learning_rate=1e-3)] == ["backbone", "bells"]


@torch.no_grad()
def test_slices_are_as_wide_as_the_error_allows(minilm: MiniLM) -> None:
    model, given = minilm(Window(start_width=4.0)), batch()
    first = next(iter(bells(model).values()))
    first.parameter.fill_(2.0)
    whole = outputs(model, given)
    assert half_widths(model) == [None] * 6
    found = slice_windows(model, 1e-4)
    assert found == [half_width(2.0, 1e-4), *[half_width(4.0, 1e-4)] * 5] == half_widths(model)
    assert not any(each.parameter.requires_grad for each in bells(model).values())
    assert {each.kernel for each in bells(model).values()} == {"sliced"}
    assert (outputs(model, given) - whole).abs().max() <= 1e-2
    # Negative control: a hundred times the error, and it shows; a half-width is never widened.
    assert max(slice_windows(model, 1e-1)) < min(found[1:])
    assert (outputs(model, given) - whole).abs().max() > 1e-2
    assert max(slice_windows(model, 1e-4)) < min(found[1:])


@torch.no_grad()
def test_a_state_dict_holds_the_bells(minilm: MiniLM, tmp_path: Path) -> None:
    settings = Window(each="head", scale="log")
    model, given = minilm(settings), batch((20,))
    for k, each in enumerate(bells(model).values()):
        each.parameter.copy_(torch.linspace(0.1 * k, 1.0 + k, 12))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    again = minilm(settings)
    assert not torch.equal(outputs(again, given), outputs(model, given))
    again.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    np.testing.assert_array_equal(widths(again), widths(model))
    assert torch.equal(outputs(again, given), outputs(model, given))
    # Negative control: a state without bells is missed.
    state = {name: each for name, each in model.state_dict().items() if not name.endswith("bell.parameter")}
    with pytest.raises(RuntimeError, match=r"bell\.parameter"):
        again.load_state_dict(state)


def test_a_state_dict_of_another_scale_is_refused(tmp_path: Path) -> None:
    """ln 20 would be a σ of 3.0."""
    torch.save(small(Window(scale="log", start_width=20.0)).state_dict(), tmp_path / "model.pt")
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    model = small(Window(scale="deviation", start_width=5.0))
    with pytest.raises(RuntimeError, match="expected scale='deviation', got 'log'"):
        model.load_state_dict(state)
    np.testing.assert_array_equal(widths(model), np.full((2, 1), 5.0))
    # Negative control: without that metadata, as in states of plain tensors, the parameter is taken as it is.
    model.load_state_dict(dict(state))
    np.testing.assert_allclose(widths(model), np.full((2, 1), np.log(20.0)), rtol=1e-6)


@pytest.fixture
def no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of a drawn encoder holds none."""
    monkeypatch.setattr(backbone.AutoTokenizer, "from_pretrained", lambda _: None)


@torch.no_grad()
@pytest.mark.usefixtures("no_tokenizer")
@pytest.mark.parametrize("shard", ["5GB", "4KB"])
@pytest.mark.parametrize("kind", [AutoModelForQuestionAnswering, AutoModel])
def test_a_saved_window_is_loaded_again(kind: type, shard: str, tmp_path: Path) -> None:
    """Widths, half-widths and kernels, in the same model and in its backbone alone."""
    torch.manual_seed(0)
    model = windowed(BertForQuestionAnswering(BertConfig(**SMALL)).eval(), Window(each="head", scale="log"))
    for k, each in enumerate(bells(model).values()):
        each.parameter.copy_(torch.tensor([0.5 + k, 1.25]))
    slice_windows(model, 1e-3)
    model.save_pretrained(tmp_path, max_shard_size=shard)
    again = load_encoder(tmp_path, kind=kind).model.eval()
    np.testing.assert_array_equal(widths(again), widths(model))
    assert half_widths(again) == half_widths(model)
    assert {each.kernel for each in bells(again).values()} == {"sliced"}
    assert not any(each.parameter.requires_grad for each in bells(again).values())
    given = {"input_ids": torch.arange(1, 40)[None]}
    found, wanted = (getattr(each, "bert", each)(**given).last_hidden_state for each in (again, model))
    assert torch.equal(found, wanted)


@torch.no_grad()
@pytest.mark.usefixtures("no_tokenizer")
def test_a_saved_window_is_not_lost_unsaid(tmp_path: Path) -> None:
    """Loaded by transformers alone the encoder does not run; without the widths it is not loaded."""
    small(Window()).save_pretrained(tmp_path)
    trained = restore_windows(BertModel.from_pretrained(tmp_path), tmp_path)
    assert all(each.parameter.requires_grad for each in bells(trained).values())
    with pytest.raises(InputError, match="load_encoder"):
        BertModel.from_pretrained(tmp_path)(input_ids=torch.arange(1, 9)[None])
    plain = BertModel(BertConfig(**SMALL))
    plain.config.update(json.loads((tmp_path / "config.json").read_text()))
    plain.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="expected the saved bell of encoder"):
        load_encoder(tmp_path)


def test_a_model_for_questions_has_windows() -> None:
    torch.manual_seed(0)
    found = load_encoder(kind=AutoModelForQuestionAnswering)
    model = windowed(found.model, Window(start_width=20.0, each="head"))
    assert next(iter(bells(model))) == "bert.encoder.layer.0.attention.self.bell"
    given = found.tokenizer(["Who asks?"], ["He asks."], return_tensors="pt")
    model(**given, start_positions=torch.tensor([5]), end_positions=torch.tensor([6])).loss.backward()
    assert all(each.parameter.grad is not None for each in bells(model).values())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"start_width": 0.0}, "width: expected a finite number above 0, got 0"),
        ({"start_width": -1.0, "scale": "log"}, "width: expected a finite number above 0"),
        ({"start_width": float("nan")}, "width: expected a finite number above 0, got nan"),
        ({"start_width": float("inf")}, "width: expected a finite number above 0, got inf"),
        ({"window": 256}, "window: expected an odd number of tokens, 1 or more, got 256"),
        ({"window": -1}, "window: expected an odd number of tokens, 1 or more, got -1"),
        ({"window": 1025}, "window: expected at most 1023 tokens, because a sequence has 512, got 1025"),
        ({"placement": "beside"}, "placement: expected one of renormalised, product, peak, got 'beside'"),
        ({"scale": "width"}, "scale: expected one of deviation, variance, log, got 'width'"),
        ({"each": "word"}, "each: expected one of layer, head, got 'word'"),
        ({"kernel": "flash"}, "kernel: expected one of dense, low-rank, sliced, got 'flash'"),
        ({"kernel": "sliced"}, "kernel: expected a half-width to slice to"),
        ({"kernel": "low-rank", "placement": "peak"}, "kernel: expected the renormalised placement, got peak"),
    ],
)
def test_bad_settings_are_refused(settings: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        small(Window(**settings))


def test_kernels_that_cannot_are_refused_later_too() -> None:
    model = small(Window(placement="product"))
    with pytest.raises(InputError, match="renormalised placement"):
        use_kernel(model, "low-rank")
    with pytest.raises(InputError, match="half-width"):
        use_kernel(model, "sliced")
    assert {each.kernel for each in bells(model).values()} == {"dense"}


@pytest.mark.parametrize("scale", ["deviation", "variance"])
@pytest.mark.parametrize("parameter", [0.0, -0.5, float("nan")])
def test_a_width_that_training_has_led_astray_is_refused(scale: str, parameter: float) -> None:
    model = small(Window(scale=scale))
    next(iter(bells(model).values())).parameter.data.fill_(parameter)
    for use in (widths, lambda model: model(input_ids=torch.tensor([[1, 2, 3]]))):
        with pytest.raises(InputError, match="expected finite numbers above 0"):
            use(model)


def test_a_model_has_windows_once() -> None:
    with pytest.raises(InputError, match="one without bells"):
        windowed(small(Window()), Window())
    with pytest.raises(InputError, match="bells in its attention, got none"):
        widths(BertModel(BertConfig(**SMALL)))


@pytest.mark.parametrize("rates", [{"learning_rate": 0.0}, {"learning_rate": 1.0, "bell_rate": float("nan")}])
def test_bad_rates_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(InputError, match="rate: expected a finite number"):
        parameter_groups(small(Window()), **rates)


def test_an_encoder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="encoder: expected a model at"):
        load_encoder(tmp_path)


def test_weights_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "MINILM", "no_such_package")
    with pytest.raises(InputError, match=r'the package no_such_package with its weights.*-e "\.\[window\]"'):
        load_encoder()
