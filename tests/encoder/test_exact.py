"""Claim: the dense window is the layer whose gradient is known exactly (M1, D2, D3), every placement and scale."""

import numpy as np
import pytest
import torch

from attn_dynamics.encoder import TrainedBell
from attn_dynamics.encoder.dense import AttentionInputs, dense
from attn_dynamics.model.bell import Bell
from attn_dynamics.window.layer import loss_and_gradient
from tests.window.drawn import KINDS, Setting, setting

TOLERANCE = 1e-10
SENSITIVE, CUT = 32, 29
"""Drawn cases whose gradients are of a size that no control misses; the second has a half-width of 3."""


def asked(case: Setting) -> tuple[AttentionInputs, torch.Tensor]:
    """The layer as a module of one head would ask for it, queries of 1 and keys s; and its values, to be trained."""
    longest = max(map(len, case.sequences))
    words = torch.tensor([each + [0] * (longest - len(each)) for each in case.sequences])
    padding = torch.arange(longest) < torch.tensor([len(each) for each in case.sequences])[:, None]
    scores = torch.as_tensor(case.layer.scores)[words][:, None, :, None]
    values = torch.tensor(case.layer.values, requires_grad=True)
    return AttentionInputs(torch.ones_like(scores), scores, values[words][:, None], padding, None, 1.0, 0.0), values


def slope(case: Setting, bell: TrainedBell) -> tuple[float, np.ndarray]:
    """∂L/∂p and ∂L/∂ values of the reward, minus the mean of the values' answers, by autograd."""
    given, values = asked(case)
    found = dense(given, bell)[0][:, 0]
    rows, columns = torch.tensor(case.queries).T
    loss = -found[rows, columns, torch.tensor(case.labels)].mean()
    loss.backward()
    assert bell.parameter.grad is not None
    assert values.grad is not None
    return float(bell.parameter.grad), values.grad.numpy()


@pytest.mark.parametrize(("placement", "scale"), KINDS)
def test_its_gradient_is_the_exact_one(placement: str, scale: str) -> None:
    sizes = []
    for seed in range(12):
        case = setting(placement, scale, "reward", seed)
        exact = loss_and_gradient(case.windows, case.layer)[1]
        bell = TrainedBell(case.layer.bell, case.layer.width, 1, half_width=case.cut, dtype=torch.float64)
        found, by_value = slope(case, bell)
        assert found == pytest.approx(exact.parameter, rel=TOLERANCE, abs=1e-14)
        np.testing.assert_allclose(by_value, exact.values, rtol=0.0, atol=1e-14)
        sizes.append(abs(exact.parameter))
    # Some sequences have one token, and nothing for a bell to tell apart; most have more.
    assert np.median(sizes) > 1e-5


@pytest.mark.parametrize(("placement", "scale"), KINDS)
def test_another_bell_has_another_gradient(placement: str, scale: str) -> None:
    """Negative control: every other kind."""
    case = setting(placement, scale, "reward", SENSITIVE)
    exact = loss_and_gradient(case.windows, case.layer)[1].parameter
    assert abs(exact) > 1e-3
    for other in KINDS:
        if other != (placement, scale):
            bell = TrainedBell(Bell(*other), case.layer.width, 1, half_width=case.cut, dtype=torch.float64)
            assert slope(case, bell)[0] != pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(("placement", "scale"), KINDS)
def test_another_window_has_another_gradient(placement: str, scale: str) -> None:
    """Negative control: one token less on either side."""
    case = setting(placement, scale, "reward", CUT)
    exact = loss_and_gradient(case.windows, case.layer)[1].parameter
    assert case.cut is not None
    bell = TrainedBell(case.layer.bell, case.layer.width, 1, half_width=case.cut - 1, dtype=torch.float64)
    assert slope(case, bell)[0] != pytest.approx(exact, rel=1e-6)
