"""Claim C2: C1 predicts training on LMN21's task up to what sentences memorise, which falls like 1/N."""

import numpy as np

from attn_dynamics.claims._support.scaling import fitted_exponents, prediction_scaling

SIZES = {"dictionary": (2500, 5000, 10_000), "sentences": (200, 400, 800)}


def test_c2_the_deviation_falls_like_the_number_of_sentences_and_not_with_the_dictionary() -> None:
    scaling = prediction_scaling(sizes=SIZES, seeds=1)
    assert scaling.groupby(["theory", "varied"]).size().to_list() == [3, 3, 3, 3]
    exponents = fitted_exponents(scaling).set_index(["theory", "varied"]).exponent
    assert abs(exponents["C1", "sentences"] + 1.0) < 0.1
    assert abs(exponents["C1", "dictionary"]) < 0.05
    # What C9 leaves is due to words that sentences share.
    assert exponents["C9", "dictionary"] < -0.4


def test_a_power_law_is_fitted_with_an_interval_that_holds_it() -> None:
    rng = np.random.default_rng(0)
    scaling = prediction_scaling(sizes={"sentences": (100, 200)}, seeds=1).query("theory == 'C1'")
    scaling = scaling.loc[scaling.index.repeat(50)].assign(size=np.geomspace(10, 1e4, 100))
    scaling["deviation"] = scaling["size"] ** -0.7 * np.exp(0.1 * rng.standard_normal(100))
    fit = fitted_exponents(scaling).iloc[0]
    assert fit.low <= -0.7 <= fit.high
    assert fit.high - fit.low < 0.05
