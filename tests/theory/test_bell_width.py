"""Claims D4 to D6: how wide a bell becomes, each law beside an integration of its rate."""

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad

from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import SCALES, Bell
from attn_dynamics.theory.bell_width import (
    GROWTH,
    Needles,
    Topics,
    early_width,
    escape_time,
    mean_square,
    settled_width,
    time_to_width,
)
from attn_dynamics.theory.ode import flow
from tests.window.drawn import KINDS


def test_d4_the_mean_square_is_that_of_the_bell() -> None:
    for width in (0.7, 3.0, 20.0):
        assert mean_square(width, int(12 * width) + 12) == pytest.approx(width**2, rel=3e-3 if width < 1 else 1e-12)
    assert mean_square(1e9, 6) == pytest.approx(6 * 7 / 3)


def test_d4_the_bell_settles_at_the_distance_unless_the_window_is_short() -> None:
    for distance in (3.0, 10.0, 60.0):
        settled = settled_width(distance, round(5 * distance))
        assert settled == pytest.approx(distance, rel=1e-4)
        assert mean_square(settled, round(5 * distance)) == pytest.approx(distance**2, rel=1e-12)
    assert settled_width(30.0, 128) == pytest.approx(30.0053, abs=1e-4)
    # The mean square of an even window of half-width w is w(w + 1)/3; from there on nothing holds the bell.
    assert np.isinf(settled_width((20 * 21 / 3) ** 0.5, 20))
    assert 100.0 < settled_width((20 * 21 / 3 - 0.1) ** 0.5, 20) < np.inf


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("start", [2.0, 25.0])
def test_d6_the_time_to_a_width_is_that_of_the_flow(scale: str, start: float) -> None:
    law = Needles(distances=(10.0,), half_width=400, bell=Bell(scale=scale))
    widths = np.linspace(start, 10.0, 6)[1:-1]
    times = time_to_width(widths, 10.0, start, scale)
    reached = law.bell.of.width(flow(law.velocity, [law.bell.parameter(start)], times)[:, 0])
    np.testing.assert_allclose(reached, widths, rtol=1e-7)
    # Negative control: the time of another scale.
    other = time_to_width(widths, 10.0, start, "log" if scale != "log" else "deviation")
    assert np.abs(other / times - 1.0).min() > 0.1


@pytest.mark.parametrize("scale", SCALES)
def test_d6_early_growth_is_the_beginning_of_it(scale: str) -> None:
    for width in (1.1, 2.0, 5.0):
        time = time_to_width(width, 1000.0, 1.0, scale)
        assert early_width(time, 1000.0, 1.0, scale) == pytest.approx(width, rel=1e-4)
    power, pace = GROWTH[scale]
    assert early_width(2.0, 3.0, 1.0, scale) ** power == pytest.approx(1.0 + 18.0 * pace)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("start", [0.5, 1.0])
def test_d5_the_escape_takes_as_long_as_the_rate_says(scale: str, start: float) -> None:
    """Two orders of Laplace's method beside the integral of 1/rate, of the integral's own bell."""
    distance = 10.0
    power = {"deviation": 0, "variance": 2, "log": -2}[scale]
    factor = 4.0 if scale == "variance" else 1.0

    def pace(width: float) -> float:
        exponent = 0.5 * distance**2 * (width**-2 - start**-2)
        return factor * (2 * np.pi) ** 0.5 * width ** (4 + power) / (distance**2 - width**2) * np.exp(exponent)

    exact = quad(pace, start, 6.0, epsrel=1e-12, limit=500)[0] * np.exp(0.5 * (distance / start) ** 2)
    narrow = (start / distance) ** 2
    assert escape_time(distance, start, scale) == pytest.approx(exact, rel=150 * narrow**2)
    assert abs(escape_time(distance, start, scale) / (1 + narrow * (8 + power)) / exact - 1) > 3 * narrow


@pytest.mark.parametrize(("placement", "scale"), KINDS)
@pytest.mark.parametrize("chance", [0.0, 0.1])
def test_the_rate_is_the_slope_of_the_mean_likelihood(placement: str, scale: str, chance: float) -> None:
    """By central differences of the loss, written anew."""
    bell, apart, half = Bell(placement, scale), np.array([2.0, 5.0]), 9
    places = np.arange(-half, half + 1)

    def loss(p: float, kind: str) -> float:
        share = np.exp(bell.log(p, places)) / (np.exp(bell.log(p, places)).sum() if placement == "renormalised" else 19)
        own = share[half + apart.astype(int)]
        seen = own + chance * (share.sum() - own)
        return float(-np.log(seen).mean() if kind == "likelihood" else -seen.mean())

    p, step = bell.parameter(3.0), 1e-5
    for kind in ("likelihood", "reward"):
        law = Needles(distances=(2.0, 5.0), half_width=half, bell=bell, loss=kind, chance=chance, rate=2.0)
        slope = -(loss(p + step, kind) - loss(p - step, kind)) / step
        assert law.velocity(np.array([p]))[0] == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize(("placement", "scale"), KINDS)
def test_the_rates_of_topic_words_come_from_one_loss(placement: str, scale: str) -> None:
    """-ln π of the mean over distances falls along each coordinate, by central differences."""
    law = Topics(
        distances=(2.0, 4.0), half_width=6, bell=Bell(placement, scale), classes=3, frequency=0.25, head_norm=2.0
    )
    state, step = np.array([0.7, 1.3, law.bell.parameter(3.0)]), 1e-5
    places = np.arange(-6, 7)

    def loss(at: np.ndarray) -> float:
        total = 0.0
        for distance in law.distances:
            bells, own = np.exp(law.bell.log(at[2], places)), np.exp(law.bell.log(at[2], distance))
            scores = np.where(places == distance, np.exp(at[0]), 1.0)
            mass = (scores * bells).sum() if placement == "renormalised" else scores.sum()
            margin = np.exp(at[0]) * own / mass * at[1] * 3 / 2
            total += np.log1p(2 * np.exp(-margin)) / 2
        return total

    steps = step * np.eye(3)
    slopes = [-(loss(state + each) - loss(state - each)) / (2 * step) for each in steps]
    # A score moves for the sentences of its word alone; x by u² over the metric (n - 1)/n of its class.
    factors = np.array([0.25, 0.25 * 4.0 * 2 / 3, 1.0])
    np.testing.assert_allclose(law.velocity(state), factors * slopes, rtol=1e-7)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", SCALES)
def test_d6_no_digit_is_lost_near_the_distance_or_near_the_start(scale: str) -> None:
    """Judged by mpmath, relative to the time itself."""
    for distance, start, width in (
        (10.0, 2.0, 10.0 - 1e-9),
        (10.0, 2.0, 2.0 + 1e-11),
        (10.0, 25.0, 10.0 + 1e-12),
        (10.0, 10.0 + 1e-7, 10.0 + 1e-9),
        (300.0, 1e-3, 2e-3),
        (300.0, 2.0, 1e-2),
    ):
        with mpmath.workdps(60):
            delta = mpmath.mpf(distance)
            terms, factor = {"log": (0, 0.5), "deviation": (1, delta**2 / 2), "variance": (2, 2 * delta**4)}[scale]
            ys = [(mpmath.mpf(each) / delta) ** 2 for each in (width, start)]
            ends = [-mpmath.log(abs(1 - y)) - sum(y**k / k for k in range(1, terms + 1)) for y in ys]
            wanted = float(factor * (ends[0] - ends[1]))
        assert time_to_width(width, distance, start, scale) == pytest.approx(wanted, rel=1e-13)
    np.testing.assert_array_equal(time_to_width([10.0, 11.0], 10.0, 2.0, scale), [np.inf, np.inf])


@pytest.mark.filterwarnings("error")
def test_d5_a_time_beyond_float64_is_infinite() -> None:
    assert escape_time(60.0, 0.5) == np.inf
    with mpmath.workdps(60):
        wanted = mpmath.sqrt(2 * mpmath.pi) * mpmath.mpf(2) ** -7 * mpmath.exp(2 * mpmath.mpf(18.7) ** 2)
        wanted *= (1 + 2 / mpmath.mpf(18.7) ** 2) / mpmath.mpf(18.7) ** 4
    assert escape_time(18.7, 0.5) == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: time_to_width(-1.0, 10.0, 2.0),
        lambda: time_to_width(3.0, 0.0, 2.0),
        lambda: time_to_width(3.0, 10.0, 10.0),
        lambda: early_width(-1.0, 10.0, 2.0),
        lambda: escape_time(10.0, 0.0),
        lambda: escape_time(10.0, 11.0),
        lambda: settled_width(-3.0, 20),
    ],
)
def test_widths_that_no_law_holds_for_are_refused(call) -> None:
    with pytest.raises(InputError):
        call()
