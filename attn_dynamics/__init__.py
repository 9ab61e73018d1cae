"""How a single attention layer learns: exact-gradient simulators whose every run stands beside the theory."""

import os

from attn_dynamics.system import interrupt

if interrupt.command_starts():
    interrupt.end_at_once()
if "MPLBACKEND" in os.environ:
    from attn_dynamics.system import backend as backend

from attn_dynamics.errors import InputError, StorageError
from attn_dynamics.model.gradient import Objective, loss_and_gradient
from attn_dynamics.model.heads import FixedLinear, TrainedLinear, TwoLayer
from attn_dynamics.model.initial import draw
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.results.assumptions import check_assumptions
from attn_dynamics.results.plot import plot
from attn_dynamics.results.prediction import predict
from attn_dynamics.system.version import VERSION
from attn_dynamics.tasks import Synthetic, load_task, text_task
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.theory.sen import sen_norm
from attn_dynamics.training.checkpoint import Checkpoint
from attn_dynamics.training.descent import descend
from attn_dynamics.training.flow import flow
from attn_dynamics.training.replicates import descend_many
from attn_dynamics.training.rules import Adam, Momentum, SignDescent
from attn_dynamics.training.run import Run
from attn_dynamics.training.training import Training

__version__ = VERSION
__all__ = [
    "Adam",
    "Checkpoint",
    "Corpus",
    "FixedLinear",
    "InputError",
    "Momentum",
    "Objective",
    "Parameters",
    "Run",
    "SignDescent",
    "StorageError",
    "Synthetic",
    "TrainedLinear",
    "Training",
    "TwoLayer",
    "__version__",
    "check_assumptions",
    "descend",
    "descend_many",
    "draw",
    "flow",
    "load_task",
    "loss_and_gradient",
    "plot",
    "predict",
    "sen_norm",
    "text_task",
]
