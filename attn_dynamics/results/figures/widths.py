"""Figures of several widths: parting heads, and the loop of one bell on two useful tokens (theory D11, D12)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from attn_dynamics.check import Array
from attn_dynamics.results.figures import style
from attn_dynamics.theory.parting_heads import far_shares, least_ratio, tricritical_share
from attn_dynamics.theory.two_widths import ends, log_odds_at, width_at

POINTS: Sequence[Any] = (
    {"marker": "x", "ms": 4.5, "color": style.COLOURS[7]},
    {"marker": "D", "ms": 4, "mfc": "none", "color": style.COLOURS[0]},
    {"marker": "o", "ms": 4.5, "color": style.COLOURS[1]},
)
"""Markers of three ways in which two heads end."""
KERNELS = {2.0: "bell", 1.0: "ALiBi"}


def legends_below(row: Iterable[Axes]) -> None:
    """Add a legend below each panel of a row."""
    for axes in row:
        style.legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=7.5)


def draw_phases(
    axes: Axes, found: Sequence[tuple[float, float, str]], kinds: Sequence[str], power: float = 2.0
) -> None:
    """Draw how two heads end, over the share of the far distance and the ratio of the distances, beside D11.

    Args:
        axes: panel.
        found: ratio δ₂/δ₁, far share, and how the heads end.
        kinds: ways in which they can end, in the order of `POINTS`.
        power: power p of the kernel.
    """
    highest = max(ratio for ratio, _, _ in found)
    ratios = np.geomspace(1.0001 * least_ratio(power), 1.15 * highest, 400)
    low, high = far_shares(ratios, power)
    axes.fill_betweenx(ratios, low, high, color=style.COLOURS[1], alpha=0.12, linewidth=0.0)
    name = "kurtosis 3, theory D11" if power == 2.0 else "CV² = p, theory D11"
    axes.plot(np.concatenate([low[::-1], high]), np.concatenate([ratios[::-1], ratios]), label=name, **style.THEORY)
    turn = tricritical_share(power)
    where = (1.0 + 1.0 / (np.sqrt(turn * (1.0 - turn) / power) - turn)) ** (1.0 / power)
    axes.plot(
        turn, where, "*", ms=11, color="black", mfc="white", label="left of it smooth, right of it a jump", zorder=4
    )
    for kind, how in zip(kinds, POINTS, strict=True):
        points = [(share, ratio) for ratio, share, each in found if each == kind]
        if points:
            axes.plot(*zip(*points, strict=True), linestyle="none", label=f"two heads {kind}", **how)
    axes.set(xlabel="share $f$ of the far distance", yscale="log", xlim=(0.0, None))
    axes.set_ylabel(r"ratio of the distances, $\delta_2/\delta_1$")


def draw_rates(axes: Axes, found: Mapping[float, tuple[Array, Array]]) -> None:
    """Draw H times the measured parting rates over CV² (points,), by the power p of the kernel, beside CV² - p."""
    for k, (power, (scatter, rate)) in enumerate(found.items()):
        axes.plot(scatter, rate, label=f"{KERNELS[power]}, flow", **style.marks(k, 5.0))
    for k, (power, (scatter, _)) in enumerate(found.items()):
        line = np.array([0.0, 1.05 * scatter.max()])
        axes.plot(line, line - power, label=rf"{KERNELS[power]}, CV$^2$ - {power:g}", **style.line(k))
    axes.axhline(0.0, **style.REFERENCE)
    axes.set(
        xlabel=r"CV$^2$ of $|\delta|^p$; the bell's kurtosis less 1", ylabel=r"rate of parting times $H$, $1/\tau$"
    )


def draw_courses(axes: Axes, found: Mapping[str, tuple[Array, Array]]) -> None:
    """Draw the widths of heads (times, H) over times, by the name of the run."""
    for k, (name, (times, widths)) in enumerate(found.items()):
        axes.plot(times, widths, **style.line(k))[0].set_label(name)
    axes.set(xlabel=r"time $\tau$ of gradient flow", ylabel=r"widths $\sigma$ of two heads (tokens)", xscale="log")


def draw_loop(axes: Axes, near: float, far: float, odds: Array, up: Array, down: Array) -> None:
    """Draw the widths of a bell as r₂/r₁ rises and falls (odds,), beside the curve of its stationary widths (D12)."""
    shares = 1.0 / (1.0 + np.exp(-np.linspace(-40.0, 12.0, 4000)))
    log_odds, width = log_odds_at(shares, near, far), width_at(shares, near, far)
    low, high = far_shares(far / near)
    inside = (shares > low) & (shares < high)
    for mask, stroke, name in ((~inside, "-", "stable, theory D12"), (inside, "--", "unstable, theory D12")):
        if mask.any():
            curve = np.exp(np.where(mask, log_odds, np.nan))
            axes.plot(curve, width, label=name, **style.THEORY | {"linestyle": stroke})
    axes.plot(odds, up, label=r"flow, $r_2/r_1$ rising", **style.marks(0, 5.0) | {"marker": "^"})
    axes.plot(odds, down, label=r"flow, $r_2/r_1$ falling", **style.marks(1, 5.0) | {"marker": "v"})
    for each in ends(near, far):
        axes.axvline(each, linestyle=":", **style.REFERENCE)
    axes.set(xlabel=r"$r_2/r_1$, worth of the far token over the near", ylabel=r"width $\sigma$ (tokens)", xscale="log")
    axes.set_title(rf"$\delta_1$ = {near:g}, $\delta_2$ = {far:g} tokens")
    axes.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    axes.set(xlim=(odds[0] / 1.05, odds[-1] * 1.05), ylim=(0.0, 1.1 * far))


def draw_ends(axes: Axes, found: Sequence[tuple[float, float, float]], highest: float) -> None:
    """Draw the r₂/r₁ at which a width is lost, measured (ratio, lower, upper), over the ratio δ₂/δ₁, beside D12."""
    ratios = np.linspace(1.000001 * least_ratio(), highest, 400)
    low, high = np.array([ends(1.0, float(each)) for each in ratios]).T
    axes.fill_between(ratios, low, high, color=style.COLOURS[0], alpha=0.15, linewidth=0.0, label="two stable widths")
    axes.plot(np.append(ratios[::-1], ratios), np.append(low[::-1], high), label="theory D12", **style.THEORY)
    for k, (end, name) in enumerate(((2, "narrow width lost, flow"), (1, "wide width lost, flow"))):
        axes.plot([each[0] for each in found], [each[end] for each in found], label=name, **style.marks(k, 5.0))
    axes.axvline(least_ratio(), linestyle=":", **style.REFERENCE)
    axes.set(xlabel=r"ratio of the distances, $\delta_2/\delta_1$", ylabel=r"$r_2/r_1$ at the end", yscale="log")
    axes.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
