"""The figures of a run can be read: labelled, no text over another, in grey too, with the theory beside the run."""

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from attn_dynamics.commands import simulate
from attn_dynamics.results.figures import replicates as spread
from attn_dynamics.results.figures import run as run_figures
from attn_dynamics.results.figures.replicates import spread_figure
from attn_dynamics.results.figures.run import FIGURES, draw_figure, save_figures
from attn_dynamics.results.figures.style import STYLE, write_figure
from attn_dynamics.results.word_curves import sen_deviation, word_curves
from tests.commands import driving

TOLERANCE = 1.0
"""Pixels by which two texts may touch: glyphs do not fill their boxes."""

Runs = dict[str, xr.Dataset]
CASES = ("topic words", "no epochs", "text", "no relation")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The trajectories of runs that differ in what their figures show."""
    place = tmp_path_factory.mktemp("runs")
    text = ("--task", place / "films")
    wanted = {
        "topic words": ("--epochs", "1500"),
        "short": driving.TINY,
        "no epochs": ("--epochs", "0", *driving.TASK),
        "text": (*text, "--epochs", "400"),
        "one followed word": (*text, "--epochs", "50", "--follow", "good"),
        "unheard word": (*text, "--epochs", "50", "--follow", "unheard", "good"),
        "no relation": (*driving.TINY, "--train", "keys", "head"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(run_figures, "save_figures", driving.without_figures)
        with driving.film_folder(Path("films")).joinpath("test.txt").open("a", encoding="utf-8") as file:
            file.write("1 unheard\n")
        for name, arguments in wanted.items():
            assert simulate.main([*map(str, arguments), "--out", name]) == 0
        return {name: driving.trajectory(Path(name)) for name in wanted}


class Drawn:
    """Every figure of every case as it is saved, and the texts in it that collide; drawn when first asked for."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._kept: dict[tuple[str, str], tuple[Figure, list[str]]] = {}

    def __getitem__(self, wanted: tuple[str, str]) -> tuple[Figure, list[str]]:
        if wanted not in self._kept:
            case, name = wanted
            self._kept[wanted] = draw(self._runs[case], name)
        return self._kept[wanted]


@pytest.fixture(scope="module")
def drawn(runs: Runs) -> Drawn:
    return Drawn(runs)


def draw(run: xr.Dataset, name: str) -> tuple[Figure, list[str]]:
    figure = draw_figure(run, name)
    with mpl.rc_context(STYLE):
        return figure, collisions(figure)


every_figure = pytest.mark.parametrize("name", FIGURES)
every_case = pytest.mark.parametrize("case", CASES)


# --- what is read off a figure


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.axison]


def points(line: Line2D) -> np.ndarray:
    return np.asarray(line.get_xydata(), float)


def curves(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if np.isfinite(points(line)).all(axis=1).any()]


def dashes(line: Line2D) -> object:
    """Dash pattern and marker: all that is left of a line in grey."""
    # `get_linestyle` calls every pattern of one's own "--".
    pattern = line._unscaled_dash_pattern if line.get_linestyle() != "None" else None  # pyright: ignore[reportAttributeAccessIssue]
    return str(pattern), line.get_marker()


def alike_in_grey(axes: Axes) -> list[tuple[str, str]]:
    """Pairs of curves of different names that only their colour tells apart."""
    return [
        (str(one.get_label()), str(other.get_label()))
        for one, other in combinations(curves(axes), 2)
        if dashes(one) == dashes(other) and one.get_label() != other.get_label()
    ]


def outside_legends(figure: Figure) -> list[Legend]:
    """The legends of a figure and of its parts, which lie in no panel."""
    return [legend for part in (figure, *figure.subfigs) for legend in part.legends]


def legends(figure: Figure) -> list[list[str]]:
    found = [*outside_legends(figure), *(axes.get_legend() for axes in figure.axes)]
    return [[text.get_text() for text in legend.get_texts()] for legend in found if legend is not None]


def texts(figure: Figure) -> Iterator[Text]:
    """Every text that is seen."""
    yield from figure.texts
    if figure._suptitle is not None:  # pyright: ignore[reportAttributeAccessIssue]
        yield figure._suptitle  # pyright: ignore[reportAttributeAccessIssue]
    for legend in outside_legends(figure):
        yield from legend.get_texts()
    for axes in figure.axes:
        yield from axes.texts
        legend = axes.get_legend()
        if legend is not None:
            yield from legend.get_texts()
        if not axes.axison:
            continue
        yield axes.title
        for axis in (axes.xaxis, axes.yaxis):
            yield axis.label
            yield axis.get_offset_text()
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if low <= tick.get_loc() <= high:
                    yield tick.label1


def collisions(figure: Figure) -> list[str]:
    """Texts over each other or beyond the edge of the figure, drawn as they are saved."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes: dict[int, tuple[str, Bbox]] = {
        id(text): (text.get_text(), text.get_window_extent(canvas.get_renderer()))
        for text in texts(figure)
        if text.get_visible() and text.get_text().strip()
    }
    found = [
        f"“{text}” is cut off"
        for text, box in boxes.values()
        if box.x0 < figure.bbox.x0 - TOLERANCE
        or box.x1 > figure.bbox.x1 + TOLERANCE
        or box.y0 < figure.bbox.y0 - TOLERANCE
        or box.y1 > figure.bbox.y1 + TOLERANCE
    ]
    for (text, box), (other, beside) in combinations(boxes.values(), 2):
        width = min(box.x1, beside.x1) - max(box.x0, beside.x0)
        height = min(box.y1, beside.y1) - max(box.y0, beside.y0)
        if width > TOLERANCE and height > TOLERANCE:
            found.append(f"“{text}” over “{other}”")
    return found


# --- every figure


@every_case
@every_figure
def test_a_figure_can_be_read(case: str, name: str, drawn: Drawn, runs: Runs) -> None:
    """No text over another or cut off; every axis, curve and figure named; curves told apart without colour."""
    figure, found = drawn[case, name]
    assert found == []
    assert figure.get_suptitle() == runs[case].attrs["title"]
    assert panels(figure)
    assert legends(figure)
    named = {text for legend in legends(figure) for text in legend}
    assert all(text.strip() for text in named)
    for axes in panels(figure):
        assert axes.get_xlabel().strip()
        assert axes.get_ylabel().strip()
        assert {str(line.get_label()) for line in curves(axes)} <= named
        assert alike_in_grey(axes) == []
        assert curves(axes), axes.get_ylabel()
        assert case != "no epochs" or all(line.get_marker() not in ("", "None") for line in curves(axes))


@every_case
@every_figure
def test_the_start_leaves_no_stub_on_a_log_axis(case: str, name: str, drawn: Drawn) -> None:
    for axes in panels(drawn[case, name][0]):
        begins = min((points(line)[:, 0].min(initial=np.inf) for line in axes.lines), default=np.inf)
        if axes.get_xscale() == "log" and begins <= 0.0:
            with np.errstate(divide="ignore"):
                assert not np.isfinite(axes.xaxis.get_transform().transform([0.0])[0])


def test_a_title_names_no_folder(runs: Runs) -> None:
    assert runs["text"].attrs["title"] == "attn-tc on films, seed 0"
    assert Path(runs["text"].attrs["task"]).is_absolute(), "negative control: what it is shortened from"


def test_units_are_named(drawn: Drawn) -> None:
    labels = {
        name: [axes.get_ylabel() for axes in panels(drawn["topic words", name][0])]
        for name in ("sen", "loss", "signals")
    }
    assert labels["loss"][0] == "mean cross-entropy (nats)"
    assert "(%)" in labels["sen"][1]
    assert "nats" in labels["signals"][0]
    for name in ("loss", "words", "signals"):
        for axes in panels(drawn["topic words", name][0]):
            assert axes.get_xlabel() == "time, learning rate × epoch"


def test_times_and_accuracies_are_spread_out(drawn: Drawn, runs: Runs) -> None:
    """Log time for accuracy, which is 1 after a few epochs, and for words known at snapshots, which are marked."""
    _, accuracy = panels(drawn["topic words", "loss"][0])
    assert accuracy.get_xscale() == "log"
    for axes in panels(drawn["text", "words"][0]):
        assert axes.get_xscale() == "log"
        assert all(line.get_marker() != "None" and line.get_markevery() is None for line in axes.lines)
        times = set(points(axes.lines[0])[:, 0].tolist())
        assert times == {0.1 * epoch for epoch in runs["text"].snapshot.values}
    assert {axes.get_xscale() for axes in panels(drawn["topic words", "words"][0])} == {"linear"}


def test_every_signal_is_one_line_and_no_two_are_the_same(drawn: Drawn, runs: Runs) -> None:
    run, (signals, share) = runs["topic words"], panels(drawn["topic words", "signals"][0])
    shown = [np.log(points(line)[1:, 1]) for line in signals.lines]
    assert len(shown) == 2
    assert np.median(abs(shown[0] - shown[1])) > 0.1
    off = np.log(run.score_signal / run.followed_score_signal).values[1:]
    assert np.median(abs(off)) < 0.1, "negative control: what was a second line on the first"
    np.testing.assert_allclose(points(share.lines[0])[:, 1], 100 * (run.followed_score_signal / run.score_signal) ** 2)
    assert len(panels(drawn["text", "signals"][0])) == 1


# --- the theory beside the run


def test_every_word_has_its_prediction_in_its_own_colour(drawn: Drawn, runs: Runs) -> None:
    run = runs["topic words"]
    for axes, name in zip(panels(drawn["topic words", "words"][0]), ("score", "embedding_norm"), strict=False):
        measured, theory = axes.lines[:8], axes.lines[8:]
        assert len({line.get_color() for line in measured}) == len(theory) == 8
        for column, (ours, theirs) in enumerate(zip(measured, theory, strict=True)):
            assert theirs.get_color() == ours.get_color()
            assert (ours.get_linestyle(), theirs.get_marker()) == ("None", "None"), "alike in grey"
            np.testing.assert_array_equal(theirs.get_ydata(), run[f"predicted_{name}"].values[:, column])
            np.testing.assert_array_equal(ours.get_ydata(), run[name].values[:, column])


def theory_curves(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if "SEN" in str(line.get_label())]


def norm_by_hand(scores: np.ndarray, m: float, query_norm: float, s0: float, norm0: float) -> np.ndarray:
    return np.sqrt(norm0**2 + 2 / query_norm**2 * ((scores - s0) + (np.exp(scores) - np.exp(s0)) / m))


def test_the_relation_is_drawn_beside_the_topic_words(drawn: Drawn, runs: Runs) -> None:
    run, (left, right) = runs["topic words"], panels(drawn["topic words", "sen"][0])
    (theory,) = theory_curves(left)
    scores, norms = (np.asarray(values) for values in theory.get_data())
    first = run.isel(word=0, epoch=0)
    wanted = norm_by_hand(scores, 20.0, run.attrs["query_norm"], first.score.item(), first.embedding_norm.item())
    np.testing.assert_allclose(norms, wanted, rtol=1e-9)
    assert scores.max() == pytest.approx(run.score.max().item())
    assert len(curves(left)) == 1 + 8
    assert len(curves(right)) == 8
    for line in curves(left):
        if line is not theory:
            word = run.sel(word=str(line.get_label()))
            scores = points(line)[:, 0]
            assert set(scores.tolist()) <= set(word.score.values.tolist())
            assert scores[-1] == word.score.values[-1]


def test_the_deviation_is_that_of_the_run_from_the_curve(drawn: Drawn, runs: Runs) -> None:
    run, right = runs["topic words"], panels(drawn["topic words", "sen"][0])[1]
    for line in curves(right):
        one = run.sel(word=str(line.get_label()))
        s, norm = one.score.values, one.embedding_norm.values
        theory = norm_by_hand(s[1:], 20.0, run.attrs["query_norm"], s[0], norm[0])
        np.testing.assert_allclose(points(line)[:, 1], 100 * (norm[1:] / theory - 1), rtol=1e-6, atol=1e-9)


def test_the_relation_is_drawn_beside_every_word_of_text(drawn: Drawn) -> None:
    found = panels(drawn["text", "sen"][0])
    assert len(found) == 8
    for axes in found:
        assert len(theory_curves(axes)) == 1
        assert "m = " in axes.get_title()


def test_the_relation_is_drawn_beside_a_single_word(drawn: Drawn) -> None:
    assert theory_curves(panels(drawn["one followed word", "sen"][0])[0])


def test_where_the_relation_does_not_hold_it_is_not_drawn(drawn: Drawn) -> None:
    for axes in panels(drawn["no relation", "sen"][0]):
        assert theory_curves(axes) == []


def test_every_split_has_its_loss_and_accuracy(drawn: Drawn, runs: Runs) -> None:
    run, (left, right) = runs["text"], panels(drawn["text", "loss"][0])
    for axes, part in ((left, "loss"), (right, "accuracy")):
        by_name = {str(line.get_label()): line for line in axes.lines}
        best = f"lowest dev loss, epoch {run.attrs['best_epoch']}"
        assert {"train", "dev", "test", best} <= by_name.keys()
        for split in ("train", "dev", "test"):
            np.testing.assert_array_equal(by_name[split].get_ydata(), run[f"{split}_{part}"])
        assert points(by_name[best])[0, 0] == pytest.approx(0.1 * run.attrs["best_epoch"])


def test_the_distributions_hold_every_word_once(drawn: Drawn, runs: Runs) -> None:
    run = runs["topic words"]
    topic, seen = np.isin(run.vocabulary, run.word), run.frequency.values > 0
    for axes, name in zip(panels(drawn["topic words", "distributions"][0]), ("score", "embedding_norm"), strict=True):
        for line, chosen in zip(axes.lines, (seen & ~topic, topic), strict=True):
            x, share = points(line).T
            np.testing.assert_array_equal(x[1:], np.sort(run[f"all_{name}"].values[-1][chosen]))
            np.testing.assert_allclose(share, np.arange(chosen.sum() + 1) / chosen.sum())


# --- replicates in one figure

TOGETHER = ("topic words", "text", "no relation", "no epochs")


@pytest.fixture(scope="module")
def replicates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[xr.Dataset]]:
    """The trajectories of five runs each; on text they end at different epochs, with different leading words."""
    place = tmp_path_factory.mktemp("replicates")
    wanted = {
        "topic words": ("--epochs", "1500", *driving.TASK),
        "text": ("--task", "films", "--epochs", "3000", "--patience", "25"),
        "no relation": (*driving.TINY, "--train", "keys", "head"),
        "no epochs": ("--epochs", "0", *driving.TASK),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(run_figures, "save_figures", driving.without_figures)
        patch.setattr(spread, "save_replicates", driving.without_figures)
        contrary = driving.films(Path("contrary"), sentences=8, flipped=True, seed=3).read_text(encoding="utf-8")
        dev = driving.films(driving.film_folder(Path("films")) / "dev.txt", sentences=24, seed=2)
        dev.write_text(dev.read_text(encoding="utf-8") + contrary, encoding="utf-8")
        for name, arguments in wanted.items():
            assert simulate.main([*arguments, "--replicates", "5", "--out", name]) == 0
        return {name: [driving.trajectory(Path(name) / f"replicate-{k}") for k in range(5)] for name in wanted}


@pytest.fixture(scope="module")
def together(replicates: dict[str, list[xr.Dataset]]) -> dict[str, Figure]:
    return {case: spread_figure(runs) for case, runs in replicates.items()}


def bands(axes: Axes) -> list[tuple[float, float]]:
    """Lowest and highest value of each band at its last epoch."""
    found = []
    for band in axes.collections:
        vertices = np.asarray(band.get_paths()[0].vertices)
        last = vertices[vertices[:, 0] == vertices[:, 0].max(), 1]
        found.append((last.min(), last.max()))
    return found


@pytest.mark.parametrize("case", TOGETHER)
def test_the_figure_of_replicates_can_be_read(case: str, together: dict[str, Figure]) -> None:
    figure = together[case]
    with mpl.rc_context(STYLE):
        assert collisions(figure) == []
    named = {text for legend in legends(figure) for text in legend}
    for axes in panels(figure):
        assert alike_in_grey(axes) == []
        assert curves(axes)
        assert case != "no epochs" or all(line.get_marker() not in ("", "None") for line in curves(axes))
        assert {str(line.get_label()) for line in curves(axes)} <= named | {axes.get_title().strip("“”")}
    assert "5 replicates" in figure.get_suptitle()
    for axes in panels(figure):
        assert len(axes.collections) <= 3, "bands over each other are a cloud"
    told = [legend.get_window_extent() for legend in outside_legends(figure)]
    assert len(told) == (case in ("topic words", "text")), "of the SEN relation, whose points may lie anywhere"
    assert not [box for box in told for axes in panels(figure) if box.overlaps(axes.bbox)]


def test_the_words_of_reviews_fit_below_replicates(replicates: dict[str, list[xr.Dataset]]) -> None:
    figure = spread_figure([with_words_of_reviews(run) for run in replicates["topic words"]])
    with mpl.rc_context(STYLE):
        assert collisions(figure) == []


def test_lines_are_medians_and_bands_hold_what_lies_between(
    together: dict[str, Figure], replicates: dict[str, list[xr.Dataset]]
) -> None:
    losses, _, off, *words = panels(together["topic words"])
    runs = replicates["topic words"]
    shown = [(losses, [run[f"{split}_loss"].values[-1] for run in runs]) for split in ("train", "test")]
    shown += [(axes, [run.score.values[-1, column] for run in runs]) for column, axes in enumerate(words)]
    found = [*zip(curves(losses), bands(losses), strict=True)] + [(curves(axes)[0], bands(axes)[0]) for axes in words]
    assert len(found) == 10
    for (line, (low, high)), (_, each) in zip(found, shown, strict=True):
        assert points(line)[-1, 1] == np.median(each)
        assert min(each) <= low < np.median(each) < high <= max(each)
    assert [axes.get_title().strip("“”") for axes in words] == runs[0].word.values.tolist()
    largest = [[abs(sen_deviation(curve, run.attrs["query_norm"])[-1]) for curve in word_curves(run)] for run in runs]
    assert points(curves(off)[0])[-1, 1] == pytest.approx(100 * np.median(np.max(largest, axis=1)))


def test_fewer_than_five_replicates_are_a_line_each(replicates: dict[str, list[xr.Dataset]]) -> None:
    runs = replicates["topic words"][:4]
    losses, _, off, *words = panels(figure := spread_figure(runs))
    assert "each of 4 replicates is a thin line" in figure.get_suptitle()
    assert [len(curves(axes)) for axes in (losses, off, *words)] == [8, 4, *[4] * 8]
    assert not any(axes.collections for axes in panels(figure))
    ends = [points(line)[-1, 1] for line in curves(words[0])]
    assert ends == [run.score.values[-1, 0] for run in runs]


def test_every_replicate_stands_beside_the_curve_of_its_own_query(
    together: dict[str, Figure], replicates: dict[str, list[xr.Dataset]]
) -> None:
    relation = panels(together["topic words"])[1]
    (theory,) = theory_curves(relation)
    np.testing.assert_array_equal(points(theory)[:, 0], points(theory)[:, 1])
    runs = replicates["topic words"]
    assert len({run.attrs["query_norm"] for run in runs}) == 5
    shown = points(curves(relation)[0]).reshape(8, 5, -1, 2)[:, :, -1]
    for column in range(8):
        ends = []
        for run in runs:
            s, norm = run.score.values[:, column], run.embedding_norm.values[:, column]
            ends.append((norm_by_hand(s[-1:], 5.0, run.attrs["query_norm"], s[0], norm[0])[0], norm[-1]))
        np.testing.assert_allclose(shown[column], ends, rtol=1e-9)


def test_replicates_of_text_are_drawn_as_far_as_all_came_with_the_words_that_lead_in_most(
    together: dict[str, Figure], replicates: dict[str, list[xr.Dataset]]
) -> None:
    runs, (losses, _, _, *words) = replicates["text"], panels(together["text"])
    reached = min(run.sizes["epoch"] for run in runs)
    assert reached < max(run.sizes["epoch"] for run in runs), "the replicates stop together: this test shows nothing"
    assert points(curves(losses)[0])[-1, 0] == runs[0].time[reached - 1]
    common = max(set.intersection(*(set(run.snapshot.values.tolist()) for run in runs)))
    final = np.median([run.all_score.sel(snapshot=common) for run in runs], axis=0)
    leading = runs[0].vocabulary.values[np.argsort(-final)[:8]].tolist()
    assert [axes.get_title().strip("“”") for axes in words] == leading
    assert {axes.get_xscale() for axes in words} == {"log"}, "words known at snapshots alone"
    assert len({tuple(curve.word for curve in word_curves(run)) for run in runs}) > 1, (
        "all lead alike: it shows nothing"
    )


def test_replicates_to_which_the_relation_does_not_apply_are_not_set_beside_it(together: dict[str, Figure]) -> None:
    assert len(panels(together["no relation"])) == 1 + 8


@pytest.mark.parametrize("rate", ["0.1", *(pytest.param(rate, marks=pytest.mark.slow) for rate in ("1e6", "1e300"))])
def test_replicates_leave_their_figure_and_the_place_of_all_others(rate: str, call_drawing: driving.Call) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_figures, "save_figures", driving.without_figures)
        done = call_drawing(*driving.TINY, "--replicates", "2", "--learning-rate", rate, "--out", "here")
        assert done.code == (rate != "0.1")
        assert np.ptp(imread("here/figures/replicates.png")) > 0.5
        assert "Warning" not in done.err
        assert "here/figures" in done.out.splitlines()[-1]
        assert "here/replicate-0/figures" in done.out.splitlines()[-1]
        assert call_drawing(*driving.TINY, "--out", "here", "--overwrite").code == 0
    assert not Path("here/figures").exists()


@pytest.mark.slow
def test_replicates_that_were_cut_off_are_drawn_as_far_as_they_came(
    call: driving.Call, ctrl_c: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[int]] = []
    monkeypatch.setattr(spread, "save_replicates", lambda runs, _: drawn.append([run.sizes["epoch"] for run in runs]))
    ctrl_c(20)
    assert call(*driving.TINY, "--replicates", "3", "--out", "torn").code == 130
    ctrl_c(-1)
    assert call(*driving.TINY, "--replicates", "3", "--out", "torn", "--resume").code == 0
    assert min(drawn[0]) < 61
    assert drawn[1] == [61, 61, 61]


# --- words and names as they come


def followed(run: xr.Dataset, word: str) -> xr.Dataset:
    """A run whose first followed word is called something else."""
    old = str(run.word.values[0])
    return run.assign_coords(
        word=[word if each == old else each for each in run.word.values.tolist()],
        vocabulary=[word if each == old else each for each in run.vocabulary.values.tolist()],
    ).assign_attrs(topic_words=[word if each == old else each for each in run.attrs["topic_words"]])


@pytest.mark.parametrize(
    ("word", "name"), [("$x$", "words"), (r"$\frac$", "sen"), ("_it", "sen"), ("_it", "words"), ("a_{b%#", "words")]
)
def test_a_word_is_named_as_it_is(word: str, name: str, runs: Runs) -> None:
    figure, _ = draw(followed(runs["short"], word), name)
    assert any(word in text.replace("\\$", "$") for legend in legends(figure) for text in legend)
    for text in texts(figure):
        if word in text.get_text():
            assert "$" not in word or not text.get_parse_math()


def test_a_word_that_training_never_sees_can_be_drawn(runs: Runs, tmp_path: Path) -> None:
    saved = save_figures(runs["unheard word"], tmp_path / "figures")
    assert [path.name for path in saved] == [f"{name}.png" for name in FIGURES]


def test_the_name_of_a_task_may_be_long(runs: Runs) -> None:
    name = "reviews_2013_stanford-sentiment-treebank_sentences_lower-case_stsa.binary"
    run = runs["short"].assign_attrs(title=f"attn-tc on {name}, seed 1234")
    assert draw(run, "loss")[1] == []


def test_dollars_in_a_path_are_no_formula(runs: Runs) -> None:
    draw(runs["short"].assign_attrs(title=r"attn-tc on /data/$\frac$, seed 0"), "loss")


def with_words_of_reviews(run: xr.Dataset) -> xr.Dataset:
    words = "disappointing performances heartbreaking entertaining unfortunately thoughtful captivating overwhelming"
    new = dict(zip(run.word.values.tolist(), words.split(), strict=True))
    names = ("word", "vocabulary")
    return run.assign_coords({name: [new.get(word, word) for word in run[name].values.tolist()] for name in names})


@pytest.mark.parametrize("name", ["words", "sen"])
def test_the_words_of_reviews_fit(name: str, runs: Runs) -> None:
    assert draw(with_words_of_reviews(runs["short"]), name)[1] == []


# --- the checks themselves


def test_texts_over_each_other_are_found() -> None:
    figure = Figure(figsize=(4, 3))
    figure.suptitle("measured")
    figure.text(0.5, 0.97, "predicted", ha="center", va="top")
    (found,) = collisions(figure)
    assert {"“measured”", "“predicted”"} == set(found.split(" over "))
    figure.text(0.99, 0.3, "beyond")
    assert "“beyond” is cut off" in collisions(figure)


@pytest.mark.parametrize(("high", "plain"), [(35.0, True), (3500.0, False)])
def test_a_logarithmic_axis_within_a_decade_has_plain_numbers(high: float, plain: bool, tmp_path: Path) -> None:
    figure = Figure(figsize=(4.0, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.plot([1.0, 2.0], [26.0, high])
    axes.set_yscale("log")
    write_figure(lambda: figure, tmp_path / "one.png")
    ticks = [*axes.yaxis.get_major_ticks(), *axes.yaxis.get_minor_ticks()]
    told = [tick.label1.get_text() for tick in ticks if tick.label1.get_text()]
    assert told
    assert ("10³" in told) != plain, told


def test_crowded_ticks_are_found() -> None:
    figure = Figure(figsize=(1.5, 1.5))
    axes = figure.subplots()
    axes.set_xticks(range(10), [f"{tick}.000" for tick in range(10)])
    assert any("over" in each for each in collisions(figure))


def test_curves_of_different_colour_alone_are_found() -> None:
    axes = Figure().subplots()
    axes.plot([0, 1], [0, 1], color="red", label="one")
    axes.plot([0, 1], [1, 0], color="green", label="two")
    axes.plot([0, 1], [1, 1], "--", label="three")
    axes.plot([0, 1], [1, 2], linestyle=(0, (5, 1)), label="four")
    assert alike_in_grey(axes) == [("one", "two")]
