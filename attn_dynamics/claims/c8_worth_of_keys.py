"""Factor by which trained keys lower the loss in the long run (theory C8)."""

from collections.abc import Callable

import numpy as np

from attn_dynamics.claims._support.distances import farthest
from attn_dynamics.claims._support.exact_task import KEYS_FIXED, TRAINED_HEAD, ExactTask, altered
from attn_dynamics.claims._support.long_run import LONG, LONGEST, TASKS, end_in_model, extrapolated, in_mean_field
from attn_dynamics.claims.claim import Measured, claims, control, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.asymptotics import keys_factor

PAIRS = (*TASKS[:2], ExactTask((2, 2), 3, 1.5, private=True), ExactTask((2,) * 4, 20, 1.0, 0.7, private=True))
"""Tasks without and with memorisation; with it, all words are equally frequent."""


@claims(
    "C8",
    control("(1+m)² where sentences memorise", factor=altered(keys_factor, own_words=lambda _: np.inf)),
    control("1 + m for (1+m)²", factor=lambda others, **rest: np.sqrt(keys_factor(others, **rest))),
    control("a fixed head's factor under a trained one", factor=altered(keys_factor, depth=lambda _: 0)),
    statement=r"\frac{L_{s=0}}{L} \to \left( \frac{(1+m)^2}{1 + m/(\rho N)} \right)^{1/(1+D)}",
    assumptions="C9 for D = 0 trained layers of the head, C10 for D = 1; no two sentences share one of their other "
    "words, or N = ∞: nothing is memorised; ρ N > 1, for in a single sentence the topic word is like any other. It is "
    "(1+m)² only for a fixed head where nothing is memorised",
    quantity="largest relative distance of the ratio of losses, keys fixed over keys trained, from its limit: D = 0 in "
    "mean field at τ = 1e16 and in the exact gradient's flow at 1e8; D = 1 extrapolated in 1/M from 1e128 and 1e256",
    tolerance="0.1 %, and 0.02 % in mean field at 1e16; the orders left out are those of C3, seen for D = 1 as "
    "100/(M M') = 0.06 %, not derived",
    observed=True,
)
def worth_of_keys(*, quick: bool, factor: Callable[..., Array] = keys_factor) -> Measured:
    """Measure runs with keys trained, and with keys fixed at zero."""
    model = [(_ratio(task), _factor_of(task, factor)) for task in PAIRS]
    offs, seen = {0: [], 1: []}, []
    for depth, times in ((0, (LONG, LONGEST[1])), (1, LONGEST)):
        for sentences in (np.inf, 800.0):
            limit = factor(20, depth=depth, own_words=sentences * 20 / 8)
            ratio, margin = _paid(times, depth, sentences)
            offs[depth].append(extrapolated(ratio / limit, margin) - 1.0 if depth else ratio[0] / limit - 1.0)
            seen.append(f"D = {depth}, N = {sentences:g}: {ratio[-1]:.2f}")
    return together(
        "at 1e256 " + "; ".join(seen),
        mean_field=farthest(offs[0], 2e-4),
        exact_gradient=farthest((ratio / limit - 1.0 for ratio, limit in model), 1e-3),
        trained_head=farthest(offs[1], 1e-3),
    )


def _ratio(task: ExactTask) -> float:
    return float(end_in_model(task, KEYS_FIXED).train_loss / end_in_model(task).train_loss)


def _factor_of(task: ExactTask, factor: Callable[..., Array]) -> float:
    return float(factor(task.others, depth=0, own_words=task.others * task.repeats[0] if task.private else np.inf))


def _paid(times: tuple[float, ...], depth: int, sentences: float) -> tuple[Array, Array]:
    """Return the ratio of losses on LMN21's task, and the margin with trained keys."""
    trained = in_mean_field(times, depth, sentences=sentences)
    fixed = in_mean_field(times, depth, train=TRAINED_HEAD[1:] if depth else KEYS_FIXED, sentences=sentences)
    return fixed.loss / trained.loss, trained.margin
