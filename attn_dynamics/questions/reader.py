"""Readers: encoders with windows that answer questions."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForQuestionAnswering, PreTrainedModel
from transformers.utils import logging

from attn_dynamics.encoder import Backbone, Window, exempt_tokens, half_widths, load_encoder, widths, windowed
from attn_dynamics.errors import InputError
from attn_dynamics.questions.answers import Spans, answers, best_spans
from attn_dynamics.questions.features import Features
from attn_dynamics.window.reach import half_width, mass_width

Device = Literal["cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]
AT_ONCE = 32
"""Number of windows in a batch when a reader answers."""


def one_thread() -> None:
    """Limit torch to one thread in this process, because other processes use the other cores."""
    torch.set_num_threads(1)


def reader(window: Window, *, encoder: str | Path | None = None, seed: int = 0, device: Device = "cpu") -> Backbone:
    """Build an encoder with windows, and a head for the first and last token drawn by the random seed.

    Raises:
        InputError: the device is missing, or as in `load_encoder` or `windowed`.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device", expected="a GPU for cuda", given="none", fix="Choose cpu.")
    with _quiet(), torch.random.fork_rng():
        torch.manual_seed(seed)
        # Always float32, because narrower types round small steps to 0.
        found = load_encoder(encoder, kind=AutoModelForQuestionAnswering, dtype=torch.float32)
    model = windowed(found.model, window, found.tokenizer)
    model.to(torch.device(device))  # pyright: ignore[reportArgumentType]  a decorator hides what it takes
    return Backbone(model, found.tokenizer)


def read(
    model: PreTrainedModel,
    features: Features,
    *,
    precision: Precision = "float32",
    show: Callable[[int], object] = lambda windows: None,
) -> dict[str, str]:
    """Return a reader's answers by question id.

    Args:
        model: a trained model from `reader`.
        features: the questions as windows.
        precision: precision of products in the encoder; the head keeps its own, so that few logits are equal.
        show: function called with the number of windows of each batch.

    Raises:
        InputError: a logit is NaN or infinite.
    """
    order, found = np.argsort(features.lengths, kind="stable"), []
    model.eval()
    for rows in np.split(order, range(AT_ONCE, len(order), AT_ONCE)):
        with torch.inference_mode(), _encoder_narrow(model, precision):
            out = model(**on_device(model, features.batch(rows)))
        starts, ends = (each.float().cpu().numpy() for each in (out.start_logits, out.end_logits))
        found.append(best_spans(starts, ends, features.passage[rows]))
        show(len(rows))
    back = np.argsort(order, kind="stable")
    return answers(features, Spans(*(np.concatenate(each)[back] for each in zip(*found, strict=True))))


def attention_by_distance(model: PreTrainedModel, features: Features) -> NDArray[np.float64]:
    """Return each head's attention by distance |Δ|, among all tokens and within the passage (2, layers, heads, D).

    Both are shares, whose sum over the D distances is 1.

    Args:
        model: a model with the kernel `dense`, the only one that returns weights.
        features: windows of at most D tokens, of which the first `AT_ONCE` are used.

    Raises:
        InputError: a kernel returns no weights.
    """
    rows = np.arange(min(AT_ONCE, len(features)))
    batch = on_device(model, features.batch(rows))
    model.eval()
    with torch.inference_mode():
        found = model(**batch, output_attentions=True).attentions
    if not found or any(each is None for each in found):
        fix = "Call use_kernel(model, 'dense') first."
        raise InputError("kernel", expected="weights of attention", given="none", fix=fix)
    places, bounds = np.arange(batch["input_ids"].shape[1]), features.passage[rows]
    inside = torch.from_numpy((bounds[:, :1] <= places) & (places < bounds[:, 1:])).to(model.device).double()
    real, distances = batch["attention_mask"].double(), np.abs(places - places[:, None]).ravel()
    among = torch.stack([real[:, :, None].expand(-1, -1, len(places)), inside[:, :, None] * inside[:, None]])
    sums = torch.stack([torch.einsum("bhij,abij->ahij", each.double(), among) for each in found], dim=1)
    longest = int(features.lengths.max())
    counts = [np.bincount(distances, each, longest) for each in sums.flatten(0, 2).flatten(1).cpu().numpy()]
    shares = np.reshape(counts, (*sums.shape[:3], longest))
    return shares / shares.sum(axis=-1, keepdims=True)


def tokens_held(shares: NDArray[np.float64], share: float = 0.95) -> NDArray[np.int64]:
    """Return the number 2w + 1 (layers,) of tokens in the least half-width w that holds a share of the attention.

    Args:
        shares: attention of a layer's heads by distance (layers, heads, D), from `attention_by_distance`.
        share: share of the attention of all heads together.
    """
    return np.array([mass_width(each, np.arange(each.size), share) for each in shares.mean(axis=1)])


def attended_pairs(model: PreTrainedModel, features: Features, error: float = 0.01) -> NDArray[np.float64]:
    """Return the share of pairs of tokens that each bell lets attend (layers, 1 or heads), over all windows.

    These are the pairs within the half-width w(σ, ε) and those of exempt tokens. For equal scores all others change a
    context by at most ε of the largest value (theory D8).

    Args:
        model: a model from `reader`.
        features: the windows.
        error: error ε.

    Raises:
        InputError: no bell has a parameter to which training has led, or the error is out of range.
    """
    found = widths(model)
    limits = [np.inf if each is None else each for each in half_widths(model)]
    reach = np.array(
        [[min(half_width(each, error), limit) for each in row] for row, limit in zip(found, limits, strict=True)]
    )
    seen, pairs = np.zeros(found.shape), 0
    for window in range(len(features)):
        exempt = _exempt(model, features.batch([window]))
        places, length = np.flatnonzero(~exempt), len(exempt)
        counts = [
            np.searchsorted(places, places + w, "right") - np.searchsorted(places, places - w) for w in reach.flat
        ]
        seen += np.reshape([each.sum() for each in counts], seen.shape) + length**2 - len(places) ** 2
        pairs += length**2
    return seen / pairs


def _exempt(model: PreTrainedModel, batch: dict[str, NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Return the exempt tokens (L,) of a single window."""
    found = exempt_tokens(model, {name: torch.from_numpy(each) for name, each in batch.items()})
    return np.zeros(batch["input_ids"].shape[1], dtype=bool) if found is None else found[0].numpy()


def fingerprint(model: PreTrainedModel) -> str:
    """Return a digest of the weights of the encoder, without head and bells."""
    found = hashlib.sha256()
    for name, each in model.base_model.state_dict().items():
        if not name.endswith("bell.parameter"):
            found.update(name.encode() + each.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def on_device(model: PreTrainedModel, batch: dict[str, NDArray[np.int64]]) -> dict[str, Tensor]:
    """Return a batch as tensors on the model's device."""
    return {name: torch.from_numpy(each).to(model.device) for name, each in batch.items()}


def narrow(model: PreTrainedModel, precision: Precision) -> torch.autocast:
    """Return a context with products in a precision; parameters and σ keep their type."""
    return torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bfloat16")


@contextmanager
def _encoder_narrow(model: PreTrainedModel, precision: Precision) -> Iterator[None]:
    """Run the encoder, but not its head, with products in a precision."""
    encoder, cast = model.base_model, narrow(model, precision)

    def enter(*_: object) -> None:
        cast.__enter__()

    def leave(*_: object) -> None:
        cast.__exit__(None, None, None)

    hooks = [encoder.register_forward_pre_hook(enter), encoder.register_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warning that the head is new, because a new head is intended."""
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
