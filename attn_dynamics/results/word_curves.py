"""Curves of single words, read from the trajectory of a run, and their distance from the SEN curve."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from attn_dynamics.theory.sen import sen_norm

SHOWN = 8
"""Number of words to show if none were followed."""


class WordCurve(NamedTuple):
    """Recorded curves of one word."""

    word: str
    time: np.ndarray
    """Learning rate × epoch."""
    score: np.ndarray
    embedding_norm: np.ndarray
    attention: np.ndarray
    """Mean attention on the word in the training sentences that contain it."""
    others: float
    """m, the mean number of other words in those sentences; NaN if there are none."""

    def sen_norm(self, query_norm: float, score: np.ndarray | None = None) -> np.ndarray:
        """Return ‖ν‖ on the SEN curve through the word's start, at its own or at given scores (theory B1).

        Return NaN if there are no other words, because there is no curve then.
        """
        at = self.score if score is None else score
        return sen_norm(at, self.others or np.nan, query_norm, self.score[0], self.embedding_norm[0])


def word_curves(run: xr.Dataset) -> list[WordCurve]:
    """Return the curves of the followed words; if none, of the words of largest final score, at the snapshots."""
    return common_word_curves([run])[0]


def common_word_curves(runs: Sequence[xr.Dataset]) -> list[list[WordCurve]]:
    """Return, for each of several runs on the same data, curves of the same words at the epochs that all runs reached.

    If no words were followed, they are the words of largest median score at the last common snapshot.
    """
    runs = xr.align(*runs, join="inner", copy=False)
    names = runs[0].vocabulary.values.tolist()
    if runs[0].sizes["word"]:
        indices = [names.index(word) for word in runs[0].word.values]
        return [[_word_curve(run, "", column, index) for column, index in enumerate(indices)] for run in runs]
    final = np.median([run.all_score.values[-1] for run in runs], axis=0)
    largest = np.argsort(-np.where(runs[0].frequency.values > 0, final, -np.inf), kind="stable")[:SHOWN]
    return [[_word_curve(run, "all_", index, index) for index in largest] for run in runs]


def sen_deviation(curve: WordCurve, query_norm: float) -> np.ndarray:
    """Return the relative distance of ‖ν‖ from the SEN curve through the word's start (theory B1)."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return curve.embedding_norm / curve.sen_norm(query_norm) - 1.0


def _word_curve(run: xr.Dataset, prefix: str, column: int, index: int) -> WordCurve:
    """Return the curve of the word at an index of the vocabulary and a column of the record."""
    return WordCurve(
        word=str(run.vocabulary.values[index]),
        time=run.attrs["learning_rate"] * run.snapshot.values if prefix else run.time.values,
        score=run[f"{prefix}score"].values[:, column],
        embedding_norm=run[f"{prefix}embedding_norm"].values[:, column],
        attention=run[f"{prefix}attention"].values[:, column],
        others=float(run.others.values[index]),
    )
