"""Factor by which trained keys lower the loss in the long run (theory C8)."""

from collections.abc import Callable

import numpy as np

from attn_dynamics.claims._support.distances import farthest
from attn_dynamics.claims._support.exact_task import KEYS_FIXED, TRAINED_HEAD, ExactTask, altered
from attn_dynamics.claims._support.long_run import LONG, LONGEST, TASKS, end_in_model, extrapolated, in_mean_field
from attn_dynamics.claims.claim import Measured, claims, control, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.asymptotics import keys_factor

MODEL_TASKS = (*TASKS[:2], ExactTask((2, 2), 3, 1.5, private=True), ExactTask((2,) * 4, 20, 1.0, 0.7, private=True))
"""Tasks for the model's own flow: two without memorisation, and two with it, whose topic words are equally frequent."""


@claims(
    "C8",
    control("(1+m)² where sentences memorise", factor=altered(keys_factor, own_words=lambda _: np.inf)),
    control("1 + m for (1+m)²", factor=lambda others, **rest: np.sqrt(keys_factor(others, **rest))),
    control("a fixed head's factor under a trained one", factor=altered(keys_factor, depth=lambda _: 0)),
    name="worth of attention",
    foundations=("C3", "C9", "C10"),
    statement=r"\frac{L_{s=0}}{L} \to \left( \frac{(1+m)^2}{1 + m/(\rho N)} \right)^{1/(1+D)}",
    assumptions="D is the number of trained layers of the head. D = 0: C9. D = 1: C10. No two sentences share one of "
    "their other words, or N = ∞ and nothing is memorised. ρN > 1, because in a single sentence the topic word is a "
    "word like any other. The limit is (1+m)² only for D = 0 and N = ∞",
    quantity="largest relative distance from the limit of the ratio of losses: keys fixed at zero over keys trained. "
    "Mean field: D = 0 at τ = 1e16. Exact gradient: D = 0 in the model's own flow at 1e8. Trained head: D = 1, "
    "extrapolated in 1/M from 1e128 and 1e256",
    tolerance="mean field 0.02 %, the others 0.1 %. The orders left out are those of C3. For D = 1 extrapolation from "
    "margins M and M' leaves 100/(M M') = 0.06 %, observed, not derived",
    observed=True,
)
def worth_of_keys(*, quick: bool, factor: Callable[..., Array] = keys_factor) -> Measured:
    """Measure the ratio of losses with keys fixed at zero and with keys trained."""
    model = [(_ratio_in_model(task), _factor_of(task, factor)) for task in MODEL_TASKS]
    offs, seen = {0: [], 1: []}, []
    for depth, times in ((0, (LONG, LONGEST[1])), (1, LONGEST)):
        for sentences in (np.inf, 800.0):
            limit = factor(20, depth=depth, own_words=sentences * 20 / 8)
            ratio, margin = _ratio_in_mean_field(times, depth, sentences)
            offs[depth].append(extrapolated(ratio / limit, margin) - 1.0 if depth else ratio[0] / limit - 1.0)
            seen.append(f"D = {depth}, N = {sentences:g}: {ratio[-1]:.2f}")
    return together(
        "at 1e256 " + "; ".join(seen),
        mean_field=farthest(offs[0], 2e-4),
        exact_gradient=farthest((ratio / limit - 1.0 for ratio, limit in model), 1e-3),
        trained_head=farthest(offs[1], 1e-3),
    )


def _ratio_in_model(task: ExactTask) -> float:
    """Return the ratio of losses, keys fixed at zero over keys trained, late in the model's own flow."""
    return float(end_in_model(task, KEYS_FIXED).train_loss / end_in_model(task).train_loss)


def _factor_of(task: ExactTask, factor: Callable[..., Array]) -> float:
    """Return the predicted ratio of losses for a task under a fixed head."""
    return float(factor(task.others, depth=0, own_words=task.others * task.repeats[0] if task.private else np.inf))


def _ratio_in_mean_field(times: tuple[float, ...], depth: int, sentences: float) -> tuple[Array, Array]:
    """Return the ratio of losses (times,) for LMN21's task in mean field, and the margin M of trained keys."""
    trained = in_mean_field(times, depth, sentences=sentences)
    fixed = in_mean_field(times, depth, train=TRAINED_HEAD[1:] if depth else KEYS_FIXED, sentences=sentences)
    return fixed.loss / trained.loss, trained.margin
