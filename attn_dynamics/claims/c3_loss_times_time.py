"""Limits of training, in mean field and in the exact gradient's flow (theory C3, C4, C8, C11)."""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.claims._support.exact_task import (
    FIXED_HEAD,
    KEYS_FIXED,
    TRAINED_HEAD,
    ExactTask,
    altered,
    exact_flow,
)
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.theory.asymptotics import Late, keys_factor, late, late_score, loss_limit, score_exponent
from attn_dynamics.theory.mean_field import MeanField, Trajectory

Array = NDArray[np.float64]

LONG, MODEL_LONG = 1e16, 1e8
"""Times of mean field and of the model itself, whose 1 - π has round-off of a share 2⁻⁵² τ at that time."""
LONGEST = (1e128, 1e256)
"""Times for quantities that converge like powers of 1/ln τ."""
PRACTICAL = (250.0, 500.0)
"""Times around the last doubling in LMN21's training."""
RTOL = 1e-6
"""Relative tolerance of a step of the solver, well above that round-off."""
LMN21 = {"frequency": 1 / 8, "classes": 4, "others": 20, "topic_words": 2}
"""Sizes of LMN21's task."""
WITHIN = 1e-3
TASKS = (ExactTask((1, 1), 1, 2.0), ExactTask((1, 2, 3), 5, 1.5, 0.8), ExactTask((2, 2, 3, 1), 20, 1.0, 0.7))


@cache
def in_mean_field(
    times: tuple[float, ...], depth: int = 0, train: tuple[str, ...] = (), **setting: float
) -> Trajectory:
    """Return LMN21's task with a head of D trained layers; D = 0 is a fixed head."""
    train = train or (TRAINED_HEAD if depth else FIXED_HEAD)
    return MeanField(**LMN21 | setting, depth=max(depth, 1), train=train).flow(times)


@cache
def end_of(task: ExactTask, **start: float) -> Trajectory:
    """Return the mean field of a task at the end of the long run (1, words), from zero or from other s and r."""
    return MeanField(**task.setting).flow([LONG], **start)


def extrapolated(values: Array, margins: Array) -> float:
    """Return the limit of values that converge like 1/M, from two margins M."""
    return float(np.diff(values * margins)[0] / np.diff(margins)[0])


@claims(
    "C3",
    control("1/n for (n-1)/n", limit=lambda **given: loss_limit(**given) / (given["classes"] - 1)),
    control("u for u²", limit=altered(loss_limit, head_norm=np.sqrt)),
    control("no power of M under a trained head", power=lambda depth: 0.0),
    control("the other topic word of a topic is left out", limit=altered(loss_limit, topic_words=lambda p: p / 2)),
    control("-4 for -5 in the next order", following=lambda **given: next_loss(**given, constant=4.0)),
    control("the next order without what follows it", following=lambda **given: next_loss(**given, further=0.0)),
    statement=r"L\, \tau\, M^{2D/(1+D)} \to \mathrm{const}, \quad D = 0:\ \frac{n-1}{\rho u^2 n\, L \tau} - 1 = "
    r"\left(\psi + \frac{4 (\psi - 1)}{\Lambda} + \ldots\right) \frac{B^2}{\Lambda^4}, \quad "
    r"\psi = 2 \ln \frac{m \Lambda^2}{B} - 5 - \frac{2}{m}",
    assumptions="C1 for D = 0 trained layers of the head, C10 with nothing memorised for D = 1",
    quantity="largest relative distance of L τ M^{2D/(1+D)} from its limit: D = 0 in mean field at τ = 1e16 and in the "
    "exact gradient's flow at 1e8; D = 1 extrapolated in 1/M from 1e128 and 1e256; and of the distance at 1e30 in mean "
    "field from both of its orders",
    tolerance="twice the next order, which is ψ B²/Λ⁴, ≤ 0.05 % at 1e8, Λ and B as in C4; for D = 1 0.1 %: the "
    "extrapolation leaves O(1/(M M')) of the two margins, seen as 80/(M M') = 0.04 %, not derived; 1 share of "
    "the orders after both, 20 ψ B²/Λ⁶ and 4 B³ ln²(m Λ²/B)/Λ⁶, and of the solver's 1e-9",
    observed=True,
)
def loss_times_time(
    *,
    quick: bool,
    limit: Callable[..., Array] = loss_limit,
    power: Callable[[float], float] = lambda depth: 2 * depth / (1 + depth),
    following: Callable[..., Array] = lambda **given: next_loss(**given),
) -> Measured:
    """Measure the constant in the model itself, in its reduced equations, and with a trained head."""
    offs = [_fixed_head_offs(task, limit) for task in TASKS]
    ahead = {
        time: 2 * largest(*(next_loss(time=time, **task.setting) for task in TASKS)) for time in (LONG, MODEL_LONG)
    }
    run = in_mean_field(LONGEST, depth=1)
    wanted = limit(frequency=1 / 8, classes=4, topic_words=2, depth=1, head_norm=1.0)
    ratios = run.loss * LONGEST * run.margin ** power(1) / wanted
    return together(
        f"D = 1 at 1e256: {ratios[1]:.4f} of the limit",
        mean_field=farthest((off[0] for off in offs), ahead[LONG]),
        exact_gradient=farthest((off[1] for off in offs), ahead[MODEL_LONG]),
        trained_head=farthest([extrapolated(ratios, run.margin) - 1.0]),
        next_order=farthest((_left(task, following) for task in TASKS), 1.0),
    )


def farthest(offs: Iterable[Array | float], bound: float = WITHIN) -> Measured:
    """Return the largest distance, with its bound."""
    return Measured(largest(float(np.abs(off).max()) for off in offs), bound)


def next_loss(
    *,
    time: float,
    frequency: Array,
    classes: int,
    others: float,
    query_norm: float = 1.0,
    head_norm: float = 1.0,
    constant: float = 5.0,
    further: float = 1.0,
) -> Array:
    """Return (ψ + 4(ψ-1)/Λ) B²/Λ⁴ (words,), the excess of 1/(L τ) over its limit with a fixed head."""
    unit, log = _units(time, frequency, classes, query_norm, head_norm)
    leading = 2 * np.log(others * log**2 / unit) - constant - 2 / others
    return (leading + further * 4 * (leading - 1) / log) * unit**2 / log**4


def _units(time: float, rho: Array, n: int, q: float, u: float) -> tuple[float, Array]:
    """Return B and Λ."""
    return 2 * n * u**2 / ((n - 1) * q**2), np.log(rho * u**2 * n * time)


NEXT_LONG = 1e30
"""Time at which two orders of the loss differ by more than the solver's error."""


def _left(task: ExactTask, following: Callable[..., Array]) -> Array:
    """Return the distance from the limit minus the two orders, in shares of the orders after them."""
    rho, n, m = task.setting["frequency"], len(task.repeats), task.others
    limits = loss_limit(frequency=rho, classes=n, head_norm=task.head_norm)
    loss = MeanField(**task.setting).flow([NEXT_LONG], tolerance=1e-11).loss[0]
    unit, log = _units(NEXT_LONG, rho, n, task.query_norm, task.head_norm)
    terms = np.log(m * log**2 / unit)
    allowed = (20 * 2 * terms * unit**2 + 4 * unit**3 * terms**2) / log**6 + 1e-9
    return (limits / (loss * NEXT_LONG) - 1.0 - following(time=NEXT_LONG, **task.setting)) / allowed


def _fixed_head_offs(task: ExactTask, limit: Callable[..., Array]) -> tuple[Array, Array]:
    """Return the relative distances of each word in mean field, and of the model's loss."""
    rho, n = task.setting["frequency"], len(task.repeats)
    limits = limit(frequency=rho, classes=n, head_norm=task.head_norm, topic_words=1, depth=0)
    model = exact_flow(task, (MODEL_LONG,), rtol=RTOL).train_loss.values[-1] * MODEL_LONG / (rho @ limits)
    return end_of(task).loss[0] * LONG / limits - 1.0, model - 1.0


def leading_order(time: float, **setting: Array) -> Late:
    """Return `late` with 1 - a = B/Λ² alone."""
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
    statement=r"x \sim \frac{n-1}{n} \Lambda, \quad \frac{1}{1-a} = \frac{\Lambda^2}{B} + 3 + s_0 + \frac{e^{s_0}}{m} "
    r"- \frac{1}{2} \|q\|^2 r_0^2 - \ln \frac{m \Lambda^2}{B} + o(1), \quad \Lambda = \ln(\rho u^2 n \tau), \quad "
    r"B = \frac{2 n u^2}{(n-1) \|q\|^2}",
    assumptions="C1; from zero, and in mean field from s₀ = 2, r₀ = 3 too",
    quantity="largest relative distance of 1 - a from the two orders stated, and of ‖ν‖ from theirs, in mean field at "
    "τ = 1e16 and, for 1 - a, in the exact gradient's flow at 1e8",
    tolerance="0.1 % at 1e8: what is left is O(ln Λ/Λ²) of 1/(1-a) = O(Λ²), 0.05 % there, where the second order is "
    "2 %; 0.01 % at 1e16, and 2e-6 for ‖ν‖, of which it is the share 1 - a ≤ 2 %",
)
def approach_of_attention(*, quick: bool, approach: Callable[..., Late] = late) -> Measured:
    """Measure the limit a → 1 in the model itself and in its reduced equations."""
    gaps, norms, model = [], [], []
    for task, (score, norm) in product(TASKS, ((0.0, 0.0), (2.0, 3.0))):
        run, start = end_of(task, score=score, norm=norm), {"start_score": score, "start_norm": norm}
        far = approach(LONG, **task.setting, **start)
        gaps.append((1 - run.attention[0]) / far.gap - 1.0)
        norms.append(run.norm[0] / far.norm - 1.0)
    for task in TASKS:
        attention = exact_flow(task, (MODEL_LONG,), rtol=RTOL).attention.values[-1]
        near = approach(MODEL_LONG, **task.setting, start_score=0.0, start_norm=0.0)
        model.append((1 - attention) / near.gap - 1.0)
    second = largest(float(np.max(leading_order(LONG, **task.setting).gap)) for task in TASKS)
    return together(
        f"1 - a ≤ {second:.2g} at 1e16",
        attention=farthest(gaps, 1e-4),
        norm=farthest(norms, 2e-6),
        exact_gradient=farthest(model),
    )


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
    model = [(_loss(task, KEYS_FIXED) / _loss(task, FIXED_HEAD), _factor_of(task, factor)) for task in PAIRS]
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
        exact_gradient=farthest(ratio / limit - 1.0 for ratio, limit in model),
        trained_head=farthest(offs[1]),
    )


PAIRS = (*TASKS[:2], ExactTask((2, 2), 3, 1.5, private=True), ExactTask((2,) * 4, 20, 1.0, 0.7, private=True))
"""Tasks without and with memorisation; with it, all words are equally frequent."""


def _loss(task: ExactTask, train: tuple[str, ...]) -> float:
    return float(exact_flow(task, (MODEL_LONG,), train=train, rtol=RTOL).train_loss[-1])


def _factor_of(task: ExactTask, factor: Callable[..., Array]) -> float:
    return float(factor(task.others, depth=0, own_words=task.others * task.repeats[0] if task.private else np.inf))


def _paid(times: tuple[float, ...], depth: int, sentences: float) -> tuple[Array, Array]:
    """Return the ratio of losses on LMN21's task, and the margin with trained keys."""
    trained = in_mean_field(times, depth, sentences=sentences)
    fixed = in_mean_field(times, depth, train=TRAINED_HEAD[1:] if depth else KEYS_FIXED, sentences=sentences)
    return fixed.loss / trained.loss, trained.margin


DEPTHS = (0, 1, 2)
ENDLESS = (1e12, 1e60)
"""Values of ln τ."""


def growth(score: Array, log_time: Array) -> float:
    """Return the growth of s per doubling of ln τ, divided by ln 2."""
    return float(np.diff(score)[0] / np.diff(np.log(log_time))[0])


@claims(
    "C11",
    control("‖ν‖ itself for its square: 1/(1+D)", exponent=lambda depth: 1 / (1 + depth)),
    control("one layer more", exponent=lambda depth: score_exponent(depth + 1)),
    control("the margin of a fixed head", law=altered(late_score, depth=lambda _: 0)),
    control("at practical times", times=PRACTICAL),
    statement=r"s \sim \frac{2}{1+D} \ln \ln \tau, \quad \|\nu\| \sim (\ln \tau)^{1/(1+D)}",
    assumptions="C1 and C10 with nothing memorised, D trained linear layers that start balanced",
    quantity="largest distance, over D = 0, 1, 2, of the growth of s per e-fold of ln τ, τ from 1e128 to 1e256, from "
    "the law at finite time, and of that law's growth from ln τ = 1e12 to 1e60 from 2/(1+D)",
    tolerance="2e-4: the law leaves out O(1/M) of M, hence O(1/M²) of s, M ~ 300 to 600; 5e-8 for its own limit, where "
    "M^{-2/(1+D)} is at most 1e-8",
)
def capacity(
    *,
    quick: bool,
    law: Callable[..., Array] = late_score,
    exponent: Callable[[int], float | Array] = score_exponent,
    times: tuple[float, ...] = LONGEST,
) -> Measured:
    """Measure growth in mean field, and its distance from the limit at times that a computer reaches."""
    finite, limits, seen = [], [], []
    for depth in DEPTHS:
        setting = LMN21 | {"depth": depth}
        run = growth(in_mean_field(times, depth).score, np.log(times))
        endless = growth(law(ENDLESS, **setting), np.array(ENDLESS))
        finite.append(run - growth(law(np.log(times), **setting), np.log(times)))
        limits.append(endless - exponent(depth))
        practical = growth(in_mean_field(PRACTICAL, depth).score, np.log(PRACTICAL))
        seen.append(f"D = {depth}: {run:.3f}, limit {exponent(depth):.3f}, at 5,000 epochs {practical:.2f}")
    return together("; ".join(seen), law_at_finite_time=farthest(finite, 2e-4), its_limit=farthest(limits, 5e-8))
