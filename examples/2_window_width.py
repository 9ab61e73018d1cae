r"""A window that learns its width
==============================

A query often needs only the tokens near it. This layer multiplies attention by a bell over the distance to the query,

.. math:: U = e^{-\Delta^2 / 2\sigma^2},

and trains the width :math:`\sigma` like any other parameter. Does :math:`\sigma` find out how far to look? Here the
one useful token stands ten tokens away, so we know the answer.
"""

# %%
# Task and layer
# --------------
#
# The bell begins at three tokens, too narrow to see the useful token well. Scores are equal, so only the bell can help.

import matplotlib.pyplot as plt

from attn_dynamics.model.bell import Bell
from attn_dynamics.results.figures.style import DOTTED, REFERENCE, STYLE, line
from attn_dynamics.results.window_dataset import predict
from attn_dynamics.theory.bell_width import settled_width
from attn_dynamics.window.dynamics import descend
from attn_dynamics.window.tasks import WindowOptions, load_window_task

options = WindowOptions(distance=10, window=101)
task = load_window_task("needle", options, Bell("renormalised", "deviation"), 3.0, "likelihood", seed=0, dev=False)
rest = settled_width(distance=10, half_width=50)
print(f"σ begins at {task.layer.width:.1f} tokens; theory says that it settles at {rest:.1f} (D4)")

# %%
# Training, and the theory's curve
# --------------------------------
#
# The prediction solves the equation of motion of :math:`\sigma` (D4) with nothing fitted:
# the width grows until the mean square of the attended distances is the square of the useful one.

rate = 0.1
run = descend(task.windows, task.layer, learning_rate=rate, epochs=3000)
theory = predict(task, run.times, learning_rate=rate, bell_rate=1.0)
assert theory is not None

with plt.rc_context(STYLE):
    figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
    axes.plot(run.times[1:], run.widths[1:], label="run", **line(0) | {"linewidth": 3})
    axes.plot(run.times[1:], theory[1:, -1], label="theory (D4)", **DOTTED)
    axes.axhline(rest, label="where theory lets it settle", **REFERENCE)
    axes.set(xscale="log", xlabel="time, learning rate × epoch", ylabel=r"width $\sigma$, tokens")
    axes.legend()

# %%
# What the width buys
# -------------------
#
# The loss is minus the logarithm of the attention on the useful token.

for epoch in (0, 1000, 3000):
    print(f"epoch {epoch}: σ = {run.widths[epoch]:.2f} tokens, loss {run.fit('train', epoch).loss:.2f} nats")

# %%
# Change next
# -----------
#
# * ``"reward"`` instead of ``"likelihood"`` makes the loss minus the attention itself. From 1.0 instead of 3.0 tokens
#   the width then stays, because a query that sees nothing of the useful token learns nothing of it (D5).
# * ``Bell("renormalised", "log")`` trains the logarithm of the width. It settles sooner (D6).
# * ``WindowOptions(distance=10, distances="uniform")`` draws the distance anew for each query. The width settles at the
#   root of the mean square of the distances, about 12.
