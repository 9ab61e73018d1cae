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

from attn_dynamics.checkpoint import Checkpoint
from attn_dynamics.encoder import bells, half_widths, parameter_groups, slice_windows
from attn_dynamics.errors import InputError
from attn_dynamics.interrupt import deferred_interrupt
from attn_dynamics.questions.features import Features
from attn_dynamics.questions.reader import Precision, narrow, on_device
from attn_dynamics.window.support import reached

NARROWEST = 0.25
"""Tokens of σ that steps lead no further below: e⁻⁸ is left for the neighbour, and a query sees itself alone."""
CLIPPED = 1.0
"""Norm of the backbone's gradient at most. Bells are not clipped, for their steps would depend on the backbone's."""
SERIES = {
    "loss": {"long_name": "training loss", "units": "nats"},
    "width": {"long_name": "σ, standard deviation of the bell, before the step", "units": "tokens"},
    "slope": {"long_name": "gradient of the loss in what is trained of the bell"},
    "tokens": {"long_name": "tokens of the batch, padding among them"},
    "pairs": {"long_name": "pairs of tokens within the half-widths of stage 2, in shares of all"},
    "seconds": {"units": "s"},
}
"""What is recorded at every step; slope is no number once σ is frozen."""


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
        for name, least in {"epochs": 1, "batch": 1}.items():
            if getattr(self, name) < least:
                raise InputError(name, expected="1 or more", given=getattr(self, name), fix="Give a larger integer.")
        for name in ("warmup", "sliced_from"):
            share = getattr(self, name)
            if share is not None and not 0.0 <= share <= 1.0:
                raise InputError(name, expected="a share, 0 to 1", given=share, fix="Give one of the steps.")
        if not 0.0 <= self.decay < math.inf:
            fix = "Give 0 to do without."
            raise InputError("decay", expected="a finite number, 0 or above", given=self.decay, fix=fix)

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

    `SERIES` over step; width and slope over layer and bell too, (steps, layers, 1 or heads).

    Args:
        model: as `reader` gives it, not trained.
        features: what is learned.
        plan: how.
        identity: what tells the checkpoint of this training from others'.
        checkpoint: where it saves itself, and goes on from if there is something.
        show: is told the step and the loss.

    Raises:
        ArithmeticError: the loss is no finite number any more.
        InputError: the model has no bells, or a rate is out of range.
        KeyboardInterrupt: Ctrl-C, at the end of a step that is saved.
        Unfit: the checkpoint is another training's.
    """
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        course = _Course(model, features, plan)
        saved = None if checkpoint is None else checkpoint.resume(identity, course.steps)
        if saved is not None:
            course.restore(saved)
        with deferred_interrupt() as asked:
            while course.step < course.steps:
                show(course.step + 1, course.advance())
                if checkpoint is not None and (asked() or checkpoint.due()):
                    checkpoint.save(identity, course.state())
                if asked():
                    raise KeyboardInterrupt
    return course.record()


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
        shape = (self.steps, len(self.bells), *self.bells[0].shape)
        self.series = {name: np.full(shape if name in ("width", "slope") else self.steps, np.nan) for name in SERIES}
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
        self._note(tokens=batch["input_ids"].numel(), pairs=_pairs(self.model, length))
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
        parts = torch.load(io.BytesIO(saved["parts"].tobytes()), map_location=self.model.device, weights_only=True)
        self.step = int(saved["epoch"])
        self.model.load_state_dict(parts["model"])
        self.optimiser.load_state_dict(parts["optimiser"])
        self.rates.load_state_dict(parts["rates"])
        self.generators.set_rng_state(parts["generator"].cpu())
        self.series = {name: saved[name] for name in SERIES}
        if self.step > self.stage_2:
            self._slice()

    def record(self) -> xr.Dataset:
        """All steps."""
        wide = ("step", "layer", "bell")
        found = {name: (wide[: each.ndim], each, SERIES[name]) for name, each in self.series.items()}
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
            each.parameter.clamp_(min=each.bell.parameter(NARROWEST))

    def _note(self, **seen: Any) -> None:
        for name, value in seen.items():
            self.series[name][self.step] = value


def tokens_reached(widths: NDArray, limit: int) -> NDArray[np.int64]:
    """Tokens that bells of these widths attend to as W22 counts them, of the same shape (theory D1)."""
    return np.vectorize(lambda width: reached(width, limit), otypes=[np.int64])(widths)


def _gradient(parameter: Tensor) -> NDArray:
    assert parameter.grad is not None
    return parameter.grad.double().cpu().numpy()


def _pairs(model: nn.Module, length: int) -> float:
    """The share of pairs (i, j) with |j - i| ≤ w in layers that are sliced, 1 in others; mean over layers."""
    kept = []
    for bell, reach in zip(bells(model).values(), half_widths(model), strict=True):
        if bell.kernel != "sliced" or reach is None or reach >= length:
            kept.append(1.0)
        else:
            kept.append(((2 * reach + 1) * length - reach * (reach + 1)) / length**2)
    return float(np.mean(kept))
