"""Figures of several widths: heads that part (theory D11), and the loop of one bell on two useful tokens (D12)."""

import numpy as np
from matplotlib.figure import Figure

from attn_dynamics.claims._support.several_widths import KINDS, courses, loop, phases
from attn_dynamics.claims.d11_parting_heads import FULL, QUICK, rates_by_power
from attn_dynamics.claims.d12_two_widths import in_one_sentence, measured_end
from attn_dynamics.results.figures import style, widths
from attn_dynamics.theory.two_widths import ends

RATIO = 8.0
"""Ratio of the distances whose heads are followed."""
NEAR, FAR = 10, 40
"""Distances of the loop."""


def heads(quick: bool) -> Figure:
    """Draw where two heads part, at which rate, and the course of their widths on both sides of a kurtosis of 3."""
    figure, ((left, middle, right),) = style.panels((11.0, 4.3), 1, 3, layout="constrained")
    size = 6 if quick else 14
    found = phases(np.geomspace(2.2, 14.0, size), np.linspace(0.03, 0.45, size))
    widths.draw_phases(left, [(each.ratio, each.share, each.kind) for each in found], KINDS)
    widths.draw_rates(middle, rates_by_power(QUICK if quick else FULL))
    widths.draw_courses(right, courses(RATIO, (0.30, 0.32)))
    widths.legends_below((left, middle, right))
    return figure


def hysteresis(quick: bool) -> Figure:
    """Draw the loop of a width up and down in r₂/r₁, and its ends over the ratio of the distances."""
    figure, ((left, right),) = style.panels((9.0, 4.0), 1, 2, layout="constrained")
    low, high = ends(NEAR, FAR)
    odds = np.geomspace(0.6 * low, 1.6 * high, 12 if quick else 40)
    widths.draw_loop(left, NEAR, FAR, odds, *loop(NEAR, FAR, odds))
    measured = []
    for far in (34, 40) if quick else (32, 33, 34, 36, 38, 40):
        both = (measured_end(NEAR, far, in_one_sentence, upper=upper) for upper in (False, True))
        measured.append((far / NEAR, *both))
    widths.draw_ends(right, measured, 4.2)
    widths.legends_below((left, right))
    return figure
