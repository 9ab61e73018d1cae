"""Momentum: it keeps the SEN relation up to the step, but drifts from it by a factor of its own (theory G2)."""

from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np

from attn_dynamics.claims._support.sen import SMOOTH, start_of_topic_words, topic_words_among
from attn_dynamics.claims.claim import Measured, claims, control, largest
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.sen_optimisers import momentum_drift, sen_invariant
from attn_dynamics.training.descent import descend
from attn_dynamics.training.rules import DESCENT, Momentum

OTHERS = 3
"""Number m of other words in a sentence."""
TIME = 4.0
"""Training time, η/(1 - β) × epochs."""
STEP = 0.1
"""Largest time η/(1 - β) of a step, divided by 1 - β. A buffer remembers 1/(1 - β) steps, which last 0.1 in time."""
BETAS = (0.5, False), (0.9, False), (0.9, True), (0.8, False), (0.99, False)
"""Share β of its buffer that a step keeps, and whether it looks ahead (Nesterov)."""
Drift = Callable[..., Array]
"""Function of β and `nesterov` that returns the drift of I as a multiple of descent's at the same η."""


@claims(
    "G2",
    control("1/(1 - β)", drift=lambda beta, nesterov: 1.0 / (1.0 - beta)),
    control("1/(1 - β)², the drift of the time alone", drift=lambda beta, nesterov: 1.0 / (1.0 - beta) ** 2),
    control("Nesterov's factor for either", drift=lambda beta, nesterov: momentum_drift(beta, nesterov=True)),
    control("the heavy ball's factor for either", drift=lambda beta, nesterov: momentum_drift(beta)),
    name="SEN, momentum",
    foundations=("B3",),
    statement=r"\frac{\Delta I_{\beta}}{\Delta I_{0}} \to \frac{1 + \beta}{(1 - \beta)^2} \ (\eta \to 0), \quad "
    r"\mathrm{at\ equal} \ \frac{\eta}{1 - \beta}: \ \frac{1 + \beta}{1 - \beta} = 3, 9, 19, 199",
    assumptions="as B1, under a head with a continuous gradient, at equal times. β is 0.5, 0.8, 0.9 and 0.99. For "
    "Nesterov's variant, at β = 0.9, the factor is (1 - β + 2β²)/(1 - β)²",
    quantity="largest distance of the ratio of drifts, extrapolated to η = 0, from the factor, as a share of its "
    "bound, over words and heads",
    tolerance="1 share of twice the extrapolation's estimate of its own error, a third of its change when η is halved",
)
def drift_of_momentum(
    *, quick: bool, drift: Drift = lambda beta, nesterov: momentum_drift(beta, nesterov=nesterov)
) -> Measured:
    """Measure the drift as a multiple of that under descent with equally long steps, and extrapolate in η."""
    shares, seen = [], []
    for model, (beta, nesterov) in product(SMOOTH[:1], BETAS[:3]) if quick else product(SMOOTH, BETAS):
        steps = STEP * (1.0 - beta) / np.array([1.0, 2.0, 4.0])
        ratios = np.array([ratio_of_drifts(model, beta, nesterov, float(step)) for step in steps])
        coarse, fine = 2.0 * ratios[1:] - ratios[:-1]
        expected = float(drift(beta, nesterov) * (1.0 - beta))
        allowed = 2.0 * np.abs(fine - coarse).max() / 3.0
        shares.append(float(np.abs(fine - expected).max() / allowed))
        name = f"{model}, β = {beta:g}{', Nesterov' if nesterov else ''}"
        seen.append(f"{name}: {fine.mean():.5g} ± {allowed:.1g}, factor {expected:.5g}")
    return Measured(largest(shares), 1.0, "; ".join(seen))


@cache
def ratio_of_drifts(model: str, beta: float, nesterov: bool, step: float, seed: int = 0) -> Array:
    """Return the drift of I (words,) as a multiple of descent's, both with steps of the time η/(1 - β) = `step`."""
    return drift_of_relation(model, beta, nesterov, step, seed) / drift_of_relation(model, 0.0, False, step, seed)


@cache
def drift_of_relation(model: str, beta: float, nesterov: bool, step: float, seed: int = 0) -> Array:
    """Return the change of I of each topic word (words,) from the start to `TIME`."""
    corpus, words, rest = topic_words_among(OTHERS, topics=3)
    start = start_of_topic_words(corpus, words, model, seed)
    run = descend(
        corpus,
        start,
        learning_rate=step * (1.0 - beta),
        epochs=round(TIME / step),
        rule=Momentum(beta, nesterov=nesterov) if beta else DESCENT,
        follow=words,
        frozen_words=rest,
    ).trajectory
    course = sen_invariant(run.score, run.embedding_norm, OTHERS, float(np.linalg.norm(start.query)))
    return np.asarray(course[-1] - course[0])
