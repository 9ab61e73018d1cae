"""Widths that heads learn on questions, beside the distances over which readers without a bell attend (D4, D11)."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from attn_dynamics.model.heads import Array
from attn_dynamics.results.figures import style
from attn_dynamics.statistics import interval
from attn_dynamics.theory.parting_heads import moments
from simulations.squad_rows import NONE, ROWS, Runs

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

    @property
    def scatter(self) -> Array:
        """Return the standard deviation of ln σ over the heads of each layer (layers,), a mean over seeds."""
        return np.log(self.widths).std(axis=2).mean(axis=0)

    @property
    def ranks(self) -> Array:
        """Return the rank correlation (seeds,) of widths with those that theory D4 predicts."""
        return np.array([spearmanr(self.predicted.ravel(), each.ravel())[0] for each in self.widths])

    @property
    def ratio(self) -> float:
        """Return σ over that of theory D4, a geometric mean."""
        return float(np.exp(np.log(self.widths / self.predicted).mean()))

    def verdict(self) -> str:
        """Return whether heads part where theory D11 says, and whether their widths are those of theory D4, in words.

        D11 divides the layers if ln σ scatters more in each layer above its threshold than in any below.
        """
        apart, together = self.scatter[self.shared > GAUSSIAN], self.scatter[self.shared <= GAUSSIAN]
        if apart.size and together.size:
            found = "holds" if apart.min() > together.max() else "does not hold"
            found += f", ln σ scatters by {_range(apart)} above it, {_range(together)} below"
        else:
            where = "above" if apart.size else "below"
            found = f"is not tested, all layers are {where} it, where ln σ scatters by {_range(self.scatter)}"
        return f"D11's threshold {found}; σ is {self.ratio:.2g} × D4's, rank correlation {_range(self.ranks)}"

    def summary(self) -> dict[str, Any]:
        """Return kurtosis and scatter of ln σ by layer, and the rank correlation of widths with predicted ones."""
        return {
            "distances_among": self.among,
            "kurtosis_by_layer": self.shared.tolist(),
            "deviation_of_ln_width_by_layer": self.scatter.tolist(),
            "rank_correlation_with_prediction": interval(self.ranks),
            "width_over_predicted": self.ratio,
            "verdict": self.verdict(),
        }


def _range(values: Array) -> str:
    """Return the least and the largest value as text, or one if they are equal."""
    low, high = (f"{each:.2f}".replace("-", "−") for each in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def heads(runs: Runs) -> dict[str, Heads]:
    """Return the rows with a σ per head; none if no reader without a bell has its attention recorded."""
    readers = [run.distances.isel(moment=-1) for run in runs.get(NONE, ()) if "distances" in run]
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
    """Draw the kurtosis of useful distances and D11's threshold, and widths of heads beside D4's; means over seeds."""
    titles = ("Distances of readers without a bell", "σ of heads; filled: heads should part (D11)", "σ of heads (D4)")
    figure, ((left, middle, right),) = style.panels((12.6, 4.2 + 0.4 * len(rows)), 1, 3, titles=titles)
    for k, among in enumerate(AMONG):
        each = next((row for row in rows.values() if row.among == among), None)
        if each is not None:
            layers = _layers(each) + 0.12 * k
            left.plot(layers, each.shared, label=f"all heads of a layer, {among}", **style.line(k))
            single: Any = style.marks(k, 3.0) | {"alpha": 0.6, "label": f"a head each, {among}"}
            left.plot(np.repeat(layers, each.kurtosis.shape[1]), each.kurtosis.ravel(), **single)
    left.axhline(GAUSSIAN, **style.THEORY, label="theory: D11's threshold, D4's width")
    left.set(xlabel="layer", ylabel="kurtosis of distances", yscale="log")
    for k, (name, each) in enumerate(rows.items(), start=len(AMONG)):
        widths, marks = each.widths.mean(axis=0), style.marks(k)
        for layer, heads_of, kurtosis in zip(_layers(each) + 0.12 * (k - 2), widths, each.shared, strict=True):
            filled = {"mfc": style.COLOURS[k]} if kurtosis > GAUSSIAN else {}
            middle.plot(np.full(heads_of.size, layer), heads_of, **marks | filled)
        right.plot(each.predicted.ravel(), widths.ravel(), **marks, label=f"σ of a head: {ROWS[name].title}")
    middle.set(xlabel="layer", ylabel="σ after training (tokens)", yscale="log")
    ends = [f(each.predicted) for each in rows.values() for f in (np.min, np.max)]
    right.plot([min(ends), max(ends)], [min(ends), max(ends)], **style.THEORY)
    right.set(xlabel="root mean square distance of the head's attention (tokens)", xscale="log", yscale="log")
    right.set_ylabel("σ after training (tokens)")
    style.legend_below(figure, 2)
    return style.entitled(figure, "\n".join(f"{name}: {each.verdict()}" for name, each in rows.items()))


def _layers(each: Heads) -> Array:
    return np.arange(1, len(each.shared) + 1, dtype=np.float64)
