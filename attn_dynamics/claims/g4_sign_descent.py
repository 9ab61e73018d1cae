"""Sign descent: a straight line instead of the SEN relation (theory G4)."""

from collections.abc import Callable
from functools import cache

import numpy as np

from attn_dynamics.claims._support.distances import EPS
from attn_dynamics.claims._support.two_classes import drawn_text, from_zero, words_on_the_line
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.sen import sen_score
from attn_dynamics.theory.sign_rules import sign_score
from attn_dynamics.training.descent import descend
from attn_dynamics.training.rules import SignDescent

RATE = 5e-4
"""Learning rate η."""
STEPS = 3000
"""Number of steps, after which scores are some 10.

From s = 18 on the other words of a sentence have less than ε of its attention. The sign of D·(ν - v), which decides the
step of the key, is then lost in round-off.
"""
Line = Callable[[Array, Array, int, float], Array]
"""Function that returns s from ‖ν‖, q, d and η, as `sign_score` does."""


@claims(
    "G4",
    control("SEN, among three others", line=lambda norm, q, d, rate: sen_score(norm, 3.0, np.linalg.norm(q))),
    control("the first step moves the key too", line=lambda norm, q, d, rate: sign_score(norm, q, d, 0.0)),
    control("‖q‖₂ for ‖q‖₁", line=lambda norm, q, d, rate: np.linalg.norm(q) * (norm / d**0.5 - rate)),
    control("four classes", classes=4),
    control("a start that is not 0", start=0.1),
    name="sign descent",
    foundations=("M3",),
    statement=r"s = \frac{\|q\|_1}{\sqrt{d}} \left( \|\nu\| - \eta \sqrt{d} \right)",
    assumptions="two classes, Attn-FC, keys and embeddings from 0, all words trained. A measured word stands in "
    "sentences of one class alone, and in one of them beside a word that the first step moves the other way. The "
    "attention on that other word is above round-off",
    quantity="largest distance of s from the line, relative to the largest s, over words, seeds and 3,000 steps",
    tolerance="ε √k after k steps with ε = 2⁻⁵², because s and ‖ν‖ are sums of k equal steps, each of which rounds",
)
def line_of_sign_descent(*, quick: bool, line: Line = sign_score, classes: int = 2, start: float = 0.0) -> Measured:
    """Measure sign descent on drawn texts."""
    steps = STEPS // 10 if quick else STEPS
    offs = [_off_line(seed, steps, line, classes, start) for seed in range(2 if quick else 10)]
    return Measured(largest(offs), EPS * steps**0.5, within=SCATTER)


@cache
def signed(seed: int, steps: int, classes: int, start: float) -> tuple[Array, Array, Array]:
    """Return the query, and score and norm (steps, words) of the words of one class after each step."""
    corpus = drawn_text(seed, classes=classes)
    begin = from_zero(corpus, seed, start=start)
    words = words_on_the_line(corpus)
    settings = {"learning_rate": RATE, "epochs": steps, "rule": SignDescent(), "train": ("keys", "embeddings")}
    run = descend(corpus, begin, follow=words, **settings).trajectory
    return begin.query, run.score.values[1:], run.embedding_norm.values[1:]


def _off_line(seed: int, steps: int, line: Line, classes: int, start: float) -> float:
    """Return the largest distance of s from the line along a run, relative to the largest s."""
    query, score, norm = signed(seed, steps, classes, start)
    return float(np.abs(score - line(norm, query, 5, RATE)).max() / np.abs(score).max())
