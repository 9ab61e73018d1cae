"""The model of theory §1 in mpmath, to 60 digits, and how large the terms are of which each number is the sum."""

from typing import Any, NamedTuple

import mpmath
import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.heads import TwoLayer
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from tests.support import trained_names

DIGITS = 60
Numbers = Any
"""Arrays of mpmath's numbers."""
FLOOR = mpmath.mpf(2) ** -1000
"""Sizes are at least this: below 2⁻¹⁰²² float64 holds fewer and fewer digits, and products carry that further up."""

_exp = np.frompyfunc(mpmath.exp, 1, 1)
_log1p = np.frompyfunc(mpmath.log1p, 1, 1)


class Exact(NamedTuple):
    """One model's loss and gradients, named as in `tests.support.named`, with "scores" and "loss" beside them."""

    values: dict[str, Numbers]
    sizes: dict[str, Numbers]
    """The sums that give the values, every term by its absolute value."""
    margin: float
    """Smallest |input| of a relu, in shares of its terms."""

    def errors(self, ours: dict[str, NDArray[np.float64]]) -> dict[str, float]:
        """Largest error of each array, in shares of the sizes."""
        return {
            name: max(
                (
                    float(abs(given - value) / (size + FLOOR))
                    for given, value, size in zip(
                        _numbers(array).flat, self.values[name].flat, self.sizes[name].flat, strict=True
                    )
                ),
                default=0.0,
            )
            for name, array in ours.items()
        }


def exact(corpus: Corpus, parameters: Parameters) -> Exact:
    """Evaluate loss and gradients by the formulas, each difference taken before it is weighed.

    A word's slope is ∂L/∂s_w = Σ_i A_iw g_i·Σ_u A_iu (P_w - P_u), and the slope of a label minus the sum of the others.
    The columns of a linear head's weight are read through contrasts of classes: the sizes of all columns are alike.
    """
    with mpmath.workdps(DIGITS):
        return _exact(corpus, parameters)


def _exact(corpus: Corpus, parameters: Parameters) -> Exact:
    counts, labels = _numbers(corpus.counts.toarray()), corpus.labels
    keys, query, values = map(_numbers, (parameters.keys, parameters.query, parameters.embeddings))
    head = {name: _numbers(array) for name, array in parameters.head.arrays().items()}
    scores = keys @ query
    held = np.where(counts > 0, scores, mpmath.mpf("-inf"))
    weights = counts * _exp(held - held.max(axis=1, keepdims=True))
    attention = weights / weights.sum(axis=1, keepdims=True)
    contexts, contexts_size = attention @ values, attention @ abs(values)
    if isinstance(parameters.head, TwoLayer):
        inward = contexts @ head["weight_in"] + head["bias_in"]
        inward_size = contexts_size @ abs(head["weight_in"]) + abs(head["bias_in"])
        hidden, hidden_size = inward * (inward > 0), inward_size * (inward > 0)
        logits = hidden @ head["weight_out"] + head["bias_out"]
    else:
        inward = hidden = inward_size = hidden_size = contexts
        logits = contexts @ head["weight"]
    loss, slopes = _cross_entropy(logits, labels)
    sizes, back = {"loss": loss}, {"loss": loss}
    for out, z, absolute in ((back, slopes, lambda x: x), (sizes, abs(slopes), abs)):
        own, into = (contexts, hidden) if out is back else (contexts_size, hidden_size)
        if isinstance(parameters.head, TwoLayer):
            out["head.weight_out"], out["head.bias_out"] = into.T @ z, z.sum(axis=0)
            z = (z @ absolute(head["weight_out"]).T) * (inward > 0)
            out["head.weight_in"], out["head.bias_in"] = own.T @ z, z.sum(axis=0)
            g = z @ absolute(head["weight_in"]).T
        else:
            shared = z if out is back else z + z.sum(axis=1, keepdims=True)
            out["head.weight"] = own.T @ shared
            g = z @ absolute(head["weight"]).T
        out["embeddings"] = attention.T @ g
        out["scores"] = _score_slopes(attention, values, g, absolute=out is sizes)
        out["keys"], out["query"] = np.outer(out["scores"], absolute(query)), absolute(keys).T @ out["scores"]
    margin = min(map(float, (abs(inward) / (inward_size + FLOOR)).flat)) if "bias_in" in head else 1.0
    wanted = {"loss", "scores", *trained_names(parameters.head)}
    return Exact({n: np.asarray(back[n]) for n in wanted}, {n: np.asarray(sizes[n]) for n in wanted}, margin)


def _numbers(array: NDArray) -> Numbers:
    return np.asarray(np.frompyfunc(lambda x: mpmath.mpf(float(x)), 1, 1)(array), object)


def _cross_entropy(logits: Numbers, labels: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    rows = np.arange(len(labels))
    odds = _exp(logits - logits[rows, labels][:, None])
    odds[rows, labels] = mpmath.mpf(0)
    others = odds.sum(axis=1)
    slopes = odds / (1 + others)[:, None]
    slopes[rows, labels] = -others / (1 + others)
    return np.asarray(_log1p(others).sum() / len(labels)), slopes / len(labels)


def _score_slopes(attention: Numbers, values: Numbers, g: Numbers, *, absolute: bool) -> Numbers:
    out = np.array([mpmath.mpf(0)] * len(values))
    for row, shares in enumerate(attention):
        for w in np.flatnonzero(shares):
            for u in np.flatnonzero(shares):
                if u != w:
                    difference = abs(values[w]) + abs(values[u]) if absolute else values[w] - values[u]
                    out[w] += shares[w] * shares[u] * (g[row] * difference).sum()
    return out
