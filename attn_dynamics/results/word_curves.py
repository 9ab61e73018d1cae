"""Curves of single words in a run, read from its trajectory, and their distance from the SEN curve."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from attn_dynamics.theory.sen import sen_norm

SHOWN = 8
"""Number of words to follow if the user named none."""


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
        """Return ‖ν‖ on the SEN curve through the word's start, at its scores or at given ones (theory B1).

        Return NaN without other words: then no norm moves a score, and there is no curve.
        """
        at = self.score if score is None else score
        return sen_norm(at, self.others or np.nan, query_norm, self.score[0], self.embedding_norm[0])


def word_curves(run: xr.Dataset) -> list[WordCurve]:
    """Return the followed words; if none, those of largest final score, at the epochs of the snapshots."""
    return common_word_curves([run])[0]


def common_word_curves(runs: Sequence[xr.Dataset]) -> list[list[WordCurve]]:
    """Return, for each of several runs on the same data, curves of the same words at the epochs all runs reached.

    If no words were followed, the words have the largest median score at the last common snapshot.
    """
    runs = xr.align(*runs, join="inner", copy=False)
    names = runs[0].vocabulary.values.tolist()
    if runs[0].sizes["word"]:
        places = [names.index(word) for word in runs[0].word.values]
        return [[_word_curve(run, "", column, place) for column, place in enumerate(places)] for run in runs]
    final = np.median([run.all_score.values[-1] for run in runs], axis=0)
    leaders = np.argsort(-np.where(runs[0].frequency.values > 0, final, -np.inf), kind="stable")[:SHOWN]
    return [[_word_curve(run, "all_", place, place) for place in leaders] for run in runs]


def sen_deviation(curve: WordCurve, query_norm: float) -> np.ndarray:
    """Return the relative distance of ‖ν‖ from the SEN curve through the word's start (theory B1)."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return curve.embedding_norm / curve.sen_norm(query_norm) - 1.0


def _word_curve(run: xr.Dataset, prefix: str, column: int, place: int) -> WordCurve:
    return WordCurve(
        word=str(run.vocabulary.values[place]),
        time=run.attrs["learning_rate"] * run.snapshot.values if prefix else run.time.values,
        score=run[f"{prefix}score"].values[:, column],
        embedding_norm=run[f"{prefix}embedding_norm"].values[:, column],
        attention=run[f"{prefix}attention"].values[:, column],
        others=float(run.others.values[place]),
    )
