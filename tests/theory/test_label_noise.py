"""Claim G6: where scores begin and end under label noise, against mpmath and the closed equations."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_dynamics.errors import InputError
from attn_dynamics.theory.label_noise import noise_early, noise_margin, noise_score
from attn_dynamics.theory.mean_field import MeanField
from tests.support import examples

noises = st.floats(1e-12, 0.45)
tasks = st.fixed_dictionaries(
    {
        "classes": st.integers(2, 10),
        "others": st.floats(0.1, 1000),
        "query_norm": st.floats(0.01, 100),
        "head_norm": st.floats(0.01, 100),
    }
)


@given(noises, tasks)
def test_g6_the_end_is_a_root_in_forty_digits(noise: float, task: dict) -> None:
    n, m, q, u = (task[name] for name in ("classes", "others", "query_norm", "head_norm"))
    found = float(noise_score(noise, **task))
    with mpmath.workdps(40):
        margin = mpmath.log((1 - mpmath.mpf(noise)) * (n - 1) / noise)
        unit = margin**2 * (n - 1) * mpmath.mpf(q) ** 2 / (2 * n * mpmath.mpf(u) ** 2)
        around = [found * (1 + mpmath.mpf(sign) / 10**11) for sign in (-1, 1)]
        low, high = (s + (mpmath.exp(s) - 1) / m - unit * (1 + m * mpmath.exp(-s)) ** 2 for s in around)
        assert low < 0 < high
    assert float(noise_margin(noise, n)) == pytest.approx(float(margin), rel=1e-12, abs=1e-14)


def test_g6_the_numbers_of_one_task() -> None:
    """4.28216 and 3.56071 for ε = 0.1 and 0.25; without n - 1 in the margin they are 3.561 and 2.615."""
    task = {"classes": 4, "others": 20, "query_norm": 2**0.5, "head_norm": 1.3}
    np.testing.assert_allclose(noise_score([0.1, 0.25], **task), [4.28216365, 3.56071309], atol=5e-9)
    lost = noise_score([0.25, 0.5], **task)  # of which the margins are ln 9 and ln 3
    np.testing.assert_allclose(lost, [3.561, 2.615], atol=5e-4)


@settings(max_examples=examples(5))
@given(st.floats(0.02, 0.4), st.floats(0.01, 1.0), st.integers(2, 6), st.floats(1, 30))
def test_g6_the_closed_equations_begin_and_end_there(noise: float, rho: float, n: int, m: float) -> None:
    setting = {"classes": n, "others": m, "query_norm": 1.2, "head_norm": 0.8}
    early, late = 1e-3 / rho, 1e6 / rho
    run = MeanField(frequency=rho, label_noise=noise, **setting).flow([early, late], tolerance=1e-12)
    assert run.score[0] / early**2 == pytest.approx(float(noise_early(noise, frequency=rho, **setting)), rel=1e-3)
    assert run.score[1] == pytest.approx(float(noise_score(noise, **setting)), rel=1e-8)
    assert run.margin[1] == pytest.approx(float(noise_margin(noise, n)), rel=1e-8)
    # Negative controls: another end, and another beginning.
    assert run.score[1] != pytest.approx(float(noise_score(1.001 * noise, **setting)), rel=1e-8)
    assert run.score[0] / early**2 != pytest.approx(float(noise_early(0.0, frequency=rho, **setting)), rel=1e-3)


def test_g6_the_loss_under_noise_is_the_mean_over_labels() -> None:
    run = MeanField(frequency=0.3, classes=3, others=4, label_noise=0.2).flow([50.0])
    right = 1 / (1 + 2 * np.exp(-run.margin[0]))
    assert run.loss[0] == pytest.approx(-0.8 * np.log(right) - 0.2 * np.log((1 - right) / 2), rel=1e-14)


def test_g6_the_ends_of_its_range() -> None:
    setting = {"classes": 4, "others": 20}
    assert np.isposinf(noise_score([0.0, 1.0], **setting)).all()
    assert noise_score(0.75, **setting) < 1e-20  # labels say nothing
    assert noise_margin(0.9, 4) < 0 < noise_score(0.9, **setting)
    assert noise_score([[0.1], [0.2]], classes=[2, 3, 4], others=20).shape == (2, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label_noise": 1.1}, "label_noise: expected numbers from 0 to 1"),
        ({"classes": 1}, "classes: expected numbers 2 or above"),
        ({"others": 0}, "others: expected numbers above 0"),
        ({"head_norm": -1}, "head_norm: expected numbers above 0"),
    ],
)
def test_what_is_out_of_range_is_refused(given: dict, message: str) -> None:
    setting = {"label_noise": 0.1, "classes": 4, "others": 20} | given
    with pytest.raises(InputError, match=message):
        noise_score(**setting)
    with pytest.raises(InputError, match=message):
        noise_early(frequency=0.1, **setting)


def test_what_memorises_has_no_such_equations() -> None:
    with pytest.raises(InputError, match="label_noise: expected N = ∞"):
        MeanField(frequency=0.1, classes=4, others=20, sentences=800, label_noise=0.1)
    assert MeanField(frequency=0.1, classes=4, others=20, sentences=800).label_noise == 0.0
