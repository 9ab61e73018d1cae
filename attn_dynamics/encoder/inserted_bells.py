"""Trained bells in the attention modules of an encoder: to insert, read, train at their own rate and slice (§D)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from types import MethodType
from typing import Any, Literal, TypeVar, final

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from attn_dynamics.check import number, one_of
from attn_dynamics.encoder.bell import TrainedBell
from attn_dynamics.encoder.exempt import ARGUMENT, KINDS, Exemption, Kind, Tokenizer
from attn_dynamics.encoder.interface import KERNELS, NAME, attention_modules
from attn_dynamics.encoder.sliced import computed
from attn_dynamics.errors import InputError
from attn_dynamics.model.bell import Bell
from attn_dynamics.window.reach import half_width
from attn_dynamics.window.windows import check_window

Encoder = TypeVar("Encoder", bound=nn.Module)
EACH = ("layer", "head")
NOTE = "gaussian_window"
"""Name under which a model's configuration describes its bells."""


@final
@dataclass(frozen=True, kw_only=True)
class Window:
    """The bell to put into an encoder.

    Raises:
        InputError: a name is unknown, the width is not above 0, the window is even, or the kernel does not support it.
    """

    placement: str = "renormalised"
    """Placement, one of `attn_dynamics.model.bell.PLACEMENTS`."""
    scale: str = "deviation"
    """Trained function of σ, one of `attn_dynamics.model.bell.SCALES`."""
    start_width: float = 1.0
    """Initial width σ, in tokens."""
    each: Literal["layer", "head"] = "layer"
    """Part of the encoder with its own σ: each layer or each head."""
    window: int | None = None
    """Number 2w + 1 of tokens that a query may see; None for all tokens."""
    kernel: Literal["dense", "low-rank", "sliced"] = "dense"
    """Kernel, one of `KERNELS`."""
    exempt: Kind = "none"
    """Tokens exempt from the bell, one of `attn_dynamics.encoder.exempt.KINDS`."""

    def __post_init__(self) -> None:
        self.bell.parameter(self.start_width)
        one_of("each", self.each, EACH)
        one_of("exempt", self.exempt, KINDS)
        if self.window is not None:
            check_window(self.window)
        _check_kernel(self.kernel, self.bell, self.half_width)

    @property
    def bell(self) -> Bell:
        """Return the bell with this placement and scale."""
        return Bell(self.placement, self.scale)

    @property
    def half_width(self) -> int | None:
        """Return the half-width w; None without a window."""
        return None if self.window is None else self.window // 2


def windowed(
    model: Encoder,
    settings: Window,
    tokenizer: Tokenizer | None = None,
    *,
    example: Mapping[str, torch.Tensor] | None = None,
) -> Encoder:
    """Put a bell into every attention module of an encoder, in place, and switch its attention to the bells.

    The parameters are `….bell.parameter` of the model's state dict, (1,) or (heads,).

    Args:
        model: encoder of `transformers`, or a module with one in it, such as a SentenceTransformer.
        settings: the bell.
        tokenizer: the encoder's, if special tokens or the question are exempt.
        example: arguments of a small batch, needed if the encoder does not take token ids (B, L).

    Raises:
        InputError: the encoder has no attention interface or has bells already, the window is longer than its
            sequences, or a tokenizer or an example is missing.
    """
    _put(encoder_in(model), settings, Exemption.of(settings.exempt, tokenizer), example)
    return model


def encoder_in(model: nn.Module) -> PreTrainedModel:
    """Return the module itself or the first one in it that is an encoder of `transformers`.

    Raises:
        InputError: there is no such encoder.
    """
    for each in model.modules():
        if isinstance(each, PreTrainedModel):
            return each
    fix = "Load one by load_encoder."
    raise InputError("encoder", expected="a model of transformers", given=type(model).__name__, fix=fix)


def _put(
    model: PreTrainedModel,
    settings: Window,
    exemption: Exemption,
    example: Mapping[str, torch.Tensor] | None = None,
) -> None:
    if bells(model):
        raise InputError("encoder", expected="one without bells", given="one with bells", fix="Load it again.")
    longest = getattr(model.config, "max_position_embeddings", None)
    # From the first token of a sequence, 2L - 1 tokens reach its last.
    if settings.window is not None and longest is not None and settings.window >= 2 * longest:
        expected = f"at most {2 * longest - 1} tokens, because a sequence has {longest}"
        raise InputError("window", expected=expected, given=settings.window, fix="Make it shorter, or leave it out.")
    for module, heads in attention_modules(model, example).items():
        module.bell = TrainedBell(
            settings.bell,
            settings.start_width,
            heads if settings.each == "head" else 1,
            half_width=settings.half_width,
            kernel=settings.kernel,
            exemption=exemption,
            # At least float32, because a narrower type rounds small steps of a wide bell to 0.
            dtype=torch.promote_types(model.dtype, torch.float32),
            device=model.device,
        )
    model.set_attn_implementation(NAME)
    encoder = model.base_model
    # Not a hook, because some libraries call `forward` directly, which skips hooks.
    encoder.forward = MethodType(_with_exempt(type(encoder).forward), encoder)
    _note(model)


def restored(model: PreTrainedModel, saved: Mapping[str, torch.Tensor]) -> PreTrainedModel:
    """Put the bells that a configuration describes into its encoder, in place, with their saved parameters.

    Args:
        model: encoder with bells, loaded from a folder that `save_pretrained` wrote.
        saved: tensors of the bells in that folder, by name.

    Raises:
        InputError: the saved parameter of a bell is missing or has another shape.
    """
    note = dict(getattr(model.config, NOTE))
    reach, special = (note.pop("half_widths"), note.pop("kernels")), note.pop("special_tokens", {})
    frozen = note.pop("frozen", False)
    settings = Window(**note)
    _put(model, settings, Exemption(settings.exempt, tuple(special.get("ids", ())), special.get("separator")))
    for (name, each), half, kernel in zip(bells(model).items(), *reach, strict=True):
        # A task head adds a prefix to the names of its backbone, or removes it.
        found = [own for full, own in saved.items() if f".{full}".endswith(f".{name}.parameter")]
        found += [own for full, own in saved.items() if f".{name}.parameter".endswith(f".{full}") and not found]
        if len(found) != 1 or found[0].shape != each.parameter.shape:
            given, fix = f"{len(found)} that fit", "Save the encoder again with save_pretrained."
            raise InputError("encoder", expected=f"the saved bell of {name}", given=given, fix=fix)
        with torch.no_grad():
            each.parameter.copy_(found[0])
        each.half_width, each.kernel = half, kernel
    freeze_bells(model, frozen=frozen)
    return model


def _note(model: PreTrainedModel) -> None:
    """Describe the bells, except their parameters, in the configuration, which `save_pretrained` keeps.

    The configuration also names the attention. An encoder from `from_pretrained` alone then refuses to run without its
    bells, instead of running with plain attention.
    """
    present = list(bells(model).values())
    heads, exemption = max(each.parameter.numel() for each in present), present[0].exemption
    note = {
        "placement": present[0].bell.placement,
        "scale": present[0].bell.scale,
        "each": "head" if heads > 1 else "layer",
        "half_widths": [each.half_width for each in present],
        "kernels": [each.kernel for each in present],
        "frozen": not any(each.parameter.requires_grad for each in present),
        "exempt": exemption.kind,
        "special_tokens": {"ids": [*exemption.special], "separator": exemption.separator},
    }
    model.config.update({NOTE: note, "attn_implementation": NAME})


def _with_exempt(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return an encoder's forward that passes the exempt tokens of its batch on to every attention module.

    They are arguments of the pass, because checkpointing may repeat it after another one. The forward also checks σ,
    once a pass instead of once a layer.

    Raises:
        InputError: no bell has a parameter to which training has led, or the batch lacks an argument.
    """

    @wraps(forward)
    def begun(model: nn.Module, *args: Any, **given: Any) -> Any:
        if not torch.compiler.is_compiling():
            widths(model)  # raises if no bell has a parameter
        exempt = exempt_tokens(model, dict(zip(("input_ids", "attention_mask"), args, strict=False)) | given)
        given.pop(ARGUMENT, None)
        return forward(model, *args, **given if exempt is None else given | {ARGUMENT: exempt})

    return begun


def exempt_tokens(model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor | None:
    """Return the mask (B, L) of the exempt tokens of a batch, by the encoder's argument names; None if there are none.

    Raises:
        InputError: there are no bells, or the batch lacks an argument that the exemption needs.
    """
    exemption = next(iter(_present(model).values())).exemption
    return exemption.tokens(*(batch.get(name) for name in ("input_ids", "attention_mask", ARGUMENT)))


def bells(model: nn.Module) -> dict[str, TrainedBell]:
    """Return every bell by the name of its module, in the order of the layers."""
    return {name: each for name, each in model.named_modules() if isinstance(each, TrainedBell)}


def widths(model: nn.Module) -> np.ndarray:
    """Return σ of every layer (layers, 1), or of every head (layers, heads), in tokens.

    Raises:
        InputError: there are no bells, or no bell has a parameter to which training has led.
    """
    return np.stack([each.widths for each in _present(model).values()])


def half_widths(model: nn.Module) -> list[int | None]:
    """Return the half-width w of every layer; None for no limit."""
    return [each.half_width for each in _present(model).values()]


def parameter_groups(model: nn.Module, *, learning_rate: float, bell_rate: float = 1.0) -> list[dict[str, Any]]:
    """Return groups of trainable parameters for an optimiser: the backbone, and the bells at a multiple of its rate.

    Bells have no weight decay, because it would pull σ to 0 on any data.

    Raises:
        InputError: a rate is not finite, the learning rate is not above 0, or the multiple is below 0.
    """
    number("learning_rate", learning_rate, above=0)
    number("bell_rate", bell_rate, least=0)
    own = [each.parameter for each in _present(model).values()]
    ours = set(map(id, own))
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in ours], "lr": learning_rate, "name": "backbone"},
        {"params": own, "lr": learning_rate * bell_rate, "weight_decay": 0.0, "name": "bells"},
    ]
    groups = [{**group, "params": [p for p in group["params"] if p.requires_grad]} for group in groups]
    return [group for group in groups if group["params"]]


def freeze_bells(model: nn.Module, *, frozen: bool = True) -> None:
    """Stop the training of σ, or resume it."""
    for each in _present(model).values():
        each.parameter.requires_grad_(not frozen)
    _note(encoder_in(model))


def use_kernel(model: nn.Module, kernel: Literal["dense", "low-rank", "sliced"]) -> None:
    """Switch all bells to another kernel.

    Raises:
        InputError: there is no such kernel, or it does not support the bells.
    """
    present = _present(model)
    for each in present.values():
        _check_kernel(kernel, each.bell, each.half_width)
    for each in present.values():
        each.kernel = kernel
    _note(encoder_in(model))


def computed_pairs(model: nn.Module, length: int, exempt: int = 0) -> float:
    """Return the share of pairs of tokens whose scores are computed, as a mean over layers.

    Args:
        model: encoder with bells.
        length: number of tokens of a sequence.
        exempt: number of exempt tokens.

    Raises:
        InputError: there are no bells.
    """
    shares = [
        computed(length, each.half_width, exempt) if each.kernel == "sliced" and each.half_width is not None else 1.0
        for each in _present(model).values()
    ]
    return float(np.mean(shares))


def slice_windows(model: nn.Module, error: float, *, spread: float = 0.0) -> list[int]:
    """Freeze the bells and slice keys to w(σ, ε) of each layer's widest bell; return the half-widths (theory D8).

    A state dict holds σ but no half-width: call this again after loading one. `save_pretrained` keeps both.

    Args:
        model: encoder with bells.
        error: largest change ε of a context, in units of max‖v_j‖.
        spread: largest difference of scores; 0 if scores are equal.

    Raises:
        InputError: there are no bells, the encoder has windows of its own, or a number is out of range.
    """
    encoder = encoder_in(model)
    if "sliding_attention" in (getattr(encoder.config, "layer_types", None) or ()):
        given, fix = f"{type(encoder).__name__}, whose layers have windows of their own", "Keep kernel='dense'."
        raise InputError("encoder", expected="one whose mask is padding alone", given=given, fix=fix)
    present, found = _present(model), []
    for each in present.values():
        reach = half_width(float(each.widths.max()), error, spread)
        found.append(reach if each.half_width is None else min(reach, each.half_width))
    freeze_bells(model)
    for each, reach in zip(present.values(), found, strict=True):
        each.half_width, each.kernel = reach, "sliced"
    _note(encoder)
    return found


def _present(model: nn.Module) -> Mapping[str, TrainedBell]:
    found = bells(model)
    if not found:
        fix = "Call windowed(model, Window(…)) first."
        raise InputError("encoder", expected="bells in its attention", given="none", fix=fix)
    return found


def _check_kernel(kernel: str, bell: Bell, reach: int | None) -> None:
    one_of("kernel", kernel, KERNELS)
    if kernel == "low-rank" and not bell.renormalises:
        fix = "Its two dimensions only add to scores within the softmax. Use 'dense'."
        raise InputError("kernel", expected="the renormalised placement", given=bell.placement, fix=fix)
    if kernel == "sliced" and reach is None:
        fix = "Give a window, or call slice_windows."
        raise InputError("kernel", expected="a half-width to slice to", given="none", fix=fix)
