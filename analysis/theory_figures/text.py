"""Figures of training on text: early scores beside E1, and the leading words (E2)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from attn_dynamics.claims._support.drawn import sst2, zipf_text
from attn_dynamics.claims.e1_early_scores import grown, start_on_text
from attn_dynamics.claims.e2_top_words import RATE, REPLICATES, course, followed, sources
from attn_dynamics.results.figures import style
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.early_training import EarlyScores, early_scores

Array = NDArray[np.float64]
WORDS = 200
"""Number of most frequent words whose scores are shown."""


def early(quick: bool) -> Figure:
    """Draw scores of a text's most frequent words at a small time beside E1, and the growth of the error with time."""
    name, corpus = real_or_drawn_text(quick)
    start = start_on_text(corpus, "attn-fc")
    law = early_scores(corpus, start)
    times = law.time(1e-3) * np.geomspace(1.0, 100.0, 6)
    rates = grown(corpus, start, tuple(times.tolist())) / times[:, None] ** 2
    shown = np.argsort(-corpus.counts.sum(axis=0))[:WORDS]
    title = f"{name}: {WORDS} most frequent words, time {times[3]:.2g}"
    figure, ((left, right),) = style.panels((9.0, 3.9), 1, 2, titles=[title])
    _early_words(left, corpus, law, rates[3], shown)
    off, rest = rates - law.quadratic, rates - law.quadratic - times[:, None] * law.cubic
    for k, (gap, label) in enumerate(((off, "leading order, E1"), (rest, "with the next order"))):
        size = 100 * np.linalg.norm(gap, axis=1) / np.linalg.norm(law.quadratic)
        right.plot(times, size, label=f"run less {label}", **style.marks(k))
        right.plot(times, size[0] * (times / times[0]) ** (1 + k), label=rf"$\propto \tau^{1 + k}$", **style.line(k))
    right.set(xlabel=style.TIME, xscale="log", yscale="log", ylabel=r"distance of $s/\tau^2$, all words (%)")
    right.legend(loc="upper left")
    return figure


def _early_words(axes: Axes, corpus: Corpus, law: EarlyScores, rates: Array, shown: NDArray[np.int64]) -> None:
    """Draw both axes in millionths, symmetrically logarithmic, because scores of both signs span decades."""
    said, seen = 1e6 * law.quadratic[shown], 1e6 * rates[shown]
    edge = 10.0 ** np.ceil(np.log10(np.median(np.abs(said))))
    axes.plot(said, seen, label="run", **style.marks(0, 3.5) | {"color": "black"})
    ends = np.array([min(said.min(), seen.min()), max(said.max(), seen.max())])
    axes.plot(ends, ends, color=style.COLOURS[0], label="as E1 says")
    axes.set_xscale("symlog", linthresh=edge)
    axes.set_yscale("symlog", linthresh=edge)
    order = np.argsort(said)
    text = [str(corpus.vocabulary[word]) for word in shown[order]]
    beside = {"textcoords": "offset points", "va": "center", "parse_math": False}
    for place in (-1, -2, -3):
        at = said[order[place]], seen[order[place]]
        axes.annotate(text[place], at, (-6, 0), ha="right", **beside)
    lowest = said[order[0]], seen[order[0]]
    axes.annotate("lowest: " + ", ".join(text[:3]), lowest, (12, 0), ha="left", **beside)
    axes.set(xlabel=r"predicted $s/\tau^2$ ($10^{-6}$)", ylabel=r"measured $s/\tau^2$ ($10^{-6}$)")
    axes.legend(loc="upper left")


def leaders(quick: bool) -> Figure:
    """Draw occurrence and purity of the leading words along training, on true and on shuffled labels."""
    name = sources(quick=quick)[-1]
    figure, (row,) = style.panels((9.6, 3.5), 1, 3)
    times = RATE * course(name, 0).epochs
    for k, (label, shuffled) in enumerate((("labels of the text", False), ("shuffled labels", True))):
        leads = [followed(name, seed, shuffled=shuffled) for seed in range(REPLICATES)]
        for axes, series in zip(row, LED, strict=True):
            values = np.array([getattr(each, series) for each in leads])
            for each in style.draw_band(axes, times, values, k, label):
                each.set(marker=style.MARKERS[k], ms=3.5)
    for axes, label in zip(row, LED.values(), strict=True):
        axes.set(xlabel=style.TIME, ylabel=label, xscale="log")
    row[0].set_yscale("log")
    row[0].legend(loc="lower left")
    row[2].axhline(0.0, linestyle=":", **style.REFERENCE)
    figure.suptitle(f"{name}: the word of largest score in each sentence, {REPLICATES} replicates, 95 % intervals")
    return figure


LED = {
    "occurrence": "training sentences that hold it",
    "purity": "purity in sentences trained on",
    "purity_elsewhere": "purity in sentences not seen",
}
"""Axis label of each field of `Lead`."""


def real_or_drawn_text(quick: bool) -> tuple[str, Corpus]:
    """Return SST-2 if it is available and not quick; else a drawn text."""
    treebank = None if quick else sst2()
    return ("SST-2", treebank) if treebank else ("drawn text", zipf_text(np.random.default_rng(0)))
