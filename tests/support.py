"""What several test files share: drawn corpora and models, and the model of theory §1 written densely, as it stands."""

import os
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from attn_dynamics.model.heads import HEADS, FixedLinear, Head, TrainedLinear, TwoLayer
from attn_dynamics.model.parameters import TRAINABLE, Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.tasks.treebank import ABSENT, sst_folder
from attn_dynamics.training.dynamics import Dynamics
from attn_dynamics.training.run import Run
from attn_dynamics.training.settings import Training

Array = NDArray[np.float64]

EPS = float(np.finfo(float).eps)
MODELS = sorted(HEADS)
ATTENTION = ("query", "keys", "embeddings")
"""The arrays of a model beside those of its head."""
SUBSETS = [tuple(name for k, name in enumerate(TRAINABLE) if number >> k & 1) for number in range(2 ** len(TRAINABLE))]
"""All that `train` may be, the empty one included."""
PAIRS = [(), *(tuple(name for name in TRAINABLE if name != left) for left in TRAINABLE), TRAINABLE]
"""Some of them: of any two parameters each is trained, and is not, with the other and without it."""


needs_sst = pytest.mark.skipif(sst_folder() is None, reason=ABSENT)


def ids(train: Collection[str]) -> str:
    """A subset in the name of a test."""
    return "+".join(train) or "nothing"


def examples(least: int) -> int:
    """At least so many cases, and more where the profile of hypothesis asks for more."""
    return max(least, settings.get_current_profile_name() == "thorough" and 10 * least)


# --- the heads once more, as formulas of torch

Formula = Callable[[dict[str, Tensor], Tensor], Tensor]
"""Logits (N, n) from the arrays of a head and contexts (N, d)."""


def _linear(head: dict[str, Tensor], contexts: Tensor) -> Tensor:
    return contexts @ head["weight"]


def _two_layer(head: dict[str, Tensor], contexts: Tensor) -> Tensor:
    hidden = torch.relu(contexts @ head["weight_in"] + head["bias_in"])
    return hidden @ head["weight_out"] + head["bias_out"]


FORMULAS: dict[type[Head], Formula] = {FixedLinear: _linear, TrainedLinear: _linear, TwoLayer: _two_layer}
"""Every head of the registry, written independently of the package."""


def formula(head: Head) -> Formula:
    """The formula of a head, or a failure that says what a new head owes the tests."""
    if type(head) not in FORMULAS:
        raise AssertionError(
            f"{type(head).__name__} is in attn_dynamics.model.heads.HEADS and has no formula here: "
            "write its logits in torch, from the theory, and add it to FORMULAS in tests/support.py"
        )
    return FORMULAS[type(head)]


def own_logits(head: Head, contexts: Array) -> Array:
    """Logits (N, n) that a head itself makes of contexts (N, d)."""
    return head.forward(np.ascontiguousarray(head.first_layer.T @ contexts.T))[0].T


# --- drawn cases


@dataclass(frozen=True)
class Case:
    """One corpus and one model for it."""

    corpus: Corpus
    parameters: Parameters

    def __repr__(self) -> str:
        sentences = [part.tolist() for part in tokens_of(self.corpus)]
        arrays = named(self.parameters)
        return f"Case({sentences}, labels={self.corpus.labels.tolist()}, n={self.corpus.n_classes}, {arrays})"


def tokens_of(corpus: Corpus) -> list[NDArray[np.int64]]:
    """Sentences as columns of words, sorted."""
    counts, columns = (np.asarray(part, np.int64) for part in (corpus.counts.data, corpus.counts.indices))
    return np.split(np.repeat(columns, counts), np.cumsum(corpus.lengths)[:-1])


def numbered(sentences: Sequence[Sequence[int]], labels: Sequence[int], n_words: int, n_classes: int) -> Corpus:
    """A corpus whose words are 0 … n_words - 1 in this order."""
    return Corpus.from_sentences(sentences, labels, vocabulary=range(n_words), n_classes=n_classes)


@st.composite
def corpora(
    draw: st.DrawFn,
    *,
    max_words: int = 9,
    max_sentences: int = 8,
    n_classes: int | None = None,
    n_words: int | None = None,
) -> Corpus:
    """Ragged sentences with repeats, of one word too; words of no sentence; classes that are absent."""
    words = n_words if n_words is not None else draw(st.integers(1, max_words), label="words")
    classes = n_classes if n_classes is not None else draw(st.integers(2, 5), label="classes")
    # A word beyond those drawn stands in no sentence.
    used = draw(st.integers(1, words), label="words used")
    sentence = st.lists(st.integers(0, used - 1), min_size=1, max_size=7)
    sentences = draw(st.lists(sentence, min_size=1, max_size=max_sentences), label="sentences")
    present = draw(st.integers(1, classes), label="classes present")
    labels = draw(
        st.lists(st.integers(0, present - 1), min_size=len(sentences), max_size=len(sentences)), label="labels"
    )
    return numbered(sentences, labels, words, classes)


def parameters_for(
    corpus: Corpus,
    model: str,
    seed: int,
    *,
    d: int = 4,
    d_k: int = 3,
    hidden: int = 3,
    spread: float = 2.0,
    scale: float = 1.0,
) -> Parameters:
    """Parameters all of which differ from zero, with scores spread over ±`spread` and embeddings of size `scale`."""
    rng = np.random.default_rng(seed)
    query = rng.standard_normal(d_k) + np.copysign(0.1, rng.standard_normal(d_k))
    scores = rng.uniform(-spread, spread, corpus.n_words)
    if spread > 0 and corpus.n_words > 1:
        # Both ends are taken: the spread is what it says.
        scores[rng.permutation(corpus.n_words)[:2]] = spread, -spread
    beside = rng.standard_normal((corpus.n_words, d_k))
    beside -= np.outer(beside @ query, query) / (query @ query)
    head = HEADS[model].draw(rng, d, corpus.n_classes, hidden)
    return Parameters(
        query=query,
        keys=np.outer(scores, query) / (query @ query) + beside,
        embeddings=scale * rng.standard_normal((corpus.n_words, d)),
        head=head.replace(**{n: a + 0.3 * rng.standard_normal(a.shape) for n, a in head.arrays().items()}),
    )


SPREADS = (0.0, 0.5, 3.0, 30.0, 40.0, 300.0, 2000.0)
"""Largest scores to draw: none, usual ones, either side of where one shift serves all sentences, and saturation."""


@st.composite
def cases(draw: st.DrawFn, model: str, *, spreads: Sequence[float] = SPREADS) -> Case:
    """A corpus and a model of some shape, wider and narrower than what its head reads."""
    corpus = draw(corpora())
    shape = {name: draw(st.integers(1, 7), label=name) for name in ("d", "d_k", "hidden")}
    seed = draw(st.integers(0, 2**32 - 1), label="seed")
    spread = draw(st.sampled_from(spreads), label="spread")
    scale = draw(st.sampled_from((1e-3, 1.0, 5.0)), label="scale")
    return Case(corpus, parameters_for(corpus, model, seed, spread=spread, scale=scale, **shape))


def topic_corpus(seed: int = 0, *, sentences: int = 24, words: int = 14, n_classes: int = 3) -> Corpus:
    """A small task that can be learned: a word of the class among others, of ragged length, some repeated."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=sentences)
    others = [rng.integers(n_classes, words - 1, rng.integers(1, 6)).tolist() for _ in range(sentences)]
    return numbered(
        [[int(y), *rest] for y, rest in zip(labels, others, strict=True)], labels.tolist(), words, n_classes
    )


# --- models as plain arrays


def named(parameters: Parameters) -> dict[str, Array]:
    """All arrays of a model by name."""
    arrays = {name: getattr(parameters, name) for name in ATTENTION}
    return arrays | {f"head.{name}": array for name, array in parameters.head.arrays().items()}


def built(like: Parameters, arrays: dict[str, Array]) -> Parameters:
    """A model again from `named`."""
    head = {name.removeprefix("head."): array for name, array in arrays.items() if name.startswith("head.")}
    return Parameters(**{name: arrays[name] for name in ATTENTION}, head=like.head.replace(**head))


def trained_names(head: Head) -> set[str]:
    """Names, as `named` has them, of what a gradient may be taken by."""
    return {*ATTENTION, *(f"head.{name}" for name in head.trained)}


def apart(first: Parameters, second: Parameters) -> float:
    """Largest distance between two models."""
    other = named(second)
    return max(float(np.abs(array - other[name]).max()) for name, array in named(first).items())


def attention_of(corpus: Corpus, scores: Array) -> Array:
    """A (N, V), densely."""
    with np.errstate(divide="ignore"):
        exponents = np.log(corpus.counts.toarray()) + scores
    weights = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def cross_entropy_of(logits: Array, labels: NDArray[np.int64]) -> float:
    """Mean cross-entropy of logits (N, n)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]))


class Dense(NamedTuple):
    """Loss, accuracy and gradients of one model by torch, and how large the terms are that they add up."""

    loss: float
    accuracy: float
    gradient: dict[str, Array]
    """By name; every array of the head, fixed ones too, and "scores"."""
    round_off: dict[str, float]
    """By name: what float64 may lose of the array's largest entry (see `dense`)."""
    preactivation: float
    """Smallest |input| of a relu; infinite without one."""


def dense(corpus: Corpus, parameters: Parameters) -> Dense:
    """The model of theory §1 in dense float64 torch, differentiated by autograd.

    `round_off` is 16 ε κ M. M is the largest entry of the gradient with every term that is added up taken by its
    absolute value and every sentence's ∂L/∂z at its bound 1/N: no backward-stable way of adding up can promise less
    than a few ε M, and where terms cancel or a softmax saturates this, not the gradient's own size, is the scale of
    the error. κ = 1 + |s| + |z| at their largest: e^x passes on an error ε|x| of its argument as a relative one.
    """
    arrays = {name: torch.tensor(array, requires_grad=True) for name, array in named(parameters).items()}
    counts, labels = torch.tensor(corpus.counts.toarray(), dtype=torch.float64), torch.tensor(corpus.labels)
    scores = arrays["keys"] @ arrays["query"]
    scores.retain_grad()
    attention = torch.softmax(torch.log(counts) + scores, dim=1)
    contexts = attention @ arrays["embeddings"]
    head = formula(parameters.head)
    smallest = _SmallestRelu()
    with smallest:
        logits = head({n.removeprefix("head."): a for n, a in arrays.items() if n.startswith("head.")}, contexts)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    gradient = {name: np.zeros(a.shape) if a.grad is None else a.grad.numpy() for name, a in arrays.items()}
    assert scores.grad is not None
    gradient["scores"] = scores.grad.numpy()
    return Dense(
        loss=loss.item(),
        accuracy=float((logits.argmax(1) == labels).double().mean()),
        gradient=gradient,
        round_off=_round_off(parameters, attention.detach(), head),
        preactivation=smallest.value,
    )


def _round_off(parameters: Parameters, attention: Tensor, head: Formula) -> dict[str, float]:
    arrays = {name: torch.tensor(abs(array), requires_grad=True) for name, array in named(parameters).items()}
    values, keys, query = arrays["embeddings"], arrays["keys"].detach(), arrays["query"].detach()
    contexts = attention @ values
    contexts.retain_grad()
    logits = head({n.removeprefix("head."): a for n, a in arrays.items() if n.startswith("head.")}, contexts)
    (logits.sum() / len(logits)).backward()
    assert contexts.grad is not None
    slopes = contexts.grad
    by_word = (attention.T @ slopes * values).sum(1) + attention.T @ (slopes * contexts).sum(1)
    sums = {name: a.grad for name, a in arrays.items() if a.grad is not None}
    sums |= {"scores": by_word, "keys": torch.outer(by_word, query), "query": keys.T @ by_word}
    condition = 1.0 + float((keys @ query).max()) + float(logits.detach().max())
    largest = {name: float(sums[name].detach().max()) if name in sums else 0.0 for name in [*arrays, "scores"]}
    return {name: 16.0 * EPS * condition * size for name, size in largest.items()}


class _SmallestRelu(torch.overrides.TorchFunctionMode):
    """Notes the smallest |input| that any relu gets."""

    value = float("inf")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.relu, torch.Tensor.relu, torch.nn.functional.relu):
            self.value = min(self.value, float(args[0].detach().abs().min()))
        return func(*args, **(kwargs or {}))


def relative_error(ours: Array, reference: Array, round_off: float) -> float:
    """How far an array is from its reference, beyond round-off, in shares of the reference's largest entry:

        max(0, max|ours - reference| - round_off) / max|reference|

    Zero where round-off explains it all, infinite where the reference is 0 and it does not.
    """
    if ours.shape != reference.shape or not np.isfinite(ours).all():
        return float("inf")
    excess = np.abs(ours - reference).max(initial=0.0) - round_off
    if excess <= 0.0:
        return 0.0
    size = np.abs(reference).max()
    return float(excess / size) if size > 0.0 else float("inf")


# --- descent as one would write it first


class Epoch(NamedTuple):
    """One state of a run, by name: scalars, quantities of all words (V,), and the parameters themselves."""

    scalars: dict[str, float]
    words: dict[str, Array]
    parameters: Parameters


def naive_descent(
    corpora: dict[str, Corpus], start: Parameters, *, train: Sequence[str], rate: float, epochs: int
) -> list[Epoch]:
    """Plain descent on the corpus called "train", by dense autograd: the states before each step and after the last."""
    states, parameters = [], start
    for _ in range(epochs + 1):
        states.append(_epoch(corpora, parameters))
        gradient = dense(corpora["train"], parameters).gradient
        moving = {name for name in trained_names(start.head) if name.split(".")[0] in train}
        arrays = {n: a - rate * gradient[n] if n in moving else a for n, a in named(parameters).items()}
        parameters = built(parameters, arrays)
    return states


def _epoch(corpora: dict[str, Corpus], parameters: Parameters) -> Epoch:
    scalars = {}
    for name, corpus in corpora.items():
        judged = dense(corpus, parameters)
        scalars |= {f"{name}_loss": judged.loss, f"{name}_accuracy": judged.accuracy}
    corpus = corpora["train"]
    gradient = dense(corpus, parameters).gradient
    present = corpus.counts.toarray() > 0
    shares = attention_of(corpus, parameters.scores)
    means = [column[held].mean() if held.any() else np.nan for column, held in zip(shares.T, present.T, strict=True)]
    scalars |= {
        "score_signal": float(np.sqrt((gradient["scores"] ** 2).sum())),
        "embedding_signal": float(np.sqrt((gradient["embeddings"] ** 2).sum())),
        "score_sum": float(parameters.scores.sum()),
    }
    words = {
        "score": parameters.scores,
        "embedding_norm": np.sqrt((parameters.embeddings**2).sum(axis=1)),
        "attention": np.array(means),
        "score_gradient": gradient["scores"],
    }
    return Epoch(scalars, words, parameters)


# --- runs


def end(run: Run) -> Parameters:
    """Where a run ended."""
    assert run.parameters is not None
    return run.parameters


def states(
    corpus: Corpus, start: Parameters, train: Collection[str], *, epochs: int, rate: float = 0.3, reduced: bool = True
) -> Iterator[Parameters]:
    """The parameters before every step, and after the last."""
    dynamics = Dynamics(corpus, start, Training(train=train, reduced=reduced))
    for _ in range(epochs):
        yield dynamics.parameters()
        dynamics.step(dynamics.evaluate()[1], rate)
    yield dynamics.parameters()


def differences(first: Run, second: Run) -> dict[str, float]:
    """Largest distance between two runs in every recorded variable, relative to 1 or the variable's largest value."""
    assert first.trajectory.sizes == second.trajectory.sizes
    out = {}
    for name, variable in first.trajectory.variables.items():
        if variable.dtype.kind != "f":
            assert variable.equals(second.trajectory[name].variable), name
            continue
        ours, other = variable.values, second.trajectory[name].values
        # What is no number in one is none in the other.
        known = np.isfinite(ours)
        assert (known == np.isfinite(other)).all(), name
        size = max(1.0, float(np.abs(ours[known]).max(initial=0.0)))
        out[str(name)] = float(np.abs(ours[known] - other[known]).max(initial=0.0)) / size
    return out


def press(at: int) -> Callable[[int, float], None]:
    """A meter that presses Ctrl-C once, when an epoch is reached."""
    left = [at]

    def meter(epoch: int, loss: float) -> None:
        if left and epoch >= left[0]:
            left.clear()
            os.kill(os.getpid(), signal.SIGINT)

    return meter
