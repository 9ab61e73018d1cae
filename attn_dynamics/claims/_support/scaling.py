"""Scaling of the distance between training and prediction with the sizes of the task (theory C2, C9)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from attn_dynamics.claims._support.intervals import power_law
from attn_dynamics.claims._support.synthetic_run import EPOCHS, RATE, synthetic_run
from attn_dynamics.theory.mean_field import MeanField

SIZES: Mapping[str, Sequence[int]] = {
    "dictionary": (1250, 2500, 5000, 10_000, 20_000, 40_000),
    "other_words": (5, 10, 20, 40),
    "sentences": (200, 400, 800, 1600, 3200),
}
"""Values of each size of the synthetic task, in sweeps that vary one size at a time."""
AT = EPOCHS // 20
"""Compared epoch, after 5 % of LMN21's training."""


def prediction_scaling(*, sizes: Mapping[str, Sequence[int]] = SIZES, seeds: int = 3) -> pd.DataFrame:
    """Measure the deviation of Attn-FC's scores from C1 and C9 at epoch 250.

    Theories are solved as modified flows, which follow descent up to O(η²).

    Args:
        sizes: values to try of each field of `Synthetic`.
        seeds: number of seeds of each size.

    Returns:
        One row for each theory, varied field, size and seed. `deviation` is the relative distance as a root mean
        square over topic words.
    """
    rows = [
        (theory, varied, size, seed, off)
        for varied, values in sizes.items()
        for size in values
        for seed in range(seeds)
        for theory, off in _deviations(seed, {varied: size}).items()
    ]
    return pd.DataFrame(rows, columns=["theory", "varied", "size", "seed", "deviation"])


def fitted_exponents(scaling: pd.DataFrame) -> pd.DataFrame:
    """Fit a power law of the deviation in each size, with its 95 % interval, for each theory."""
    rows = []
    for (theory, varied), group in scaling.groupby(["theory", "varied"]):  # pyright: ignore[reportGeneralTypeIssues]
        law = power_law(group["size"], group["deviation"])
        rows.append((theory, varied, law.exponent, law.exponent - law.half, law.exponent + law.half, law.factor))
    return pd.DataFrame(rows, columns=["theory", "varied", "exponent", "low", "high", "factor"])


def exponents_in_words(theory: str, seeds: int = 3) -> str:
    """Return the fitted exponents of one theory as one line of text."""
    fits = fitted_exponents(prediction_scaling(seeds=seeds)).query("theory == @theory")[
        ["varied", "exponent", "low", "high"]
    ]
    powers = ["{} {:.2f} [{:.2f}, {:.2f}]".format(*row) for row in fits.itertuples(index=False)]
    return f"at epoch {AT} it scales with powers of " + ", ".join(powers)


def _deviations(seed: int, sizes: Mapping[str, int]) -> dict[str, float]:
    """Return the deviation of one run from each theory."""
    run = synthetic_run("attn-fc", AT, seed=seed, **sizes)
    seen = run.trajectory.score.values[-1]
    theories = {"C1": run.setting | {"sentences": np.inf}, "C9": run.setting}
    predicted = {
        theory: MeanField(**setting).flow([RATE * AT], learning_rate=RATE).score[0]
        for theory, setting in theories.items()
    }
    return {theory: float(np.sqrt(np.square(score / seen - 1.0).mean())) for theory, score in predicted.items()}
