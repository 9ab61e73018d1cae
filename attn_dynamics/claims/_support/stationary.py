"""Stationary points of training with weight decay, by a solver of scipy."""

import numpy as np
from scipy.optimize import minimize

from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.dynamics import Dynamics
from attn_dynamics.training.settings import Training


def stationary(
    corpus: Corpus,
    start: Parameters,
    decay: float,
    train: tuple[str, ...] = ("keys", "embeddings"),
    *,
    most: int = 2000,
) -> Parameters:
    """Return parameters near a stationary point of L + (λ/2)‖θ‖² over the trained parts, by L-BFGS.

    The query is fixed. Keys start at 0, so that they stay along the query. At most `most` iterations are made, and the
    gradient at the result tells how near it is.
    """
    dynamics = Dynamics(corpus, start, Training(train=train, reduced=False))
    begin = {name: array.copy() for name, array in dynamics.state().items()}
    # A score stands for its key, whose length s/‖q‖ decays.
    unit = {name: float(np.linalg.norm(start.query)) if name == "scores" else 1.0 for name in begin}
    ends = np.cumsum([array.size for array in begin.values()])[:-1]

    def restore(flat: Array) -> None:
        parts = zip(begin, np.split(flat, ends), strict=True)
        dynamics.restore({name: unit[name] * part.reshape(begin[name].shape) for name, part in parts})

    def objective(flat: Array) -> tuple[float, Array]:
        restore(flat)
        fit, gradient = dynamics.evaluate()
        falling = dynamics.velocity(gradient)
        slopes = np.concatenate([-falling[name].ravel() / unit[name] for name in begin])
        return fit.loss + 0.5 * decay * float(flat @ flat), slopes + decay * flat

    options = {"maxiter": most, "maxfun": 2 * most, "maxcor": 10, "ftol": 0.0, "gtol": 0.0}
    flat = np.concatenate([array.ravel() / unit[name] for name, array in begin.items()])
    restore(minimize(objective, flat, jac=True, method="L-BFGS-B", options=options).x)
    return dynamics.parameters()
