"""MiniLM once for all tests of this room, and a batch of it with and without padding."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attn_dynamics.encoder import Window, bells, load_encoder, windowed

LENGTHS = (97, 41)
"""Tokens of the two sequences of a padded batch."""
SMALL: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}
"""The configuration of an encoder of two layers, drawn and not trained."""


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Several test processes would only fight for cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pristine() -> PreTrainedModel:
    """MiniLM, as transformers runs it without a compiled kernel."""
    return load_encoder(attn_implementation="eager").model.eval()


@pytest.fixture
def minilm(pristine: PreTrainedModel) -> Callable[[Window], PreTrainedModel]:
    """A fresh MiniLM with a window."""
    return lambda settings: windowed(deepcopy(pristine), settings)


def batch(lengths: tuple[int, ...] = LENGTHS) -> dict[str, Tensor]:
    """Drawn words, padded to the longest."""
    drawn = torch.randint(1000, 20000, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(3))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": drawn * mask, "attention_mask": mask}


def outputs(model: PreTrainedModel, given: dict[str, Tensor]) -> Tensor:
    """Of the last layer, of real tokens only (tokens, d)."""
    return model(**given).last_hidden_state[given["attention_mask"].bool()]


def outputs_and_slopes(model: PreTrainedModel, given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The outputs, and the gradient of a drawn sum of them in every bell's parameter (layers, 1 or heads)."""
    model.zero_grad()
    found = outputs(model, given)
    (found * torch.randn(found.shape, generator=torch.Generator().manual_seed(4))).sum().backward()
    slopes = [each.parameter.grad for each in bells(model).values()]
    return found.detach(), torch.stack([each for each in slopes if each is not None])


def apart(one: Tensor, other: Tensor) -> float:
    """Largest difference, in units of the largest number of the second."""
    return float((one - other).abs().max() / other.abs().max())
