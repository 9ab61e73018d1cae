"""Claim: the exact gradient of a windowed layer is autograd's to 1e-10, in every placement, scale and readout."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import Bell
from attn_dynamics.model.heads import FixedLinear
from attn_dynamics.window.layer import Layer, LayerGradient, loss_and_gradient, loss_at
from attn_dynamics.window.readout import CrossEntropy, Reward
from attn_dynamics.window.windows import Windows
from tests.support import FORMULAS, examples
from tests.window.drawn import KINDS, Setting, cases, round_off, setting

TOLERANCE = 1e-10
CASES = 30
"""Of each of nine kinds, with any readout: 270 in all."""
NAMES = ("scores", "values", "parameter")


def bell_of(placement: str, scale: str, p: Tensor, distance: float) -> Tensor:
    """U(Δ) once more, as it is printed."""
    square = {"deviation": p**2, "variance": p, "log": torch.exp(p) ** 2}[scale]
    high = torch.exp(p) if scale == "log" else p
    bell = torch.exp(-(distance**2) / (2 * square))
    return bell / (high * (2 * torch.pi) ** 0.5) if placement == "product" else bell


def loss_of(case: Setting, leaves: dict[str, Tensor]) -> Tensor:
    """The loss, a query and a token at a time."""
    bell, readout, losses = case.layer.bell, case.layer.readout, []
    for (sequence, position), label in zip(case.queries, case.labels, strict=True):
        seen = [
            (word, float(place - position), case.free(sequence, place, position))
            for place, word in enumerate(case.sequences[sequence])
            if case.cut is None or abs(place - position) <= case.cut or case.free(sequence, place, position)
        ]
        one = torch.ones((), dtype=torch.float64)
        bells = torch.stack(
            [one if free else bell_of(bell.placement, bell.scale, leaves["parameter"], far) for _, far, free in seen]
        )
        words = [word for word, _, _ in seen]
        scores = torch.exp(leaves["scores"][words] - leaves["scores"].detach()[words].max())
        if bell.placement == "renormalised":
            weights = scores * bells / (scores * bells).sum()
        else:
            weights = scores / scores.sum() * bells
        context = weights @ leaves["values"][words]
        if isinstance(readout, CrossEntropy):
            logits = FORMULAS[type(readout.head)](leaves, context[None])
            losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor([label])))
        else:
            losses.append(-context[label] if isinstance(readout, Reward) else -torch.log(context[label]))
    return torch.stack(losses).mean()


def autograd(case: Setting) -> tuple[float, dict[str, np.ndarray]]:
    """Loss and gradient of every array by name."""
    arrays = {name: np.asarray(getattr(case.layer, name)) for name in NAMES}
    if isinstance(case.layer.readout, CrossEntropy):
        arrays |= case.layer.readout.head.arrays()
    leaves = {name: torch.tensor(each, dtype=torch.float64, requires_grad=True) for name, each in arrays.items()}
    loss = loss_of(case, leaves)
    loss.backward()
    slopes = {name: torch.zeros_like(each) if each.grad is None else each.grad for name, each in leaves.items()}
    return loss.item(), {name: each.numpy() for name, each in slopes.items()}


def errors(case: Setting, gradient: LayerGradient) -> dict[str, float]:
    """Relative to the array's size, or a thousandth of the largest where its own terms cancel, beyond round-off."""
    theirs, allowed = autograd(case)[1], round_off(case)
    ours = {name: np.asarray(getattr(gradient, name)) for name in NAMES} | gradient.head
    whole = max(float(np.abs(each).max()) for each in theirs.values())
    return {
        name: max(0.0, float(np.abs(each - theirs[name]).max()) - allowed.get(name, 0.0))
        / max(float(np.abs(theirs[name]).max()), 1e-3 * whole, np.finfo(float).tiny)
        for name, each in ours.items()
    }


@pytest.mark.parametrize(("placement", "scale"), KINDS)
@settings(max_examples=examples(CASES))
@given(data=st.data())
def test_the_gradient_is_that_of_autograd(placement: str, scale: str, data: st.DataObject) -> None:
    case = data.draw(cases(placement, scale, exempt=True))
    fit, gradient = loss_and_gradient(case.windows, case.layer)
    assume(np.isfinite(fit.loss))
    assert fit.loss == pytest.approx(autograd(case)[0], rel=TOLERANCE, abs=1e-13)
    assert max(errors(case, gradient).values()) <= TOLERANCE
    if isinstance(case.layer.readout, CrossEntropy):
        assert set(gradient.head) == set(case.layer.readout.head.trained)


@pytest.mark.parametrize("broken", NAMES)
def test_a_wrong_gradient_is_noticed(broken: str) -> None:
    """Negative control: a millionth too much."""
    case = setting("renormalised", "deviation", "attn-tc", 5)
    _, gradient = loss_and_gradient(case.windows, case.layer)
    wrong = gradient._replace(**{broken: getattr(gradient, broken) * (1 + 1e-6)})
    assert errors(case, gradient)[broken] <= TOLERANCE < errors(case, wrong)[broken]


@pytest.mark.parametrize(("placement", "scale"), KINDS)
@pytest.mark.parametrize("readout", ["attn-fc", "likelihood"])
def test_the_loss_is_analytic_in_the_parameter(placement: str, scale: str, readout: str) -> None:
    """A second way to the derivative: a complex step, which takes no difference."""
    for seed in range(10):
        case = setting(placement, scale, readout, seed)
        fit, gradient = loss_and_gradient(case.windows, case.layer)
        stepped = loss_at(case.windows, case.layer, case.layer.parameter + 1e-60j)
        assert stepped.real == pytest.approx(fit.loss, rel=1e-13)
        assert stepped.imag / 1e-60 == pytest.approx(gradient.parameter, rel=1e-11, abs=1e-15)


def test_scores_far_apart_do_not_overflow() -> None:
    case = setting("renormalised", "deviation", "attn-fc", 5)
    far = replace(case.layer, scores=1e4 * case.layer.scores)
    fit, gradient = loss_and_gradient(case.windows, far)
    assert np.isfinite([fit.loss, gradient.parameter, *gradient.scores]).all()


@pytest.mark.parametrize("scale", ["deviation", "variance"])
@pytest.mark.parametrize("parameter", [0.0, -1.0, float("nan"), float("inf")])
def test_no_bell_without_a_width(scale: str, parameter: float) -> None:
    case = setting("renormalised", scale, "reward", 0)
    with pytest.raises(InputError, match="expected a finite number above 0"):
        replace(case.layer, parameter=parameter)


@pytest.mark.parametrize(("scale", "least"), [("deviation", "1e-75"), ("variance", "1e-150"), ("log", "-172.694")])
def test_a_bell_too_narrow_for_float64_is_refused_by_what_is_trained(scale: str, least: str) -> None:
    case, found = setting("renormalised", scale, "reward", 0), float(least)
    with pytest.raises(InputError, match=rf": expected {least} or more, got"):
        replace(case.layer, parameter=found - 0.5 * abs(found))
    replace(case.layer, parameter=found + 0.5 * abs(found))


def test_arrays_that_do_not_fit_are_refused() -> None:
    case = setting("renormalised", "log", "reward", 0)
    with pytest.raises(InputError, match=r"expected shapes \(V,\)"):
        replace(case.layer, scores=np.zeros(case.layer.scores.size + 1))


def test_slopes_are_right_relative_to_themselves_where_all_is_learned() -> None:
    """Two tokens 50 nats apart and a margin of 60: the slopes of the scores are 1e-46."""
    windows = Windows.of([[0, 1]], [(0, 1)], [0], n_words=2)
    head = FixedLinear(weight=np.eye(2))
    values = np.array([[1.0, 0.0], [60.0, 0.0]])
    layer = Layer(scores=np.array([0.0, 50.0]), values=values, parameter=1e9, bell=Bell(), readout=CrossEntropy(head))
    fit, gradient = loss_and_gradient(windows, layer)
    with mpmath.workdps(60):
        share = 1 / (1 + mpmath.exp(50))
        margin = 60 - 59 * share
        wrong = mpmath.exp(-margin) / (1 + mpmath.exp(-margin))
        slope = float(share * (1 - share) * wrong * 59)
        assert fit.loss == pytest.approx(float(mpmath.log1p(mpmath.exp(-margin))), rel=1e-12, abs=0.0)
    assert gradient.scores == pytest.approx([slope, -slope], rel=1e-12, abs=0.0)
