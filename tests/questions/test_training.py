"""A reader learns, by both stages; its record is what happened; cut off, it goes on to the same bits."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from transformers import PreTrainedModel

from attn_dynamics.encoder import Window, bells, half_widths, widths
from attn_dynamics.errors import InputError
from attn_dynamics.questions import (
    NARROWEST,
    WIDEST,
    Features,
    Plan,
    fitting,
    mark,
    read,
    reader,
    tokens_reached,
    train,
)
from attn_dynamics.training.checkpoint import Checkpoint, CheckpointMismatch
from attn_dynamics.window.reach import half_width
from tests.questions.conftest import needs_squad

SHORT = Plan(epochs=4, batch=4, learning_rate=1e-3, bell_rate=30.0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def fresh(tiny: Path) -> Callable[..., PreTrainedModel]:
    """A tiny reader with a window."""
    return lambda start_width=3.0, **window: reader(Window(start_width=start_width, **window), encoder=tiny).model


def parameters(model: PreTrainedModel) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def same(one: xr.Dataset, other: xr.Dataset) -> bool:
    """But for the seconds."""
    return one.drop_vars("seconds").identical(other.drop_vars("seconds"))


def test_it_learns(fresh: Callable, made: Features) -> None:
    """Where the answer stands after a fixed word, and what the questions have in common."""
    model = fresh(placement="renormalised", scale="log", start_width=8.0)
    before = mark(made.questions, read(model, made)).f1
    record = train(model, made, Plan(epochs=60, batch=6, learning_rate=5e-3, bell_rate=10.0))
    assert record.loss[-10:].mean() < 0.3 * record.loss[:3].mean()
    assert mark(made.questions, read(model, made)).f1 > 90.0 > before
    assert np.ptp(record.width.values, axis=0).max() > 0.1


@pytest.mark.parametrize("each", ["layer", "head"])
def test_the_record_is_what_happened(fresh: Callable, made: Features, each: str) -> None:
    model = fresh(each=each)
    # All questions at once, and nothing dropped: the first step can be taken again by autograd.
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for module in bells(model):
        model.get_submodule(module.removesuffix(".bell")).dropout.p = 0.0
    model.zero_grad()
    batch = {name: torch.from_numpy(found) for name, found in made.batch(range(len(made))).items()}
    loss = model(**batch).loss
    loss.backward()
    slopes = np.array([np.asarray(bell.parameter.grad) for bell in bells(model).values()])
    first = widths(model)
    record = train(model, made, replace(SHORT, batch=len(made)))
    assert dict(record.sizes) == {"step": 4, "layer": 2, "bell": 2 if each == "head" else 1}
    assert record.loss[0] == pytest.approx(loss.item(), rel=1e-5)
    assert record.width[0].values == pytest.approx(first)
    assert record.slope[0].values == pytest.approx(slopes, rel=1e-3, abs=1e-5 * float(np.abs(slopes).max()))
    assert record.tokens[0] == batch["input_ids"].numel()
    assert (record.pairs == 1.0).all()


def test_a_rate_for_the_bells(fresh: Callable, made: Features) -> None:
    """Adam's first step is the rate itself, whatever the gradient; so a factor on it is one on the step."""
    moved = {}
    for rate in (0.0, 1.0, 10.0):
        model = fresh()
        train(model, made, Plan(batch=len(made), epochs=2, learning_rate=1e-3, bell_rate=rate, warmup=0.5))
        moved[rate] = np.abs(widths(model) - 3.0)
    # The first rate is 0 and the second is whole; ε of Adam, 1e-8, is small beside any gradient here.
    assert moved[0.0].max() == 0.0
    assert moved[1.0].max() > 0.0
    assert moved[10.0] / moved[1.0] == pytest.approx(np.full((2, 1), 10.0), rel=0.02)


def test_bells_by_plain_descent_step_by_rate_times_gradient(fresh: Callable, made: Features) -> None:
    model, plan = fresh(), Plan(batch=len(made), epochs=2, learning_rate=1e-3, bell_rate=10.0, warmup=0.5)
    record = train(model, made, replace(plan, bell_rule="descent"))
    # The first rate is 0 and the second is whole.
    expected = record.width[1].values - 10.0 * 1e-3 * record.slope[1].values
    assert widths(model) == pytest.approx(expected, rel=1e-6)
    assert np.abs(record.slope[1].values).max() > 0.0
    adam = fresh()
    train(adam, made, plan)
    assert widths(adam) != pytest.approx(expected, rel=1e-6), "negative control"


def test_an_epoch_has_every_window_once_and_batches_of_like_length(fresh: Callable, long: Features) -> None:
    seen, usual = list[np.ndarray](), Features.batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Features, "batch", lambda self, rows: seen.append(np.asarray(rows)) or usual(self, rows))
        train(fresh(), long, Plan(epochs=2, batch=5))
    for epoch in (seen[:3], seen[3:]):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(len(long)))
        assert [len(each) for each in epoch] == [5, 5, 2], "the smaller batch comes last"
        apart = [np.ptp(long.lengths[each]) for each in epoch]
        assert sum(apart) <= np.ptp(long.lengths)


def test_the_reader_is_judged_along_the_way(fresh: Callable, made: Features) -> None:
    asked_at = iter(range(10, 90, 10))
    record = train(fresh(), made, replace(SHORT, judged=3), judge=lambda model: float(next(asked_at)))
    assert record.sizes["step"] == 12
    assert np.flatnonzero(np.isfinite(record.judged)).tolist() == [3, 6, 9]
    assert record.judged[[3, 6, 9]].values.tolist() == [10.0, 20.0, 30.0]


@pytest.mark.parametrize("scale", ["deviation", "variance", "log"])
def test_a_bell_is_led_no_further_than_where_it_tells_nothing(fresh: Callable, made: Features, scale: str) -> None:
    for beyond, bound in ((0.01, NARROWEST), (1e9, WIDEST)):
        model = fresh(start_width=beyond, scale=scale)
        train(model, made, replace(SHORT, bell_rate=0.0))
        assert widths(model) == pytest.approx(np.full((2, 1), bound), rel=1e-5)
    model = fresh(start_width=1.0, scale=scale)
    train(model, made, replace(SHORT, bell_rate=0.0))
    assert widths(model) == pytest.approx(np.ones((2, 1))), "what is within the bounds stays"


@pytest.mark.parametrize("placement", ["renormalised", "product"])
def test_stage_2_holds_the_width_and_slices(fresh: Callable, long: Features, placement: str) -> None:
    """Through the fused kernel and the one that is written down."""
    model = fresh(start_width=1.0, placement=placement)
    record = train(model, long, replace(SHORT, sliced_from=0.5, error=0.1))
    one, two = record.isel(step=slice(6)), record.isel(step=slice(6, None))
    assert record.attrs["stage_2"] == 6
    assert np.isfinite(one.slope).all()
    assert np.isnan(two.slope).all()
    assert np.ptp(one.width.values, axis=0).min() > 0.0
    assert np.ptp(two.width.values, axis=0).max() == 0.0
    reach = [half_width(width, 0.1) for width in widths(model).ravel()]
    assert half_widths(model) == reach
    assert max(reach) < 10
    assert np.isinf(one.half_width).all()
    assert (two.half_width == reach).all()
    assert (one.pairs == 1.0).all()
    # Blocks of 64 with what is beside them, in the place of all; batches are of four.
    lengths = two.tokens.values / 4
    met = 64 + 2 * np.array(reach)
    blocks = np.ceil(lengths / 64)[:, None] * 64 * met / lengths[:, None] ** 2
    expected = np.where(met >= lengths[:, None], 1.0, blocks).mean(axis=1)
    assert two.pairs.values == pytest.approx(expected)
    assert two.pairs.min() < 0.9
    assert (tokens_reached(two, 192) == 2 * np.array(reach)[:, None] + 1).all()
    assert (tokens_reached(one, 192) > 2 * max(reach) + 1).all()


@pytest.mark.parametrize("after", [4, 6, 9])
def test_it_goes_on_to_the_same_bits(fresh: Callable, long: Features, tmp_path: Path, after: int) -> None:
    """Cut off in stage 1, between the stages, and in stage 2."""
    made, plan, whole = long, replace(SHORT, sliced_from=0.5, error=0.1), fresh(start_width=1.0)
    undisturbed = train(whole, made, plan)

    def stop(step: int, loss: float) -> None:
        if step > after:
            raise RuntimeError

    checkpoint = Checkpoint(tmp_path / "run.npz", every=0.0)
    checkpoint.due = lambda: True
    with pytest.raises(RuntimeError):
        train(fresh(start_width=1.0), made, plan, identity="a", checkpoint=checkpoint, show=stop)
    assert int(checkpoint.peek("epoch")["epoch"]) == after
    with pytest.raises(CheckpointMismatch, match="one of another"):
        train(fresh(start_width=1.0), made, plan, identity="b", checkpoint=checkpoint)
    later, seen = fresh(start_width=1.0), []
    resumed = train(later, made, plan, identity="a", checkpoint=checkpoint, show=lambda step, loss: seen.append(step))
    assert seen == list(range(after + 1, 13))
    assert same(resumed, undisturbed)
    assert torch.equal(parameters(later), parameters(whole))
    # Negative control: another seed.
    assert not same(train(fresh(start_width=1.0), made, replace(plan, seed=1)), undisturbed)


def test_ctrl_c_waits_for_the_step_and_saves(fresh: Callable, made: Features, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.npz", every=1e9)
    with pytest.raises(KeyboardInterrupt):
        train(
            fresh(),
            made,
            SHORT,
            checkpoint=checkpoint,
            show=lambda step, loss: signal.raise_signal(signal.SIGINT) if step == 5 else None,
        )
    assert int(checkpoint.peek("epoch")["epoch"]) == 5


def test_it_leaves_the_random_numbers_of_others_alone(fresh: Callable, made: Features) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(fresh(), made, SHORT)
    assert torch.equal(torch.rand(3), expected)


def test_products_in_bfloat16(fresh: Callable, made: Features) -> None:
    wide, narrow = (train(fresh(), made, replace(SHORT, precision=kind)) for kind in ("float32", "bfloat16"))
    # Eight bits of products.
    assert narrow.loss.values == pytest.approx(wide.loss.values, rel=0.05)
    assert not np.array_equal(narrow.loss, wide.loss)
    # σ is trained in float32: by steps that bfloat16, 3 bits after the point at 3, would not show.
    steps = np.abs(np.diff(narrow.width.values, axis=0))
    assert 0.0 < steps[1:].min() < 2.0**-6


def test_a_loss_that_is_no_number_ends_it(fresh: Callable, made: Features) -> None:
    model = fresh()
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(ArithmeticError, match="at step 1"):
        train(model, made, SHORT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"learning_rate": 0.0},
        {"error": float("nan")},
        {"bell_rate": -1.0},
        {"warmup": 1.5},
        {"warmup": float("nan")},
        {"sliced_from": -0.1},
        {"decay": -1.0},
        {"decay": float("inf")},
    ],
)
def test_a_plan_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Plan(**wrong)


def test_tokens_reached_are_those_of_the_counts() -> None:
    """W22's: 29 and 89 where σ² is 1 and 9.5, and no more than there are, or may be seen."""
    width = np.sqrt([[[1.0], [9.5]], [[1e4], [1e12]]])
    record = xr.Dataset(
        {"width": (("step", "layer", "bell"), width), "half_width": (("step", "layer"), [[np.inf, 128], [np.inf, 20]])}
    )
    assert tokens_reached(record, 100).values.tolist() == [[[29], [89]], [[199], [41]]]


@pytest.mark.slow
@needs_squad
def test_one_step_on_real_questions(real: tuple, word_pieces: Any) -> None:
    """MiniLM with a window, two dozen questions of SQuAD."""
    data = fitting(real, word_pieces, length=112, most=24)
    model = reader(Window(start_width=20.0, scale="log", window=257)).model
    record = train(model, data, Plan(epochs=2, batch=24, learning_rate=3e-4, bell_rate=100.0, warmup=0.5))
    assert record.loss[0] == pytest.approx(np.log(96), rel=0.1), "at the start any token is as good as another"
    assert np.isfinite(record.slope).all()
    assert not np.array_equal(widths(model), np.full((6, 1), 20.0))
    marks = mark(data.questions, read(model, data))
    assert len(marks.overlap) == 24
    assert 0.0 <= marks.exact_match <= marks.f1 <= 100.0
