"""Label noise: scores first follow frequency, and in the end purity (theory G6)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from attn_dynamics.claims._support.distances import RTOL, apart
from attn_dynamics.claims._support.exact_task import TIMES, ExactTask, Theory, altered, distance, exact_flow
from attn_dynamics.claims.claim import SCATTER, Measured, claims, control, largest, together
from attn_dynamics.model.heads import Array
from attn_dynamics.theory.label_noise import noise_early, noise_score
from attn_dynamics.theory.mean_field import MeanField

TASKS = (
    ExactTask((80, 30, 16, 10), 20, 2**0.5, 1.3, wrong=(20, 5, 2, 1)),
    ExactTask((27, 9, 18, 3), 20, 2**0.5, 1.3, wrong=(1, 1, 2, 1)),
    ExactTask((6, 3), 1, 1.5, 0.8, wrong=(2, 1)),
    ExactTask((9, 4, 3), 5, 0.7, 2.0, wrong=(2, 1, 1)),
)
"""Tasks with noisy labels; in the first the most frequent word is the least pure."""
END = (*TIMES, 1e4)
"""Times up to the end, where the distance from it is far below round-off."""


def without_classes(label_noise: Array, *, classes: int, **setting: Any) -> Array:
    """Return the final score for the margin ln((1 - ε)/ε), through the ε that has this margin."""
    odds = (classes - 1) * label_noise / (1.0 - label_noise)
    return noise_score(odds / (1.0 + odds), classes=classes, **setting)


def of_all_classes(label_noise: Array, *, classes: int, **setting: Any) -> Array:
    """Return the final score if wrong labels were drawn from all n classes, the right one among them."""
    return noise_score(label_noise * (classes - 1) / classes, classes=classes, **setting)


@claims(
    "G6",
    control("n - 1 lost from the margin", end=without_classes),
    control("wrong labels drawn from all classes", end=of_all_classes),
    control("m + 1 other words", end=altered(noise_score, others=lambda m: m + 1)),
    control("C1 of clean labels", theory=altered(MeanField, label_noise=np.zeros_like)),
    control("scores begin by frequency alone", begin=altered(noise_early, label_noise=np.zeros_like)),
    control("scores begin by purity alone", begin=altered(noise_early, frequency=np.mean)),
    name="label noise",
    foundations=("B1", "C1"),
    statement=r"\frac{s}{\tau^2} \to \frac{\|q\|^2 u^2 (n-1)\, m}{2 n (1+m)^3} (\rho\,\delta)^2, \quad "
    r"s \to s^*(\epsilon):\ (1 + m\, e^{-s})^2\, \frac{(n-1)\|q\|^2}{2 n u^2}\, M^2 = s + \frac{e^s - 1}{m}, \quad "
    r"M = \ln\frac{(1-\epsilon)(n-1)}{\epsilon}, \quad \delta = 1 - \frac{\epsilon n}{n-1}",
    assumptions="C1, except that a share ε of each topic word's sentences has another label, every other class alike. "
    "The other words stay 0; if they learned, they would memorise the wrong labels, at rates of order 1/N",
    quantity="path: largest relative distance of s, ‖ν‖ and a from C1 with 1 - ε - π instead of 1 - π, up to time "
    "1000. End: the same for s at time 1e4 and s*(ε), for words of several frequencies. Start: the same for s/τ² at "
    "time 0.1 and its limit, in units of the next order ρ u² τ/(n (1+m)²)",
    tolerance="path: 1000 rtol, where rtol = 1e-11 is the solver's tolerance per step, for some hundred steps. End: 10 "
    "rtol, because the flow is drawn to it and forgets all but its last steps. Start: twice the next order",
)
def label_noise(
    *,
    quick: bool,
    theory: Theory = MeanField,
    end: Callable[..., Array] = noise_score,
    begin: Callable[..., Array] = noise_early,
) -> Measured:
    """Measure gradient flow of the exact gradient with label noise in exact proportions."""
    tasks = TASKS[:2] if quick else TASKS
    return together(
        path=Measured(largest(distance(task, theory) for task in tasks), 1000 * RTOL, within=20.0),
        end=Measured(largest(_off_at_end(task, end) for task in tasks), 10 * RTOL, within=SCATTER),
        start=Measured(largest(_off_at_start(task, begin) / _next_order(task) for task in tasks), 2.0),
    )


def _off_at_end(task: ExactTask, end: Callable[..., Array]) -> float:
    """Return the largest relative distance of the final scores from the theory."""
    setting = {name: value for name, value in task.setting.items() if name != "frequency"}
    return apart((end(**setting), exact_flow(task, END).score.values[-1]))


def _off_at_start(task: ExactTask, begin: Callable[..., Array]) -> float:
    """Return the largest relative distance of s/τ² at the first time from the theory."""
    return apart((begin(**task.setting), exact_flow(task, END).score.values[1] / END[0] ** 2))


def _next_order(task: ExactTask) -> float:
    """Return the largest relative fall of s/τ² at the first time, over words, up to O(τ²)."""
    setting = task.setting
    return setting["frequency"].max() * task.head_norm**2 * END[0] / (setting["classes"] * (1 + task.others) ** 2)
