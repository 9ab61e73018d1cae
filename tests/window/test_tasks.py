"""Claim: the useful token stands where it should, and a run of each task is what theory predicts."""

import numpy as np
import pytest

from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import Bell
from attn_dynamics.results.window_dataset import predict
from attn_dynamics.window.dynamics import flow
from attn_dynamics.window.tasks import DISTANCES, TASKS, WindowOptions, WindowTask

SMALL = {"window": 41, "length": 61, "distance": 5}


def task(name: str, width: float = 3.0, seed: int = 0, **given: object) -> WindowTask:
    options = WindowOptions(**(SMALL | given))  # pyright: ignore[reportArgumentType]
    return TASKS[name](options, Bell(), width, "likelihood", np.random.default_rng(seed))


@pytest.mark.parametrize("distances", DISTANCES)
def test_each_window_of_a_needle_holds_one_at_its_distance(distances: str) -> None:
    made = task("needle", distances=distances, sequences=300)
    windows = made.windows
    assert windows.sums((windows.words == 1).astype(int)).tolist() == [1] * 300
    assert set(np.diff(windows.offsets)) == {41}
    found = windows.distances[windows.words == 1]
    assert (np.abs(found) <= 20).all()
    assert 0.35 < (found > 0).mean() < 0.65
    assert np.abs(found).mean() == pytest.approx(5.0, abs=0.5)
    assert (set(np.abs(found)) == {5}) == (distances == "fixed")


def test_copying_marks_all_copies_of_the_answer() -> None:
    made = task("copying", words=7, sequences=3)
    windows = made.windows
    assert windows.n_queries == 3 * 21
    assert (windows.words[windows.distances == -5] == 1).all()
    others = windows.words[windows.distances != -5]
    assert others.mean() == pytest.approx(1 / 7, abs=0.03)


def test_topic_words_stand_at_their_distance_and_name_the_class() -> None:
    made = task("topics", sequences=200)
    windows = made.windows
    topic = windows.words < 8
    assert set(np.abs(windows.distances[topic])) == {5}
    assert (windows.words[topic] // 2 == windows.labels).all()


@pytest.mark.parametrize(
    ("name", "width", "given", "times", "allowed"),
    [
        ("needle", 3.0, {}, [1.0, 30.0, 1e3], 1e-6),
        ("needle", 12.0, {"distances": "geometric"}, [1.0, 30.0, 1e3], 1e-6),
        # Copies of the answer are 1 in 1,000 words, hence some hundredths of the attention at first.
        ("copying", 3.0, {"words": 100_000, "sequences": 20}, [1.0, 30.0], 2e-3),
        # Memorisation, 1/(ρN) as in B2.
        ("topics", 10.0, {}, [100.0, 400.0, 1000.0], 0.03),
    ],
)
def test_a_run_is_predicted(name: str, width: float, given: dict, times: list[float], allowed: float) -> None:
    made = task(name, width, **given)
    run = flow(made.windows, made.layer, times=times, log_time=True, train=made.train, rtol=1e-8)
    states = predict(made, np.array(times), learning_rate=0.0, bell_rate=1.0)
    assert states is not None
    widths = np.array([made.layer_at(state).width for state in states])
    np.testing.assert_allclose(run.widths, widths, rtol=allowed)
    assert abs(run.widths[-1] / width - 1.0) > 0.1
    # Negative control: the prediction for a bell that moves at twice the rate.
    other = predict(made, np.array(times), learning_rate=0.0, bell_rate=2.0)
    assert other is not None
    assert np.abs(other[:, -1] / run.widths - 1.0).max() > 2 * allowed


def test_a_narrow_bell_learns_by_heart_what_stands_in_it() -> None:
    """Where the topic word is out of reach the width falls instead of growing."""
    made = task("topics", width=2.0, distance=15)
    run = flow(made.windows, made.layer, times=[500.0], log_time=True, train=made.train, rtol=1e-8)
    assert run.widths[-1] < 1.5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"distance": 0}, "distance"),
        ({"distance": 21}, "half-width 20"),
        ({"distance": 12, "distances": "uniform"}, "got 23"),
        ({"distances": "normal"}, "'normal'"),
        ({"window": 40}, "odd number"),
        ({"window": 63}, "at most the 61 tokens"),
        ({"sequences": 0}, "sequences"),
        ({"classes": 1}, "classes"),
    ],
)
def test_what_makes_no_task_is_refused(given: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        task("needle", **given)
