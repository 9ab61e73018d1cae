"""The scores early in training, on any text (theory E1)."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from attn_dynamics.check import Array, instance
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import FixedLinear, TrainedLinear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus


class EarlyScores(NamedTuple):
    """Coefficients (V,) of s_w(τ) - s_w(0) = (own + beside) τ² + cubic τ³ + O(τ⁴) for every word w."""

    own: Array
    """Coefficient (‖q‖²/2)‖b_w‖² ≥ 0, the word's own gain; it goes like the square of frequency × signed purity."""
    beside: Array
    """Coefficient (‖q‖²/2) Σ_i A_iw g_i·c_i, the part lost to other words, which already classify the sentences."""
    cubic: Array
    """Coefficient of the next order, τ³."""

    @property
    def quadratic(self) -> Array:
        """Return the coefficient (V,) of τ², own + beside."""
        return self.own + self.beside

    def time(self, error: float) -> float:
        """Return the time τ at which the τ² term alone has this relative error, in 2-norms and up to O(τ²)."""
        return error * float(np.linalg.norm(self.quadratic) / np.linalg.norm(self.cubic))


def early_scores(corpus: Corpus, start: Parameters) -> EarlyScores:
    """Return the expansion of the scores at small times of gradient flow from E = 0 (theory E1).

    The query is fixed; keys and embeddings are trained. With b_w = -Σ_i A_iw g_i and c_i = Σ_w A_iw b_w at the start,
    and ḃ and ċ computed alike from ġ, the coefficients are

        own + beside  (‖q‖²/2) (‖b_w‖² + Σ_i A_iw g_i·c_i)
        cubic         (‖q‖²/6) (3 b_w·ḃ_w + Σ_i A_iw (g_i·ċ_i + 2 ġ_i·c_i))

    b, c and g lie in the span of the head's columns, so they are computed in its n coordinates. The initial scores are
    arbitrary. The head may be fixed or trained, because its own rate is 0 at E = 0.

    Args:
        corpus: N sentences over V words.
        start: initial values with a linear head and E = 0.

    Raises:
        InputError: E of the start is not 0, or its head is not linear.
    """
    instance("corpus", corpus, Corpus, fix="Corpus.from_sentences makes one.")
    _check(instance("start", start, Parameters, fix="draw(…) makes them."))
    attention, metric = attention_of(corpus, start.scores), start.head.first_layer.T @ start.head.first_layer
    n, square = corpus.n_classes, float(start.query @ start.query)
    slopes = (1.0 / n - np.eye(n)[corpus.labels]) / corpus.n_sentences
    pull, context = pulled(attention, slopes)
    logits = context @ metric
    # d/dτ of softmax at equal logits.
    slopes_rate = (logits - logits.mean(axis=1, keepdims=True)) / (n * corpus.n_sentences)
    pull_rate, context_rate = pulled(attention, slopes_rate)

    def product(one: Array, other: Array) -> Array:
        """Return the inner products of rows, which are in the coordinates of the head's columns."""
        return np.einsum("ic,cd,id->i", one, metric, other)

    received = product(slopes, context_rate) + 2.0 * product(slopes_rate, context)
    return EarlyScores(
        own=square / 2.0 * product(pull, pull),
        beside=square / 2.0 * (attention.T @ product(slopes, context)),
        cubic=square / 6.0 * (3.0 * product(pull, pull_rate) + attention.T @ received),
    )


def pulled(attention: csr_array, slopes: Array) -> tuple[Array, Array]:
    """Return b (V, n) and c (N, n) of `early_scores`, in the coordinates of the head's columns."""
    pull = -(attention.T @ slopes)
    return pull, attention @ pull


def attention_of(corpus: Corpus, scores: Array) -> csr_array:
    """Return the attention A (N, V) of the words in each sentence at scores s (V,)."""
    counts, starts = corpus.counts, corpus.counts.indptr[:-1]
    lengths, relative = np.diff(counts.indptr), scores[counts.indices]
    # `reduceat` needs non-empty sentences, which a corpus has; the largest score is subtracted against overflow.
    weights = counts.data * np.exp(relative - np.repeat(np.maximum.reduceat(relative, starts), lengths))
    data = weights / np.repeat(np.add.reduceat(weights, starts), lengths)
    return csr_array((data, counts.indices, counts.indptr), shape=counts.shape)


def _check(start: Parameters) -> None:
    if start.embeddings.any():
        given = f"{np.count_nonzero(start.embeddings.any(axis=1))} words whose embedding is not"
        raise InputError("start", expected="embeddings that are 0", given=given, fix="Take the preset 'mean-field'.")
    if not isinstance(start.head, FixedLinear | TrainedLinear):
        given = type(start.head).__name__
        raise InputError("start", expected="a linear head", given=given, fix="Take attn-fc or attn-tc.")
