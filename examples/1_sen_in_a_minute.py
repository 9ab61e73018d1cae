r"""SEN in a minute
===============

A model reads sentences and names their topic. Each sentence holds one *topic word* that gives the topic away, among
twenty words that say nothing. Attention has to find the topic word. Two numbers say how far it is:

* the **score** :math:`s` of a word, which is the logarithm of its weight in attention;
* the **norm** :math:`\lVert\nu\rVert` of its embedding, which is how much the word says to the classifier.

Training changes both. The score–embedding-norm (SEN) relation says that they stay on one curve. From zero it is

.. math:: s + \frac{e^s - 1}{m} = \tfrac12 \lVert q\rVert^2 \lVert\nu\rVert^2,

with :math:`m` other words in a sentence and the query :math:`q`. No number in it is fitted.
"""

# %%
# Data and start
# --------------
#
# The task has four topics with two topic words each. The words are called ``t1.1``, ``t1.2``, … after their topic.

import matplotlib.pyplot as plt
import numpy as np

from attn_dynamics import Synthetic, descend, draw, sen_norm
from attn_dynamics.results.figures.style import STYLE, THEORY, marks

task = Synthetic(other_words=20).draw(seed=0)
start = draw(
    "paper", "attn-fc", n_words=task.train.n_words, n_classes=4, embedding_dim=10, rng=np.random.default_rng(0)
)
print(" ".join(map(str, task.train.vocabulary[:8])), f"and {task.train.n_words - 8} other words")

# %%
# Training
# --------
#
# Gradient descent on all sentences, with the exact gradient. We follow one topic word of each topic.

words = [topic[0] for topic in task.topic_words]
run = descend(task.train, start, learning_rate=0.1, epochs=2000, follow=words)
print(run.trajectory.score.isel(epoch=-1).to_series().round(2).to_dict())

# %%
# The run and the curve
# ---------------------
#
# The curve needs the number of other words, the length of the query and the start, and nothing of the run.

query_norm = np.linalg.norm(start.query)
with plt.rc_context(STYLE):
    figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
    for k, word in enumerate(words):
        track = run.trajectory.sel(word=word).isel(epoch=slice(None, None, 100))
        axes.plot(track.embedding_norm, track.score, label=f"run, {word}", **marks(k))
    scores = np.linspace(0, float(run.trajectory.score.max()), 200)
    axes.plot(sen_norm(scores, 20, query_norm), scores, label="SEN curve (B1)", **THEORY)
    axes.set(xlabel=r"embedding norm $\|\nu\|$", ylabel="score $s$, nats")
    axes.legend()

# %%
# How far off?
# ------------
#
# The relation holds exactly if the other words stay silent. Here they do not quite: each occurs in a few sentences, and
# the model learns those by heart. The distance is of the order of one over the number of sentences with the topic word.

for word in words:
    track = run.trajectory.sel(word=word).isel(epoch=-1)
    off = float(track.embedding_norm) / sen_norm(float(track.score), 20, query_norm) - 1
    holders = int(task.train.counts[:, task.train.columns([word])].sum())
    print(f"{word}: {off:+.2%} off the curve; {holders} sentences hold it, and 1 / {holders} is {1 / holders:.2%}")

# %%
# Change next
# -----------
#
# * ``"attn-tc"`` instead of ``"attn-fc"`` trains the classifier too. The curve stays the same.
# * ``Synthetic(dictionary=10)`` makes the other words frequent. The run leaves the curve.
# * ``Synthetic(other_words=5)`` makes sentences short. Give 5 instead of 20 to ``sen_norm`` as well.
