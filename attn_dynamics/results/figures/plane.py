"""Theory in the plane of score and embedding norm: the curves of several optimisers (theory B1, G1, G4)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from attn_dynamics.check import Array
from attn_dynamics.results.figures import style
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.theory.sen_optimisers import decay_norm
from attn_dynamics.theory.sign_rules import sign_score


def draw_plane(axes: Axes, highest: float, others: float, query: Array, rate: float) -> None:
    """Draw ‖q‖ times the embedding norm over scores: SEN, weight decay at rest, and sign descent.

    Args:
        axes: panel; the caller sets its limits.
        highest: largest score of the first two curves; the line of sign descent has no end.
        others: mean number m of other words in a word's sentences.
        query: query q (d_k,).
        rate: learning rate η of sign descent.
    """
    score = np.linspace(0.0, highest, 300)
    axes.plot(score, sen_norm(score, others, 1.0), label="SEN, theory B1", **_stroke(0))
    axes.plot(score, decay_norm(score, others, 1.0), label="weight decay at rest, theory G1", **_stroke(1))
    # The line starts after the first step, at ‖ν‖ = η √d.
    norms = rate * np.sqrt(query.size) + np.array([0.0, 1.0])
    ends = zip(sign_score(norms, query, query.size, rate), np.linalg.norm(query) * norms, strict=True)
    axes.axline(*ends, label="line of sign descent, theory G4", **_stroke(2))


def _stroke(k: int) -> Any:
    return style.THEORY | {"linestyle": style.LINES[k], "zorder": 3}
