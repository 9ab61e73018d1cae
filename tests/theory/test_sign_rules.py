"""Claims G4 and G5: the line of sign descent, Adam's steps on numbers, and the layer of one dimension."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attn_dynamics.claims._support.two_classes import drawn_text, from_zero
from attn_dynamics.errors import InputError
from attn_dynamics.theory.sign_rules import adam_course, adam_slope, adam_steps, in_one_dimension, sign_score


def test_g4_the_line() -> None:
    query, rate = np.array([1.0, -2.0, 0.5]), 0.01
    count = np.arange(1, 5)
    np.testing.assert_allclose(sign_score(count * rate * 2.0, query, 4, rate), (count - 1) * rate * 3.5, atol=1e-15)


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.5, 0.8), (0.0, 0.0)])
def test_g5_steps_are_those_of_torch(beta1: float, beta2: float) -> None:
    gradients = np.random.default_rng(0).standard_normal(50)
    place = torch.zeros((), dtype=torch.float64, requires_grad=True)
    adam, places = torch.optim.Adam([place], lr=1.0, betas=(beta1, beta2), eps=1e-300), [0.0]
    for each in gradients:
        place.grad = torch.tensor(each)
        adam.step()
        places.append(place.item())
    np.testing.assert_allclose(adam_steps(gradients, beta1, beta2), -np.diff(places), rtol=1e-11)


@given(st.floats(1e-300, 1e300))
def test_g5_steps_have_no_unit(unit: float) -> None:
    gradients = np.random.default_rng(1).standard_normal(20)
    np.testing.assert_allclose(adam_steps(unit * gradients), adam_steps(gradients), rtol=1e-12)


def test_g5_while_gradients_are_zero_nothing_moves() -> None:
    np.testing.assert_array_equal(adam_steps([0.0, 0.0, 3.0])[:2], 0.0)
    assert adam_steps([0.0, 0.0, 3.0])[2] > 0.0


def test_g5_the_slope_where_it_is_known() -> None:
    np.testing.assert_allclose(
        adam_slope(3000)[[29, 99, 299, 999, 2999]], [1.0371, 1.3281, 1.5119, 1.5596, 1.462], atol=5e-5
    )
    # Without memory each step is 1 but the first, as of sign descent.
    np.testing.assert_allclose(adam_slope(9, 0.0, 0.0), 1 - 1 / np.arange(1, 10), rtol=1e-14)
    # While all squares count alike and the mean does not lag, step k is (k - 1)/√((k - 1)(2k - 1)/6) → √3.
    k = np.arange(2.0, 2000.0)
    steps = (k - 1) / np.sqrt((k - 1) * (2 * k - 1) / 6)
    np.testing.assert_allclose(np.diff(adam_slope(1999, 0.0, 1 - 1e-9) * np.arange(1, 2000)), steps, rtol=1e-5)


def test_g5_a_course_begins_along_the_slope_and_then_learns() -> None:
    course = adam_course(2000, 1e-6, 3.0, 4.0, 2.0)
    slope = course.score[1:] / course.travelled[1:] / 4.0
    np.testing.assert_allclose(slope, adam_slope(2000), atol=3e-3)
    late = adam_course(2000, 1e-2, 3.0, 4.0, 2.0)
    assert late.score[-1] > 3.0
    assert (late.score[:2] == 0.0).all()


def test_g5_without_memory_it_is_sign_descent() -> None:
    course = adam_course(50, 1e-3, 3.0, 4.0, 2.0, beta1=0.0, beta2=0.0)
    np.testing.assert_allclose(course.travelled, 1e-3 * np.arange(51), rtol=1e-12)
    np.testing.assert_allclose(course.score[1:], 4e-3 * np.arange(50), rtol=1e-12, atol=1e-18)


def test_the_layer_of_one_dimension_has_the_lengths() -> None:
    start = from_zero(drawn_text(0), 0)
    narrow = in_one_dimension(start)
    assert narrow.query.item() == pytest.approx(np.abs(start.query).sum())
    weight = narrow.head.first_layer
    contrast = start.head.first_layer[:, 0] - start.head.first_layer[:, 1]
    assert weight[0, 0] - weight[0, 1] == pytest.approx(np.abs(contrast).sum())
    for bad in (from_zero(drawn_text(0), 0, start=0.1), from_zero(drawn_text(0, classes=4), 0)):
        with pytest.raises(InputError, match="start: expected keys and embeddings of 0"):
            in_one_dimension(bad)


def test_what_is_out_of_range_is_refused() -> None:
    bad = [
        lambda: sign_score(1.0, [1.0], 0, 0.1),
        lambda: sign_score(0.0, [1.0, 2.0], 5, 0.1),
        lambda: sign_score([1.0, 0.999 * 0.1 * 5**0.5], [1.0, 2.0], 5, 0.1),
        lambda: sign_score(1.0, [], 5, 0.1),
        lambda: adam_steps([1.0], 1.5),
        lambda: adam_steps([1.0], 1.0),
        lambda: adam_steps([1.0], beta2=1.0),
        lambda: adam_steps([1.0, np.nan]),
        lambda: adam_slope(3, 1.0),
        lambda: adam_course(3, 0.1, 3.0, 1.0, 1.0, beta2=1.0),
        lambda: adam_slope(0),
        lambda: adam_course(3, 0.0, 3.0, 1.0, 1.0),
        lambda: adam_course(3, 0.1, 3.0, 1.0, 1.0, beta2=-1.0),
    ]
    for call in bad:
        with pytest.raises(InputError):
            call()
