"""How attention approaches one (theory C4)."""

from collections.abc import Callable
from itertools import product

import numpy as np

from attn_dynamics.claims._support.distances import farthest
from attn_dynamics.claims._support.exact_task import altered
from attn_dynamics.claims._support.long_run import LONG, MODEL_LONG, TASKS, end_in_model, end_of
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.asymptotics import Late, late


def leading_order(time: float, **setting: Array) -> Late:
    """Return `late` with the gap 1 - a of the leading order alone, B/Λ²."""
    theory = late(time, **setting)
    n, u, q = (np.asarray(setting[name]) for name in ("classes", "head_norm", "query_norm"))
    return theory._replace(gap=2 * n * u**2 / ((n - 1) * q**2) / theory.margin**2)


@claims(
    "C4",
    control("the leading order alone", approach=leading_order),
    control("‖q‖²/2 for ‖q‖²", approach=altered(late, query_norm=lambda q: q / 2**0.5)),
    control("ρ of another word", approach=altered(late, frequency=np.flip)),
    control("u for u²", approach=altered(late, head_norm=np.sqrt)),
    control("the start is forgotten", approach=altered(late, start_score=np.zeros_like, start_norm=np.zeros_like)),
    name="attention nears one",
    foundations=("C3",),
    statement=r"x \sim \frac{n-1}{n} \Lambda, \quad \frac{1}{1-a} = \frac{\Lambda^2}{B} + 3 + s_0 + \frac{e^{s_0}}{m} "
    r"- \frac{1}{2} \|q\|^2 r_0^2 - \ln \frac{m \Lambda^2}{B} + o(1), \quad \Lambda = \ln(\rho u^2 n \tau), \quad "
    r"B = \frac{2 n u^2}{(n-1) \|q\|^2}",
    assumptions="C1, from a zero start; in mean field also from s₀ = 2 and r₀ = 3",
    quantity="attention: largest relative distance of 1 - a from both stated orders, in mean field at τ = 1e16. Norm: "
    "the same for ‖ν‖. Exact gradient: the same for 1 - a in the model's own flow at 1e8",
    tolerance="exact gradient 0.1 %, attention 0.01 %: of 1/(1-a) = O(Λ²), both orders leave O(ln Λ/Λ²). At 1e8 that "
    "is 0.05 %, where the second order is 2 %. Norm: 2e-6, because an error of 1 - a ≤ 2 % enters ‖ν‖ times 1 - a",
)
def approach_of_attention(*, quick: bool, approach: Callable[..., Late] = late) -> Measured:
    """Measure the limit a → 1 in the model's own flow and in mean field."""
    gaps, norms, model = [], [], []
    for task, (score, norm) in product(TASKS, ((0.0, 0.0), (2.0, 3.0))):
        run, start = end_of(task, score=score, norm=norm), {"start_score": score, "start_norm": norm}
        far = approach(LONG, **task.setting, **start)
        gaps.append((1 - run.attention[0]) / far.gap - 1.0)
        norms.append(run.norm[0] / far.norm - 1.0)
    for task in TASKS:
        attention = end_in_model(task).attention.values
        near = approach(MODEL_LONG, **task.setting, start_score=0.0, start_norm=0.0)
        model.append((1 - attention) / near.gap - 1.0)
    second = largest(float(np.max(leading_order(LONG, **task.setting).gap)) for task in TASKS)
    return together(
        f"1 - a ≤ {second:.2g} at 1e16",
        attention=farthest(gaps, 1e-4),
        norm=farthest(norms, 2e-6),
        exact_gradient=farthest(model, 1e-3),
    )
