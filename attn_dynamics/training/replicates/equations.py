"""The equations of theory §1 for R replicates at once, written once for every array library.

Replicates are the first axis: scores (R, V), embeddings (R, d, V), logits (R, n, N). As in `Dynamics`, only
coordinates that can move are kept. If the head reads fewer dimensions, the products run on P = E W H (`Objective`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training.dynamics import Coordinates
from attn_dynamics.training.replicates.engine import Engine


class Gradient(NamedTuple):
    """Gradients of the mean losses of R replicates, valid until the next evaluation; a step overwrites them."""

    scores: Any
    """Gradient ∂L/∂s (R, V)."""
    values: Any
    """Gradient ∂L/∂P (R, k, V)."""
    head: dict[str, Any]
    """Gradients with respect to the arrays of the head, by name."""
    readout_matrix: Any
    """Readout matrix W H (R, d, k) if P = E W H, so that ∂L/∂E = (∂L/∂P)(W H)ᵀ; None if P = E."""


class Replicates:
    """Models of one shape in training on one corpus.

    Args:
        engine: the array library.
        corpora: the training corpus, named "train", first; then the corpora to evaluate.
        starts: start of each replicate, all with the same shapes and the same trained parts.
        held: columns of the words that keep their initial values.
        followed: columns of the words recorded at every epoch.
    """

    def __init__(
        self,
        engine: Engine,
        corpora: Mapping[str, Corpus],
        starts: Sequence[Coordinates],
        held: NDArray[np.int64],
        followed: NDArray[np.int64],
    ) -> None:
        self._engine, self.corpora, self._starts = engine, corpora, list(starts)
        self._held, self._followed = held, followed
        head, self._train, self._trained_head = starts[0].head, starts[0].train, starts[0].trained_head
        self._kind, self._trains_first = type(head), head.first in head.trained
        d, read = head.readout_matrix.shape
        self._width, self._narrows = min(d, read), read < d
        self._contrasts = engine.array(head.contrasts)
        self._arrays = {name: self._stacked(name) for name in self._names()}
        self._make_room()

    def __len__(self) -> int:
        return len(self._starts)

    def evaluate(self) -> tuple[dict[str, Any], Gradient, Any]:
        """Return losses and accuracies (R, 2) by corpus, the gradient, and the signals ‖∂L/∂s‖, ‖∂L/∂E‖_F (R, 2)."""
        head, axes = self._head, self._arrays["axes"]
        readout_matrix = head.first_layer @ self._contrasts if self._narrows else None
        values = axes if readout_matrix is None else self._engine.by_words(readout_matrix.mT @ axes)
        entry = self._contrasts if self._narrows else head.first_layer.mT
        self._operand.update(self._arrays["scores"], values)
        contexts, slopes, kept, fit = self._fit(self._products["train"], entry)
        slopes, gradients = head.backward(kept, slopes)
        if self._trains_first and not self._narrows:
            gradients[head.first] = contexts @ slopes.mT
        by_score, by_value = self._products["train"].attend_back(self._operand, entry.mT @ slopes)
        rows = self._engine.rows(by_value) if self._narrows else by_value
        if self._trains_first and self._narrows:
            gradients[head.first] = (axes @ rows.mT) @ self._contrasts.mT
        if self._held.size:
            by_score[:, self._held] = 0.0
            rows[:, :, self._held] = 0.0
        fits = {"train": fit} | {name: self._fit(each, entry)[-1] for name, each in self._others.items()}
        return fits, Gradient(by_score, rows, gradients, readout_matrix), self._signals(by_score, rows, readout_matrix)

    def has_nonfinite_scores(self) -> NDArray[np.bool_]:
        """Return a mask (R,) of replicates whose last evaluated scores hold NaN or infinity."""
        wide = self._operand.wide_scores
        if not wide.any():
            return wide
        finite = self._engine.xp.all(self._engine.xp.isfinite(self._arrays["scores"]), axis=1)
        return wide & ~self._engine.numbers(finite).astype(bool)

    def row(self, fits: Mapping[str, Any], gradient: Gradient, signals: Any, frequency: Any) -> NDArray[np.float64]:
        """Return the recorded row of every replicate (R, numbers), in the order of `recording.Layout`."""
        xp, scores, words = self._engine.xp, self._arrays["scores"], self._followed
        slopes = gradient.scores[:, words]
        numbers = [signals[:, 0], self._lengths(slopes), signals[:, 1], xp.sum(scores, axis=1)]
        attention = self._products["train"].received(self._operand, words) / frequency
        parts = [*fits.values(), xp.stack(numbers, axis=1), scores[:, words], self._norms(words), attention, slopes]
        return self._engine.numbers(xp.concat(parts, axis=1))

    def snapshot(self, frequency: Any) -> NDArray[np.float64]:
        """Return scores, embedding norms ‖ν‖ and mean attention of all words (R, 3, V)."""
        attention = self._products["train"].received(self._operand) / frequency
        parts = [self._arrays["scores"], self._norms(slice(None)), attention]
        return self._engine.numbers(self._engine.xp.stack(parts, axis=1))

    def step(self, gradient: Gradient, learning_rate: float) -> None:
        """Take one step of gradient descent in all trained parameters at once; overwrites the gradient."""
        slopes = gradient.scores
        if "embeddings" in self._train:
            self._step_embeddings(gradient, learning_rate)
        for name in self._trained_head:
            array = self._arrays[f"head.{name}"]
            array -= learning_rate * gradient.head[name]
        if "query" in self._train:
            self._step_query(slopes, learning_rate)
        elif "keys" in self._train:
            self._engine.subtract(self._arrays["scores"], learning_rate * self._arrays["speed"], slopes)

    def moving(self) -> dict[str, Any]:
        """Return everything that moves, by name, replicates first: the arrays themselves, not copies."""
        names = ["query"] if "query" in self._train else []
        if "keys" in self._train:
            names.append("keys" if "query" in self._train else "scores")
        if "embeddings" in self._train:
            names.append("axes")
        return {name: self._arrays[name] for name in [*names, *(f"head.{name}" for name in self._trained_head)]}

    def keep(self, places: NDArray[np.int64]) -> None:
        """Continue with the replicates at these indices only."""
        self._starts = [self._starts[place] for place in places]
        self._arrays = {name: self._laid_out(name, array[places]) for name, array in self._arrays.items()}
        self._make_room()

    def states(self) -> list[dict[str, NDArray[np.float64]]]:
        """Return for each replicate everything that moves, and its scores, by name, on the host."""
        arrays = {name: self._engine.numbers(array) for name, array in self._all_that_moves().items()}
        return [{name: array[place] for name, array in arrays.items()} for place in range(len(self))]

    def restore(self, states: Sequence[Mapping[str, NDArray[np.float64]]]) -> None:
        """Set each replicate to its arrays of `states`; a replicate with an empty state is not changed."""
        arrays = self._all_that_moves()
        for place, state in enumerate(states):
            for name, values in state.items():
                arrays[name][place] = self._engine.array(values)

    def parameters(self, place: int, state: Mapping[str, Any]) -> Parameters:
        """Return the parameters of one replicate at a state that `moving` returned, in the shapes of its start."""
        start = self._starts[place]
        moved = {name: self._engine.numbers(array[place]).astype(np.float64) for name, array in state.items()}
        head = {name.removeprefix("head."): array for name, array in moved.items() if name.startswith("head.")}
        return start.parameters(
            scores=moved.get("scores", start.start.scores),
            axes=moved.get("axes", start.axes),
            head=start.head.replace(**head),
            keys=moved.get("keys", start.start.keys),
            query=moved.get("query", start.start.query),
        )

    def _all_that_moves(self) -> dict[str, Any]:
        """Return the moving arrays and the scores, which a resumed run need not sum again if the query is trained."""
        return self.moving() | {"scores": self._arrays["scores"]}

    def _fit(self, products: Any, entry: Any) -> tuple[Any, Any, Any, Any]:
        contexts = products.attend(self._operand)
        logits, kept = self._head.forward(entry @ contexts)
        return contexts, logits, kept, self._engine.xp.stack(products.cross_entropy(logits), axis=1)

    def _signals(self, by_score: Any, by_value: Any, readout_matrix: Any) -> Any:
        scores = self._root(self._engine.squares, by_score, axis=(1,))
        if readout_matrix is None:
            embeddings = self._root(self._engine.squares, by_value, axis=(1, 2))
        else:
            embeddings = self._root(self._joint_squares, by_value, readout_matrix, axis=(1, 2))
        return self._engine.xp.stack([scores, embeddings], axis=1)

    def _joint_squares(self, by_value: Any, readout_matrix: Any) -> Any:
        """Return ‖∂L/∂E‖_F² = Σ_w b_wᵀ (W H)ᵀ(W H) b_w, b_w the columns of (∂L/∂P)ᵀ."""
        return self._engine.xp.sum((by_value @ by_value.mT) * (readout_matrix.mT @ readout_matrix), axis=(1, 2))

    def _lengths(self, vectors: Any) -> Any:
        """Return the norms ‖·‖ along the second axis."""
        return self._root(lambda each: self._engine.xp.sum(each * each, axis=1), vectors, axis=(1,))

    def _root(self, squares: Callable[..., Any], *factors: Any, axis: tuple[int, ...]) -> Any:
        """Return roots of squares; squares that underflow are computed again from factors divided by their largest."""
        xp, found = self._engine.xp, squares(*factors)
        limits = xp.finfo(found.dtype)
        small = found <= limits.smallest_normal / limits.eps**2
        roots = xp.sqrt(xp.clip(found, 0.0, None))
        if 0 in factors[0].shape or not bool(xp.any(small)):
            return roots
        largest = [xp.max(xp.abs(each), axis=axis, keepdims=True) for each in factors]
        largest = [xp.where(each > 0.0, each, xp.ones_like(each)) for each in largest]
        again = squares(*(self._engine.by_words(each / size) for each, size in zip(factors, largest, strict=True)))
        scaled = math.prod(each.reshape(found.shape) for each in largest) * xp.sqrt(xp.clip(again, 0.0, None))
        return xp.where(small, scaled, roots)

    def _step_embeddings(self, gradient: Gradient, learning_rate: float) -> None:
        axes, values = self._arrays["axes"], gradient.values
        if gradient.readout_matrix is None:
            self._engine.subtract(axes, learning_rate, values)
            return
        for start in range(0, axes.shape[2], self._engine.words_at_once):
            words = slice(start, start + self._engine.words_at_once)
            axes[:, :, words] -= (learning_rate * gradient.readout_matrix) @ values[:, :, words]

    def _step_query(self, slopes: Any, learning_rate: float) -> None:
        keys, query = self._arrays["keys"], self._arrays["query"]
        query_slope = (slopes[:, None, :] @ keys)[:, 0]
        if "keys" in self._train:
            keys -= learning_rate * slopes[:, :, None] * query[:, None, :]
        query -= learning_rate * query_slope
        self._arrays["scores"][...] = (keys @ query[:, :, None])[:, :, 0]

    def _norms(self, words: Any) -> Any:
        axes, still = self._arrays["axes"][:, :, words], self._arrays["still"][:, None, words]
        return self._lengths(self._engine.xp.concat([axes, still], axis=1))

    def _names(self) -> list[str]:
        heads = [f"head.{name}" for name in self._starts[0].head.arrays()]
        return ["scores", "axes", "still", *(("query", "keys") if "query" in self._train else ("speed",)), *heads]

    def _stacked(self, name: str) -> Any:
        sources = {
            "scores": lambda each: each.start.scores,
            "axes": lambda each: each.axes,
            "still": lambda each: each.still_norm,
            "query": lambda each: each.start.query,
            "keys": lambda each: each.start.keys,
            "speed": lambda each: each.start.query @ each.start.query,
        }
        source = sources.get(name) or (lambda each: getattr(each.head, name.removeprefix("head.")))
        return self._laid_out(name, self._engine.array(np.stack([np.asarray(source(each)) for each in self._starts])))

    def _laid_out(self, name: str, array: Any) -> Any:
        by_words = name == "scores" or (name == "axes" and not self._narrows)
        return self._engine.by_words(array) if by_words else self._engine.rows(array)

    def _make_room(self) -> None:
        replicates = len(self._starts)
        heads = {name: array for name, array in self._arrays.items() if name.startswith("head.")}
        self._head = self._kind.stacked({name.removeprefix("head."): array for name, array in heads.items()})
        self._operand = self._engine.operand(replicates, self._width, self.corpora["train"].n_words)
        self._products = {
            name: self._engine.products(corpus, replicates, self._width, self._followed)
            for name, corpus in self.corpora.items()
        }
        self._others = {name: each for name, each in self._products.items() if name != "train"}
