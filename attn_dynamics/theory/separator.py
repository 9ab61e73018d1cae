"""The smallest scores that separate the best word of each sentence from the others (theory F1)."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from attn_dynamics.check import Array, integer, integers
from attn_dynamics.errors import InputError


def separator(pairs: ArrayLike, n_words: int) -> Array:
    """Return the scores s* (V,) of least ‖s‖₂ such that s_b - s_w ≥ 1 for all pairs (b, w).

    Word b is the best word of a sentence and w another of its words. The dual is a problem of non-negative least
    squares (Lawson and Hanson, Solving Least Squares Problems, ch. 23).

    Args:
        pairs: columns b and w of the words (pairs, 2), from 0 to V - 1; without any, all scores are 0.
        n_words: number V of words.

    Raises:
        InputError: a column does not exist, or no scores satisfy all pairs, because some words form a circle in which
            each is better than the next.
    """
    last = integer("n_words", n_words, 1, fix="Give the number of words.") - 1
    best, other = columns = integers("pairs", pairs).reshape(-1, 2).T
    if not columns.size:
        return np.zeros(n_words)  # scipy's solver aborts on a matrix without columns
    if columns.min() < 0 or columns.max() > last:
        given = f"{columns.min()} to {columns.max()}"
        raise InputError("pairs", expected=f"columns from 0 to {last}", given=given, fix="Count words from 0.")
    differences = np.eye(n_words)[best] - np.eye(n_words)[other]
    stacked, target = np.vstack([differences.T, np.ones(len(best))]), np.append(np.zeros(n_words), 1.0)
    weights, off = nnls(stacked, target)
    if off < 1e-9:  # then 0 is a positive combination of differences
        given = "a circle of words, each better than the next"
        raise InputError("pairs", expected="pairs in one order", given=given, fix="Leave out one of its pairs.")
    fitted = stacked @ weights
    return fitted[:-1] / (1.0 - fitted[-1])
