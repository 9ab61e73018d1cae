"""Types of the public names, and their only list: the package imports a name from here when it is first used."""

from attn_dynamics.errors import InputError as InputError
from attn_dynamics.errors import StorageError as StorageError
from attn_dynamics.model.gradient import Objective as Objective
from attn_dynamics.model.gradient import loss_and_gradient as loss_and_gradient
from attn_dynamics.model.heads import FixedLinear as FixedLinear
from attn_dynamics.model.heads import TrainedLinear as TrainedLinear
from attn_dynamics.model.heads import TwoLayer as TwoLayer
from attn_dynamics.model.initial import draw as draw
from attn_dynamics.model.parameters import Parameters as Parameters
from attn_dynamics.results.assumptions import check_assumptions as check_assumptions
from attn_dynamics.results.figures.plot import plot as plot
from attn_dynamics.results.prediction import predict as predict
from attn_dynamics.tasks import Synthetic as Synthetic
from attn_dynamics.tasks import load_task as load_task
from attn_dynamics.tasks import text_task as text_task
from attn_dynamics.tasks.corpus import Corpus as Corpus
from attn_dynamics.theory.sen import sen_norm as sen_norm
from attn_dynamics.training.checkpoint import Checkpoint as Checkpoint
from attn_dynamics.training.descent import descend as descend
from attn_dynamics.training.flow import flow as flow
from attn_dynamics.training.replicates.descent import descend_many as descend_many
from attn_dynamics.training.rules import Adam as Adam
from attn_dynamics.training.rules import Descent as Descent
from attn_dynamics.training.rules import Momentum as Momentum
from attn_dynamics.training.rules import SignDescent as SignDescent
from attn_dynamics.training.run import Run as Run
from attn_dynamics.training.settings import Training as Training

__all__: list[str]
__version__: str
