"""Early stopping, without a run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_dynamics.training.stopping import EVERY, Patience


def told(losses: np.ndarray, patience: int = 10_000, resumed_at: int | None = None) -> Patience:
    """What a rule knows after these losses; the state at an epoch is its number."""
    rule, state = Patience(patience), np.zeros(1)
    for epoch, loss in enumerate(losses.tolist()):
        if epoch == resumed_at:
            kept = {name: array.copy() for name, array in rule.state().items()}
            rule = Patience(patience)
            rule.restore(kept)
        state[0] = epoch
        if epoch == 0:
            rule.keep(0, {"state": state})
        rule.update(epoch, np.array([loss]))
        if epoch >= rule.limit:
            break
        if epoch and epoch % EVERY == 0:
            rule.keep(epoch, {"state": state})
    return rule


@given(st.integers(0, 2**32), st.integers(1, 5 * EVERY), st.sampled_from([0.0, 0.01, 0.3]))
def test_the_state_kept_lies_at_most_so_many_epochs_before_the_best(seed: int, epochs: int, drift: float) -> None:
    losses = np.random.default_rng(seed).standard_normal(epochs) - drift * np.arange(epochs)
    rule = told(losses)
    assert rule.best_epoch == int(losses.argmin())
    assert rule.best_loss == losses.min()
    assert rule.kept["state"][0] == rule.kept_epoch
    assert rule.best_epoch - EVERY <= rule.kept_epoch <= rule.best_epoch


@pytest.mark.parametrize("at", [1, EVERY - 1, EVERY, EVERY + 1, 3 * EVERY, 4 * EVERY - 1])
def test_a_rule_goes_on_from_what_it_saved(at: int) -> None:
    losses = np.random.default_rng(at).standard_normal(5 * EVERY) - 0.01 * np.arange(5 * EVERY)
    whole, resumed = told(losses).state(), told(losses, resumed_at=at).state()
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array)


def test_a_loss_that_is_no_number_is_no_best() -> None:
    rule = told(np.array([np.nan, 3.0, np.nan, 2.0]))
    assert (rule.best_epoch, rule.kept_epoch) == (3, 0)
    assert told(np.full(5, np.nan)).best_epoch == -1


def test_few_copies_are_taken_although_the_loss_falls_at_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    copies, copy = [], np.copyto
    monkeypatch.setattr(np, "copyto", lambda *arrays: copies.append(copy(*arrays)))
    told(-np.arange(10.0 * EVERY))
    assert len(copies) == 10


@given(st.integers(0, 2**32), st.integers(1, EVERY))
def test_losses_at_once_are_losses_one_by_one(seed: int, count: int) -> None:
    losses = np.random.default_rng(seed).standard_normal(count)
    rule = Patience(10_000)
    rule.keep(0, {"state": np.zeros(1)})
    rule.update(0, losses)
    assert (rule.best_epoch, rule.best_loss) == (told(losses).best_epoch, told(losses).best_loss)
