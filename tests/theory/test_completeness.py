"""Claim A8: the drawn directions are those of the model's own gradients, and brackets are brackets."""

from dataclasses import replace

import numpy as np
import pytest

from attn_dynamics import Corpus, loss_and_gradient
from attn_dynamics.claims.a8_completeness import Drawn, Setting, drawn, without
from attn_dynamics.errors import InputError
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.theory.completeness import active_units, bracket, directions, law_gradients
from attn_dynamics.theory.invariants import invariants
from attn_dynamics.theory.modular import LONGEST, PRIME, Jet, constant, moved, rank, times
from tests.support import Array

SETTINGS = (
    Setting("attn-tc", 4, 2, 3, 3),
    Setting("attn-fc", 4, 2, 2, 3),
    Setting("attn-tl", 4, 2, 2, 3, 3, seed=4),
)


def flat(drawn: Drawn, setting: Setting, counts: Jet, label: int) -> Array:
    """The gradient of the model on one sentence, at equal scores, as one vector."""
    corpus = Corpus.from_sentences(
        [np.repeat(range(len(counts)), counts).tolist()],
        [label],
        vocabulary=range(len(counts)),
        n_classes=setting.n_classes,
    )
    gradient = loss_and_gradient(corpus, drawn.parameters)[1]
    head = [gradient.head.arrays()[name].ravel() for name in drawn.parameters.head.trained]
    return np.concatenate([getattr(gradient, name).ravel() for name in TRAINABLE[:3]] + head)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_gradients_of_the_model_lie_among_the_directions(setting: Setting) -> None:
    """Of one sentence with two labels, whose difference is a whole number over the square of the sentence's length."""
    state = drawn(setting)
    q = state.parameters.query
    across = np.outer(np.arange(1, setting.n_words + 1), [q[1], -q[0]])
    state = Drawn(replace(state.parameters, keys=across), np.minimum(state.counts, 3), np.ones(setting.n_words, int))
    rows = directions(*state, depth=1)
    whole = np.zeros(rows.shape[1])
    for counts in state.counts[: setting.n_words + 4]:
        apart = flat(state, setting, counts, 0) - flat(state, setting, counts, 1)
        whole = apart * counts.sum() ** 2
        assert np.abs(whole - np.rint(whole)).max() < 1e-6
        assert rank(np.vstack([rows, np.rint(whole).astype(int)])) == rank(rows)
    # Negative control: one entry off is seen.
    wrong = np.rint(whole).astype(int)
    wrong[np.flatnonzero(wrong)[0]] += 1
    assert rank(np.vstack([rows, wrong])) == rank(rows) + 1 > 1


def test_the_bracket_of_linear_fields_is_their_commutator() -> None:
    rng = np.random.default_rng(0)
    one, other, x = (rng.integers(PRIME, size=shape) for shape in ((3, 3), (3, 3), (1, 3)))

    def field(matrix: Jet):
        return lambda state: {
            "weights": times(constant(matrix, state["weights"]), state["weights"][..., None], np.matmul)[..., 0]
        }

    found = bracket(field(one), field(other))({"weights": x})["weights"][0]
    jets = [matrix[None] for matrix in (one, other)]
    commutator = times(jets[1], jets[0], np.matmul) - times(jets[0], jets[1], np.matmul)
    assert found.tolist() == times(commutator % PRIME, x[..., None], np.matmul)[0, :, 0].tolist()
    assert found.any()


@pytest.mark.parametrize("name", ["key_sum", "query_keys", "embeddings_head", "class_sum"])
def test_without_a_law_the_count_is_short_by_its_size(name: str) -> None:
    """d_k, d_k (d_k + 1)/2, d (d + 1)/2 and d."""
    setting = SETTINGS[0]
    state = drawn(setting)
    reached = rank(directions(*state))
    all_laws, fewer = (rank(law_gradients(law, state.parameters)) for law in (invariants, without(name)))
    assert (reached, all_laws) == (17, 14)
    assert all_laws - fewer == {"key_sum": 2, "query_keys": 3, "embeddings_head": 6, "class_sum": 3}[name]


def test_a_unit_at_its_switch_half_numbers_and_too_many_sentences_are_refused() -> None:
    state = drawn(SETTINGS[2])
    parameters = state.parameters
    head = parameters.head.replace(bias_in=0 * parameters.head.arrays()["bias_in"])
    at_zero = replace(parameters, head=head, embeddings=0 * parameters.embeddings)
    with pytest.raises(InputError, match="no unit at 0"):
        active_units(at_zero, state.counts, state.weights)
    with pytest.raises(InputError, match="whole numbers"):
        directions(replace(parameters, query=0.5 * np.ones(2)), state.counts, state.weights)
    with pytest.raises(InputError, match=f"at most {LONGEST}"):
        directions(parameters, np.ones((LONGEST + 1, 4), int), state.weights)


def test_a_new_infinitesimal_is_the_last_digit() -> None:
    assert moved(np.array([[1]]), np.array([[2]])).ravel().tolist() == [1, 2]
