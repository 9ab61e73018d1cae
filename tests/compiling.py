"""Compile the kernels once before the tests, in two processes, because each worker would otherwise compile them all.

python -m tests.compiling single, or replicates
"""

import sys
from dataclasses import replace

import numpy as np

from attn_dynamics import Parameters, Synthetic, descend, descend_many, draw
from attn_dynamics.model.heads import HEADS

SMALL = Synthetic(dictionary=50, sentences=40, test_sentences=10, other_words=5)


def compile_kernels(which: str) -> None:
    """Train each head for two epochs, from scores that share one shift and from scores that do not."""
    task = SMALL.draw(0)
    settings = {"learning_rate": 0.1, "epochs": 2, "judge": {"test": task.test}, "follow": ["t1.1"]}
    for model in HEADS:
        rng = np.random.default_rng(0)
        start = draw("paper", model, n_words=task.train.n_words, n_classes=4, embedding_dim=10, rng=rng)
        for each in (start, wide(start)):
            if which == "single":
                descend(task.train, each, **settings)
            else:
                descend_many(task.train, [each] * 2, **settings)


def wide(start: Parameters) -> Parameters:
    """Return the start with scores from 0 to 100."""
    scores = np.linspace(0.0, 100.0, len(start.keys))
    return replace(start, keys=np.outer(scores, start.query / (start.query @ start.query)))


if __name__ == "__main__":
    compile_kernels(sys.argv[1])
