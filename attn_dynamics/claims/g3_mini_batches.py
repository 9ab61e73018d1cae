"""Mini-batches: they keep the SEN relation at each step, whatever the batches (theory G3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from math import inf
from typing import ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.claims._support.distances import EPS
from attn_dynamics.claims._support.sen import start_of_topic_words
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.statistics import half_width
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.sen_optimisers import batch_drift, change_in_step, sen_invariant
from attn_dynamics.training.descent import descend
from attn_dynamics.training.rules import DESCENT, Arrays

TOPICS, REPEATS, OTHERS = 4, 4, 3
"""Number of topics with one word each, of equal sentences for each, and of other words in a sentence."""
SENTENCES = TOPICS * REPEATS
"""Number N of sentences."""
TIME = 1.6
"""Training time, η × steps."""
SEEDS = 30
"""Number of orders of the batches."""
Change = Callable[[Array, Array, Array, float, float], Array]
"""Function that returns the change of I in a step from s, Δs, ‖Δν‖, m and ‖q‖, as `change_in_step` does."""


@final
@dataclass(frozen=True)
class Tallying:
    """Descent that also sums the changes of I which the theory gives for the steps of the topic words."""

    columns: NDArray[np.int64]
    """Columns of the topic words."""
    change: Change
    query_norm: float
    noise: float = 0.0
    """Standard deviation of noise on embeddings alone, relative to the entries of their step; for a control."""
    total: list[Array] = field(default_factory=list, repr=False)
    """List with one entry: the sum so far (words,)."""
    linear: ClassVar[bool] = True

    def start(self, state: Mapping[str, Array]) -> Arrays:
        """Return no buffers."""
        return {}

    def step(self, state: Mapping[str, Array], slopes: Mapping[str, Array], buffers: Arrays, rate: float) -> None:
        """Step as descent does, and add the change of I that the theory gives."""
        score, place = state["scores"][self.columns].copy(), state["axes"][:, self.columns].copy()
        DESCENT.step(state, slopes, buffers, rate)
        if self.noise:
            rng = np.random.default_rng(int(1e6 * abs(score).sum()))
            size = np.abs(state["axes"][:, self.columns] - place)
            state["axes"][:, self.columns] += self.noise * size * rng.standard_normal(place.shape)
        moved = state["scores"][self.columns] - score
        length = np.linalg.norm(state["axes"][:, self.columns] - place, axis=0)
        self.total[0] += self.change(score, moved, length, OTHERS, self.query_norm)


class Tally(NamedTuple):
    """Change of I of each topic word (words,) up to `TIME`, as measured and by theory."""

    seen: Array
    """Change along the run."""
    said: Array
    """Sum of the changes that the theory gives for the steps."""
    size: float
    """Largest term of I along the run."""
    steps: int


@claims(
    "G3",
    control("noise on the embedding alone, half as large as its step", noise=0.5),
    control("the relation is kept to all orders", change=lambda s, ds, length, m, q: 0.0 * s),
    control("‖q‖² for ‖q‖²/2", change=lambda s, ds, length, m, q: change_in_step(s, ds, 2**0.5 * length, m, q)),
    control("the drift of all sentences", factor=lambda rho, size, sentences: 1.0),
    control("sentences drawn with replacement", factor=lambda rho, size, _: batch_drift(rho, size, 1e12)),
    name="SEN, mini-batches",
    foundations=("B1",),
    statement=r"I_K - I_0 = \sum_k \frac{e^s}{m} (e^{\Delta s} - 1 - \Delta s) - \frac{\|q\|^2}{2} \|\Delta\nu\|^2, "
    r"\quad \frac{\Delta I_B}{\Delta I_N} \to 1 + \frac{1 - \rho}{\rho B} \, \frac{N - B}{N - 1}",
    assumptions="as B1, under descent on batches of B of N sentences and any head. Factor: η → 0, and the sentences of "
    "a word are alike",
    quantity="sum: largest distance of the change of I from the sum over steps, as a share of its bound, for all heads "
    "and batch sizes. Factor: mean over seeds of the drift, divided by that on all sentences and extrapolated to η = "
    "0; its distance from the factor, in half-widths of its 95 % interval",
    tolerance="sum: ε times steps times the largest term of I, with ε = 2⁻⁵². Factor: 2 half-widths, which chance "
    "exceeds once in 3,000",
)
def relation_on_batches(
    *,
    quick: bool,
    change: Change = change_in_step,
    noise: float = 0.0,
    factor: Callable[[float, int, int], Array | float] = batch_drift,
) -> Measured:
    """Measure the sum over steps for every head, and the drift of Attn-FC over orders of the batches."""
    shares = []
    for model, size in product(HEADS, (5,) if quick else (1, 3, 5, SENTENCES)):
        run = tallied(model, size, 0, 0.02, change, noise)
        shares.append(float(np.abs(run.seen - run.said).max()) / (EPS * run.steps * run.size))
    offs, seen = [], []
    for size in (8,) if quick else (2, 4, 8):
        drifts, expected = ratios(size, 0.04 if quick else 0.01), float(factor(1.0 / TOPICS, size, SENTENCES))
        offs.append(abs(drifts.mean() - expected) / float(half_width(drifts)))
        seen.append(f"B = {size}: {drifts.mean():.3f} ± {half_width(drifts):.3f}, factor {expected:.3f}")
    return together(
        f"{SEEDS} seeds, {'; '.join(seen)}",
        sum=Measured(largest(shares), 1.0, within=SCATTER),
        factor=Measured(largest(offs), 2.0, within=inf),
    )


@cache
def alike() -> tuple[Corpus, list[str], list[str]]:
    """Build four equal sentences for each topic word among words that all share."""
    words, rest = [f"t{topic}" for topic in range(TOPICS)], [f"w{other}" for other in range(OTHERS)]
    labels = np.repeat(np.arange(TOPICS), REPEATS)
    return Corpus.from_sentences([[words[topic], *rest] for topic in labels], labels), words, rest


@cache
def tallied(
    model: str, size: int, seed: int, rate: float, change: Change = change_in_step, noise: float = 0.0
) -> Tally:
    """Run descent on batches of this size up to `TIME`, and sum the changes that the theory gives."""
    corpus, words, rest = alike()
    start = start_of_topic_words(corpus, words, model)
    q, per_epoch = float(np.linalg.norm(start.query)), -(-SENTENCES // size)
    rule = Tallying(corpus.columns(words), change, q, noise, [np.zeros(TOPICS)])
    epochs = round(TIME / (rate * per_epoch))
    options = {"batch_size": size, "batch_seed": seed, "rule": rule, "follow": words, "frozen_words": rest}
    run = descend(corpus, start, learning_rate=rate, epochs=epochs, **options).trajectory
    course = sen_invariant(run.score, run.embedding_norm, OTHERS, q)
    terms = (np.exp(run.score) / OTHERS + np.abs(run.score) + 0.5 * np.square(q * run.embedding_norm)).max()
    return Tally(np.asarray(course[-1] - course[0]), rule.total[0], float(terms), epochs * per_epoch)


@cache
def ratios(size: int, rate: float) -> Array:
    """Return, for each seed, the drift of I as a multiple of that on all sentences, extrapolated from η and 2η.

    It is a mean over words.
    """
    fine, coarse = (
        np.array([(tallied("attn-fc", size, seed, each).seen / whole).mean() for seed in range(SEEDS)])
        for each in (rate, 2.0 * rate)
        for whole in [tallied("attn-fc", SENTENCES, 0, each).seen]
    )
    return 2.0 * fine - coarse
