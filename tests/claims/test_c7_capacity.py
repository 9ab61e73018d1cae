"""Claim C7: final topic-word scores FC > TC > TL, paired by data and seed; long columns of the head break it."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from attn_dynamics.claims import find
from attn_dynamics.claims.c7_capacity import CAPACITY, SMALL, capacity_map
from attn_dynamics.statistics import mean_interval


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    high, low = np.random.default_rng(0).standard_normal((2, 12))
    expected = ttest_rel(high, low).confidence_interval(0.95)
    assert mean_interval(high - low) == pytest.approx((expected.low, expected.high))


def test_the_map_is_tidy() -> None:
    table = capacity_map(seeds=range(2), scales=(1.0,), others=(3, 20), rate=2.0)
    assert list(table) == ["scale", "others", "seed", "model", "score"]
    assert len(table) == len(table.drop_duplicates(["scale", "others", "seed", "model"])) == 2 * 2 * 3
    assert (table.groupby(["others", "model"]).score.mean().unstack()[list(CAPACITY)].diff(axis=1).iloc[:, 1:] < 0).all(
        axis=None
    )


def test_long_columns_of_the_head_change_the_order() -> None:
    """Negative control, and the regime where the claim fails: the longer a column, the less embeddings need to grow."""
    table = capacity_map(seeds=range(3), scales=(3.0,), task=SMALL, rate=2.0).groupby("model").score.mean()
    assert table["attn-tc"] > table["attn-fc"]


@pytest.mark.slow
def test_at_full_size() -> None:
    assert find("C7").judge().holds
