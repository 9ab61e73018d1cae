"""The attention function and its mask, registered with `transformers` as "gaussian-window".

Without a registered mask, `transformers` would silently pass no padding on.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import bidirectional_mask_function, sdpa_mask

from attn_dynamics.encoder.bell import TrainedBell
from attn_dynamics.encoder.dense import AttentionInputs, dense
from attn_dynamics.encoder.exempt import ARGUMENT
from attn_dynamics.encoder.low_rank import low_rank
from attn_dynamics.encoder.sliced import sliced
from attn_dynamics.errors import InputError

NAME = "gaussian-window"
"""Name of the attention implementation."""
PROBE = "gaussian-window-probe"
"""Name of the implementation that records the modules which call attention."""
KERNELS: Mapping[str, Callable[[AttentionInputs, TrainedBell], tuple[Tensor, Tensor | None]]] = {
    "dense": dense,
    "low-rank": low_rank,
    "sliced": sliced,
}
"""Kernels by name: all pairs of tokens, two further dimensions (renormalised placement only), or keys sliced to w."""
UNKNOWN = ("position_bias", "softcap")
"""Arguments of some models that no kernel here supports."""


def gaussian_window(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[Tensor, Tensor | None]:
    """Return the contexts (B, L, H, d) of an attention module within its bell, and the weights if the kernel has them.

    Args:
        module: module with a `TrainedBell` as its `bell`.
        query: queries (B, H, L, d).
        key: keys of the same shape, or with fewer heads, each shared by several heads of the query.
        value: values in the shape of the keys.
        attention_mask: (B, L), true at tokens, or a mask of pairs (B, 1 or H, L, L).
        scaling: factor on the scores; by default 1/√d.
        dropout: probability with which a weight is dropped.
        others: arguments that a model passes to every attention function.

    Raises:
        InputError: the module has no bell, attention is cross-attention, the model changes the scores, or the output
            needs weights that the kernel does not compute.
    """
    bell = getattr(module, "bell", None)
    if not isinstance(bell, TrainedBell):
        fix = "Call windowed(model, Window(…)), or load a saved one by load_encoder, both of attn_dynamics.encoder."
        raise InputError(NAME, expected="a bell in every attention module", given=type(module).__name__, fix=fix)
    exempt = others.pop(ARGUMENT, None)
    if exempt is None and bell.exemption.kind != "none":
        given, fix = type(module).__name__, "Choose another encoder, or exempt='none'."
        raise InputError(NAME, expected="an encoder that passes its arguments on to attention", given=given, fix=fix)
    if query.shape[2] != key.shape[2]:
        given, fix = f"{query.shape[2]} queries, {key.shape[2]} keys", "Windows are for self-attention."
        raise InputError(NAME, expected="as many keys as queries", given=given, fix=fix)
    if passed := [name for name in UNKNOWN if others.get(name) is not None]:
        fix = "Choose an encoder without it."
        raise InputError(NAME, expected="plain scores", given=f"a {passed[0]}", fix=fix)
    if others.get("output_attentions") and bell.kernel != "dense":
        fix = "Call use_kernel(model, 'dense') first."
        raise InputError("output_attentions", expected="the kernel 'dense'", given=repr(bell.kernel), fix=fix)
    if key.shape[1] != query.shape[1]:
        key, value = (each.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for each in (key, value))
    pairs = attention_mask is not None and attention_mask.ndim == 4
    inputs = AttentionInputs(
        query=query,
        key=key,
        value=value,
        padding=None if attention_mask is None or pairs else attention_mask.bool(),
        mask=attention_mask if pairs else None,
        scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
        dropout=dropout,
        exempt=exempt,
    )
    contexts, weights = KERNELS[bell.kernel](inputs, bell)
    return contexts.transpose(1, 2).contiguous(), weights


def gaussian_window_mask(
    *args: Any, mask_function: Callable, attention_mask: Tensor | None = None, **others: Any
) -> Tensor | None:
    """Return a padding mask unchanged (B, L), because pairs need quadratic memory, and any other mask as pairs."""
    if mask_function is bidirectional_mask_function:
        return attention_mask
    return sdpa_mask(*args, mask_function=mask_function, attention_mask=attention_mask, **others)


def attention_modules(model: PreTrainedModel, example: Mapping[str, Tensor] | None = None) -> dict[nn.Module, int]:
    """Return the modules that call the attention interface in a pass over an example, with their numbers of heads.

    Args:
        model: the encoder.
        example: arguments of a pass; by default token ids.

    Raises:
        InputError: the model does not use the interface, is causal, or cannot take the example.
    """
    kind = type(model).__name__
    fix = "Take a bidirectional encoder such as BERT, RoBERTa or DistilBERT."
    expected = "an encoder whose attention goes through the interface of transformers"
    # transformers makes the second test too, but then only warns and keeps its attention.
    if not (model._supports_attention_backend and model._can_set_attn_implementation()):
        raise InputError("encoder", expected=expected, given=kind, fix=fix)
    before, modes = model.config._attn_implementation or "eager", [(each, each.training) for each in model.modules()]
    model.set_attn_implementation(PROBE)
    model.eval()
    try:
        with torch.no_grad():
            model(**{name: each.to(model.device) for name, each in (example or model.dummy_inputs).items()})
    except Exception as error:  # a model with other inputs may raise anything
        given, fix = f"{type(error).__name__}: {error}", "Pass example={…}, the arguments of a small batch."
        raise InputError("example", expected=f"a batch that {kind} takes", given=given, fix=fix) from error
    finally:
        model.set_attn_implementation(before)
        for each, mode in modes:
            each.training = mode
        noted = {each: each.__dict__.pop(PROBE) for each in model.modules() if PROBE in each.__dict__}
    if not noted:
        raise InputError("encoder", expected=expected, given=kind, fix=fix)
    if any(getattr(each, "is_causal", False) for each in noted):
        raise InputError("encoder", expected="attention to both sides", given=f"causal {kind}", fix=fix)
    return noted


def _note(module: nn.Module, query: Tensor, *args: Any, **others: Any) -> tuple[Tensor, None]:
    module.__dict__[PROBE] = query.shape[1]
    return sdpa_attention_forward(module, query, *args, **others)


AttentionInterface.register(NAME, gaussian_window)
AttentionMaskInterface.register(NAME, gaussian_window_mask)
AttentionInterface.register(PROBE, _note)
AttentionMaskInterface.register(PROBE, sdpa_mask)
