"""Differences between rows of the experiment on questions, and what their figures show, on runs that are made up."""

import numpy as np
import pytest
import xarray as xr

from simulations.squad_cost import costs_of
from simulations.squad_differences import Difference, difference, differences, goal
from simulations.squad_figures import differences_figure, drawings, learning_figure
from simulations.squad_rows import COMPARED, ROWS

QUESTIONS, STEPS = 8, 4


def run(f1: float, *, seed: int = 0, pairs: float = 1.0, width: float = 1.0) -> xr.Dataset:
    """Return a run with F1 0 on the first half of the questions, which are those that readers are evaluated on."""
    half = QUESTIONS // 2
    of_step = np.full((STEPS, 1, 1), width)
    return xr.Dataset(
        {
            "overlap": ("question", np.repeat([0.0, 2.0 * f1 / 100.0], half)),
            "attended": (("layer", "bell"), [[pairs]]),
            "width": (("step", "layer", "bell"), of_step),
            "judged": ("step", [np.nan, 0.0, np.nan, 0.0]),
            "loss": ("step", np.ones(STEPS)),
        },
        {"step": np.arange(STEPS)},
        {"seed": seed, "f1": f1, "em": f1, "row": "", "stage_2": STEPS},
    )


def test_a_difference_is_paired_by_seed_and_by_question() -> None:
    one = [run(40.0, seed=0), run(44.0, seed=1)]
    found = difference(one, [run(10.0, seed=1, pairs=0.25), run(0.0, seed=2)])
    assert found is not None
    assert found.by_seed == pytest.approx([34.0]), "of the one seed that both have"
    assert found.by_question == pytest.approx([0.0] * 4 + [68.0] * 4)
    assert found.pairs == (1.0, 0.25)
    told = found.summary()
    # Student's interval of eight questions, four of 0 and four of 68 points.
    assert told["mean"] == pytest.approx(34.0)
    assert told["high"] - told["mean"] == pytest.approx(2.3646 * 68.0 / 2.0 * (8 / 7) ** 0.5 / 8**0.5, rel=1e-4)
    assert difference(one, [run(0.0, seed=2)]) is None
    assert difference(one, ()) is None


@pytest.mark.parametrize(
    ("f1", "pairs", "told"),
    [
        (60.0, 0.2, "is reached by exempt-narrow; exempt-narrow less fixed: 0.0 points"),
        (60.0, 0.21, "is not reached"),
        (59.0, 0.2, "is not reached"),
    ],
)
def test_the_goal_needs_both_the_score_and_the_pairs(f1: float, pairs: float, told: str) -> None:
    runs = {"fixed": [run(60.0)], "exempt-narrow": [run(f1, pairs=pairs)], "exempt-3": [run(70.0, pairs=0.1)]}
    assert told in goal(runs)
    assert "is not tested" in goal({name: runs[name] for name in ("fixed", "exempt-3")}), "its σ is not trained"


def test_rows_stand_on_the_curve_of_what_a_width_costs() -> None:
    runs = {"fixed": [run(60.0, width=1e6)], "frozen-3": [run(20.0, width=3.0)], "narrow": [run(15.0)]}
    found = {each.name: each for each in costs_of(runs)}
    assert {name: (each.width, each.points) for name, each in found.items()} == {
        "frozen-3": (pytest.approx(3.0), pytest.approx(-40.0)),
        "narrow": (pytest.approx(1.0), pytest.approx(-45.0)),
    }
    assert "cost" in drawings(runs, differences(runs), 4)
    del runs["fixed"]
    assert "cost" not in drawings(runs, differences(runs), 4)


def test_f1_over_the_steps_is_that_of_the_same_questions_to_the_end() -> None:
    (panel,) = learning_figure({"fixed": [run(60.0)]}, QUESTIONS // 2).axes
    (curve,) = panel.lines
    assert np.array(curve.get_ydata()) == pytest.approx([0.0, 0.0, 0.0])
    # Negative control: over all questions the end has another height.
    (other,) = learning_figure({"fixed": [run(60.0)]}, QUESTIONS).axes[0].lines
    assert np.array(other.get_ydata())[-1] == pytest.approx(60.0)


@pytest.mark.parametrize(("questions", "known"), [(4, False), (5, True)])
def test_an_interval_is_drawn_and_told_of_five_questions_or_more(questions: int, known: bool) -> None:
    each = Difference(np.array([1.0, 3.0]), np.arange(float(questions)), (1.0, 0.2))
    (axes,) = differences_figure({"one, other": each}).axes
    (bar,) = axes.collections[0].get_paths()
    assert bool(np.isfinite(bar.vertices).all()) == known
    assert ("95 % interval" in axes.get_xlabel()) == known
    assert ("over questions" in str(each)) == known


def test_every_comparison_is_of_two_rows() -> None:
    assert {name for pair in COMPARED.values() for name in pair} <= set(ROWS)
