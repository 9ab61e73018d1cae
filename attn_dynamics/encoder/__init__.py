"""Windows in pretrained encoders: attention functions for `transformers`, with σ as a parameter (theory §D).

This package needs the extra `window`; no other part of the library imports it.
"""

from attn_dynamics.system.extras import require

# `load_encoder` asks for the package with MiniLM's weights when it needs it.
require("window", "torch", "transformers")

from attn_dynamics.encoder.backbone import Backbone, load_encoder, restore_windows  # noqa: E402
from attn_dynamics.encoder.bell import TrainedBell  # noqa: E402
from attn_dynamics.encoder.inserted_bells import (  # noqa: E402
    Window,
    bells,
    computed_pairs,
    exempt_tokens,
    freeze_bells,
    half_widths,
    parameter_groups,
    slice_windows,
    use_kernel,
    widths,
    windowed,
)
from attn_dynamics.encoder.interface import KERNELS, NAME  # noqa: E402

__all__ = [
    "KERNELS",
    "NAME",
    "Backbone",
    "TrainedBell",
    "Window",
    "bells",
    "computed_pairs",
    "exempt_tokens",
    "freeze_bells",
    "half_widths",
    "load_encoder",
    "parameter_groups",
    "restore_windows",
    "slice_windows",
    "use_kernel",
    "widths",
    "windowed",
]
