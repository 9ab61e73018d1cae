"""Single words along a run, read from its trajectory, and their distance from the SEN curve."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from attn_dynamics.theory.sen import sen_norm

SHOWN = 8
"""Words to follow where the user named none."""


class Track(NamedTuple):
    """One word at the epochs at which it was recorded."""

    word: str
    time: np.ndarray
    """Learning rate × epoch."""
    score: np.ndarray
    embedding_norm: np.ndarray
    attention: np.ndarray
    """Mean attention in the training sentences that hold the word."""
    others: float
    """m, the mean number of other words in those sentences."""


def tracks(run: xr.Dataset) -> list[Track]:
    """The followed words; where none were followed, those of largest final score, at the epochs of the snapshots."""
    names = run.vocabulary.values.tolist()
    if run.sizes["word"]:
        return [
            _track(run, str(word), "", run.time.values, column, names.index(word))
            for column, word in enumerate(run.word.values)
        ]
    time = run.attrs["learning_rate"] * run.snapshot.values
    final = np.where(run.frequency.values > 0, run.all_score.values[-1], -np.inf)
    leaders = np.argsort(-final, kind="stable")[:SHOWN]
    return [_track(run, names[place], "all_", time, place, place) for place in leaders]


def sen_deviation(track: Track, query_norm: float) -> np.ndarray:
    """Relative distance of ‖ν‖ from the SEN curve through the word's start (theory B1)."""
    theory = sen_norm(track.score, track.others, query_norm, track.score[0], track.embedding_norm[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        return track.embedding_norm / theory - 1.0


def _track(run: xr.Dataset, word: str, prefix: str, time: np.ndarray, column: int, place: int) -> Track:
    return Track(
        word=word,
        time=time,
        score=run[f"{prefix}score"].values[:, column],
        embedding_norm=run[f"{prefix}embedding_norm"].values[:, column],
        attention=run[f"{prefix}attention"].values[:, column],
        others=float(run.others.values[place]),
    )
