"""Claim: each preset draws what LMN21's code, its text or its theory says, the same to the bit everywhere."""

import hashlib

import numpy as np
import pytest

from attn_dynamics import Parameters
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import HEADS, FixedLinear, TrainedLinear, TwoLayer, glorot, torch_linear
from attn_dynamics.model.initial import PRESETS, draw

WORDS, CLASSES, D = 3000, 5, 200
"""The draws that are judged: 600,000 embeddings, a head of 1,000 weights."""


def drawn(preset: str, model: str, seed: int = 0, **sizes: int) -> Parameters:
    shape = {"n_words": WORDS, "n_classes": CLASSES, "embedding_dim": D} | sizes
    return draw(preset, model, **shape, rng=np.random.default_rng(seed))


def digest(start: Parameters) -> str:
    arrays = [start.query, start.keys, start.embeddings, *start.head.arrays().values()]
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()[:16]


DIGESTS = {
    ("published", "attn-fc"): "42075ea3c73f35bc",
    ("published", "attn-tc"): "54e0bf80df2f56a4",
    ("published", "attn-tl"): "ae43773d0872eb31",
    ("paper", "attn-fc"): "8514236c949fd92a",
    ("paper", "attn-tc"): "6a75c7ef26f7670c",
    ("paper", "attn-tl"): "261ee219f09e26be",
}


@pytest.mark.parametrize(("preset", "model"), DIGESTS)
def test_a_draw_is_the_same_to_the_bit_everywhere(preset: str, model: str) -> None:
    """The random numbers are numpy's; what is pinned is their order and what is made of them."""
    small = {"n_words": 7, "n_classes": 3, "embedding_dim": 6}
    assert digest(drawn(preset, model, **small)) == DIGESTS[preset, model]
    assert digest(drawn(preset, model, seed=1, **small)) != DIGESTS[preset, model]


@pytest.mark.parametrize(("preset", "deviation", "key_dim"), [("published", 1e-6, 10), ("paper", 1e-3, D)])
def test_query_keys_and_embeddings(preset: str, deviation: float, key_dim: int) -> None:
    start = drawn(preset, "attn-fc")
    assert start.query.shape == (key_dim,)
    assert start.keys.shape == (WORDS, key_dim)
    assert not start.keys.any()
    entries = start.embeddings.ravel() / deviation
    # Of n standard normal numbers the mean is N(0, 1/n), the variance has the deviation √(2/n); five of them.
    assert abs(entries.mean()) < 5 / entries.size**0.5
    assert abs(entries.var() - 1) < 5 * (2 / entries.size) ** 0.5
    queries = np.concatenate([drawn(preset, "attn-fc", seed, n_words=1).query for seed in range(400)]) / 0.3
    assert abs(queries.var() - 1) < 5 * (2 / queries.size) ** 0.5


@pytest.mark.parametrize("preset", PRESETS)
def test_keys_and_query_have_a_dimension_of_their_own(preset: str) -> None:
    start = drawn(preset, "attn-tc", key_dim=7)
    assert start.query.shape == (7,)
    assert start.keys.shape == (WORDS, 7)
    assert start.embeddings.shape == (WORDS, D)
    assert drawn(preset, "attn-tc").query.shape == ((10,) if preset == "published" else (D,))
    with pytest.raises(InputError, match="key_dim: expected 1 or more, got 0"):
        drawn(preset, "attn-tc", key_dim=0)


@pytest.mark.parametrize("preset", ["published", "paper"])
def test_the_fixed_head_is_standard_normal_with_ones_on_its_diagonal(preset: str) -> None:
    head = drawn(preset, "attn-fc").head
    assert isinstance(head, FixedLinear)
    assert (np.diag(head.weight) == 1.0).all()
    others = head.weight[~np.eye(D, CLASSES, dtype=bool)]
    assert (others != 1.0).all()
    assert abs(others.mean()) < 5 / others.size**0.5
    assert abs(others.var() - 1) < 5 * (2 / others.size) ** 0.5


def assert_uniform(values: np.ndarray, bound: float) -> None:
    """Within ±bound, and as far from 0 as so many uniform numbers are: P(all below 1 - 20/n of it) = e^-20."""
    assert np.abs(values).max() <= bound
    assert np.abs(values).max() > bound * (1 - 20 / values.size)
    assert abs(values.mean()) < 5 * bound / (3 * values.size) ** 0.5


@pytest.mark.parametrize(
    ("preset", "bound"),
    [("published", lambda inputs, _: inputs**-0.5), ("paper", lambda inputs, outputs: (6 / (inputs + outputs)) ** 0.5)],
    ids=["published", "paper"],
)
def test_trained_layers_are_uniform_within_their_bound(preset: str, bound) -> None:
    linear, layers = drawn(preset, "attn-tc").head, drawn(preset, "attn-tl", hidden_dim=400).head
    assert isinstance(linear, TrainedLinear)
    assert isinstance(layers, TwoLayer)
    assert_uniform(linear.weight, bound(D, CLASSES))
    assert_uniform(layers.weight_in, bound(D, 400))
    assert_uniform(layers.weight_out, bound(400, CLASSES))
    if preset == "paper":
        assert not layers.bias_in.any()
        assert not layers.bias_out.any()
    else:
        assert_uniform(layers.bias_in, bound(D, 400))
        assert 0 < np.abs(layers.bias_out).max() <= bound(400, CLASSES)


@pytest.mark.parametrize(
    ("layer", "same"), [(torch_linear, True), (glorot, False)], ids=["torch's", "negative control"]
)
def test_torch_starts_its_linear_layer_so(layer, same: bool) -> None:
    """PyTorch is asked: the largest of 40,000 weights and of 200 biases tells the bound."""
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    torch.manual_seed(0)
    asked = torch.nn.Linear(D, D)
    weight, bias = layer(np.random.default_rng(0), D, D)
    for ours, theirs in ((weight, asked.weight), (bias, asked.bias)):
        found, wanted = np.abs(ours).max(), float(theirs.detach().abs().max())
        assert (abs(found / wanted - 1) < 20 / ours.size) == same


def test_the_scale_multiplies_the_embeddings_alone() -> None:
    for preset in PRESETS:
        usual, larger = (
            drawn(preset, "attn-tc", n_words=4),
            draw(
                preset,
                "attn-tc",
                n_words=4,
                n_classes=CLASSES,
                embedding_dim=D,
                scale=8.0,
                rng=np.random.default_rng(0),
            ),
        )
        assert (larger.embeddings == 8 * usual.embeddings).all()
        assert (larger.query == usual.query).all()
        assert (larger.head.first_layer == usual.head.first_layer).all()


def test_the_starts_of_the_theory_have_orthonormal_columns() -> None:
    for preset in ("lmn21", "mean-field"):
        for model in HEADS:
            start = drawn(preset, model)
            layer = start.head.first_layer
            # QR is orthonormal to some eps times the columns.
            np.testing.assert_allclose(layer.T @ layer, np.eye(layer.shape[1]), atol=1e-14)
            assert np.linalg.norm(start.query) == pytest.approx(1.0, rel=1e-15)
            assert start.embeddings.any() == (preset == "lmn21")
