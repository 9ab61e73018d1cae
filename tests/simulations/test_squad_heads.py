"""Widths of heads on questions beside the distances of readers without a bell, on distributions that are known."""

import numpy as np
import pytest
import xarray as xr

from simulations.squad_heads import AMONG, heads, heads_figure

PLACES = np.arange(400)
WIDTHS = np.array([[3.0, 30.0], [5.0, 5.0]])
"""Width σ of the bells by which two layers of two heads attend, tokens."""


def reader() -> xr.Dataset:
    """Return the record of a reader that attends by bells, within the passage; among all tokens evenly."""
    bells = np.exp(-((PLACES / WIDTHS[..., None]) ** 2) / 2.0) * np.where(PLACES, 2.0, 1.0)
    shares = np.array([np.ones_like(bells), bells])
    found = np.array([np.roll(shares, 1, axis=-1), shares / shares.sum(axis=-1, keepdims=True)])
    return xr.Dataset({"distances": (("moment", "among", "depth", "head", "distance"), found)}, {"among": [*AMONG]})


def trained(widths: np.ndarray) -> xr.Dataset:
    return xr.Dataset({"width": (("step", "layer", "bell"), np.array([np.ones_like(widths), widths]))})


def test_a_reader_that_attends_by_bells_predicts_their_widths() -> None:
    found = heads({"fixed": [reader(), reader()], "exempt-narrow": [trained(2.0 * WIDTHS), trained(2.0 / WIDTHS)]})
    (row,) = found.values()
    assert row.among == "passage"
    assert row.predicted == pytest.approx(WIDTHS, rel=1e-9)
    assert row.kurtosis == pytest.approx(np.full((2, 2), 3.0), rel=1e-6)
    # Two bells together: E δ⁴/(E δ²)² = 3 (σ₁⁴ + σ₂⁴)/2 / ((σ₁² + σ₂²)/2)².
    mixed = 6.0 * (3.0**4 + 30.0**4) / (3.0**2 + 30.0**2) ** 2
    assert row.shared == pytest.approx([mixed, 3.0], rel=1e-6)
    told = row.summary()
    assert told["rank_correlation_with_prediction"]["mean"] == pytest.approx(0.0, abs=1e-12), "one seed ranks inversely"
    assert told["deviation_of_ln_width_by_layer"] == pytest.approx([np.log(10.0) / 2.0, 0.0])


def test_rows_without_exempt_tokens_are_set_beside_all_distances() -> None:
    (row,) = heads({"fixed": [reader()], "narrow-heads": [trained(WIDTHS)]}).values()
    assert row.among == "all tokens"
    assert np.ptp(row.predicted) == 0.0, "even attention knows no head from another"


def test_readers_without_a_record_of_attention_predict_nothing() -> None:
    assert heads({"fixed": [trained(WIDTHS)], "narrow-heads": [trained(WIDTHS)]}) == {}
    assert heads({"narrow-heads": [trained(WIDTHS)]}) == {}
    assert heads({"fixed": [reader()], "wide": [trained(WIDTHS)]}) == {}


def test_the_figure_sets_theory_beside_heads_and_says_whether_it_holds() -> None:
    runs = {"fixed": [reader()], "exempt-narrow": [trained(WIDTHS)], "exempt-wide": [trained(WIDTHS)]}
    figure = heads_figure(heads(runs))
    assert "theory: D11's threshold, D4's width" in figure.axes[0].get_legend_handles_labels()[1]
    assert "exempt-narrow: D11's threshold" in figure.get_suptitle()


def test_the_verdict_on_the_threshold() -> None:
    """The first layer has a kurtosis of 5.88, so its heads should part, and those of the second, of 3 at most, not."""

    def verdict(widths: list[list[float]]) -> str:
        at = {"fixed": [reader()], "exempt-narrow": [trained(np.array(widths))]}
        (row,) = heads(at).values()
        return row._replace(shared=row.shared - 1e-6).verdict()  # 3 up to round-off

    assert "threshold holds, ln σ scatters by 1.15 above it, 0.00 below" in verdict([[3.0, 30.0], [5.0, 5.0]])
    # Negative controls: the heads of the other layer part, and all layers lie on one side of the threshold.
    assert "threshold does not hold" in verdict([[5.0, 5.0], [3.0, 30.0]])
    (row,) = heads({"fixed": [reader()], "exempt-narrow": [trained(WIDTHS)]}).values()
    assert "is not tested, all layers are above it" in row._replace(shared=row.shared + 1.0).verdict()
