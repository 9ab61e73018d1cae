"""The model whose last token asks: its gradient is that of autograd; with one query for all it is the usual model."""

import numpy as np
import pytest
import torch

from attn_dynamics import Corpus
from attn_dynamics.claims._support.tanh_head import TanhHead
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import FixedLinear, Head
from attn_dynamics.model.last_token import LastToken, last_token_loss_and_gradient
from attn_dynamics.model.readable_gradient import reference_loss_and_gradient
from tests.support import MODELS, Array, formula, parameters_for, topic_corpus


def tanh_formula(head: dict[str, torch.Tensor], contexts: torch.Tensor) -> torch.Tensor:
    return torch.tanh(contexts @ head["weight_in"]) @ head["weight_out"]


def autograd(corpus, last: Array, state: LastToken) -> tuple[float, dict[str, Array]]:
    """Loss and gradient of the model written in torch, word by word."""
    named = {"queries": state.queries, "keys": state.keys, "embeddings": state.embeddings}
    tensors = {name: torch.tensor(each, requires_grad=True) for name, each in (named | state.head.arrays()).items()}
    logits = []
    for row, asking in zip(corpus.counts.toarray(), last, strict=True):
        scores = tensors["keys"] @ tensors["queries"][asking]
        weights = torch.tensor(row, dtype=torch.float64) * torch.exp(scores)
        logits.append((weights / weights.sum()) @ tensors["embeddings"])
    of_head = tanh_formula if isinstance(state.head, TanhHead) else formula(state.head)
    made = of_head({name: tensors[name] for name in state.head.arrays()}, torch.stack(logits))
    loss = torch.nn.functional.cross_entropy(made, torch.tensor(corpus.labels, dtype=torch.int64))
    loss.backward()
    gradients = {name: each.grad.numpy() for name, each in tensors.items() if each.grad is not None}
    return loss.item(), gradients


def drawn(model: str) -> tuple:
    corpus = topic_corpus(1)
    state, rng = parameters_for(corpus, "attn-tc" if model == "tanh" else model, 1), np.random.default_rng(1)
    head: Head = TanhHead.draw(rng, 4, corpus.n_classes, 3) if model == "tanh" else state.head
    counts = corpus.counts.toarray()
    last = np.array([rng.choice(np.flatnonzero(row)) for row in counts])
    queries = rng.standard_normal((corpus.n_words, state.query.size))
    return corpus, last, LastToken(queries, state.keys, state.embeddings, head), state


@pytest.mark.parametrize("model", [*MODELS, "tanh"])
def test_the_gradient_is_that_of_autograd(model: str) -> None:
    corpus, last, state, _ = drawn(model)
    loss, gradient = last_token_loss_and_gradient(corpus, last, state)
    expected, slopes = autograd(corpus, last, state)
    assert loss == pytest.approx(expected, rel=1e-13)
    found = {"queries": gradient.queries, "keys": gradient.keys, "embeddings": gradient.embeddings}
    for name, each in (found | {name: gradient.head.arrays()[name] for name in state.head.trained}).items():
        np.testing.assert_allclose(each, slopes[name], rtol=0, atol=1e-14, err_msg=name)
        assert np.abs(slopes[name]).max() > 1e-4, "each gradient is there to be compared"
    elsewhere = np.setdiff1d(np.arange(corpus.n_words), last)
    assert not gradient.queries[elsewhere].any(), "a word that ends no sentence asks nothing"


@pytest.mark.parametrize("model", MODELS)
def test_with_one_query_for_all_it_is_the_model(model: str) -> None:
    corpus, last, state, parameters = drawn(model)
    same = state._replace(queries=np.tile(parameters.query, (corpus.n_words, 1)))
    loss, gradient = last_token_loss_and_gradient(corpus, last, same)
    expected, reference = reference_loss_and_gradient(corpus, parameters)
    assert loss == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(gradient.keys, reference.keys, rtol=0, atol=1e-15)
    np.testing.assert_allclose(gradient.queries.sum(axis=0), reference.query, rtol=0, atol=1e-15)
    np.testing.assert_allclose(gradient.embeddings, reference.embeddings, rtol=0, atol=1e-15)
    assert last_token_loss_and_gradient(corpus, last, state)[0] != pytest.approx(expected, rel=1e-6), "negative control"


def test_columns_that_are_not_of_their_sentence_are_refused() -> None:
    corpus, last, state, _ = drawn("attn-tc")
    elsewhere = last.copy()
    elsewhere[0] = np.flatnonzero(corpus.counts.toarray()[0] == 0)[0]
    for wrong in (elsewhere, last[1:], last - corpus.n_words, last + corpus.n_words, 1.0 * last):
        with pytest.raises(InputError, match="last: expected"):
            last_token_loss_and_gradient(corpus, wrong, state)


def test_where_the_margin_is_beyond_float64_the_loss_is_infinite() -> None:
    """Take a word whose label has a logit 2000 below that of the other class."""
    corpus = Corpus.from_sentences([["a"], ["b"]], [1, 0])
    still, head = np.zeros((2, 1)), FixedLinear(weight=np.array([[1.0, -1.0]]))
    state = LastToken(still, still, np.array([[1e3], [0.0]]), head)
    with np.errstate(divide="ignore"):
        assert last_token_loss_and_gradient(corpus, corpus.columns(["a", "b"]), state)[0] == np.inf
