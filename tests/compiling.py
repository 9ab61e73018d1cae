"""Compile the kernels once before the tests, in two processes, because each worker would otherwise compile them all.

python -m tests.compiling loop, or head

The loop of all threads is left to the one test that runs it.
"""

import sys

import numpy as np

from attn_dynamics import Synthetic, descend, draw
from attn_dynamics.model.heads import FixedLinear

SMALL = Synthetic(dictionary=50, sentences=40, test_sentences=10, other_words=5)


def compile_kernels(which: str) -> None:
    """Train for two epochs by the compiled loop, or by the methods of a head that it does not know.

    A head's methods need the end of the loop, which compiles while the other process compiles the beginning, and the
    loop then finds it.
    """
    if which == "head":
        FixedLinear.compiled = ()
    task = SMALL.draw(0)
    assert task.test is not None
    rng = np.random.default_rng(0)
    start = draw("paper", "attn-fc", n_words=task.train.n_words, n_classes=4, embedding_dim=10, rng=rng)
    descend(task.train, start, learning_rate=0.1, epochs=2, evaluate_on={"test": task.test}, follow=["t1.1"])


if __name__ == "__main__":
    compile_kernels(sys.argv[1])
