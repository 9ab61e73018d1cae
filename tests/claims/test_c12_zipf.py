"""Claim C12: the loss under Zipf frequencies in the model itself, and where its law needs more time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.claims._support.zipf_task import ZipfTask
from attn_dynamics.theory.zipf import late_zipf_loss, summed_loss, zipf_frequencies, zipf_loss
from attn_dynamics.training.rules import SignDescent
from tests.support import examples


@settings(max_examples=examples(3), deadline=None)
@given(st.floats(1.0, 2.0), st.integers(2, 4), st.integers(1, 3), st.integers(1, 20))
def test_c12_the_model_is_a_sum_over_words(alpha: float, classes: int, each: int, others: int) -> None:
    """Two learning rates extrapolated to none leave η² of each word's own course."""
    task = ZipfTask(alpha, classes * each, classes, others, 40)
    times, rates = np.array([20.0, 60.0, 180.0]), (0.2, 0.1)
    coarse, fine = (task.losses(rate, round(times[-1] / rate))[np.rint(times / rate).astype(int)] for rate in rates)
    wanted = summed_loss(times, task.frequencies, task.word())
    np.testing.assert_allclose(2 * fine - coarse, wanted, rtol=2e-3)
    assert (np.abs(2 * fine - coarse - wanted) < 0.3 * np.abs(fine - wanted)).all()
    alike = summed_loss(times, np.full(task.words, 1 / task.words), task.word())
    assert task.words == 2 or not np.allclose(alike, wanted, rtol=2e-3), "negative control: all words alike"


def test_c12_sign_descent_is_blind_to_frequency() -> None:
    """Where words do not interact every word takes the same steps, so no exponent of the frequencies is seen."""
    flat, steep = (ZipfTask(alpha, 6, 3, 5, 60) for alpha in (0.0, 2.0))
    blind = [task.losses(0.01, 200, rule=SignDescent()) for task in (flat, steep)]
    assert blind[0][-1] < 0.5 * blind[0][0]
    # Round-off alone differs, in the sums over sentences.
    np.testing.assert_allclose(blind[0], blind[1], rtol=1e-12)
    plain = [task.losses(1.0, 50) for task in (flat, steep)]
    assert abs(plain[1][-1] / plain[0][-1] - 1) > 0.05, "negative control: descent sees them"


@pytest.mark.parametrize(("alpha", "early", "late"), [(1.2, 1e-6, 1e-8), (1.5, 5e-6, 1e-8), (2.0, 1e-3, 1e-8)])
def test_c12_from_which_time_on(alpha: float, early: float, late: float) -> None:
    """Within 1e-4 from τ = 1e4 on for α ≤ 1.5; at α = 2 neighbouring words are too far apart then, and not at 1e8."""
    word = ZipfTask(alpha, 1, 4, 20, 1).word()
    times = np.array([1e4, 1e8])
    summed = summed_loss(times, zipf_frequencies(20_000, alpha), word)
    off = np.abs(zipf_loss(times, exponent=alpha, word=word, words=20_000) / summed - 1)
    assert (off <= [early, late]).all()
    assert (off[0] > 1e-4) == (alpha == 2.0)


@pytest.mark.parametrize("train", [("keys", "embeddings"), ("embeddings",)])
def test_c12_keys_change_the_prefactor_not_the_exponent(train: tuple[str, ...]) -> None:
    word = ZipfTask(1.0, 1, 4, 20, 1).word(train=train)
    times = np.array([1e12, 1e14])
    for alpha in (1.2, 2.0):
        losses = zipf_loss(times, exponent=alpha, word=word)
        slope = np.diff(np.log(losses))[0] / np.diff(np.log(times))[0]
        # What the second term leaves, c/(2 A) τ^{-1/α}.
        left = float(1 - losses[0] / (losses[0] + 0.75 * 441 / (2 * times[0])))
        assert slope == pytest.approx(1 / alpha - 1, abs=left + 1e-8)
        assert slope != pytest.approx(1 / (alpha * 1.001) - 1, abs=left + 1e-8)
        np.testing.assert_allclose(late_zipf_loss(times, exponent=alpha, word=word), losses, rtol=1e-8)
