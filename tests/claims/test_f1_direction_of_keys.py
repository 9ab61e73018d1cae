"""Claim F1: scores of keys alone end along the separator, and at a distance that falls like 1/ln τ under flow."""

import numpy as np
import pytest

from attn_dynamics.claims.f1_direction_of_keys import drawn, of_least_size
from attn_dynamics.theory.separator import separator
from attn_dynamics.training.flow import flow


def cosines(times: tuple[float, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The cosine of scores along the flow with s*, and with the separator of another norm."""
    corpus, start, pairs = drawn(seed)
    run = flow(corpus, start, times=times, log_time=True, train=("keys",), follow=corpus.vocabulary).trajectory
    scores = run.score.values[1:]
    units = scores / np.linalg.norm(scores, axis=1)[:, None]
    said = [rule(pairs, corpus.n_words) for rule in (separator, of_least_size)]
    along, other = (units @ each / np.linalg.norm(each) for each in said)
    return along, other


def test_f1_the_direction_under_flow() -> None:
    """Cosines of 0.999 at 1e25, where the square of ln τ times 1 - cos hardly moves any more."""
    times = (1e12, 1e25)
    along, other = cosines(times, seed=4)
    assert along[-1] > 0.999
    assert other[-1] < 0.99
    squares = (1 - along) * np.log(times) ** 2
    assert squares[1] == pytest.approx(squares[0], rel=0.15)


def test_the_other_norm_separates_too_and_is_longer() -> None:
    """Negative control of the control: it satisfies the same pairs, only not in the least way."""
    _, _, pairs = drawn(0)
    long, short = (rule(pairs, 10) for rule in (of_least_size, separator))
    for scores in (long, short):
        assert (scores[pairs[:, 0]] - scores[pairs[:, 1]]).min() == pytest.approx(1.0, abs=1e-8)
    assert np.linalg.norm(long) > 1.01 * np.linalg.norm(short)
    assert np.abs(long).max() < 0.99 * np.abs(short).max()
