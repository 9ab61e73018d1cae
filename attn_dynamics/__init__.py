"""How a single attention layer learns: exact-gradient simulators whose every run stands beside the theory."""

import os

from attn_dynamics import interrupt

if interrupt.command_starts():
    interrupt.end_at_once()
if "MPLBACKEND" in os.environ:
    from attn_dynamics import backend as backend

from attn_dynamics.batch import descend_many
from attn_dynamics.corpus import Corpus
from attn_dynamics.descent import descend
from attn_dynamics.flow import flow
from attn_dynamics.gradient import loss_and_gradient
from attn_dynamics.heads import FixedLinear, TrainedLinear, TwoLayer
from attn_dynamics.initial import draw
from attn_dynamics.parameters import Parameters
from attn_dynamics.run import Run
from attn_dynamics.version import VERSION

__version__ = VERSION
__all__ = [
    "Corpus",
    "FixedLinear",
    "Parameters",
    "Run",
    "TrainedLinear",
    "TwoLayer",
    "__version__",
    "descend",
    "descend_many",
    "draw",
    "flow",
    "loss_and_gradient",
]
