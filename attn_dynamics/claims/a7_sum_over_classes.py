"""Sum of the last layer over classes, which never moves, for any data and start (theory A7)."""

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
"""Learning rate of every run; sentences in a batch, and the rule, of momentum on mini-batches."""
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
        """Return the number n of classes."""
        return self.weight.shape[-1]

    def shapes(self, d: int, r: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of U and b."""
        return {"weight": (d, r), "bias_out": (r,)}

    def forward(self, projected: Array) -> tuple[Array, Array]:
        """Return the logits, and Uᵀ v."""
        return projected + self.bias_out[..., None], projected

    def backward(self, kept: Array, slopes: Array) -> tuple[Array, dict[str, Array]]:
        """Return the slopes, and the gradient of b, which is 0 except in the first class."""
        return slopes, {"bias_out": slopes.sum(axis=-1) * (np.arange(self.n_classes) == 0)}

    @classmethod
    def draw(cls, rng: np.random.Generator, d: int, n_classes: int, hidden: int, layer: DrawLayer = glorot) -> Self:
        """Draw U and b."""
        weight, bias = layer(rng, d, n_classes)
        return cls(weight=weight, bias_out=bias)


def by_frequency(corpus: Corpus) -> Array:
    """Return the number of sentences of each class (n,)."""
    return np.bincount(corpus.labels, minlength=corpus.n_classes).astype(float)


def with_one_bias(begin: Parameters) -> Parameters:
    """Replace the head by one whose bias is trained in the first class alone.

    Its weight is the first n columns of the old first layer.
    """
    n = begin.head.n_classes
    return replace(begin, head=OneBias(weight=begin.head.first_layer[:, :n], bias_out=np.full(n, 0.1)))


@claims(
    "A7",
    control("a class is left out of the sum", weigh=lambda corpus: np.arange(corpus.n_classes) > 0),
    control("classes count as often as they occur", weigh=by_frequency),
    control("one class alone has a bias", alter=with_one_bias),
    control("steps of one size, which are no sums of gradients", rule=SignDescent()),
    name="sum over classes",
    foundations=("M2", "M4", "M5"),
    statement=r"\sum_c U_{\cdot c}(\tau) = \sum_c U_{\cdot c}(0),\quad \sum_c b_c(\tau) = \sum_c b_c(0)",
    assumptions="the last layer is trained in every class: U of Attn-TC, U₂ and b₂ of Attn-TL. Under flow, Attn-TL "
    "starts from |b₁| ≥ 8, where no relu switches; at a switch the solver may stall",
    quantity="largest change |Σ_c U(τ) - Σ_c U(0)| of the last layer's sum over classes, as a share of Σ_c |U|, and "
    "the same for its bias b. It is taken over heads, data, and a fixed and a trained query. The parts are descent, "
    "momentum on mini-batches, and flow",
    tolerance="64 ε with ε = 2⁻⁵², as in A1 with classes instead of words",
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
    """Return the largest change of a weighted sum over classes, as a share of the sum of its terms' sizes."""
    first, last = before.arrays(), after.arrays()
    changes = [
        np.abs((last[name] - first[name]) @ weights) / (np.abs(last[name]) @ weights) for name in LAST if name in first
    ]
    return largest(np.concatenate([np.ravel(change) for change in changes]))
