"""Training of a reader in two stages: the backbone with its σ, then σ frozen and keys sliced before the product."""

import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel, get_linear_schedule_with_warmup

from attn_dynamics.check import integer, number
from attn_dynamics.encoder import bells, computed_pairs, half_widths, parameter_groups, slice_windows
from attn_dynamics.errors import InputError
from attn_dynamics.questions.features import Features
from attn_dynamics.questions.reader import Precision, narrow, on_device
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.training.checkpoint import Checkpoint
from attn_dynamics.window.support import reached

NARROWEST, WIDEST = 0.25, 1e6
"""Tokens of σ beyond which steps lead no further: e⁻⁸ is left for the neighbour, or no two tokens are told apart."""
CLIPPED = 1.0
"""Norm of the backbone's gradient at most. Bells are not clipped, for their steps would depend on the backbone's."""
SERIES = {
    "loss": {"long_name": "training loss", "units": "nats"},
    "width": {"long_name": "σ, standard deviation of the bell, before the step", "units": "tokens"},
    "slope": {"long_name": "gradient of the loss in what is trained of the bell"},
    "tokens": {"long_name": "tokens of the batch, padding among them"},
    "pairs": {"long_name": "pairs of tokens whose scores are computed, in shares of all"},
    "half_width": {"long_name": "farthest token that a query may see", "units": "tokens"},
    "seconds": {"units": "s"},
}
"""What is recorded at every step; slope is no number once σ is frozen."""
AXES = {"width": ("layer", "bell"), "slope": ("layer", "bell"), "half_width": ("layer",)}
"""Of a series, beside the step."""


@final
@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a reader is trained: by AdamW, its rate rising, then falling to 0, both linearly.

    Raises:
        InputError: a number out of range.
    """

    epochs: int = 2
    """Passes over the windows."""
    batch: int = 16
    """Windows of a step."""
    learning_rate: float = 3e-5
    bell_rate: float = 1.0
    """Factor on it for the bells; 0 holds σ where it is."""
    warmup: float = 0.1
    """Share of the steps in which the rate rises."""
    decay: float = 0.01
    """Weight decay of the backbone."""
    sliced_from: float | None = None
    """Share of the steps after which stage 2 begins; without it σ is trained to the end."""
    error: float = 0.01
    """ε of the w(σ, ε) to which stage 2 slices, theory D8."""
    seed: int = 0
    """Draws the order of the windows and what is dropped."""
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name, least in {"epochs": 1, "batch": 1, "seed": 0}.items():
            integer(name, getattr(self, name), least)
        for name in ("learning_rate", "error"):
            number(name, getattr(self, name), above=0)
        for name in ("warmup", "sliced_from"):
            if getattr(self, name) is not None:
                number(name, getattr(self, name), least=0, most=1, fix="Give a share of the steps.")
        for name in ("bell_rate", "decay"):
            number(name, getattr(self, name), least=0, fix="Give 0 to do without.")

    def steps(self, windows: int) -> int:
        """Steps for so many windows."""
        return self.epochs * -(-windows // self.batch)

    def stage_2(self, windows: int) -> int:
        """The first step of stage 2; beyond the last if there is none."""
        steps = self.steps(windows)
        return steps if self.sliced_from is None else round(self.sliced_from * steps)


def train(
    model: PreTrainedModel,
    features: Features,
    plan: Plan,
    *,
    identity: str = "",
    checkpoint: Checkpoint | None = None,
    show: Callable[[int, float], object] = lambda step, loss: None,
) -> xr.Dataset:
    """Train a reader in place; what was seen at every step.

    `SERIES` over step; width and slope over layer and bell too, (steps, layers, 1 or heads), half_width over layer.

    Args:
        model: as `reader` gives it, not trained.
        features: what is learned.
        plan: how.
        identity: what tells the checkpoint of this training from others'.
        checkpoint: where it saves itself, and goes on from if there is something.
        show: is told the step and the loss.

    Raises:
        ArithmeticError: the loss is no finite number any more.
        InputError: the model has no bells, or a step is more than memory holds.
        KeyboardInterrupt: Ctrl-C, at the end of a step that is saved.
        CheckpointMismatch: the checkpoint is another training's.
    """
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        course = _Course(model, features, plan)
        saved = None if checkpoint is None else checkpoint.resume(identity, course.steps)
        if saved is not None:
            course.restore(saved)
        with deferred_interrupt() as asked:
            while course.step < course.steps:
                show(course.step + 1, _fitting_step(course))
                stop, last = asked(), course.step == course.steps
                if checkpoint is not None and (stop or last or checkpoint.due()):
                    checkpoint.save(identity, course.state())
                if stop:
                    raise KeyboardInterrupt
    return course.record()


def _fitting_step(course: "_Course") -> float:
    try:
        return course.advance()
    except torch.OutOfMemoryError as error:
        given, fix = f"more ({error})", "Make it smaller, or windows shorter."
        raise InputError("batch", expected="a step that memory holds", given=given, fix=fix) from None


@final
class _Course:
    """A training between two steps."""

    def __init__(self, model: PreTrainedModel, features: Features, plan: Plan) -> None:
        self.model, self.features, self.plan = model, features, plan
        self.bells: list[nn.Parameter] = [each.parameter for each in bells(model).values()]
        self.backbone = [p for p in model.parameters() if not any(p is each for each in self.bells)]
        groups = parameter_groups(model, learning_rate=plan.learning_rate, bell_rate=plan.bell_rate)
        self.optimiser = torch.optim.AdamW(groups, weight_decay=plan.decay)
        self.step, self.steps, self.stage_2 = 0, plan.steps(len(features)), plan.stage_2(len(features))
        self.rates = get_linear_schedule_with_warmup(self.optimiser, round(plan.warmup * self.steps), self.steps)
        sizes = {"layer": len(self.bells), "bell": self.bells[0].numel()}
        shapes = {name: (self.steps, *(sizes[axis] for axis in AXES.get(name, ()))) for name in SERIES}
        self.series = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
        # On a GPU products are summed in an order that is its own; there a resumed training agrees to round-off.
        self.generators = torch.cuda if model.device.type == "cuda" else torch

    def advance(self) -> float:
        """One step; the loss before it."""
        begun = time.perf_counter()
        if self.step == self.stage_2:
            self._slice()
        self.model.train()
        batch = on_device(self.model, self.features.batch(self._windows()))
        with narrow(self.model, self.plan.precision):
            loss = self.model(**batch).loss
        self._note(loss=loss.item(), width=[each.widths for each in bells(self.model).values()])
        if not math.isfinite(loss.item()):
            raise ArithmeticError(f"the loss is {loss.item()} at step {self.step + 1}; lower the learning rate")
        self.optimiser.zero_grad()
        loss.backward()
        if self.step < self.stage_2:
            self._note(slope=[_gradient(each) for each in self.bells])
        nn.utils.clip_grad_norm_(self.backbone, CLIPPED)
        self.optimiser.step()
        self.rates.step()
        self._confine()
        length = batch["input_ids"].shape[1]
        reach = [math.inf if each is None else each for each in half_widths(self.model)]
        self._note(tokens=batch["input_ids"].numel(), pairs=computed_pairs(self.model, length), half_width=reach)
        self._note(seconds=time.perf_counter() - begun)
        self.step += 1
        return loss.item()

    def state(self) -> dict[str, NDArray]:
        """All that a later process needs to go on."""
        parts = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rates": self.rates.state_dict(),
            "generator": self.generators.get_rng_state(),
        }
        file = io.BytesIO()
        torch.save(parts, file)
        return {"epoch": np.array(self.step), "parts": np.frombuffer(file.getbuffer(), np.uint8), **self.series}

    def restore(self, saved: dict[str, NDArray]) -> None:
        """Be what was saved."""
        # Adam counts its steps on the processor; what belongs elsewhere is copied there.
        parts = torch.load(io.BytesIO(saved["parts"].tobytes()), map_location="cpu", weights_only=True)
        self.step = int(saved["epoch"])
        self.model.load_state_dict(parts["model"])
        self.optimiser.load_state_dict(parts["optimiser"])
        self.rates.load_state_dict(parts["rates"])
        self.generators.set_rng_state(parts["generator"])
        self.series = {name: saved[name] for name in SERIES}
        if self.step > self.stage_2:
            self._slice()

    def record(self) -> xr.Dataset:
        """All steps."""
        found = {name: (("step", *AXES.get(name, ())), self.series[name], told) for name, told in SERIES.items()}
        return xr.Dataset(found, {"step": np.arange(self.steps)}, {"stage_2": self.stage_2})

    def _windows(self) -> NDArray[np.int64]:
        """Those of this step: every epoch has an order of its own."""
        epoch, number = divmod(self.step, -(-len(self.features) // self.plan.batch))
        order = np.random.default_rng((self.plan.seed, epoch)).permutation(len(self.features))
        return order[number * self.plan.batch : (number + 1) * self.plan.batch]

    def _slice(self) -> None:
        slice_windows(self.model, self.plan.error)
        for each in self.bells:
            each.grad = None

    @torch.no_grad()
    def _confine(self) -> None:
        for each in bells(self.model).values():
            each.parameter.clamp_(each.bell.parameter(NARROWEST), each.bell.parameter(WIDEST))

    def _note(self, **seen: Any) -> None:
        for name, value in seen.items():
            self.series[name][self.step] = value


def tokens_reached(record: xr.Dataset, length: int) -> xr.DataArray:
    """Tokens that bells attend to as W22 counts them, 2w + 1, at every step (theory D1).

    Args:
        record: of `train`.
        length: of the longest sequence; none reaches beyond it or its half-width.
    """
    limits = np.minimum(record.half_width, length - 1).astype(int)
    count = np.vectorize(reached, otypes=[np.int64])
    return xr.apply_ufunc(count, record.width, limits).assign_attrs(units="tokens")


def _gradient(parameter: Tensor) -> NDArray:
    assert parameter.grad is not None
    return parameter.grad.double().cpu().numpy()
