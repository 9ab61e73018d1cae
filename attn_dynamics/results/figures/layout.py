"""Layout of panels: margins for labels, titles and legends, from one measurement of the vertical axes.

Matplotlib's constrained layout measures every axis twice, which takes longer than drawing the figure.
"""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine

PAD = 0.06
"""Space around the figure and between its parts, inches."""
ASIDE = 0.17
"""Space right of a panel, inches: half of the last label of its horizontal axis."""
TICKS = 0.24
"""Height of the labels of a horizontal axis, inches; those of a logarithmic axis have exponents."""


class Margins(LayoutEngine):
    """Place a grid of panels of equal sizes below the figure's title and above its legend."""

    _adjust_compatible = True
    _colorbar_gridspec = True

    def execute(self, fig: Figure) -> None:
        """Measure the labels, titles and legends around the panels, and set the margins of the figure."""
        (width, height), renderer = fig.get_size_inches(), fig._get_renderer()  # pyright: ignore[reportAttributeAccessIssue]
        spec: Any = fig.axes[0].get_subplotspec()
        rows, columns = spec.get_gridspec().get_geometry()
        sides = np.array([_around(axes, renderer) for axes in fig.axes]).reshape(rows, columns, 3)
        left, above, below = sides[..., 0].max(axis=0), sides[..., 1].max(axis=1), sides[..., 2].max(axis=1)
        title = getattr(fig, "_suptitle", None)
        if title is not None:
            title.set_y(1.0 - PAD / height)
            above[0] += _height(title, renderer) + PAD
        below[-1] += sum(_height(legend, renderer) for legend in fig.legends) + PAD
        across = max(left[1:], default=0.0) + ASIDE
        between = max(below[:-1] + above[1:], default=0.0) + PAD
        wide = (width - left[0] - PAD - (columns - 1) * across - ASIDE) / columns
        high = (height - above[0] - PAD - (rows - 1) * between - below[-1]) / rows
        if min(wide, high) > 0.0:  # a figure that is too small for its labels keeps its margins
            fig.subplots_adjust(
                left=(left[0] + PAD) / width,
                right=1.0 - ASIDE / width,
                bottom=below[-1] / height,
                top=1.0 - (above[0] + PAD) / height,
                wspace=across / wide,
                hspace=between / high,
            )


def _around(axes: Axes, renderer: Any) -> tuple[float, float, float]:
    """Return how far labels and titles extend beyond a panel to the left, above and below, inches."""
    if not axes.axison:
        return 0.0, 0.0, 0.0
    box, dpi, label = axes.yaxis.get_tightbbox(renderer, for_layout_only=True), axes.figure.dpi, axes.xaxis.label
    left, above = (axes.bbox.x0 - box.x0, box.y1 - axes.bbox.y1) if box else (0.0, 0.0)
    title = _height(axes.title, renderer) + PAD if axes.get_title() else 0.0
    named = _height(label, renderer) + PAD if label.get_text() and label.get_visible() else 0.0
    ticks = TICKS if axes.xaxis.get_tick_params().get("labelbottom", True) else 0.0
    return max(0.0, left) / dpi, max(0.0, above) / dpi + title, named + ticks


def _height(artist: Artist, renderer: Any) -> float:
    """Return the height of a text or a legend, inches."""
    return artist.get_window_extent(renderer).height / renderer.dpi
