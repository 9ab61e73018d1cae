"""Threads: models in training beside each other, and the threads of BLAS meanwhile."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from attn_dynamics import descend
from attn_dynamics.system.threads import one_blas_thread
from tests.support import MODELS, named, parameters_for, topic_corpus


def blas_threads() -> set[int]:
    """Return the numbers of threads of all libraries of BLAS."""
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_every_blas_library_is_kept_to_one_thread() -> None:
    """One that scipy loads after the first look is kept to one thread too."""
    script = """
import numpy, threadpoolctl
from attn_dynamics.system.threads import one_blas_thread
with one_blas_thread():
    pass
import scipy.linalg
with one_blas_thread():
    print({each["num_threads"] for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"})
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "{1}\n"


def test_overlapping_blocks_share_one_limit_which_the_last_lifts() -> None:
    with threadpool_limits(2, user_api="blas"):
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}  # the second block still runs
        second.__exit__(None, None, None)
        assert blas_threads() == {2}


def test_models_train_beside_each_other_as_alone() -> None:
    corpus = topic_corpus(0)

    def train(model: str) -> list[np.ndarray]:
        run = descend(corpus, parameters_for(corpus, model, 0, d=6), epochs=300, follow=[0])
        assert run.parameters is not None
        return [run.trajectory.train_loss.values, run.trajectory.score.values, *named(run.parameters).values()]

    with ThreadPoolExecutor(len(MODELS)) as pool:
        beside, alone = list(pool.map(train, MODELS)), list(map(train, MODELS))
    for here, there in zip(beside, alone, strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(here, there, strict=True))
    assert not np.array_equal(beside[0][0], alone[1][0]), "negative control: another model"
