"""Widths that heads learn on questions, beside the distances over which readers without a bell attend (D4, D11)."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from attn_dynamics.model.heads import Array
from attn_dynamics.results.figures import style
from attn_dynamics.statistics import interval
from attn_dynamics.theory.parting_heads import moments
from simulations.squad_rows import ROWS, Runs

AMONG = ("all tokens", "passage")
"""Pairs of tokens whose attention is counted by distance."""
GAUSSIAN = 3.0
"""Kurtosis of useful distances above which heads part: that of a normal distribution (theory D11)."""


class Heads(NamedTuple):
    """Widths of a row with a σ per head, and what theory says of them from the attention of readers without a bell."""

    among: str
    """Pairs whose distances count, one of `AMONG`: those on which the row's bell acts."""
    kurtosis: Array
    """Kurtosis of the distances of each head's attention (layers, heads), a mean over readers."""
    shared: Array
    """Kurtosis of the distances of all heads of a layer together (layers,), a mean over readers."""
    predicted: Array
    """Root mean square distance of each head's attention (layers, heads), tokens: its σ by theory D4."""
    widths: Array
    """Width σ after training (seeds, layers, heads), tokens."""

    def summary(self) -> dict[str, Any]:
        """Return kurtosis and scatter of ln σ by layer, and the rank correlation of widths with predicted ones."""
        ranks = [spearmanr(self.predicted.ravel(), each.ravel())[0] for each in self.widths]
        return {
            "distances_among": self.among,
            "kurtosis_by_layer": self.shared.tolist(),
            "deviation_of_ln_width_by_layer": np.log(self.widths).std(axis=2).mean(axis=0).tolist(),
            "rank_correlation_with_prediction": interval(np.array(ranks)),
            "width_over_predicted": float(np.exp(np.log(self.widths / self.predicted).mean())),
        }


def heads(runs: Runs) -> dict[str, Heads]:
    """Return the rows with a σ per head; none if no reader without a bell has its attention recorded."""
    readers = [run.distances.isel(moment=-1) for run in runs.get("fixed", ()) if "distances" in run]
    found = {}
    for name, each in runs.items():
        if readers and ROWS[name].each == "head":
            among = AMONG[ROWS[name].exempt == "question"]
            shares = np.array([of.sel(among=among).values for of in readers])
            widths = np.array([run.width.isel(step=-1).values for run in each])
            found[name] = Heads(among, *_moments(shares), widths)
    return found


def _moments(shares: Array) -> tuple[Array, Array, Array]:
    """Return `Heads.kurtosis`, `Heads.shared` and `Heads.predicted` of shares (readers, layers, heads, D)."""
    of = lambda each: moments(np.arange(each.size), each)  # noqa: E731
    squares, scatter = np.moveaxis(np.apply_along_axis(of, -1, shares), -1, 0)
    shared = np.apply_along_axis(of, -1, shares.mean(axis=2))[..., 1]
    return (1.0 + scatter).mean(axis=0), (1.0 + shared).mean(axis=0), np.sqrt(squares).mean(axis=0)


def heads_figure(rows: dict[str, Heads]) -> Figure:
    """Draw the kurtosis of useful distances beside D11's threshold, and widths of heads beside those of D4."""
    titles = ("Useful distances of readers without a bell", "Widths of heads")
    figure, ((left, right),) = style.panels((9.0, 4.6), 1, 2, titles=titles)
    for k, among in enumerate(AMONG):
        each = next((row for row in rows.values() if row.among == among), None)
        if each is not None:
            layers = np.arange(1, len(each.shared) + 1) + 0.12 * k
            left.plot(layers, each.shared, label=f"layer, {among}", **style.line(k))
            left.plot(np.repeat(layers, each.kurtosis.shape[1]), each.kurtosis.ravel(), **style.marks(k, 3.0))
    left.axhline(GAUSSIAN, **style.REFERENCE)
    left.annotate(
        "heads part above (D11)", (0.98, GAUSSIAN), xycoords=("axes fraction", "data"), ha="right", va="bottom"
    )
    left.set(xlabel="layer", ylabel="kurtosis of distances; marks: single heads", yscale="log")
    for k, (name, each) in enumerate(rows.items()):
        right.plot(each.predicted.ravel(), each.widths.mean(axis=0).ravel(), **style.marks(k), label=ROWS[name].title)
    ends = [f(each.predicted) for each in rows.values() for f in (np.min, np.max)]
    right.plot([min(ends), max(ends)], [min(ends), max(ends)], **style.THEORY, label="theory D4")
    right.set(xlabel="root mean square distance of the head's attention (tokens)", xscale="log", yscale="log")
    right.set_ylabel("σ after training, mean over seeds (tokens)")
    style.legend_below(figure, 2)
    return figure
