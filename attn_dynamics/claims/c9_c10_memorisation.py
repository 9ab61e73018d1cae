"""Trajectory of topic words over the whole training, with no fitted parameter (theory C1, C2, C9, C10)."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.claims._support.exact_task import (
    FIXED_HEAD,
    TRAINED_HEAD,
    ExactTask,
    altered,
    drawn_tasks,
    exact_flow,
)
from attn_dynamics.claims._support.scaling import exponents_in_words
from attn_dynamics.claims._support.synthetic_run import EPOCHS, RATE, SETTLED, SyntheticRun, deviation, synthetic_run
from attn_dynamics.claims.claim import Measured, claims, control, largest, together
from attn_dynamics.theory.mean_field import MeanField, Trajectory
from attn_dynamics.theory.unequal_topics import TopicTrajectory, UnequalTopics

Theory = Callable[..., Any]
"""Function of `MeanField`'s arguments that returns an object whose `flow` is a trajectory."""
RTOL = 1e-11
"""Relative tolerance of a step of the solver."""
TIMES = tuple(np.logspace(-1, 3, 13).tolist())
EARLY = slice(2, None)
"""Epochs from the second on; after the first, scores are still 0."""
CLOSE = 0.01
"""Tolerance of C9 and C10."""
MORE_WORDS = control("m + 1 other words", theory=altered(MeanField, others=lambda m: m + 1))
OTHER_FREQUENCY = control("ρ of another word", theory=altered(MeanField, frequency=np.flip))
WITHOUT_END: Callable[[float], float] = lambda _: np.inf  # noqa: E731
"""Number of sentences for which nothing is memorised."""
FORGETFUL = control("nothing is memorised", theory=altered(MeanField, sentences=WITHOUT_END))
PLAIN_FLOW = control("the flow itself from the second epoch on", learning_rate=0.0)
FROM_BOTH_ENDS = (
    "largest relative distance of s and ‖ν‖ over topic words and seeds, in shares of 1 %: of the flow from epoch 250 "
    "of 5,000 on, and of the modified flow of learning rate η from epoch 2 on"
)
WITHIN = "1 %: descent leaves the flow by 1/e at epoch e ≥ 250, 0.4 %, and shared words take as much (see C9's scaling)"
TASKS = (ExactTask((1, 2), 1), ExactTask((1, 2, 3, 4), 20), *drawn_tasks(14))


@claims(
    "C1",
    MORE_WORDS,
    OTHER_FREQUENCY,
    control("‖q‖²/2 for ‖q‖²", theory=altered(MeanField, query_norm=lambda q: q / 2**0.5)),
    control("√u for u", theory=altered(MeanField, head_norm=np.sqrt)),
    control("other words are trained too", free=True),
    statement=r"\frac{ds}{d\tau} = \|q\|^2 \rho\, a (1-a)(1-\pi)\, x\, \frac{n}{n-1}, \quad "
    r"\frac{dx}{d\tau} = \rho\, a u^2 (1-\pi), \quad \pi = \frac{1}{1 + (n-1)\, e^{-a x n/(n-1)}}",
    assumptions="query and head fixed, its columns orthogonal and of norm u; one topic word a sentence, among m words "
    "whose scores and embeddings stay 0; zero start. Where the others are trained this takes N → ∞ and a large "
    "dictionary: the dictionary alone gives C9",
    quantity="largest relative distance of s, ‖ν‖ and a from C1 up to time 1000, over words, n, m, ρ, ‖q‖ and u",
    tolerance="1000 rtol, rtol = 1e-11 the tolerance of a step of the solver, some hundred steps",
)
def two_equations(*, quick: bool, theory: Theory = MeanField, free: bool = False) -> Measured:
    """Measure gradient flow of the exact gradient on tasks made for C1."""
    tasks = TASKS[:3] if quick else TASKS
    worst = largest(distance(task, theory, free=free) for task in tasks)
    return Measured(worst, 1000 * RTOL, f"{len(tasks)} settings", within=20.0)


def distance(
    task: ExactTask, theory: Theory = MeanField, *, train: tuple[str, ...] = FIXED_HEAD, free: bool = False
) -> float:
    """Return the largest relative distance of s, ‖ν‖ and a."""
    run, solution = exact_flow(task, TIMES, train=train, free=free, rtol=RTOL), _exact_theory(theory, task)
    pairs = ((solution.score, run.score), (solution.norm, run.embedding_norm), (solution.attention, run.attention))
    return largest(float(np.abs(predicted / seen.values[1:] - 1.0).max()) for predicted, seen in pairs)


@cache
def _exact_theory(theory: Theory, task: ExactTask) -> Trajectory:
    return theory(**task.setting).flow(TIMES, tolerance=0.1 * RTOL)


@claims(
    "C2",
    MORE_WORDS,
    OTHER_FREQUENCY,
    control("a factor 2 in all rates", theory=altered(MeanField, frequency=lambda rho: 2 * rho)),
    control("a fifth of m/(ρN), which was fitted at m = 20", bound=lambda run: run.setting["others"] / 500),
    statement=r"s(\tau),\ \|\nu(\tau)\|\ \mathrm{of\ every\ topic\ word\ solve\ C1,\ nothing\ fitted,\ up\ to\ what\ "
    r"C9\ adds;\ at\ the\ start}\ \frac{s_{\mathrm{C1}}}{s} - 1 = \frac{1}{\rho N - 1}",
    assumptions="Attn-FC from the preset mean-field on LMN21's task: N = 800, dictionary 5,000, two topic words for "
    "each of 4 topics, m = 20 and m = 2",
    quantity="largest relative distance of s and ‖ν‖ from C1, over topic words, epochs from 250 to 5,000 and seeds, in "
    "shares of the bound, by m; and of (s of C1)/(s of C9) - 1 at τ = 0.001 from 1/(ρN - 1), for the same words",
    observed=True,
    tolerance="1 share of the distance of C1 from C9, which is what sentences memorise, and of the 1 % of C9; at the "
    "start 0.002 %, what is of order τ",
)
def whole_training(
    *, quick: bool, theory: Theory = MeanField, bound: Callable[[SyntheticRun], float] = lambda run: expected(run)
) -> Measured:
    """Measure descent beside C1 with the frequencies of its corpus."""
    forgetful, shares, starts = altered(theory, sentences=WITHOUT_END), {}, []
    for others in (20, 2):
        runs = _trained("attn-fc", quick=quick, other_words=others)
        shares[f"{others}_others"] = largest(
            deviation(run.trajectory, solved(run, forgetful), SETTLED) / bound(run) for run in runs
        )
        starts += [_begun(run, forgetful) for run in runs]
    parts = {name: Measured(share, 1.0, within=3.0) for name, share in shares.items()}
    detail = "" if quick else exponents_in_words("C1")
    return together(detail, **parts, start=Measured(largest(starts), 2e-5))


def expected(run: SyntheticRun) -> float:
    """Return the distance of C1 from C9 along a run, plus the tolerance of C9."""
    whole, plain = (solved(run, theory) for theory in (MeanField, altered(MeanField, sentences=WITHOUT_END)))
    pairs = ((plain.score, whole.score), (plain.norm, whole.norm))
    return CLOSE + largest(float(np.abs(one[SETTLED] / other[SETTLED] - 1.0).max()) for one, other in pairs)


def _begun(run: SyntheticRun, forgetful: Theory) -> float:
    """Return the largest distance of (s of C1)/(s of C9) - 1 from 1/(ρN - 1) at the start, relative to the latter."""
    plain, whole = (theory(**run.setting).flow([1e-3]).score for theory in (forgetful, MeanField))
    own = run.setting["frequency"] * run.setting["sentences"]
    return float(np.abs((plain / whole - 1.0) * (own - 1.0) - 1.0).max())


@claims(
    "C9",
    FORGETFUL,
    MORE_WORDS,
    OTHER_FREQUENCY,
    PLAIN_FLOW,
    statement=r"\dot{s} = \|q\|^2 \rho\, a (1-a)(1-\pi)(x - x_w) \frac{n}{n-1} = -\rho m N \dot{s}_w, \quad "
    r"\dot{x} = \rho\, a u^2 (1-\pi), \quad \dot{x}_w = \frac{1-a}{m N} u^2 (1-\pi), \quad "
    r"\pi = \frac{1}{1 + (n-1)\, e^{-(a x + (1-a) x_w) n/(n-1)}}",
    assumptions="as C2; exact if no two sentences share one of their other words, of which each stands in 3.2 here. "
    "Its plain form leaves s_w at 0",
    quantity=FROM_BOTH_ENDS,
    tolerance=WITHIN,
    observed=True,
)
def memorised(*, quick: bool, theory: Theory = MeanField, learning_rate: float = RATE) -> Measured:
    """Measure Attn-FC beside the equations in which each sentence memorises its own words."""
    measured = _from_both_ends("attn-fc", theory, learning_rate, quick=quick)
    return measured if quick else measured._replace(detail=f"{measured.detail}; {exponents_in_words('C9')}")


def unequal_topics(
    *, frequency: NDArray[np.float64], classes: int, head_norm: float = 1.0, **setting: Any
) -> UnequalTopics:
    """Return the vectors of C10 for the arguments of `MeanField`: words ordered by topic, an orthogonal head."""
    topic = np.repeat(np.arange(classes), frequency.size // classes)
    return UnequalTopics(frequency=frequency, topic=topic, head=head_norm * np.eye(classes), **setting)


def alike_topics(**setting: Any) -> MeanField:
    """Return C10 for topics of equal frequency, which do not affect each other through the head."""
    return MeanField(**setting, topic_words=2, train=TRAINED_HEAD)


@claims(
    "C10",
    control("nothing is memorised", theory=altered(unequal_topics, sentences=WITHOUT_END)),
    control("each topic as if all were equally frequent", theory=alike_topics),
    control("ρ of another word", theory=altered(unequal_topics, frequency=np.flip)),
    control("m + 1 other words", theory=altered(unequal_topics, others=lambda m: m + 1)),
    PLAIN_FLOW,
    statement=r"\dot{s} = \|q\|^2 \rho\, a (1-a)(\nu - \nu_w) \cdot U\delta = -\rho m N \dot{s}_w, \quad "
    r"\dot{\nu} = \rho\, a\, U\delta, \quad \dot{\nu}_w = \frac{1-a}{m N} U\delta, \quad "
    r"\dot{U} = \sum_t \rho_t\, v_t \delta_t^\top, \quad v = a \nu + (1-a) \nu_w",
    assumptions="as C9 for Attn-TC; with topics of unequal frequency it closes in vectors, and only with equal ones in "
    "the norms ξ, ξ_w and u",
    quantity=FROM_BOTH_ENDS,
    tolerance=WITHIN,
    observed=True,
)
def memorised_trained_head(*, quick: bool, theory: Theory = unequal_topics, learning_rate: float = RATE) -> Measured:
    """Measure Attn-TC beside the equations in vectors."""
    return _from_both_ends("attn-tc", theory, learning_rate, quick=quick)


def _from_both_ends(model: str, theory: Theory, learning_rate: float, *, quick: bool) -> Measured:
    """Measure the flow once training has settled, and the modified flow of descent from its second epoch on."""
    runs = _trained(model, quick=quick)
    late = largest(deviation(run.trajectory, solved(run, theory), SETTLED) for run in runs)
    early = largest(deviation(run.trajectory, solved(run, theory, learning_rate), EARLY) for run in runs)
    return together(
        f"{len(runs)} seeds", flow=Measured(late, CLOSE, within=2.5), modified_flow=Measured(early, CLOSE, within=7.0)
    )


def _trained(model: str, *, quick: bool, **sizes: int) -> list[SyntheticRun]:
    """Return runs of LMN21's task, or of one with other sizes; `quick` returns one run, a fifth as long."""
    epochs, seeds = (EPOCHS // 5, 1) if quick else (EPOCHS, 3)
    return [synthetic_run(model, epochs, seed=seed, **sizes) for seed in range(seeds)]


def solved(run: SyntheticRun, theory: Theory, learning_rate: float = 0.0) -> Trajectory | TopicTrajectory:
    """Predict the epochs of a run from the frequencies of its corpus."""
    return theory(**run.setting).flow(run.trajectory.time.values, learning_rate=learning_rate, tolerance=1e-7)
