"""Mutual promotion of scores and embeddings (theory C5)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from attn_dynamics.claims._support.exact_task import FIXED_HEAD, KEYS_FIXED, TRAINED_HEAD
from attn_dynamics.claims._support.synthetic_run import RATE, synthetic_run, synthetic_task
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.mean_field import MeanField
from attn_dynamics.training.descent import descend

TIMES = np.logspace(-2, 16, 91)
"""Times at which mean field is compared."""
TOLERANCE = 1e-10
"""Relative tolerance of the solver per step."""
TRAINED = {"attn-fc": FIXED_HEAD, "attn-tc": TRAINED_HEAD}
"""Trained parts of each model under descent, the keys first."""


class ClimbingKeys(MeanField):
    """Mean field whose keys ascend the loss."""

    def velocity(self, state: Array) -> Array:
        """Return the velocity with the sign of both scores reversed."""
        return super().velocity(state) * np.array([-1.0, 1.0, -1.0, 1.0, 1.0])


@claims(
    "C5",
    control("keys climb the loss", field=ClimbingKeys),
    control("keys held at the opposite of what training makes of them", turned=True),
    name="mutual promotion",
    foundations=("C1",),
    statement=r"\frac{ds}{d\tau} \geq 0, \quad \frac{d\|\nu\|}{d\tau} \geq 0, \quad L(\tau) \leq L_{s=0}(\tau)",
    source="LMN21",
    assumptions="zero start. In mean field: any n, m, ρ, u and ‖q‖. Beyond it: descent on LMN21's task",
    quantity="the larger of two numbers: the largest fall of s or ‖ν‖ between consecutive times, relative to their "
    "largest value; and the largest relative excess of the loss over that with keys fixed at zero. Mean field: over "
    "drawn settings up to τ = 1e16. Descent: over the epochs of paired runs",
    tolerance="1e-10, the solver's tolerance per step. Nothing falls, so the value is 0, and its slack is not judged",
)
def keys_promote(*, quick: bool, field: type[MeanField] = MeanField, turned: bool = False) -> Measured:
    """Measure mean field over random settings, and pairs of descent with and without trained keys."""
    predicted = setback(drawn_settings(30 if quick else 1000), field)
    epochs, seeds = (500, 1) if quick else (5000, 2)
    pairs = [descended(model, epochs, seed, turned=turned) for model in TRAINED for seed in range(seeds)]
    return together(
        f"{len(pairs)} pairs of descent",
        mean_field=Measured(predicted, TOLERANCE, within=np.inf),
        descent=Measured(largest(pairs), TOLERANCE, within=np.inf),
    )


def drawn_settings(count: int, seed: int = 0) -> dict[str, Array]:
    """Draw n from 2 to 10, m from 1 to 100, ρ from 0.01 to 0.5, ‖q‖ and u from 1/2 to 2."""
    rng = np.random.default_rng(seed)
    return {
        "classes": rng.integers(2, 11, count).astype(float),
        "others": 10.0 ** rng.uniform(0, 2, count),
        "frequency": rng.uniform(0.01, 0.5, count),
        "query_norm": np.exp2(rng.uniform(-1, 1, count)),
        "head_norm": np.exp2(rng.uniform(-1, 1, count)),
    }


def setback(setting: Mapping[str, Any], field: type[MeanField] = MeanField) -> float:
    """Return the largest fall of s or ‖ν‖, or excess of the loss, in mean field over some settings."""
    run = field(**setting).flow(TIMES, tolerance=TOLERANCE)
    fixed = MeanField(**setting, train=KEYS_FIXED).flow(TIMES, tolerance=TOLERANCE)
    return largest(fall(run.score), fall(run.norm), excess(run.loss, fixed.loss))


def descended(model: str, epochs: int, seed: int, *, turned: bool = False) -> float:
    """Return the largest fall of s or ‖ν‖, or excess of the loss, in a pair of runs with keys trained and fixed.

    If `turned`, the first run has keys fixed at minus the trained ones, as a control.
    """
    still = TRAINED[model][1:]
    fixed = synthetic_run(model, epochs, seed=seed, train=still).trajectory.train_loss.values
    seen = synthetic_run(model, epochs, seed=seed, train=TRAINED[model]).trajectory
    if turned:
        task, start = synthetic_task(model, seed=seed)
        # ‖q‖ = 1, so the outer product gives these scores.
        start = replace(start, keys=-np.outer(seen.all_score.values[-1], start.query))
        seen = descend(task.train, start, learning_rate=RATE, epochs=epochs, train=still).trajectory
        return excess(seen.train_loss.values, fixed)
    return largest(fall(seen.score.values), fall(seen.embedding_norm.values), excess(seen.train_loss.values, fixed))


def fall(values: Array) -> float:
    """Return the largest fall of values (times, ...) between consecutive times, relative to their largest size."""
    return float(np.max(-np.diff(values, axis=0)) / np.abs(values).max())


def excess(loss: Array, fixed: Array) -> float:
    """Return the largest relative excess of a loss (times,) over a loss `fixed` (times,)."""
    return float(np.max(loss / fixed - 1.0))
