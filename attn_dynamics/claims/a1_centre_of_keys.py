"""Centre of the keys, which never moves, for any data and start (theory A1)."""

from collections.abc import Callable
from itertools import product

import numpy as np

from attn_dynamics.claims._support.distances import EPS
from attn_dynamics.claims._support.drawn import corpora, start, where
from attn_dynamics.claims._support.ends import AWAY, descended, flowed
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.tasks.corpus import Corpus


@claims(
    "A1",
    control("a word is left out of the sum", weigh=lambda corpus: np.arange(corpus.n_words) > 0),
    control("words count as often as they stand in the corpus", weigh=lambda corpus: corpus.counts.sum(axis=0)),
    control("a word is held", hold=1),
    name="keys keep their mean",
    foundations=("M1",),
    statement=r"\sum_w \partial L/\partial s_w = 0,\quad \sum_w \kappa_w(\tau) = \sum_w \kappa_w(0)",
    assumptions="none. Under flow, Attn-TL starts from |b₁| ≥ 8, where no relu switches; at a switch the solver may "
    "stall",
    quantity="largest change |Σ_w κ_w(τ) - Σ_w κ_w(0)| of the sum of keys, as a share of Σ_w |κ_w|, over heads, data, "
    "and a fixed and a trained query. The parts are descent and flow",
    tolerance="64 ε with ε = 2⁻⁵². Each of up to 20,000 steps rounds a key by ε. These errors add up like a random "
    "walk, to 140 ε of one key. Errors of different words partly cancel, so their sum is a smaller share of Σ_w |κ_w|",
)
def centre_of_keys(
    *, quick: bool, weigh: Callable[[Corpus], Array] = lambda corpus: np.ones(corpus.n_words), hold: int = 0
) -> Measured:
    """Measure the sum of keys after descent and after flow; with a frozen word, under a fixed query only."""
    time, worst = 2.0 if quick else 200.0, {"descent": 0.0, "flow": 0.0}
    for corpus, model in product(corpora(quick=quick), HEADS):
        weights, begin = weigh(corpus), start(corpus, model, bias=AWAY)
        for train in [TRAINABLE[1:]] if hold else [TRAINABLE, TRAINABLE[1:]]:
            for name, end in (
                ("flow", flowed(corpus, begin, time, train, hold)),
                ("descent", descended(corpus, begin, 0.02, min(time, 10.0), train, hold)),
            ):
                change = np.abs(weights @ (end.keys - begin.keys)) / (weights @ np.abs(end.keys))
                worst[name] = largest(worst[name], float(change.max()))
    parts = {name: Measured(value, 64 * EPS, within=SCATTER) for name, value in worst.items()}
    return together(where(quick=quick), **parts)
