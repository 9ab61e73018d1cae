"""The progress bar of a command."""

import pytest

from attn_dynamics.system.progress import meter


def test_the_bar_tells_a_loss_as_soon_as_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    with meter(3, "run", first="kernels load") as show:
        show(0, float("nan"))
        assert "kernels load" in (told := capsys.readouterr().err)
        assert "loss" not in told
        show(3, 0.5)
    assert "loss 0.5000" in capsys.readouterr().err
