"""The proved gradients, put in numbers, are those of the library, for every head of its registry."""

from itertools import product

import numpy as np
import pytest

from attn_dynamics import loss_and_gradient
from attn_dynamics.model.heads import HEADS, FixedLinear, Head, TrainedLinear, TwoLayer
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.tasks.corpus import Corpus
from proofs import PROOFS, sampling
from proofs.attention import attention, contexts
from proofs.heads import ACTIVE, B1, B2, LABEL, U1, U2, Z, hidden, linear, relu
from proofs.notation import D_E, D_K, SLOPE, C, E, G, H, K, N, P, Q, U, V, n, s, v
from proofs.proof import Equal
from proofs.sums import Expr, index, total

HEAD_PROOFS: dict[type[Head], str] = {FixedLinear: "M3", TrainedLinear: "M4", TwoLayer: "M5"}
"""Which proof is that of which head."""
ARRAYS = {
    "weight": U, "weight_in": U1, "bias_in": B1, "weight_out": U2, "bias_out": B2,
}  # fmt: skip
STEPS = {"weight": "∂L/∂U", "weight_in": "∂L/∂U₁", "bias_in": "∂L/∂b₁", "weight_out": "∂L/∂U₂", "bias_out": "∂L/∂b₂"}
i, w, x, b, c, h = (index(name) for name in "iwxbch")


def proved(claim: str, name: str) -> Expr:
    """What a proof shows a gradient to be."""
    return next(step.right for step in PROOFS[claim].derivation() if isinstance(step, Equal) and step.name == name)


class Numbers:
    """Sizes and entries, and what formulas in them come to."""

    def __init__(self, **sizes: int) -> None:
        self.known: dict[Expr, float] = {}
        for symbol in (N, V, D_E, D_K, n, H):
            self.known[symbol] = sizes[symbol.name]

    def put(self, array: Expr, values: np.ndarray) -> None:
        """Let an array have these entries, counted from 1."""
        for place in product(*map(range, values.shape)):
            self.known[array[tuple(k + 1 for k in place)]] = values[place].item()

    def of(self, formula: Expr, *sizes: tuple[Expr, int]) -> np.ndarray:
        """A formula for all its free indices."""
        out = np.empty([count for _, count in sizes])
        for place in product(*map(range, out.shape)):
            at = {free: k + 1 for (free, _), k in zip(sizes, place, strict=True)}
            out[place] = sampling.value(formula.xreplace(at), 0, self.known)
        return out


def logits(head: Head) -> Expr:
    """z_ic of the proofs."""
    if isinstance(head, TwoLayer):
        return total(lambda h: U2[h, c] * relu(i, h), H) + B2[c]
    return linear(i, c)


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("model", HEADS)
def test_the_proved_gradient_is_the_one_in_the_code(model: str) -> None:
    if HEADS[model] not in HEAD_PROOFS:
        raise AssertionError(f"{model}: prove its gradient in proofs/heads.py and name the proof in HEAD_PROOFS")
    claim, rng = HEAD_PROOFS[HEADS[model]], np.random.default_rng(7)
    size = {"N": 3, "V": 4, "n": 3, "d": 2, "d_k": 2, "h": 2}
    tokens = [[0, 1, 1, 2], [3], [0, 3, 3]]
    corpus = Corpus.from_sentences(tokens, [0, 2, 2], vocabulary=range(4), n_classes=3)
    head = HEADS[model].draw(rng, size["d"], size["n"], size["h"])
    head = head.replace(**{name: rng.standard_normal(each.shape) for name, each in head.arrays().items()})
    parameters = Parameters(
        query=rng.standard_normal(2),
        keys=rng.standard_normal((4, 2)),
        embeddings=rng.standard_normal((4, 2)),
        head=head,
    )
    _, gradient = loss_and_gradient(corpus, parameters)

    numbers = Numbers(**size)
    numbers.put(C, corpus.counts.toarray())
    numbers.put(LABEL, corpus.labels + 1)
    for array, values in ((Q, parameters.query), (K, parameters.keys), (E, parameters.embeddings)):
        numbers.put(array, values)
    for name, values in head.arrays().items():
        numbers.put(ARRAYS[name], values)
    numbers.put(s, parameters.scores)
    numbers.put(v, numbers.of(contexts(attention)(i, b), (i, 3), (b, 2)))
    if isinstance(head, TwoLayer):
        numbers.put(ACTIVE, (numbers.of(hidden(i, h), (i, 3), (h, 2)) > 0).astype(int))
    numbers.put(Z, numbers.of(logits(head), (i, 3), (c, 3)))
    numbers.put(SLOPE, numbers.of(proved("M2", "∂L/∂z"), (i, 3), (c, 3)))
    numbers.put(G, numbers.of(proved(claim, "g"), (i, 3), (b, 2)))
    numbers.put(P, numbers.of(proved("M1", "∂L/∂s"), (w, 4)))

    close(numbers.of(proved("M1", "∂L/∂ν"), (w, 4), (b, 2)), gradient.embeddings)
    close(numbers.of(proved("M1", "∂L/∂κ"), (w, 4), (b, 2)), gradient.keys)
    close(numbers.of(proved("M1", "∂L/∂q"), (b, 2)), gradient.query)
    for name in head.trained:
        expected = getattr(gradient.head, name)
        free = {"weight": (b, c), "weight_in": (b, h), "bias_in": (h,), "weight_out": (h, c), "bias_out": (c,)}[name]
        found = numbers.of(proved(claim, STEPS[name]), *zip(free, expected.shape, strict=True))
        close(found, expected)
