"""Claim: bells live with what people do to encoders: Trainer, SentenceTransformer, other families, casts, export."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertForMultipleChoice,
    BertForSequenceClassification,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
    ViTConfig,
    ViTModel,
)

from attn_dynamics.encoder import (
    Window,
    bells,
    load_encoder,
    parameter_groups,
    restore_windows,
    slice_windows,
    widths,
    windowed,
)
from attn_dynamics.encoder.backbone import MINILM
from attn_dynamics.errors import InputError
from tests.encoder.conftest import SMALL

IDS = torch.randint(5, 50, (2, 30), generator=torch.Generator().manual_seed(0))
BATCH = {"input_ids": IDS, "attention_mask": (torch.arange(30) < torch.tensor([[30], [20]])).long()}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
LOCAL: dict[str, Any] = SMALL | SPECIAL | {"global_attn_every_n_layers": 2, "local_attention": 16}


def albert() -> PreTrainedModel:
    """Two layers that share their weights, so one bell for both."""
    return AlbertModel(AlbertConfig(**SMALL, embedding_size=8))


def modern_bert() -> PreTrainedModel:
    """One layer that sees all tokens, and one with a window of its own."""
    return ModernBertModel(ModernBertConfig(**LOCAL))


@pytest.mark.parametrize(("make", "number"), [(albert, 1), (modern_bert, 2)])
def test_other_families_train(make: Any, number: int) -> None:
    torch.manual_seed(0)
    model = windowed(make(), Window(start_width=3.0))
    optimiser = torch.optim.AdamW(parameter_groups(model, learning_rate=1e-3, bell_rate=100.0))
    for _ in range(3):
        optimiser.zero_grad()
        model(**BATCH).last_hidden_state[..., 0].square().mean().backward()
        optimiser.step()
    assert widths(model).shape == (number, 1)
    assert (widths(model) != 3.0).all()


def test_slices_refuse_an_encoder_with_windows_of_its_own() -> None:
    with pytest.raises(InputError, match="windows of their own"):
        slice_windows(windowed(modern_bert(), Window(start_width=3.0)), 0.01)
    assert slice_windows(windowed(albert(), Window(start_width=3.0)), 0.01) == [8]


def test_an_encoder_of_images_wants_an_example() -> None:
    settings = {name: value for name, value in SMALL.items() if name != "vocab_size"}
    model = ViTModel(ViTConfig(**settings, image_size=32, patch_size=8))
    with pytest.raises(InputError, match="example"):
        windowed(model, Window())
    image = torch.zeros(1, 3, 32, 32)
    windowed(model, Window(start_width=2.0), example={"pixel_values": image})(pixel_values=image)
    choices = BertForMultipleChoice(BertConfig(**SMALL))
    ids = torch.ones(1, 2, 5, dtype=torch.long)
    windowed(choices, Window(), example={"input_ids": ids})(input_ids=ids)


@pytest.mark.parametrize("cast", [torch.float16, torch.bfloat16, torch.float64])
def test_a_cast_leaves_the_width_its_small_steps(cast: torch.dtype) -> None:
    model = windowed(BertModel(BertConfig(**SMALL)), Window(start_width=30.1)).to(dtype=cast)  # pyright: ignore[reportCallIssue]
    assert {each.dtype for name, each in model.named_parameters() if "bell" not in name} == {cast}
    for each in bells(model).values():
        assert each.parameter.dtype == torch.promote_types(cast, torch.float32)
        assert each.parameter.item() == pytest.approx(30.1, rel=1e-7)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # of torch, at a break
@pytest.mark.parametrize(
    ("kernel", "exempt", "whole"),
    [("dense", "mask", True), ("sliced", "none", True), ("low-rank", "none", False)],
)
def test_it_is_exported_and_compiled_whole_unless_sizes_depend_on_values(kernel: Any, exempt: Any, whole: bool) -> None:
    """The sequence is longer than a block with its keys, so that keys are sliced."""
    size: dict[str, Any] = SMALL | {"num_hidden_layers": 1, "max_position_embeddings": 96}
    settings = Window(start_width=3.0, window=9, kernel=kernel, exempt=exempt)
    model = windowed(BertModel(BertConfig(**size)).eval(), settings)
    batch = {name: each.repeat(1, 3) for name, each in BATCH.items()}
    batch |= {"exempt_tokens": batch["input_ids"] == IDS[0, 0]} if exempt == "mask" else {}
    torch._dynamo.reset()
    assert (torch._dynamo.explain(model)(**batch).graph_break_count == 0) == whole
    if whole:
        exported = torch.export.export(model, (), batch, strict=False).module()(**batch).last_hidden_state
        torch.testing.assert_close(exported, model(**batch).last_hidden_state, rtol=0.0, atol=1e-6)


def test_weights_are_asked_of_the_dense_kernel_alone() -> None:
    for kernel in ("low-rank", "sliced"):
        model = windowed(BertModel(BertConfig(**SMALL)).eval(), Window(kernel=kernel, window=9))
        with pytest.raises(InputError, match="output_attentions"):
            model(**BATCH, output_attentions=True)


def test_trainer_trains_the_bells_and_its_checkpoint_gives_them_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = windowed(BertForSequenceClassification(BertConfig(**SMALL)), Window(start_width=3.0, each="head"))
    data = [{"input_ids": IDS[k % 2], "attention_mask": torch.ones_like(IDS[0]), "labels": k % 2} for k in range(16)]
    optimiser = torch.optim.AdamW(parameter_groups(model, learning_rate=1e-3, bell_rate=100.0))
    settings = TrainingArguments(
        str(tmp_path), num_train_epochs=2, save_steps=4, report_to=[], use_cpu=True, disable_tqdm=True
    )
    Trainer(model, settings, train_dataset=data, optimizers=(optimiser, None)).train()
    folder = tmp_path / "checkpoint-4"
    loaded = BertForSequenceClassification.from_pretrained(folder).eval()
    with pytest.raises(InputError, match="bell"):
        loaded(**BATCH)  # never plain attention in the place of bells
    restore_windows(loaded, folder)
    assert (widths(loaded) == widths(model)).all()
    assert (widths(loaded) != 3.0).all()
    torch.testing.assert_close(loaded(**BATCH).logits, model.eval()(**BATCH).logits, rtol=0.0, atol=1e-7)
    plain = BertForSequenceClassification(BertConfig(**SMALL))
    with pytest.raises(InputError, match="bells"):
        restore_windows(plain, folder)


def test_a_sentence_transformer_keeps_its_window(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    source = str(Path(pytest.importorskip(MINILM).__file__).parent / "model")
    model = sentence_transformers.SentenceTransformer(source, device="cpu")
    windowed(model, Window(start_width=2.0, scale="log", exempt="special"), load_encoder().tokenizer)
    text = "The river flows through seven towns before it meets the sea."
    wanted = model.encode(text)
    model.save(str(tmp_path))
    again = sentence_transformers.SentenceTransformer(str(tmp_path), device="cpu")
    restore_windows(again, tmp_path)
    assert abs(again.encode(text) - wanted).max() <= 1e-6
    # Exempt tokens count here too, although this library calls the encoder's forward itself.
    none = sentence_transformers.SentenceTransformer(source, device="cpu")
    windowed(none, Window(start_width=2.0, scale="log"))
    assert abs(none.encode(text) - wanted).max() > 1e-3
    # Negative control: the plain encoder says something else.
    assert abs(sentence_transformers.SentenceTransformer(source, device="cpu").encode(text) - wanted).max() > 1e-3
