r"""State and verify your own claim
===============================

A *claim* is a sentence that can fail: a number that is measured, a *bound* that a formula gives, and *controls*. A
control is the same measurement with something made wrong. It must exceed the bound, because a check that cannot fail
shows nothing.

Let us claim that a query twice as long teaches attention four times as fast. If all scores begin at 0, then after one
step of descent with the learning rate :math:`\eta`

.. math:: s_w = -\eta \lVert q \rVert^2 \frac{\partial L}{\partial s_w},

and the slope does not depend on the query. (A key moves along :math:`q`, and its score is its product with
:math:`q`: two factors.)
"""

# %%
# One measurement
# ---------------
#
# Stretch the query, take one step, and compare the scores with those of the query as it was.

from collections.abc import Callable
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from attn_dynamics import Synthetic, descend, draw
from attn_dynamics.claims import Measured, claims, control
from attn_dynamics.claims.claim import SCATTER
from attn_dynamics.results.figures.style import STYLE, THEORY, line, marks

corpus = Synthetic(sentences=200, dictionary=100).draw(seed=0).train
start = draw("paper", "attn-tc", n_words=corpus.n_words, n_classes=4, embedding_dim=10, rng=np.random.default_rng(0))
LENGTHS = np.geomspace(0.1, 10, 9)


def scores_after_a_step(stretch: float) -> np.ndarray:
    """Return the scores (V,) after one step with the query `stretch` times as long."""
    run = descend(corpus, replace(start, query=stretch * start.query), learning_rate=0.1, epochs=1)
    return run.trajectory.all_score.isel(snapshot=-1).values


# %%
# The claim
# ---------
#
# What theory says is an argument, ``law``. Each control replaces it by something false. The bound is round-off: a
# step and a product of ten terms each lose a few units in the last of 53 bits.


@claims(
    "Z1",
    control("a law of the first power", law=lambda stretch: stretch),
    control("a law of the third power", law=lambda stretch: stretch**3),
    name="a longer query",
    statement=r"s_w(\lambda q) = \lambda^2 s_w(q) \text{ after one step from } K = 0",
    quantity="largest distance of a score from the law, relative to the largest score",
    tolerance="20 ε, ε = 2⁻⁵²: two products of d = 10 terms",
    assumptions="all keys begin at 0",
)
def query_twice_as_long(*, quick: bool, law: Callable[[float], float] = lambda stretch: stretch**2) -> Measured:
    """Measure queries from a tenth to ten times as long; `quick` takes three of them."""
    usual, worst = scores_after_a_step(1.0), 0.0
    for stretch in LENGTHS[::4] if quick else LENGTHS:
        expected = law(stretch) * usual
        worst = max(worst, float(np.abs(scores_after_a_step(stretch) - expected).max() / np.abs(expected).max()))
    return Measured(worst, 20 * 2.0**-52, within=SCATTER)


# %%
# The verdict
# -----------
#
# A claim holds if the number is within its bound, every control exceeds it, and the bound is not much too wide.

from attn_dynamics.claims import CLAIMS

verdict = CLAIMS["Z1"].judge()
print(
    "holds" if verdict.holds else "fails", f"with {verdict.measured.value:.1e}; {verdict.measured.bound:.1e} is allowed"
)
for text, broken in verdict.controls.items():
    print(f"control, {text}: {broken.value:.1e}")

# %%
# The run and the law
# -------------------

word = int(np.argmax(scores_after_a_step(1.0)))
usual = scores_after_a_step(1.0)[word]
with plt.rc_context(STYLE):
    figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
    axes.loglog(LENGTHS, [scores_after_a_step(each)[word] for each in LENGTHS], label="run", **marks(0))
    axes.loglog(LENGTHS, usual * LENGTHS**2, label="law: second power", **THEORY)
    axes.loglog(LENGTHS, usual * LENGTHS, label="control: first power", **line(1))
    axes.set(xlabel="length of the query, times the usual", ylabel="score after one step, nats")
    axes.legend()

# %%
# Change next
# -----------
#
# * Take two steps instead of one. The claim fails, because the second step sees other slopes.
# * Begin with keys that are not 0, by ``replace(start, keys=…)``. The claim fails again: its assumption is needed.
# * To keep a claim, put it into a file of its own: :doc:`/how-to/own-claim` says where.
