"""Claim C13: from a small start the threshold is exact, and from a large one it is not the end of what was learned."""

import numpy as np
import pytest

from attn_dynamics.claims._support.drawn import ragged, zipf_text
from attn_dynamics.claims.c13_threshold_of_decay import RATE, small
from attn_dynamics.theory.small_start import decay_threshold
from attn_dynamics.training.descent import descend

TEXT = zipf_text(np.random.default_rng(1), n_words=50, sentences=100, n_classes=3)
FIRST = decay_threshold(TEXT)


def size_after(start, decay: float, time: float) -> float:
    """The norm of the embeddings after a time in units of 1/σ₁."""
    end = descend(TEXT, start, learning_rate=RATE, epochs=round(time / FIRST / RATE), decay=decay).parameters
    assert end is not None
    return float(np.linalg.norm(end.embeddings))


def test_c13_both_sides_of_the_threshold() -> None:
    assert size_after(small(TEXT, 0.01), 0.9 * FIRST, 150.0) > 0.3
    assert size_after(small(TEXT, 0.01), 1.1 * FIRST, 150.0) < 1e-6


@pytest.mark.parametrize(("query", "survives"), [(1.5, False), (4.0, True)])
def test_c13_what_was_learned_may_survive_above_it(query: float, survives: bool) -> None:
    """Under a long query attention has grown, and with it the pull; under a short one it has not."""
    start = small(TEXT, 0.01, query=query)
    learned = descend(TEXT, start, learning_rate=RATE, epochs=round(150 / FIRST / RATE), decay=0.9 * FIRST).parameters
    assert learned is not None
    assert (size_after(learned, 1.2 * FIRST, 300.0) > 0.3) == survives
    assert size_after(learned, 3.0 * FIRST, 300.0) < 1e-6
    assert size_after(small(TEXT, 0.01, query=query), 1.2 * FIRST, 300.0) < 1e-6


def test_c13_the_fastest_direction_is_that_of_the_largest_singular_value() -> None:
    """A start along the second mode grows too, more slowly, where decay lies below its value."""
    text = ragged(np.random.default_rng(0))
    start = small(text, 1e-9)
    runs = [descend(text, start, learning_rate=RATE, epochs=epochs, decay=0.0).parameters for epochs in (100, 200)]
    sizes = [np.linalg.norm(run.embeddings) for run in runs if run is not None]
    assert np.log(sizes[1] / sizes[0]) / 100 == pytest.approx(np.log1p(RATE * decay_threshold(text)), rel=0.05)
