"""The last layer keeps its sum over classes, for any data and start (theory A7)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Self, final

import numpy as np

from attn_dynamics.claims._support.distances import EPS
from attn_dynamics.claims._support.drawn import corpora, start, where
from attn_dynamics.claims._support.ends import AWAY, descended, flowed
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array, DrawLayer, Head, glorot
from attn_dynamics.model.parameters import TRAINABLE, Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.rules import Momentum, Rule, SignDescent

RATE, BATCH, MOMENTUM = 0.02, 3, Momentum(0.9)
"""Learning rate of descent, and of momentum with batches of so many sentences."""
LAST = ("weight", "weight_out", "bias_out")
"""Names of the arrays whose last axis is that of classes."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class OneBias(Head):
    """z = Uᵀ v + b, with U trained and b trained in the first class alone."""

    weight: Array
    """Weight U (d, n)."""
    bias_out: Array
    """Bias b (n,)."""
    first = "weight"
    trained = ("weight", "bias_out")

    @property
    def n_classes(self) -> int:
        """Return n."""
        return self.weight.shape[-1]

    def shapes(self, d: int, r: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of U and b."""
        return {"weight": (d, r), "bias_out": (r,)}

    def forward(self, projected: Array) -> tuple[Array, Array]:
        """Return the logits, and Uᵀ v."""
        return projected + self.bias_out[..., None], projected

    def backward(self, kept: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        """Return the slopes, and the gradient of b, which is 0 but for the first class."""
        return slopes, {"bias_out": slopes.sum(axis=-1) * (np.arange(self.n_classes) == 0)}

    @classmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int, layer: DrawLayer = glorot) -> Self:
        """Draw both."""
        weight, bias = layer(rng, d, n_classes)
        return cls(weight=weight, bias_out=bias)


def by_frequency(corpus: Corpus) -> Array:
    """Return how many sentences each class has (n,)."""
    return np.bincount(corpus.labels, minlength=corpus.n_classes).astype(float)


def with_one_bias(begin: Parameters) -> Parameters:
    """Replace the head by one with a bias for the first class alone, its first layer cut to the classes."""
    n = begin.head.n_classes
    return replace(begin, head=OneBias(weight=begin.head.first_layer[:, :n], bias_out=np.full(n, 0.1)))


@claims(
    "A7",
    control("a class is left out of the sum", weigh=lambda corpus: np.arange(corpus.n_classes) > 0),
    control("classes count as often as they occur", weigh=by_frequency),
    control("one class alone has a bias", alter=with_one_bias),
    control("steps of one size, which are no sums of gradients", rule=SignDescent()),
    statement=r"\sum_c U_{\cdot c}(\tau) = \sum_c U_{\cdot c}(0),\quad \sum_c b_c(\tau) = \sum_c b_c(0)",
    assumptions="the last layer is trained: U of Attn-TC, U₂ and b₂ of Attn-TL, in every class; under flow Attn-TL "
    "starts from |b₁| ≥ 8, for there no relu switches and the solver gets on",
    quantity="|Σ_c U(τ) - Σ_c U(0)| in shares of Σ_c |U| and of its bound, of b likewise, the largest over heads, "
    "data, descent, momentum on batches and flow, the query fixed and trained",
    tolerance="64 ε, ε = 2⁻⁵²: as A1, of which it is the same for classes in the place of words",
)
def sum_over_classes(
    *,
    quick: bool,
    weigh: Callable[[Corpus], Array] = lambda corpus: np.ones(corpus.n_classes),
    alter: Callable[[Parameters], Parameters] = lambda begin: begin,
    rule: Rule = MOMENTUM,
) -> Measured:
    """Measure descent, momentum on mini-batches, and flow."""
    time, worst = 2.0 if quick else 200.0, {"descent": 0.0, "momentum": 0.0, "flow": 0.0}
    for corpus, model in product(corpora(quick=quick), ("attn-tc", "attn-tl")):
        weights, begin = weigh(corpus), alter(start(corpus, model, bias=AWAY))
        for train in (TRAINABLE, TRAINABLE[1:]):
            for name, end in (
                ("flow", flowed(corpus, begin, time, train)),
                ("descent", descended(corpus, begin, RATE, min(time, 10.0), train)),
                ("momentum", descended(corpus, begin, RATE, 0.4, train, rule=rule, batch_size=BATCH)),
            ):
                worst[name] = largest(worst[name], moved(begin.head, end.head, weights))
    parts = {name: Measured(value, 64 * EPS, within=SCATTER) for name, value in worst.items()}
    return together(where(quick=quick), **parts)


def moved(before: Head, after: Head, weights: Array) -> float:
    """Return the largest change of a weighted sum over classes, in shares of the sizes of its terms."""
    first, last = before.arrays(), after.arrays()
    changes = [
        np.abs((last[name] - first[name]) @ weights) / (np.abs(last[name]) @ weights) for name in LAST if name in first
    ]
    return largest(np.concatenate([np.ravel(change) for change in changes]))
