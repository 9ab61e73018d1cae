"""Compile the kernels once before the tests, in two processes, because each worker would otherwise compile them all.

python -m tests.compiling single, or threads
"""

import sys

import numpy as np

from attn_dynamics import Synthetic, descend, draw
from attn_dynamics.kernels.loss import cross_entropy
from attn_dynamics.training.dynamics import Dynamics

SMALL = Synthetic(dictionary=50, sentences=40, test_sentences=10, other_words=5)


def compile_kernels(which: str) -> None:
    """Train for two epochs by the loop of one thread, or by that of all; each serves all heads."""
    task = SMALL.draw(0)
    assert task.test is not None
    rng = np.random.default_rng(0)
    start = draw("paper", "attn-fc", n_words=task.train.n_words, n_classes=4, embedding_dim=10, rng=rng)
    if which == "single":
        descend(task.train, start, learning_rate=0.1, epochs=2, evaluate_on={"test": task.test}, follow=["t1.1"])
        cross_entropy(np.zeros((2, 1)), np.zeros(1, np.int64), 1, np.empty(1))
        return
    dynamics = Dynamics(task.train, start, judged=[task.test])
    rows = np.empty((2, 8))
    dynamics.record(rows[0])
    dynamics.advance(rows[1:], 0.1, threads=True)


if __name__ == "__main__":
    compile_kernels(sys.argv[1])
