"""JAX as one would write it without the theory: a padded batch, ordinary autograd, epochs under jit and scan."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax  # pyright: ignore[reportMissingImports]  # an extra of its own
import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
import numpy as np

from attn_dynamics.model.heads import FixedLinear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from benchmarks.plain_torch import padded

jax.config.update("jax_enable_x64", True)
Trained = dict[str, Any]


def run(
    start: Parameters, corpus: Corpus, test: Corpus, followed: np.ndarray, learning_rate: float, *, record: bool
) -> Callable[[int], np.ndarray]:
    """Return a function that trains from the start for a number of epochs and returns what it recorded of each.

    Each number of epochs is compiled once. The record is that of `plain_torch.train`.
    """
    batch, held_out = _batch(corpus), _batch(test)
    query, fixed, begin = jnp.asarray(start.query), *_parts(start)
    measure = partial(_row, query, fixed, held_out, jnp.asarray(followed))

    def loss(trained: Trained, given: Mapping[str, Any]) -> tuple[Any, tuple[Any, Any]]:
        logits, attention = _forward(query, fixed | trained, given)
        return _cross_entropy(logits, given["labels"]), (logits, attention)

    def epoch(trained: Trained, _: None) -> tuple[Trained, Any]:
        (value, (logits, attention)), gradient = jax.value_and_grad(loss, has_aux=True)(trained, batch)
        row = measure(trained, gradient, batch, value, logits, attention) if record else None
        return {name: array - learning_rate * gradient[name] for name, array in trained.items()}, row

    @partial(jax.jit, static_argnums=1)
    def scan(trained: Trained, epochs: int) -> tuple[Trained, Any]:
        return jax.lax.scan(epoch, trained, None, length=epochs)

    def train(epochs: int) -> np.ndarray:
        ended, rows = jax.block_until_ready(scan(begin, epochs))
        return np.asarray(rows if record else ended["keys"])

    return train


def _batch(corpus: Corpus) -> dict[str, Any]:
    words, padding, labels = padded(corpus)
    return {"words": jnp.asarray(words), "padding": jnp.asarray(padding), "labels": jnp.asarray(labels)}


def _parts(start: Parameters) -> tuple[Trained, Trained]:
    """Return the arrays that are fixed, and those that are trained."""
    head = {name: jnp.asarray(array) for name, array in start.head.arrays().items()}
    trained = {"keys": jnp.asarray(start.keys), "embeddings": jnp.asarray(start.embeddings)}
    return (head, trained) if isinstance(start.head, FixedLinear) else ({}, head | trained)


def _forward(query: Any, parts: Mapping[str, Any], batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return logits (N, n) and attention (N, longest sentence)."""
    scores = jnp.where(batch["padding"], -jnp.inf, parts["keys"][batch["words"]] @ query)
    attention = jax.nn.softmax(scores, axis=1)
    contexts = jnp.einsum("il,ild->id", attention, parts["embeddings"][batch["words"]])
    if "weight_in" in parts:
        hidden = jax.nn.relu(contexts @ parts["weight_in"] + parts["bias_in"])
        return hidden @ parts["weight_out"] + parts["bias_out"], attention
    return contexts @ parts["weight"], attention


def _cross_entropy(logits: Any, labels: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1).mean()


def _row(
    query: Any,
    fixed: Trained,
    test: Mapping[str, Any],
    followed: Any,
    trained: Trained,
    gradient: Trained,
    batch: Mapping[str, Any],
    loss: Any,
    logits: Any,
    attention: Any,
) -> Any:
    test_logits, _ = _forward(query, fixed | trained, test)
    score_gradient = gradient["keys"] @ query / (query @ query)
    scores = trained["keys"] @ query
    places = (batch["words"][None] == followed[:, None, None]) & ~batch["padding"][None]
    received = jnp.where(places, attention[None], 0.0).sum((1, 2)) / places.sum((1, 2))
    scalars = (
        loss,
        _accuracy(logits, batch["labels"]),
        _cross_entropy(test_logits, test["labels"]),
        _accuracy(test_logits, test["labels"]),
        jnp.linalg.norm(score_gradient),
        jnp.linalg.norm(score_gradient[followed]),
        jnp.linalg.norm(gradient["embeddings"]),
        scores.sum(),
    )
    norms = jnp.linalg.norm(trained["embeddings"][followed], axis=1)
    return jnp.concatenate([jnp.stack(scalars), scores[followed], norms, received, score_gradient[followed]])


def _accuracy(logits: Any, labels: Any) -> Any:
    return (logits.argmax(1) == labels).astype(logits.dtype).mean()
