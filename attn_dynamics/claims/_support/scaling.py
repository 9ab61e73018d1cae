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
"""Sizes of the synthetic task to vary, one at a time."""
AT = EPOCHS // 20
"""Compared epoch, at 5 % of LMN21's training."""


def prediction_scaling(*, sizes: Mapping[str, Sequence[int]] = SIZES, seeds: int = 3) -> pd.DataFrame:
    """Measure the deviation of Attn-FC's scores from C1 and C9 at epoch 250; the modified flow leaves O(η²) of descent.

    Args:
        sizes: values to try of each field of `Synthetic`.
        seeds: number of replicates of each size.

    Returns:
        One row for each theory, varied field, size and seed; `deviation` is relative, the root mean square over
        topic words.
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
    """Fit the deviation's power law in the size, with its interval, for each theory and each varied field."""
    rows = []
    for (theory, varied), group in scaling.groupby(["theory", "varied"]):  # pyright: ignore[reportGeneralTypeIssues]
        law = power_law(group["size"], group["deviation"])
        rows.append((theory, varied, law.exponent, law.exponent - law.half, law.exponent + law.half, law.factor))
    return pd.DataFrame(rows, columns=["theory", "varied", "exponent", "low", "high", "factor"])


def exponents_in_words(theory: str, seeds: int = 3) -> str:
    """Return the fitted exponents of one theory on one line."""
    fits = fitted_exponents(prediction_scaling(seeds=seeds)).query("theory == @theory")[
        ["varied", "exponent", "low", "high"]
    ]
    powers = ["{} {:.2f} [{:.2f}, {:.2f}]".format(*row) for row in fits.itertuples(index=False)]
    return f"at epoch {AT} it scales with powers of " + ", ".join(powers)


def _deviations(seed: int, sizes: Mapping[str, int]) -> dict[str, float]:
    run = synthetic_run("attn-fc", AT, seed=seed, **sizes)
    seen = run.trajectory.score.values[-1]
    theories = {"C1": run.setting | {"sentences": np.inf}, "C9": run.setting}
    predicted = {
        theory: MeanField(**setting).flow([RATE * AT], learning_rate=RATE).score[0]
        for theory, setting in theories.items()
    }
    return {theory: float(np.sqrt(np.square(score / seen - 1.0).mean())) for theory, score in predicted.items()}
