"""Style of all figures: strokes that differ in grey, panels, bands over samples, theory beside runs, legends, files."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any
from warnings import catch_warnings, filterwarnings

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator, NullFormatter, ScalarFormatter
from numpy.typing import ArrayLike, NDArray

from attn_dynamics.check import Array
from attn_dynamics.errors import DrawingError
from attn_dynamics.files.storage import make_folder, write_whole
from attn_dynamics.results.figures.layout import Margins
from attn_dynamics.statistics import FEWEST, mean_interval

Band = Callable[[Array], tuple[Array, Array, Array]]
"""Function from samples (samples, x) to the lower edge, the middle and the upper edge of a band."""

Of = str | Callable[[xr.Dataset], ArrayLike]
"""Values of a run over time: the name of a variable, or a function."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#7F7F7F")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (6, 1, 2, 1)), (0, (8, 2, 2, 2)))
MARKERS = "osD^vP*X"
REFERENCE: Any = {"color": "black", "linewidth": 0.8}
"""Style of reference lines, such as the line at 0."""
THEORY: Any = {"color": "black", "linewidth": 1.2}
"""Style of a curve of the theory."""
DOTTED: Any = THEORY | {"linestyle": (0, (1, 3))}
"""Style of a theory curve that is drawn on top of the run that it predicts."""
STYLE: Any = {
    # Override any matplotlibrc, whether its font or its `text.usetex`, so that figures always look alike.
    **{name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")},
    "axes.formatter.limits": (-3, 4),
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.0,
    "figure.dpi": 160,
    "font.size": 9.0,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
}
TITLE_LETTERS = 12
"""Number of characters of a title per inch."""
TIME = "time, learning rate × epoch"
PREDICTION = "mean field, theory C9, C10"
QUANTITIES = {"score": "score s", "embedding_norm": "embedding norm ‖ν‖", "attention": "mean attention weight"}
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


# --- strokes and panels


def line(k: int) -> Any:
    """Return colour and dashes of the k-th curve."""
    return {"color": COLOURS[k % len(COLOURS)], "linestyle": LINES[(k + k // len(COLOURS)) % len(LINES)]}


def marks(k: int, size: float = 4.0) -> Any:
    """Return colour and hollow marker of the k-th set of points, which no line joins."""
    return {"color": COLOURS[k], "marker": MARKERS[k], "ms": size, "mfc": "none", "linestyle": "none"}


def panels(
    size: tuple[float, float],
    rows: int = 1,
    columns: int = 1,
    *,
    titles: Iterable[str] = (),
    layout: Any = None,
    **shared: Any,
) -> tuple[Figure, NDArray[Any]]:
    """Return a figure of a size in inches and its axes (rows, columns), with plain-text titles above the first axes.

    The layout "constrained" takes longer, but leaves space for legends beside panels and slanted labels below them.
    """
    figure = Figure(figsize=size, layout=layout or Margins())
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    for each, title in zip(axes.ravel(), titles, strict=False):
        each.set_title(title, parse_math=False)
    return figure, axes


def spaced(size: int, number: int = 24) -> list[int]:
    """Return a number of evenly spaced indices among 0, …, size - 1."""
    return np.unique(np.linspace(0, size - 1, number).round().astype(int)).tolist()


# --- axes, legends and titles


def log_time(axes: Axes, time: np.ndarray) -> None:
    """Label the time axis and make it logarithmic, which drops the start at time 0."""
    axes.set_xlabel(TIME)
    if time.size > 1:
        axes.set_xscale("log", nonpositive="mask")


def scale(values: np.ndarray) -> str:
    """Return the scale of an axis: "log" if the values span more than a decade, else "linear".

    Within a decade the labels of a log axis are hard to read.
    """
    known = values[np.isfinite(values)]
    return "log" if known.size and known.max() > 10 * known.min() else "linear"


def entitled(figure: Figure, title: str) -> Figure:
    """Put a plain-text title above a figure, each line wrapped to its width, and return the figure."""
    lines = [fill(each, int(TITLE_LETTERS * figure.get_figwidth())) for each in title.splitlines()]
    figure.suptitle("\n".join(lines), parse_math=False, fontsize=10)
    return figure


def legend(target: Axes | Figure, **where: Any) -> None:
    """Add a legend to a panel, or to a figure one of all its panels; it names each curve once, theory last."""
    found: dict[str, Artist] = {}
    for axes in target.axes if isinstance(target, Figure) else [target]:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    black = {name for name, each in found.items() if isinstance(each, Line2D) and each.get_color() == "black"}
    names = sorted(found, key=lambda name: name in black)
    target.legend([found[name] for name in names], names, **where)


def legend_below(figure: Figure, columns: int = 5) -> None:
    """Add one legend below all panels."""
    legend(figure, loc="outside lower center", ncols=columns)


def name_lines(target: Axes | Figure | SubFigure, lines: Iterable[Artist], names: Sequence[str], **where: Any) -> None:
    """Add a legend that shows each name as plain text, even names like $x$ or _it."""
    for text in target.legend(list(lines), list(names), **where).get_texts():
        text.set_parse_math(False)


# --- bands and points over samples


def mean_band(samples: Array) -> tuple[Array, Array, Array]:
    """Return the lower end of the 95 % interval of the mean, the mean, and the upper end."""
    low, high = mean_interval(samples)
    return low, (low + high) / 2, high


def geometric_band(samples: Array) -> tuple[Array, Array, Array]:
    """Return the lower end of the 95 % interval of the geometric mean, the geometric mean, and the upper end."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low, middle, high = np.exp(mean_band(np.log(samples)))
    return low, middle, high


def range_band(samples: Array) -> tuple[Array, Array, Array]:
    """Return the least, the median and the largest of the samples."""
    low, middle, high = np.percentile(samples, (0.0, 50.0, 100.0), axis=0)
    return low, middle, high


def draw_band(
    axes: Axes, x: Array, samples: Array, k: int, label: str | None = None, *, band: Band = mean_band
) -> list[Line2D]:
    """Draw samples (samples, x) as a band with a middle line, or each as a thin line if there are fewer than five.

    Return the lines; the first has the label.
    """
    if len(samples) < FEWEST:
        lines = axes.plot(x, samples.T, linewidth=0.8, **line(k))
        lines[0].set_label(label)
        return lines
    low, middle, high = band(samples)
    if x.size:  # an empty band spoils the limits of the axes
        axes.fill_between(x, low, high, color=COLOURS[k], alpha=0.3, linewidth=0.0)
    return axes.plot(x, middle, label=label, **line(k))


def seeds_as(number: int, *, log: bool = False) -> str:
    """Return a description of how `draw_runs` shows this number of seeds."""
    mean = "geometric mean" if log else "mean"
    return f"{mean} and 95 % interval of {number} seeds" if number >= FEWEST else f"a line for each of {number} seeds"


def draw_points(
    axes: Axes, points: Mapping[float, Mapping[str, float]], k: int, label: str | None, *, sideways: bool = False
) -> None:
    """Draw means with error bars, each at its x, or if `sideways` at its y.

    `points` gives `mean`, `low` and `high` for each x. Where `low` and `high` are NaN, there is no error bar.
    """
    mean, low, high = (np.array([each[name] for each in points.values()]) for name in ("mean", "low", "high"))
    error, at = np.maximum([mean - low, high - mean], 0.0), list(points)
    style: Any = {"marker": MARKERS[k], "ms": 4, "capsize": 2.5, "label": label}
    if sideways:
        axes.errorbar(mean, at, xerr=error, **line(k) | style | {"linestyle": "none"})
    else:
        axes.errorbar(at, mean, yerr=error, **line(k) | style)


# --- runs and their predictions


def draw_runs(
    axes: Axes,
    runs: Sequence[xr.Dataset],
    of: Of,
    k: int,
    label: str | None = None,
    *,
    log: bool = False,
) -> None:
    """Draw values of runs over time with `draw_band`, without the start at time 0, which a log axis cannot show.

    With `log` the band is that of the geometric mean.
    """
    values, time = _values(runs, of), runs[0].time.values
    draw_band(axes, time[time > 0], values[:, time > 0], k, label, band=geometric_band if log else mean_band)


def draw_predicted(
    axes: Axes,
    runs: Sequence[xr.Dataset],
    of: Of,
    label: str | None = None,
    *,
    log: bool = False,
) -> None:
    """Draw the mean of the runs' mean-field predictions, or one line per run if there are fewer than five.

    Draw nothing if any run has no prediction. With `log` the mean is geometric.
    """
    if all("predicted" in run.dims for run in runs):
        time = runs[0].attrs["learning_rate"] * runs[0].predicted.values
        values = _values(runs, of)
        mean = np.exp(np.log(values).mean(axis=0)) if log else values.mean(axis=0)
        axes.plot(time, mean if len(runs) >= FEWEST else values.T, **DOTTED)[0].set_label(label)


def _values(runs: Sequence[xr.Dataset], of: Of) -> Array:
    return np.array([run[of].values if isinstance(of, str) else of(run) for run in runs], float)


# --- files


def draw_all(figures: Mapping[Path, Callable[[], Figure]]) -> list[Path]:
    """Draw figures in the common style, write each as PNG into its folder, and return the paths.

    Raises:
        StorageError: a file could not be written.
        DrawingError: a figure could not be drawn; the others are written.
    """
    failed = []
    for path, draw in figures.items():
        make_folder(path.parent)
        try:
            write_figure(draw, path)
        except DrawingError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return list(figures)


def write_figure(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure in the common style and write it as a PNG file that carries a description.

    The description is the figure's label, or else the first sentences of the docstring of the function that draws it.

    Raises:
        StorageError: the file could not be written.
        DrawingError: the figure could not be drawn.
    """
    buffer = BytesIO()
    try:
        with mpl.rc_context(STYLE), np.errstate(over="ignore", invalid="ignore", divide="ignore"), catch_warnings():
            filterwarnings("ignore", "Data has no positive values")  # the empty panel shows this
            filterwarnings("ignore", "Glyph")  # letters that the font lacks; `save_figures` reports them once
            # `savefig` would draw everything a second time for its layout.
            figure = _plainly_labelled(draw())
            sentence = {"Description": str(figure.get_label()) or shown(draw)}
            FigureCanvasAgg(figure).print_png(buffer, metadata=sentence, pil_kwargs={"compress_level": 1})
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DrawingError(path, reason) from error
    write_whole(path, lambda file: file.write(buffer.getbuffer()))


def shown(draw: Callable[..., Figure]) -> str:
    """Return what a function draws, by the first sentences of its docstring; "" without one."""
    while isinstance(draw, partial):
        draw = draw.func
    text = (inspect.getdoc(draw) or "").split("\n\n")[0].removeprefix("Draw ")
    return " ".join((text[:1].upper() + text[1:]).split())


def _plainly_labelled(figure: Figure) -> Figure:
    """Set the ticks of logarithmic axes: labels like 27.5 instead of 2.75 × 10¹ if they span less than two decades.

    Axes of a decade or more have minor ticks at 2 and 5 only, because eight per decade take a third of the drawing
    time.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            if axis.get_scale() != "log" or not isinstance(axis.get_major_formatter(), LogFormatter):
                continue
            short = high < 100 * low  # powers of ten alone would label one tick
            axis.set_major_formatter(ScalarFormatter(useOffset=False) if short else FuncFormatter(_power))
            axis.set_minor_formatter(ScalarFormatter(useOffset=False) if short else NullFormatter())
            if high >= 10 * low:
                axis.set_minor_locator(LogLocator(subs=(2, 5)))
    return figure


def _power(value: float, place: object) -> str:
    """Write a power of ten in plain text, because formulas take several times as long to draw."""
    return f"10{str(round(np.log10(value))).translate(RAISED)}"
