"""Training of a reader in two stages: first of the encoder and σ, then with σ frozen and keys sliced."""

import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel, get_linear_schedule_with_warmup

from attn_dynamics.check import integer, number, one_of
from attn_dynamics.encoder import bells, computed_pairs, exempt_tokens, half_widths, parameter_groups, slice_windows
from attn_dynamics.errors import InputError
from attn_dynamics.questions.features import Features
from attn_dynamics.questions.reader import Precision, narrow, on_device
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.training.checkpoint import Checkpoint
from attn_dynamics.window.reach import reached

NARROWEST, WIDEST = 0.25, 1e6
"""Bounds of σ, in tokens: below, the bell of a neighbour is under e⁻⁸; above, the bell is 1 at all tokens."""
ALIKE = 16
"""Number of batches whose windows are sorted by length together, so that little is padded."""
CLIPPED = 1.0
"""Largest norm of the backbone's gradient. Bells are not clipped, so that their steps do not depend on the backbone."""
SERIES = {
    "loss": {"long_name": "training loss", "units": "nats"},
    "width": {"long_name": "σ, standard deviation of the bell, before the step", "units": "tokens"},
    "slope": {"long_name": "gradient of the loss in the parameter of the bell"},
    "tokens": {"long_name": "tokens of the batch, including padding"},
    "pairs": {"long_name": "share of pairs of tokens whose scores are computed"},
    "half_width": {"long_name": "farthest token that a query may see", "units": "tokens"},
    "judged": {"long_name": "F1 before the step on questions that are not trained on", "units": "%"},
    "seconds": {"units": "s"},
}
"""Quantities recorded at every step; slope is NaN once σ is frozen, judged at steps without an evaluation."""
AXES = {"width": ("layer", "bell"), "slope": ("layer", "bell"), "half_width": ("layer",)}
"""Dimensions of a series in addition to the step."""


@final
@dataclass(frozen=True, kw_only=True)
class Plan:
    """Training plan of a reader: AdamW with a learning rate that rises, then falls to 0, both linearly.

    Raises:
        InputError: a number is out of range.
    """

    epochs: int = 2
    """Number of passes over the windows."""
    batch: int = 16
    """Number of windows per step."""
    learning_rate: float = 3e-5
    """Largest learning rate of the backbone."""
    bell_rate: float = 1.0
    """Factor on the learning rate of the bells; 0 keeps σ fixed."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises."""
    decay: float = 0.01
    """Weight decay of the backbone."""
    sliced_from: float | None = None
    """Share of the steps before stage 2; None trains σ to the end."""
    error: float = 0.01
    """Error ε of the half-width w(σ, ε) to which stage 2 slices (theory D8)."""
    bell_rule: Literal["adam", "descent"] = "adam"
    """Update rule of the bells: Adam, as for the backbone, or plain descent."""
    judged: int = 0
    """Number of evaluations of the reader during training, evenly spaced."""
    seed: int = 0
    """Random seed of the order of the windows and of dropout."""
    precision: Precision = "float32"
    """Precision of the products."""

    def __post_init__(self) -> None:
        one_of("bell_rule", self.bell_rule, ("adam", "descent"))
        for name, least in {"epochs": 1, "batch": 1, "seed": 0, "judged": 0}.items():
            integer(name, getattr(self, name), least)
        for name in ("learning_rate", "error"):
            number(name, getattr(self, name), above=0)
        for name in ("warmup", "sliced_from"):
            if getattr(self, name) is not None:
                number(name, getattr(self, name), least=0, most=1, fix="Give a share of the steps.")
        for name in ("bell_rate", "decay"):
            number(name, getattr(self, name), least=0, fix="Give 0 or more.")

    def steps(self, windows: int) -> int:
        """Return the number of steps on a number of windows."""
        return self.epochs * -(-windows // self.batch)

    def stage_2(self, windows: int) -> int:
        """Return the first step of stage 2; the number of steps if there is no stage 2."""
        steps = self.steps(windows)
        return steps if self.sliced_from is None else round(self.sliced_from * steps)


def train(
    model: PreTrainedModel,
    features: Features,
    plan: Plan,
    *,
    identity: str = "",
    checkpoint: Checkpoint | None = None,
    judge: Callable[[PreTrainedModel], float] = lambda model: math.nan,
    show: Callable[[int, float], object] = lambda step, loss: None,
) -> xr.Dataset:
    """Train a reader in place, and return the quantities of every step.

    The Dataset has `SERIES` over step. In addition, width and slope are over layer and bell (1 or heads), and
    half_width is over layer.

    Args:
        model: an untrained model from `reader`.
        features: the training questions as windows.
        plan: the training plan.
        identity: text that distinguishes this training's checkpoint from others.
        checkpoint: file to save to, and to resume from if it exists.
        judge: function that evaluates the reader on questions outside the training data, as F1 in per cent.
        show: function called with the step and the loss.

    Raises:
        ArithmeticError: the loss is NaN or infinite.
        InputError: the model has no bells, or a step does not fit into memory.
        KeyboardInterrupt: Ctrl-C was pressed; the step is finished and saved first.
        CheckpointMismatch: the checkpoint belongs to another training.
    """
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        training = _TrainingState(model, features, plan, judge)
        saved = None if checkpoint is None else checkpoint.resume(identity, training.steps)
        if saved is not None:
            training.restore(saved)
        with deferred_interrupt() as asked:
            while training.step < training.steps:
                show(training.step + 1, _step(training))
                stop, last = asked(), training.step == training.steps
                if checkpoint is not None and (stop or last or checkpoint.due()):
                    checkpoint.save(identity, training.state())
                if stop:
                    raise KeyboardInterrupt
    return training.record()


def _step(training: "_TrainingState") -> float:
    try:
        return training.advance()
    except torch.OutOfMemoryError as error:
        given, fix = f"more ({error})", "Use fewer or shorter windows."
        raise InputError("batch", expected="a step that fits into memory", given=given, fix=fix) from None


@final
class _TrainingState:
    """State of a training, between two steps."""

    def __init__(
        self, model: PreTrainedModel, features: Features, plan: Plan, judge: Callable[[PreTrainedModel], float]
    ) -> None:
        self.model, self.features, self.plan, self.judge = model, features, plan, judge
        self.bells: list[nn.Parameter] = [each.parameter for each in bells(model).values()]
        self.backbone = [p for p in model.parameters() if not any(p is each for each in self.bells)]
        self.step, self.steps, self.stage_2 = 0, plan.steps(len(features)), plan.stage_2(len(features))
        groups = parameter_groups(model, learning_rate=plan.learning_rate, bell_rate=plan.bell_rate)
        plain = [each for each in groups if each["name"] == "bells" and plan.bell_rule == "descent"]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW([each for each in groups if each not in plain], weight_decay=plan.decay),
            *([torch.optim.SGD(plain)] if plain else []),
        ]
        warm = round(plan.warmup * self.steps)
        self.rates = [get_linear_schedule_with_warmup(each, warm, self.steps) for each in self.optimisers]
        self.moments = {round(k * self.steps / (plan.judged + 1)) for k in range(1, plan.judged + 1)}
        sizes = {"layer": len(self.bells), "bell": self.bells[0].numel()}
        shapes = {name: (self.steps, *(sizes[axis] for axis in AXES.get(name, ()))) for name in SERIES}
        self.series = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
        # A GPU sums in varying order, so that a resumed training there agrees up to round-off.
        self.generators = torch.cuda if model.device.type == "cuda" else torch

    def advance(self) -> float:
        """Take one step, and return the loss before it."""
        begun = time.perf_counter()
        if self.step == self.stage_2:
            self._slice()
        if self.step in self.moments:
            self._note(judged=self.judge(self.model))
        self.model.train()
        batch = on_device(self.model, self.features.batch(self._windows()))
        with narrow(self.model, self.plan.precision):
            loss = self.model(**batch).loss
        self._note(loss=loss.item(), width=[each.widths for each in bells(self.model).values()])
        if not math.isfinite(loss.item()):
            raise ArithmeticError(f"the loss is {loss.item()} at step {self.step + 1}; lower the learning rate")
        self.model.zero_grad()
        loss.backward()
        if self.step < self.stage_2:
            self._note(slope=[_gradient(each) for each in self.bells])
        nn.utils.clip_grad_norm_(self.backbone, CLIPPED)
        for each in (*self.optimisers, *self.rates):
            each.step()
        self._confine()
        reach = [math.inf if each is None else each for each in half_widths(self.model)]
        self._note(tokens=batch["input_ids"].numel(), pairs=self._pairs(batch), half_width=reach)
        self._note(seconds=time.perf_counter() - begun)
        self.step += 1
        return loss.item()

    def state(self) -> dict[str, NDArray]:
        """Return the arrays of a checkpoint."""
        parts = {
            "model": self.model.state_dict(),
            "optimisers": [each.state_dict() for each in self.optimisers],
            "rates": [each.state_dict() for each in self.rates],
            "generator": self.generators.get_rng_state(),
        }
        file = io.BytesIO()
        torch.save(parts, file)
        return {"epoch": np.array(self.step), "parts": np.frombuffer(file.getbuffer(), np.uint8), **self.series}

    def restore(self, saved: dict[str, NDArray]) -> None:
        """Resume from the arrays of a checkpoint."""
        # Adam counts its steps on the CPU; load_state_dict copies all else to its device.
        parts = torch.load(io.BytesIO(saved["parts"].tobytes()), map_location="cpu", weights_only=True)
        self.step = int(saved["epoch"])
        self.model.load_state_dict(parts["model"])
        for name in ("optimisers", "rates"):
            for each, state in zip(getattr(self, name), parts[name], strict=True):
                each.load_state_dict(state)
        self.generators.set_rng_state(parts["generator"])
        self.series = {name: saved[name] for name in SERIES}
        if self.step > self.stage_2:
            self._slice()

    def record(self) -> xr.Dataset:
        """Return the series of all steps."""
        found = {name: (("step", *AXES.get(name, ())), self.series[name], label) for name, label in SERIES.items()}
        return xr.Dataset(found, {"step": np.arange(self.steps)}, {"stage_2": self.stage_2})

    def _windows(self) -> NDArray[np.int64]:
        """Return the windows of this step; in the order of an epoch, the windows of a batch have similar lengths."""
        epoch, number = divmod(self.step, -(-len(self.features) // self.plan.batch))
        random = np.random.default_rng((self.plan.seed, epoch))
        order, batch = random.permutation(len(self.features)), self.plan.batch
        pools = np.split(order, range(ALIKE * batch, len(order), ALIKE * batch))
        order = np.concatenate([each[np.argsort(self.features.lengths[each], kind="stable")] for each in pools])
        # A smaller batch stays the last.
        whole = random.permutation(len(order) // batch)
        first = batch * (whole[number] if number < len(whole) else number)
        return order[first : first + batch]

    def _pairs(self, batch: dict[str, Tensor]) -> float:
        exempt = exempt_tokens(self.model, batch)
        most = 0 if exempt is None else int(exempt.sum(dim=1).max())
        return computed_pairs(self.model, batch["input_ids"].shape[1], most)

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
    """Return the number 2w + 1 of tokens that bells attend to at every step, counted as in W22 (theory D1).

    Args:
        record: the Dataset from `train`.
        length: number of tokens of the longest sequence, which limits w, as does the half-width of the layer.
    """
    limits = np.minimum(record.half_width, length - 1).astype(int)
    count = np.vectorize(reached, otypes=[np.int64])
    return xr.apply_ufunc(count, record.width, limits).assign_attrs(units="tokens")


def _gradient(parameter: Tensor) -> NDArray:
    assert parameter.grad is not None
    return parameter.grad.double().cpu().numpy()
