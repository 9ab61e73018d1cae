"""Figure of the scaling law under Zipf's frequencies: theory through sums over words and through the model (C12)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import zeta

from attn_dynamics.claims._support.exact_task import FIXED_HEAD, KEYS_FIXED
from attn_dynamics.claims._support.zipf_task import ZipfTask
from attn_dynamics.results.figures import style
from attn_dynamics.theory.zipf import late_zipf_loss, summed_loss, zipf_keys_factor, zipf_loss

Array = NDArray[np.float64]
EXPONENTS = (1.2, 1.5, 2.0)
SHOWN = 1.5
"""Exponent where one is shown."""
TASKS = {16: ZipfTask(SHOWN, 16, 4, 20, 64), 64: ZipfTask(SHOWN, 64, 4, 20, 512)}
"""Tasks of the model by their number of topic words; the rarest stands in one sentence."""
TRAINED, FIXED, ALONE = (
    TASKS[16].word(**setting)
    for setting in ({"train": FIXED_HEAD}, {"train": KEYS_FIXED}, {"train": KEYS_FIXED, "others": 1e-14})
)
"""Curves of one word, with keys trained, with keys fixed at zero, and with an attention of 1 from the start."""
KEYS = {"keys fixed at zero": FIXED, "keys trained": TRAINED, "attention 1 from the start": ALONE}
TITLES = (
    "loss by exponent α, V → ∞",
    "local exponent, V → ∞",
    f"V words, α = {SHOWN}; the integral takes many",
    f"what keys do, α = {SHOWN}, V → ∞",
)


def zipf(quick: bool) -> Figure:
    """Draw loss and local exponent over time, the bend of a finite vocabulary, and keys trained beside fixed."""
    figure, panels = style.panels((9.4, 7.2), 2, 2, titles=TITLES, layout="constrained")
    times = np.logspace(0, 10, 81)
    _by_exponent(panels[0, 0], times)
    _slopes(panels[0, 1], times)
    _finite(panels[1, 0], times, 3e3 if quick else 3e4)
    _keys(panels[1, 1], times)
    for axes in panels.ravel():
        axes.set(xlabel=style.TIME, xscale="log")
    for axes in (panels[0, 0], *panels[1]):
        axes.set(ylabel="loss $L$ (nats)", yscale="log")
    return figure


def _by_exponent(axes: Axes, times: Array) -> None:
    few = times[:: len(times) // 20]
    for k, alpha in enumerate(EXPONENTS):
        law, late = zipf_loss(times, exponent=alpha, word=TRAINED), times > 1e3
        axes.plot(few, _summed(few, alpha), label=f"sum over words, α = {alpha}", **style.marks(k))
        axes.plot(times, law, label=f"integral, α = {alpha}", **style.line(k))
        axes.plot(times[late], late_zipf_loss(times[late], exponent=alpha, word=TRAINED), **style.DOTTED)
    axes.plot([], [], label=r"$A\,\tau^{-(1-1/\alpha)}-c/2\tau$", **style.DOTTED)
    axes.legend(loc="lower left")


def _summed(times: Array, alpha: float) -> Array:
    """Sum the first words one by one, and take the integral for the rest."""
    first = 3000
    rest = zipf_loss(times, exponent=alpha, word=TRAINED, first=first)
    return summed_loss(times, np.arange(1.0, first) ** -alpha / zeta(alpha), TRAINED) + rest


def _slopes(axes: Axes, times: Array) -> None:
    between = np.sqrt(times[1:] * times[:-1])
    for k, alpha in enumerate(EXPONENTS):
        for word, stroke, keys in ((TRAINED, "-", "trained"), (FIXED, "--", "fixed")):
            slope = -np.diff(np.log(zipf_loss(times, exponent=alpha, word=word))) / np.diff(np.log(times))
            look: Any = {"color": style.COLOURS[k], "linestyle": stroke, "marker": style.MARKERS[k], "mfc": "none"}
            label = f"α = {alpha}, keys {keys}"
            axes.plot(between, slope, label=label, ms=4, markevery=max(1, len(times) // 10), **look)
        axes.axhline(1 - 1 / alpha, linestyle=":", **style.REFERENCE)
        note = rf"$1-1/\alpha$, α = {alpha}"
        axes.annotate(note, (times[-1], 1 - 1 / alpha), (0, 5), textcoords="offset points", ha="right")
    axes.set(ylabel=r"$-d\ln L/d\ln\tau$", ylim=(0, 1.4))
    axes.legend(loc="upper right", ncols=2)


def _finite(axes: Axes, times: Array, longest: float) -> None:
    for k, words in enumerate((16, 64, 4096)):
        law = zipf_loss(times, exponent=SHOWN, word=TRAINED, words=words)
        axes.plot(times, law, label=f"integral and end terms, V = {words:,}", **style.line(k))
        if words in TASKS:
            end = longest if words == 64 else 3 * longest
            epochs = np.unique(np.geomspace(1, end, 14).astype(int))
            losses = TASKS[words].losses(1.0, int(epochs[-1]), train=FIXED_HEAD)
            axes.plot(epochs, losses[epochs], label=f"model, exact gradient, V = {words}", **style.marks(k))
    axes.plot(times, zipf_loss(times, exponent=SHOWN, word=TRAINED), label="V → ∞", **style.THEORY)
    axes.set(ylim=(1e-9, 3))
    axes.legend(loc="lower left")


def _keys(axes: Axes, times: Array) -> None:
    losses = {name: zipf_loss(times, exponent=SHOWN, word=word) for name, word in KEYS.items()}
    for k, (name, loss) in enumerate(losses.items()):
        axes.plot(times, loss, label=name, **style.line(k))
    fixed, trained, alone = (loss[-1] for loss in losses.values())
    factor = float(zipf_keys_factor(TASKS[16].others, SHOWN))
    axes.annotate(
        f"at the end fixed/trained {fixed / trained:.3f},\nfixed/attention 1 {fixed / alone:.3f}; theory {factor:.3f}",
        (0.98, 0.97),
        xycoords="axes fraction",
        ha="right",
        va="top",
    )
    axes.legend(loc="lower left")
