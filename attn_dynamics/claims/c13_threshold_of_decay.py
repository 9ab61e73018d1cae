"""Weight decay above which nothing is learned from a small start, and how long learning takes below it (theory C13)."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from attn_dynamics.claims._support.distances import EPS
from attn_dynamics.claims._support.drawn import corpora, ragged, where
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array, TrainedLinear
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.small_start import pull_at_zero
from attn_dynamics.training.descent import descend

RATE = 0.5
"""Learning rate η. Descent multiplies a mode of growth rate r by exactly 1 + η r at each step."""
TINY = 1e-12
"""Size of a start so small that terms of second order vanish in float64."""
LONG = 10.0
"""Length of the measured linear phase, in units of 1/σ₁."""
SHARES = (0.5, 0.95, 1.05)
"""Weight decays λ, in units of the threshold σ₁."""
SIZES = (1e-6, 1e-8)
"""Sizes ε of the starts whose escape is timed."""
ESCAPED = 0.02
"""Fall of the loss, in nats, that counts as escape."""


class Escape(NamedTuple):
    """Epoch, interpolated between two epochs, at which the loss has fallen by `ESCAPED`."""

    epoch: float
    unsure: float
    """Largest error of the interpolation, in epochs."""


class Modes(NamedTuple):
    """Singular pairs of the pull M with singular values above 0, largest first."""

    words: Array
    """Vectors over words (V, modes)."""
    values: Array
    """Singular values σ (modes,)."""
    classes: Array
    """Vectors over classes (modes, n)."""

    def of(self, state: Parameters) -> Array:
        """Return the component of embeddings and head along the growing mode of each pair (modes, d)."""
        return self.words.T @ state.embeddings + self.classes @ state.head.first_layer.T


Pull = Callable[[Corpus], Array]
"""Function that returns the pull M (V, n) of a corpus, as `pull_at_zero` does."""
Growth = Callable[[Array, float], Array]
"""Function that returns the growth rates of modes from their singular values and the weight decay λ."""


def above_decay(values: Array, decay: float) -> Array:
    """Return the rates σ - λ at which the modes grow."""
    return values - decay


def uncentred(corpus: Corpus) -> Array:
    """Return the pull M without its term -1/n."""
    shares = corpus.counts / corpus.lengths[:, None]
    return np.asarray(shares.T @ np.eye(corpus.n_classes)[corpus.labels]) / corpus.n_sentences


@claims(
    "C13",
    control("M without -1/n", pull=uncentred),
    control("2σ for σ", pull=lambda corpus: 2.0 * pull_at_zero(corpus)),
    control("decay does not slow the escape", growth=lambda values, decay: values),
    control("half as much decay again", growth=lambda values, decay: values - 1.5 * decay),
    name="threshold of decay",
    foundations=("M4",),
    statement=r"M_{wc} = \frac{1}{N}\sum_i A_{iw}\left([y_i = c] - \frac{1}{n}\right), \quad "
    r"\dot P_j = (\sigma_j(M) - \lambda)\, P_j, \quad "
    r"\tau_{\mathrm{escape}} \sim \frac{\ln(1/\epsilon)}{\sigma_1 - \lambda}",
    assumptions="Attn-TC on any text. Keys start at 0, embeddings and head start small, and all are trained under one "
    "weight decay λ. What starts large may stay learned above the threshold",
    quantity="growth: largest relative distance of a mode from its start times (1 + η(σ - λ))^e, after e epochs of "
    "descent, for λ on both sides of σ₁. Escape: relative distance of the epochs between escapes from starts of size "
    "1e-6 and 1e-8 from ln 100 / ln(1 + η(σ₁ - λ)), for λ = 0 and σ₁/2. Both are shares of the bound for their text "
    "and λ",
    tolerance="growth: 4 ε per epoch with ε = 2⁻⁵². Escape: two errors are added. The second mode still has a share "
    "whose square is (1e-6)^{2(σ₁ - σ₂)/(σ₁ - λ)}, where σ₂ = 0 for two classes. Interpolation between epochs may be "
    "off at either end by |Δ² ln f|/(8 Δ ln f) epochs, where f is the fall of the loss",
)
def threshold(*, quick: bool, pull: Pull = pull_at_zero, growth: Growth = above_decay) -> Measured:
    """Measure descents of the exact gradient from small starts on several texts."""
    texts = (*corpora(quick=quick), ragged(np.random.default_rng(1), n_classes=2))
    grown = [_off_growth(text, share, pull, growth) for text in texts for share in SHARES]
    escaped = [_off_escape(text, share, pull, growth) for text in texts for share in (0.0, 0.5)]
    return together(
        f"of three and of two classes: {where(quick=quick)}",
        growth=Measured(largest(off / bound for off, bound in grown), 1.0, within=SCATTER),
        escape=Measured(largest(off / bound for off, bound in escaped), 1.0),
    )


def modes(pull: Array) -> Modes:
    """Return the singular pairs of a pull with values above round-off."""
    words, values, classes = np.linalg.svd(pull, full_matrices=False)
    kept = values > 1e-9 * values[0]
    return Modes(words[:, kept], values[kept], classes[kept])


def _off_growth(text: Corpus, share: float, pull: Pull, growth: Growth) -> tuple[float, float]:
    """Return the largest relative distance of a mode from its predicted growth, and its bound."""
    said, decay = modes(pull(text)), share * _largest_pull(text)
    begin, end, epochs = _linear_phase(text, decay)
    expected = (1.0 + RATE * growth(said.values, decay))[:, None] ** epochs * said.of(begin)
    off = np.linalg.norm(said.of(end) - expected, axis=1) / np.linalg.norm(expected, axis=1)
    return largest(off), 4.0 * EPS * epochs


def _off_escape(text: Corpus, share: float, pull: Pull, growth: Growth) -> tuple[float, float]:
    """Return the relative distance of the epochs between two escapes from the prediction, and its bound."""
    decay, true = share * _largest_pull(text), modes(pull_at_zero(text)).values
    large, tiny = (_escape(text, decay, size) for size in SIZES)
    apart, unsure = tiny.epoch - large.epoch, large.unsure + tiny.unsure
    rate = growth(modes(pull(text)).values, decay)[0]
    second = true[1] if true.size > 1 else 0.0
    left = SIZES[0] ** (2.0 * (true[0] - second) / (true[0] - decay))
    return abs(apart / (np.log(SIZES[0] / SIZES[1]) / np.log1p(RATE * rate)) - 1.0), left + unsure / apart


def _largest_pull(text: Corpus) -> float:
    """Return the largest singular value σ₁ of the pull of a text."""
    return float(modes(pull_at_zero(text)).values[0])


def small(text: Corpus, size: float, *, query: float = 1.5, d: int = 4) -> Parameters:
    """Return keys at 0, and embeddings and a trained head drawn from N(0, size²)."""
    rng = np.random.default_rng(0)
    return Parameters(
        query=np.array([query]),
        keys=np.zeros((text.n_words, 1)),
        embeddings=size * rng.standard_normal((text.n_words, d)),
        head=TrainedLinear(weight=size * rng.standard_normal((d, text.n_classes))),
    )


@cache
def _linear_phase(text: Corpus, decay: float) -> tuple[Parameters, Parameters, int]:
    """Return the start and the end of a descent that stays small, and its number of epochs."""
    begin, epochs = small(text, TINY), round(LONG / (RATE * _largest_pull(text)))
    run = descend(text, begin, learning_rate=RATE, epochs=epochs, decay=decay)
    assert run.parameters is not None
    return begin, run.parameters, epochs


@cache
def _escape(text: Corpus, decay: float, size: float) -> Escape:
    """Return the epoch at which the loss has fallen by `ESCAPED`, interpolated in the logarithm of the fall."""
    epochs = round(2.0 * np.log(1.0 / size) / (RATE * (_largest_pull(text) - decay)))
    loss = descend(text, small(text, size), learning_rate=RATE, epochs=epochs, decay=decay).trajectory.train_loss
    fallen = np.log(np.maximum(np.log(text.n_classes) - loss.values, np.finfo(float).tiny))
    after = int(np.argmax(fallen > np.log(ESCAPED)))
    pace, bends = fallen[after] - fallen[after - 1], np.diff(fallen[after - 2 : after + 2], n=2)
    return Escape(after - (fallen[after] - np.log(ESCAPED)) / pace, float(np.abs(bends).max()) / (8.0 * pace))
