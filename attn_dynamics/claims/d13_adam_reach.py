"""How far a width gets under Adam (theory D13)."""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from attn_dynamics.claims._support.distances import farthest
from attn_dynamics.claims._support.window_drawn import needle, needle_layer
from attn_dynamics.claims.claim import Measured, claims, control, together
from attn_dynamics.model.bell import Bell
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.adam_reach import largest_step, remembering_width, steady_speed
from attn_dynamics.training.rules import Adam
from attn_dynamics.window.dynamics import Trajectory, descend

USUAL, SHORT, LONG = Adam(), Adam(beta2=0.99), Adam(beta2=0.99999)
"""Adam with its usual means, and with a mean of squares that is short or long compared with the runs."""
FAR, BEGUN, WINDOW = 100, 2.8, 150
"""Distance δ, narrowest start σ₀ whose bell float64 resolves there, and half-width w, of ten σ or more."""
AHEAD = 20.0
"""Time η k of a run under a long memory, in units of the trained parameter's start p₀."""
POWERS = {"deviation": 3 / 8, "variance": 1 / 2}
"""Power of η k with which the trained parameter grows, by its name."""
STEPS = 1500
"""Number of steps of drawn gradients, and of a run in which a short memory settles."""
REMEMBERED = 2000
"""Number of steps of a run under a long memory."""


def reached(gradients: Array, rates: Array, rule: Adam) -> Array:
    """Return |θ_N - θ₀| (histories,) under Adam, from gradients (steps, histories) and learning rates (steps,)."""
    state = {"position": np.zeros(gradients.shape[1])}
    buffers = rule.start(state)
    for gradient, rate in zip(gradients, rates, strict=True):
        rule.step(state, {"position": gradient}, buffers, float(rate))
    return np.abs(state["position"])


def histories(count: int) -> Array:
    """Draw gradients (steps, histories) of four kinds: heavy-tailed, of one sign, sparse, and growing steadily."""
    rng = np.random.default_rng(13)
    wild = rng.standard_cauchy((STEPS, count))
    steepest = USUAL.beta2 / USUAL.beta1
    sparse = np.where(rng.random((STEPS, count)) < 0.02, np.abs(wild), 0.0)
    growth = np.append(rng.uniform(1.0, steepest, count - 1), steepest)
    return np.concatenate([wild, np.abs(wild), sparse, growth ** np.arange(float(STEPS))[:, None]], axis=1)


def shrinking(gradients: Array) -> Array:
    """Return the gradients in order of size, the largest first, and one further history that is constant."""
    order = np.argsort(-np.abs(gradients), axis=0)
    return np.concatenate([np.take_along_axis(gradients, order, axis=0), np.ones((len(gradients), 1))], axis=1)


@cache
def widened(scale: str, steps: int, rate: float, rule: Adam) -> Trajectory:
    """Train a narrow bell on a far needle; return its states half-way, one step before the end, and at the end."""
    layer = needle_layer(Bell(scale=scale), BEGUN)
    record = [steps // 2, steps - 1, steps]
    return descend(needle(FAR, WINDOW), layer, learning_rate=rate, epochs=steps, record=record, rule=rule)


@claims(
    "D13",
    control(
        "the bound of Kingma and Ba, (1 - β₁)/√(1 - β₂)", bound=lambda beta1, beta2: (1 - beta1) / (1 - beta2) ** 0.5
    ),
    control("gradients in order of size, the smallest first", ordered=lambda gradients: shrinking(gradients)[::-1]),
    control("every step as long as the learning rate", speed=lambda width, *_: np.ones_like(width)),
    control("no memory: σ₀ + η k", law=lambda time, distance, start, scale: start + np.asarray(time)),
    control("the powers of plain descent, D6", powers={"deviation": 1 / 4, "variance": 1 / 3}),
    name="reach under Adam",
    foundations=("D4", "D6"),
    statement=r"|\theta_N - \theta_0| \leq \frac{1 - \beta_1}{\sqrt{(1-\beta_2)(1-\beta_1^2/\beta_2)}} \sum_k \eta_k; "
    r"\quad |g|\ \mathrm{falling}:\ \leq \sum_k \eta_k; \quad k \ll 1/(1-\beta_2):\ \sigma \propto (\eta k)^{3/8},\ "
    r"\sigma^2 = \sigma_0^2 \sqrt{1 + 2 \eta k/\sigma_0^2}",
    assumptions="reach: β₁² < β₂, any gradients and learning rates. Falling: β₁ ≤ β₂, and |g| never grows. Growth: "
    "loss and placement of D4, σ far below δ, and η far below the start",
    quantity="p₀ is the start of the trained σ or σ². Reach: largest |θ_N - θ₀| over its bound, for four kinds of "
    "drawn gradients. Falling: largest |θ_N - θ₀| over Σ η, for the same gradients in falling order. Steady: distance "
    "of the last step of σ, in units of η, from 1 minus the lag of both means. Memory: relative distance of σ from the "
    "law at η k = 10 p₀ and 20 p₀. Powers: distance of the exponents between these times from 3/8 and 1/2",
    tolerance="reach, falling: 1, plus 1e-12 for round-off. Steady: the square of the lag. Memory: (η/p₀)/(1 - β₁), by "
    "which the lag of the mean gradient delays the start. Powers: 1/20, because the powers' correction is of order "
    "p₀/(η k)",
)
def reach(
    *,
    quick: bool,
    bound: Callable[[float, float], float] = largest_step,
    ordered: Callable[[Array], Array] = shrinking,
    speed: Callable[..., Array] = steady_speed,
    law: Callable[..., Array] = remembering_width,
    powers: Mapping[str, float] = POWERS,
) -> Measured:
    """Measure Adam on drawn gradients, and a bell trained by Adam."""
    drawn = histories(30 if quick else 300)
    rates = np.random.default_rng(0).uniform(0.5, 1.5, STEPS)
    share = reached(drawn, rates, USUAL).max() / (bound(USUAL.beta1, USUAL.beta2) * rates.sum())
    fallen = reached(ordered(drawn), rates, USUAL).max() / rates.sum()
    step = 1e-3
    before, after = widened("deviation", STEPS, step, SHORT).widths[1:]
    predicted = float(speed(before, step, SHORT.beta1, SHORT.beta2))
    lag = 1.0 - float(steady_speed(before, step, SHORT.beta1, SHORT.beta2))
    remembered, exponents = [], []
    for scale, power in powers.items():
        begun = Bell(scale=scale).parameter(BEGUN)
        run = widened(scale, REMEMBERED, AHEAD * begun / REMEMBERED, LONG)
        wanted = law(AHEAD * begun * np.array([0.5, 1.0]), FAR, BEGUN, scale)
        remembered.append(run.widths[[0, 2]] / wanted - 1.0)
        exponents.append(np.log2(run.layers[2].parameter / run.layers[0].parameter) - power)
    return together(
        reach=Measured(float(share), 1.0 + 1e-12),
        falling=Measured(float(fallen), 1.0 + 1e-12),
        steady=farthest([(after - before) / step - predicted], lag**2),
        memory=farthest(remembered, AHEAD / REMEMBERED / (1.0 - LONG.beta1)),
        powers=farthest(exponents, 1.0 / AHEAD),
    )
