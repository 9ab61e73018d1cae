"""Claim: curves of one figure differ in grey, bands are what they say, and a legend names each curve once."""

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from attn_dynamics.results.figures import style


def test_sixteen_curves_differ_in_colour_or_stroke_and_eight_in_stroke_alone() -> None:
    lines = [style.line(k) for k in range(16)]
    assert len({str(each) for each in lines}) == 16
    assert len({str(each["linestyle"]) for each in lines[:8]}) == len({style.marks(k)["marker"] for k in range(8)}) == 8


@pytest.mark.parametrize(
    ("band", "middle", "edges"),
    [
        (style.range_band, 3.0, (1.0, 100.0)),
        # Student's t of 4 degrees of freedom at 97.5 %, t = 2.776445; s/√5 = 19.50641, of logarithms 0.796903, and
        # e^{0.796903 t} = 9.13906.
        (style.mean_band, 22.0, (22.0 - 2.776445 * 19.50641, 22.0 + 2.776445 * 19.50641)),
        (style.geometric_band, 2400**0.2, (2400**0.2 / 9.13906, 2400**0.2 * 9.13906)),
    ],
)
def test_a_band_is_what_it_says(band: style.Band, middle: float, edges: tuple[float, float]) -> None:
    low, found, high = band(np.array([[1.0], [2.0], [3.0], [4.0], [100.0]]))
    assert found[0] == pytest.approx(middle, rel=1e-5)
    assert (low[0], high[0]) == pytest.approx(edges, rel=1e-4)


def test_a_legend_names_each_curve_once_and_the_theory_last() -> None:
    figure, (row,) = style.panels((4.0, 3.0), 1, 2, titles=["$x$", "y"])
    for axes in row:
        axes.plot([0, 1], [0, 1], label="theory", **style.THEORY)
        axes.plot([0, 1], [0, 1], label="run", **style.line(0))
    style.legend_below(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["run", "theory"]
    assert [axes.get_title() for axes in row] == ["$x$", "y"]
    assert not row[0].title.get_parse_math(), "a title is plain text"


def test_names_of_lines_are_plain_text_even_where_they_look_like_none() -> None:
    axes = Figure().subplots()
    style.name_lines(axes, axes.plot([0, 1], [[0, 1], [1, 0]]), ["_it", "$x$"])
    legend = axes.get_legend()
    assert legend is not None
    texts = legend.get_texts()
    assert [text.get_text() for text in texts] == ["_it", "$x$"]
    assert not any(text.get_parse_math() for text in texts)


@pytest.mark.parametrize(("size", "number", "places"), [(10, 4, [0, 3, 6, 9]), (2, 24, [0, 1]), (1, 24, [0])])
def test_places_are_spread_from_first_to_last(size: int, number: int, places: list[int]) -> None:
    assert style.spaced(size, number) == places


def drawn(
    size: tuple[float, float], dpi: int, layout: Literal["constrained", "none"] | None = None
) -> tuple[Figure, Bbox]:
    """Two rows of panels with long labels, a title and a legend, drawn; and the smallest box that holds all texts."""
    figure, grid = style.panels(size, 2, 2, titles=["above"])
    for axes in grid.flat:
        axes.plot([0, 1], [-2e6, 3e6], label="run")
        axes.set(xlabel="horizontal", ylabel="vertical")
    style.legend_below(figure)
    style.entitled(figure, "title")
    if layout is not None:
        figure.set_layout_engine(layout)
    figure.savefig(BytesIO(), dpi=300)  # sizes of this resolution must not be remembered
    figure.savefig(BytesIO(), dpi=dpi)
    figure.set_dpi(dpi)
    return figure, figure.get_tightbbox()


def area(figure: Figure) -> float:
    """Share of a figure that its panels take."""
    return sum(axes.get_position().width * axes.get_position().height for axes in figure.axes)


@pytest.mark.parametrize("dpi", [60, 160])
def test_margins_hold_all_labels_at_any_resolution(dpi: int) -> None:
    """The panels take what labels leave, as in matplotlib's constrained layout; without one labels are cut off."""
    size = (3.2, 4.0)
    (figure, box), (constrained, _), (_, cut_off) = (drawn(size, dpi, each) for each in (None, "constrained", "none"))
    assert box.x0 >= 0.0
    assert box.y0 >= 0.0
    assert box.x1 <= size[0]
    assert box.y1 <= size[1]
    assert cut_off.x0 < 0.0
    assert area(figure) == pytest.approx(area(constrained), rel=0.2)


def test_a_figure_too_small_for_its_labels_is_drawn_all_the_same() -> None:
    figure, _ = drawn((1.0, 1.0), 160)
    assert all(axes.get_position().width > 0.0 for axes in figure.axes)


def _one(width: float) -> Figure:
    """Draw one panel,
    and nothing else.

    More of it.
    """
    return style.panels((width, 2.0))[0]


def test_a_file_says_what_its_figure_shows(tmp_path: Path) -> None:
    def labelled() -> Figure:
        figure = _one(2.0)
        figure.set_label("A label.")
        return figure

    drawn = {"told": partial(partial(_one), 2.0), "labelled": labelled, "untold": lambda: _one(2.0)}
    for name, draw in drawn.items():
        style.write_figure(draw, tmp_path / f"{name}.png")
    found = {}
    for name in drawn:
        with Image.open(tmp_path / f"{name}.png") as image:
            found[name] = image.info.get("Description", "")
    assert found == {"told": "One panel, and nothing else.", "labelled": "A label.", "untold": ""}


@pytest.mark.parametrize("decades", [0.5, 1.0, 1.3, 1.9, 2.0, 30.0])
def test_a_logarithmic_axis_has_two_labels_or_more(decades: float, tmp_path: Path) -> None:
    for begin in (-2.0, -1.6, -1.3):
        figure, ((axes,),) = style.panels((4.0, 3.0))
        axes.set(yscale="log", ylim=(10.0**begin, 10.0 ** (begin + decades)))
        style.write_figure(lambda figure=figure: figure, tmp_path / "axis.png")
        low, high = axes.get_ylim()
        ticks = [*axes.yaxis.get_major_ticks(), *axes.yaxis.get_minor_ticks()]
        labelled = [each for each in ticks if each.label1.get_text() and low <= each.get_loc() <= high]
        assert len(labelled) >= 2
