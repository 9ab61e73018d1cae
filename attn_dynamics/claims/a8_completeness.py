"""Whether laws A1 to A4, A6 and A7 are all that hold for every data set (theory A8)."""

from collections.abc import Callable, Collection, Mapping
from functools import cache
from itertools import combinations
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.claims.claim import Control, Measured, claims, control, largest, together
from attn_dynamics.model.heads import HEADS, Array
from attn_dynamics.model.parameters import TRAINABLE, Parameters
from attn_dynamics.theory.completeness import active_units, directions, law_gradients
from attn_dynamics.theory.invariants import invariants
from attn_dynamics.theory.modular import PRIME, rank

SENTENCES = 40
"""Number of drawn sentences of a setting, which also has one sentence of each word alone."""
LESS_THAN_ONE = 0.5
"""Bound of a count that must be 0."""
Laws = Callable[[Parameters, Collection[str]], Mapping[str, Array]]
"""Function that returns the conserved quantities, by name, from parameters and the trained parts."""


class Setting(NamedTuple):
    """Sizes of a model, its trained parts, and the seed that draws its state of whole numbers."""

    model: str
    n_words: int
    key_dim: int
    dim: int
    n_classes: int
    hidden: int = 1
    train: tuple[str, ...] = TRAINABLE
    seed: int = 0


LINEAR = (
    Setting("attn-tc", 3, 2, 2, 2),
    Setting("attn-tc", 4, 2, 3, 3),
    Setting("attn-tc", 4, 3, 2, 3),
    Setting("attn-tc", 5, 1, 3, 3, train=TRAINABLE[1:]),  # a fixed query sees only the scores of keys
    Setting("attn-fc", 4, 2, 2, 3),
    Setting("attn-fc", 4, 2, 3, 3),  # one more dimension than the head reads (A6)
)
LARGER = (Setting("attn-tc", 5, 3, 3, 4), Setting("attn-tc", 6, 2, 2, 3), Setting("attn-tc", 2, 2, 5, 2))
"""Further sizes of the full measurement; in the last, entries of EᵀE - U Uᵀ depend on each other, as d > V + n - 1."""
TWO_LAYERS = (Setting("attn-tl", 4, 2, 2, 3, 2), Setting("attn-tl", 4, 2, 2, 3, 3, seed=4))
"""States of Attn-TL. In the first, each hidden unit switches between sentences. In the second, two units are active in
the same sentences, and one in none."""
LARGER_TWO_LAYERS = tuple(
    Setting("attn-tl", *sizes, seed=seed) for sizes in ((4, 2, 2, 3, 3), (5, 3, 2, 3, 3)) for seed in range(5, 11)
)
"""Further states of Attn-TL for the full measurement."""


class Drawn(NamedTuple):
    """State of whole numbers, and the sentences that data sets consist of."""

    parameters: Parameters
    counts: NDArray[np.int64]
    """Occurrences of each word (sentences, V)."""
    weights: NDArray[np.int64]
    """Whole numbers that stand for e^s of each word (V,)."""


@cache
def drawn(setting: Setting) -> Drawn:
    """Draw a state, the counts of words, which are 0 or powers of ten up to 1000, and numbers for e^s.

    Biases b₁ are odd and all else is even, so that a sentence of one word leaves no hidden unit at its switch.
    """
    model, words, key_dim, dim, classes, hidden, _, seed = setting
    rng = np.random.default_rng(seed)

    def whole(shape: int | tuple[int, ...]) -> Array:
        return 2.0 * rng.integers(-9, 10, size=shape).astype(float)

    head = HEADS[model].draw(rng, dim, classes, hidden)
    arrays = {name: whole(array.shape) for name, array in head.arrays().items()}
    if "bias_in" in arrays:
        arrays["bias_in"] += 1.0
    if model == "attn-fc":
        arrays["weight"][classes - 1 :] = 0.0  # axes along the head's n - 1 contrasts
        arrays["weight"] -= arrays["weight"][:, :1]
    parameters = Parameters(
        query=whole(key_dim),
        keys=whole((words, key_dim)),
        embeddings=whole((words, dim)),
        head=head.replace(**arrays),
    )
    powers, there = 10 ** rng.integers(0, 4, size=(SENTENCES, words)), rng.random((SENTENCES, words)) < 0.6
    counts = np.concatenate([np.eye(words, dtype=np.int64), powers * there])
    return Drawn(parameters, counts[counts.any(axis=1)], rng.integers(1, 1000, size=words))


@cache
def moves(setting: Setting, depth: int) -> NDArray[np.int64]:
    """Return the directions (directions, D) in which data sets move the drawn state.

    At depth 1 they are the gradients; at depth 2 the Lie brackets of gradients are added.
    """
    return directions(*drawn(setting), train=setting.train, depth=depth)


def regional(setting: Setting) -> int:
    """Return the number of laws that Attn-TL has only within its region, where no unit switches.

    Two units that are active in the same sentences have one. A unit that is active in none rests with its d + 1 + n
    parameters, of which A4 and A7 already conserve two combinations.
    """
    active = active_units(*drawn(setting)).T
    twins = sum(bool((one == other).all() and one.any()) for one, other in combinations(active, 2))
    return twins + int((~active.any(axis=1)).sum()) * (setting.dim + setting.n_classes - 1)


def without(*names: str) -> Laws:
    """Return a function that gives all laws except those with these names."""
    return lambda parameters, train: {
        name: kept for name, kept in invariants(parameters, train).items() if name not in names
    }


def with_a_sum(parameters: Parameters, train: Collection[str]) -> Mapping[str, Array]:
    """Return all laws, where q qᵀ + KᵀK replaces the difference of A2."""
    q, keys = parameters.query, parameters.keys
    return dict(invariants(parameters, train)) | {"query_keys": np.outer(q, q) + keys.T @ keys}


def leave_out(id: str, *names: str) -> Control:
    """Return a control that leaves out a law."""
    return control(f"{id} is left out", laws=without(*names))


@claims(
    "A8",
    leave_out("A1", "key_sum"),
    leave_out("A2", "query_keys"),
    leave_out("A3, A4: EᵀE - U Uᵀ", "embeddings_head"),
    leave_out("A4: the law of a unit", "hidden_units"),
    leave_out("A6: what a fixed head does not read", "embeddings_outside"),
    leave_out("A7", "class_sum"),
    control("a sum for the difference of A2", laws=with_a_sum),
    control("gradients without their brackets", depth=1),
    control("units that are active in the same sentences have no further law", regional=lambda setting: 0),
    name="laws are complete",
    foundations=("A1", "A4", "A6", "A7"),
    statement=r"\dim \mathrm{Lie}\{\nabla L_{data}\} + \mathrm{rank}\{\nabla law\} = \dim \theta",
    assumptions="generic states. For Attn-TL the result is a count, not a theorem: it covers the listed sizes, near a "
    "state where no hidden unit is at its switch",
    quantity="linear, two layers: number of laws that are missing or too many, the largest over sizes of linear heads "
    "and over states of Attn-TL. Broken: number of directions along which some law changes",
    tolerance="0, tested as less than one half. Ranks of whole numbers are computed modulo a prime, so nothing is "
    "rounded. The rank of the directions found is at most that at generic points, and the laws forbid all others. "
    "Where both make up all dimensions, no law is missing at this size",
)
def completeness(
    *,
    quick: bool,
    laws: Laws = invariants,
    regional: Callable[[Setting], int] = regional,
    depth: int = 2,
) -> Measured:
    """Count directions and laws by ranks, at one drawn state of each setting."""
    linear, layered = (LINEAR, TWO_LAYERS) if quick else (LINEAR + LARGER, TWO_LAYERS + LARGER_TWO_LAYERS)
    seen = {setting: judged(setting, laws, depth) for setting in linear + layered}
    return together(
        f"{len(linear)} sizes of linear heads, {len(layered)} states of two layers",
        linear=Measured(largest(abs(seen[each].missing) for each in linear), LESS_THAN_ONE, within=inf),
        two_layers=Measured(
            largest(abs(seen[each].missing - regional(each)) for each in layered), LESS_THAN_ONE, within=inf
        ),
        broken=Measured(float(sum(each.broken for each in seen.values())), LESS_THAN_ONE, within=inf),
    )


class Judged(NamedTuple):
    """Counts of missing laws, and of directions that break a law, at one state of a model."""

    missing: int
    """Number of dimensions that data sets do not reach and laws do not forbid; negative if laws are too many."""
    broken: int
    """Number of directions along which some law changes."""


def judged(setting: Setting, laws: Laws, depth: int) -> Judged:
    """Return the counts of missing and of broken laws at one state."""
    rows, gradients = moves(setting, depth), law_gradients(laws, drawn(setting).parameters, setting.train)
    changes = np.array([(rows * gradient % PRIME).sum(axis=1) % PRIME for gradient in gradients])
    return Judged(rows.shape[1] - rank(rows) - rank(gradients), int(changes.any(axis=0).sum()))
