"""The scores that tell the best word of each sentence from the others with the least effort (theory F1)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from attn_dynamics.check import integer, integers
from attn_dynamics.errors import InputError

Array = NDArray[np.float64]


def separator(pairs: ArrayLike, n_words: int) -> Array:
    """Return s* (V,) of least ‖s‖₂ with s_b - s_w ≥ 1 for all pairs (b, w) of a best word and another of its sentence.

    The dual is a problem of non-negative least squares (Lawson and Hanson, Solving Least Squares Problems, ch. 23).

    Args:
        pairs: columns b and w of the words (pairs, 2), from 0 to V - 1; without any, all scores are 0.
        n_words: number V of words.

    Raises:
        InputError: there is no such column, or no scores satisfy all pairs, because some words are better than each
            other in turn.
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
    if off < 1e-9:  # 0 is then a sum of differences: the words go round in a circle
        given = "words that are better than each other in turn"
        raise InputError("pairs", expected="pairs in one order", given=given, fix="Leave out one of them.")
    fitted = stacked @ weights
    return fitted[:-1] / (1.0 - fitted[-1])
