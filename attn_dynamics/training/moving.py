"""The arrays that move in training: their slopes, and their steps by an update rule.

One writing serves one model in numpy and R replicates in torch, whose arrays have a leading axis of replicates, because
axes are counted from the last.
"""

from collections.abc import Callable
from typing import Any

from attn_dynamics.training.checkpoint import with_prefix
from attn_dynamics.training.coordinates import Coordinates
from attn_dynamics.training.rules import Stepper
from attn_dynamics.training.settings import Training

PARTS = {"query": "query", "keys": "keys", "scores": "keys", "axes": "embeddings", "head": "head"}
"""Trained part, as `train` names it, that each moving array belongs to, by the first word of the array's name."""


class Moving:
    """The arrays of a model in training, or of R replicates.

    Args:
        begin: coordinates of the model, or of one replicate.
        arrays: scores (…, V), axes (…, d, V), query (…, d_k), keys (…, V, d_k) if they are stepped or the query is, and
            the head's arrays by "head." and their names.
        training: trained parts, update rule and weight decay.
        frozen: columns of the frozen words, as an array that can index `arrays`.
        stepper: class of the rule at work.
    """

    def __init__(
        self,
        begin: Coordinates,
        arrays: dict[str, Any],
        training: Training,
        frozen: Any,
        stepper: Callable[..., Stepper] = Stepper,
    ) -> None:
        self._begin, self._arrays, self._training, self._frozen = begin, arrays, training, frozen
        self._stepper = stepper(training.rule, self.moving())

    def moving(self) -> dict[str, Any]:
        """Return everything that moves, by name: the arrays themselves, not copies."""
        return {name: self._arrays[name] for name in self._begin.shapes}

    def state(self) -> dict[str, Any]:
        """Return all arrays that move and all buffers of the rule, by name; they are not copied."""
        return self.moving() | with_prefix("rule.", self._stepper.buffers)

    def step(self, gradient: Any, learning_rate: float) -> None:
        """Take one step of the update rule in all trained parameters at once, with weight decay; frozen words stay.

        Decay shrinks arrays before the step if it is decoupled. Otherwise it is added to their slopes.
        """
        state, slopes, frozen = self.moving(), self.slopes(gradient), self._frozen
        of_words = {"scores", "keys", "axes"} & state.keys() if len(frozen) else ()
        by_word = {name: _words_last(name, state[name]) for name in of_words}
        start = {name: array[..., frozen] for name, array in by_word.items()}
        for name, array in state.items():
            decay = self._training.decay_of(PARTS[name.split(".")[0]])
            if not decay:
                continue
            shrinking = decay * array
            if name in by_word:
                _words_last(name, shrinking)[..., frozen] = 0.0
            if self._training.decoupled:
                array -= learning_rate * shrinking
            else:
                slopes[name] = slopes[name] + shrinking
        self._stepper.step(state, slopes, learning_rate)
        for name, array in by_word.items():  # A rule with a decay of its own also moves entries of slope 0.
            array[..., frozen] = start[name]
        self.follow_keys()

    def slopes(self, gradient: Any, *, axes: bool = True) -> dict[str, Any]:
        """Return the gradient of all arrays that move, by name, perhaps without that of the axes.

        For scores it is ‖q‖² ∂L/∂s, because keys move along q.
        """
        begin, by_score, query, slopes = self._begin, gradient.scores, self._arrays["query"][..., None], {}
        if "query" in begin.train:
            slopes["query"] = (by_score[..., None, :] @ self._arrays["keys"])[..., 0, :]
        if "keys" in begin.train and begin.by_keys:
            slopes["keys"] = by_score[..., None] * query.mT
        elif "keys" in begin.train:
            slopes["scores"] = (query.mT @ query)[..., 0] * by_score
        if "embeddings" in begin.train and axes:
            slopes["axes"] = gradient.axes
        return slopes | {f"head.{name}": gradient.head[name] for name in begin.trained_head}

    def follow_keys(self) -> None:
        """Set the scores to those of keys and query, if one of these is stepped."""
        arrays = self._arrays
        if self._begin.by_keys:
            arrays["scores"][...] = (arrays["keys"] @ arrays["query"][..., None])[..., 0]


def _words_last(name: str, array: Any) -> Any:
    """Return a view of a moving array whose last axis is that of words."""
    return array.mT if name == "keys" else array
