"""Final scores of topic words by head: FC > TC > TL, as lower capacity leaves more to attention (theory C7)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise, product

import pandas as pd
from scipy.stats import binomtest

from attn_dynamics.claims._support.synthetic_run import PUBLISHED, TIME, topic_words
from attn_dynamics.claims.claim import Measured, claims, control, largest
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.statistics import mean_interval
from attn_dynamics.tasks.synthetic import Synthetic

SMALL = Synthetic(dictionary=500, sentences=200, test_sentences=0)
"""Synthetic task of the quick measurement."""
CAPACITY = ("attn-fc", "attn-tc", "attn-tl")
"""Models from the lowest to the highest capacity of their heads."""


@claims(
    "C7",
    control("Attn-TC before Attn-FC", order=("attn-tc", "attn-fc", "attn-tl")),
    control("Attn-TL before Attn-TC", order=("attn-fc", "attn-tl", "attn-tc")),
    control("a head with columns three times as long, on a small task", scale=3.0, task=SMALL),
    name="capacity and score",
    statement=r"\bar{s}_{\mathrm{FC}} > \bar{s}_{\mathrm{TC}} > \bar{s}_{\mathrm{TL}}",
    source="LMN21",
    assumptions="LMN21's published task and starts, to time 500, with learning rate 0.5 instead of 0.1 (B3). Compared "
    "models share data and seed. Entries of U are N(0, 1) in Attn-FC; in Attn-TC they are Glorot's, 2.6 times smaller "
    "at d = 10. With long or very short columns the order breaks",
    quantity="minus the lower 95 % limit of the mean paired difference of mean final scores, for FC - TC and for TC - "
    "TL; the larger of both",
    tolerance="0: both mean differences are above 0, by Student's t over seeds",
)
def paired_comparison(
    *, quick: bool, order: Sequence[str] = CAPACITY, scale: float = 1.0, task: Synthetic = PUBLISHED
) -> Measured:
    """Measure 30 seeds; if quick, eight seeds on a small task in larger steps."""
    task, seeds = (SMALL, range(8)) if quick else (task, range(30))
    table = capacity_map(seeds=seeds, scales=(scale,), task=task, rate=2.0 if task == SMALL else 0.5)
    scores = table.pivot(index="seed", columns="model", values="score")
    pairs = {f"{high} > {low}": (scores[high] - scores[low]).to_numpy() for high, low in pairwise(order)}
    detail = "; ".join(f"{name} {_describe(difference)}" for name, difference in pairs.items())
    if task == SMALL:
        detail += f"; on a small task, dictionary {task.dictionary}, N = {task.sentences}, in steps of 2"
    lower, higher = (Measured(-float(mean_interval(difference)[0]), 0.0) for difference in pairs.values())
    return Measured(largest(lower.value, higher.value), 0.0, detail, {"lower pair": lower, "higher pair": higher})


def capacity_map(
    *,
    seeds: Iterable[int],
    scales: Iterable[float] = (0.1, 0.3, 1.0, 3.0, 10.0),
    others: Iterable[int] = (20,),
    task: Synthetic = SMALL,
    rate: float = 0.5,
) -> pd.DataFrame:
    """Measure final scores of topic words for each head, scale of its start, and number of other words.

    Args:
        seeds: random seeds of data and starts, common to all runs.
        scales: factors on the initial values of the head.
        others: numbers m of other words.
        task: the task, with all other sizes.
        rate: learning rate.

    Returns:
        One row for each run: `scale`, `others`, `seed`, `model`, `score` (mean over topic words at time 500).
    """
    rows = []
    for scale, m, seed, model in product(scales, others, seeds, HEADS):
        at = replace(task, other_words=m)
        score = topic_words(at, model, seed, rate=rate, time=TIME, scale=scale).score[-1].mean()
        rows.append({"scale": scale, "others": m, "seed": seed, "model": model, "score": float(score)})
    return pd.DataFrame(rows)


def _describe(difference: Array) -> str:
    """Return, as text, in how many seeds a difference is above 0, its mean, and its 95 % interval."""
    low, high = mean_interval(difference)
    above = int((difference > 0).sum())
    p = binomtest(above, difference.size, alternative="greater").pvalue
    seen = f"in {above} of {difference.size} seeds (sign test p = {p:.1g})"
    return f"{seen}, by {difference.mean():.3f} [{low:.3f}, {high:.3f}]"
