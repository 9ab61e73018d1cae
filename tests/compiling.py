"""Compile the kernels once before the tests, because each worker would otherwise compile them all.

python -m tests.compiling
"""

import numpy as np

from attn_dynamics import Synthetic, descend, draw
from attn_dynamics.kernels.loss import cross_entropy

SMALL = Synthetic(dictionary=50, sentences=40, test_sentences=10, other_words=5)


def compile_kernels() -> None:
    """Train for two epochs; one loop serves all heads."""
    task = SMALL.draw(0)
    assert task.test is not None
    start = draw(
        "paper", "attn-fc", n_words=task.train.n_words, n_classes=4, embedding_dim=10, rng=np.random.default_rng(0)
    )
    descend(task.train, start, learning_rate=0.1, epochs=2, judge={"test": task.test}, follow=["t1.1"])
    cross_entropy(np.zeros((2, 1)), np.zeros(1, np.int64), 1, np.empty(1))


if __name__ == "__main__":
    compile_kernels()
