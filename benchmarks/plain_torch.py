"""Plain PyTorch as one would write it without the theory: a padded batch, nn.Embedding, autograd and SGD."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attn_dynamics.model.heads import FixedLinear, Head, TrainedLinear, TwoLayer
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus


class Batch(NamedTuple):
    """A corpus as one padded batch."""

    words: Tensor
    """Word indices (N, longest sentence), padded with word 0."""
    padding: Tensor
    """Mask (N, longest sentence), true where there is no word."""
    labels: Tensor
    """Class labels (N,)."""


def padded(corpus: Corpus) -> Batch:
    """Return all sentences as one padded batch; repeated words stay repeated."""
    lengths = torch.as_tensor(corpus.lengths)
    padding = torch.arange(int(lengths.max())) >= lengths[:, None]
    words = torch.zeros(padding.shape, dtype=torch.int64)
    repeats = np.asarray(corpus.counts.data, dtype=np.int64)
    words[~padding] = torch.as_tensor(np.repeat(corpus.counts.indices.astype(np.int64), repeats))
    return Batch(words, padding, torch.as_tensor(corpus.labels))


class PlainModel(nn.Module):
    """Model with keys, embeddings and head as PyTorch modules; the query is constant."""

    def __init__(self, parameters: Parameters, dtype: torch.dtype) -> None:
        super().__init__()
        self.query = torch.as_tensor(parameters.query, dtype=dtype)
        self.keys = nn.Embedding.from_pretrained(torch.as_tensor(parameters.keys, dtype=dtype).clone(), freeze=False)
        self.embeddings = nn.Embedding.from_pretrained(
            torch.as_tensor(parameters.embeddings, dtype=dtype).clone(), freeze=False
        )
        self.head = _head(parameters.head, dtype)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits (N, n) and attention (N, longest sentence)."""
        scores = (self.keys(batch.words) @ self.query).masked_fill(batch.padding, -torch.inf)
        attention = torch.softmax(scores, dim=1)
        contexts = torch.bmm(attention[:, None, :], self.embeddings(batch.words))[:, 0]
        return self.head(contexts), attention


def train(
    model: PlainModel,
    batch: Batch,
    test: Batch,
    followed: Tensor,
    learning_rate: float,
    *,
    record: bool,
    forward: Callable[[Batch], tuple[Tensor, Tensor]],
) -> Iterator[Tensor | None]:
    """Run gradient descent without end; yield after each epoch the record of the state before its step.

    `forward` is the model, or the model compiled.

    The record has what the simulators record at every epoch: losses, accuracies, training signals, score sum, and for
    the followed words score, embedding norm, attention and score gradient.
    """
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=learning_rate)
    places = [torch.nonzero(batch.words == word, as_tuple=True) for word in followed]
    while True:
        optimiser.zero_grad()
        logits, attention = forward(batch)
        loss = cross_entropy(logits, batch.labels)
        loss.backward()
        yield _row(model, batch, test, followed, places, loss, logits, attention) if record else None
        optimiser.step()


@torch.no_grad()
def _row(
    model: PlainModel,
    batch: Batch,
    test: Batch,
    followed: Tensor,
    places: list[tuple[Tensor, ...]],
    loss: Tensor,
    logits: Tensor,
    attention: Tensor,
) -> Tensor:
    test_logits, _ = model(test)
    keys, embeddings = model.keys.weight, model.embeddings.weight
    assert keys.grad is not None
    assert embeddings.grad is not None
    score_gradient = keys.grad @ model.query / (model.query @ model.query)
    scalars = (
        loss,
        _accuracy(logits, batch.labels),
        cross_entropy(test_logits, test.labels),
        _accuracy(test_logits, test.labels),
        score_gradient.norm(),
        score_gradient[followed].norm(),
        embeddings.grad.norm(),
        (keys @ model.query).sum(),
    )
    words = (
        keys[followed] @ model.query,
        embeddings[followed].norm(dim=1),
        torch.stack([attention[place].mean() for place in places]),
        score_gradient[followed],
    )
    return torch.cat([torch.stack(scalars), *words])


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) == labels).to(logits.dtype).mean()


def _head(head: Head, dtype: torch.dtype) -> nn.Module:
    if isinstance(head, TwoLayer):
        first = _linear(head.weight_in, head.bias_in, dtype)
        return nn.Sequential(first, nn.ReLU(), _linear(head.weight_out, head.bias_out, dtype))
    if not isinstance(head, FixedLinear | TrainedLinear):
        message = f"{type(head).__name__} has no twin in plain PyTorch: add one to _head in {__name__}"
        raise TypeError(message)
    linear = _linear(head.first_layer, None, dtype)
    return linear.requires_grad_(not isinstance(head, FixedLinear))


def _linear(weight: np.ndarray, bias: np.ndarray | None, dtype: torch.dtype) -> nn.Linear:
    layer = nn.Linear(*weight.shape, bias=bias is not None, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight.T))
        if bias is not None:
            layer.bias.copy_(torch.as_tensor(bias))
    return layer
