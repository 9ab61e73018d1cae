"""Check that the known laws are all laws, by counting the directions in which data can move a model (theory A8).

A law that holds for every data set is constant along every gradient field, hence along their Lie brackets. If these
span r of D dimensions, at most D - r laws are independent (Marcotte, Gribonval and Peyré, arXiv 2307.00144). The
softmax drops out: labels can give any row of slopes ζ_i that sums to 0, times a function, and functions add no
direction. So a field is the gradient of Σ_i ζ_i·z_i at fixed ζ. Each e^s_w is a further coordinate t_w with
dt_w = t_w ds_w, because the exponentials of different scores obey no algebraic equation. Everything is then rational,
and computed modulo a prime without rounding. Generic points have at least the rank that is found there.
"""

from collections.abc import Callable, Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from attn_dynamics.check import Array
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import TwoLayer
from attn_dynamics.model.parameters import TRAINABLE, Parameters
from attn_dynamics.theory.modular import PRIME, Jet, constant, inverse, moved, times

State = Mapping[str, Jet]
"""Query q, keys K, embeddings E, arrays of the head, and "weights" t_w = e^s_w, by name; the drawn fields lead."""
Field = Callable[[State], State]
"""Vector field: a function from a state to the velocities of the arrays that move."""
SPARE = 4
"""Number of drawn fields beyond the number of dimensions."""


def directions(
    parameters: Parameters,
    counts: NDArray[np.int64],
    weights: NDArray[np.int64],
    *,
    train: Collection[str] = TRAINABLE,
    depth: int = 4,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return directions in which gradients of data sets and their Lie brackets move a model, modulo `PRIME`.

    A field has random slopes ζ on all sentences. The directions are those of nested brackets [X₁, [X₂, … X_k]].

    Args:
        parameters: a state of whole numbers, with a linear head or one of two layers.
        counts: counts C (N, V) of the words in the sentences; no size of data or model may exceed `LONGEST`.
        weights: e^s (V,), whole numbers above 0; in a head of two layers they decide which units are active.
        train: trained parts, any of query, keys, embeddings, head.
        depth: largest number k of fields in a bracket.
        seed: seed of the slopes.

    Returns:
        Rows (depth · (D + 4), D) over the D trained coordinates, in the order of `law_gradients`.

    Raises:
        InputError: a number is not whole, a size is too large, or a hidden unit is at its switch.
    """
    rng, known = np.random.default_rng(seed), _arrays(parameters)
    moving = _moving(parameters, train)
    drawn = sum(known[name].size for name in moving) + SPARE
    at = {name: np.broadcast_to(_whole(name, array), (1, drawn, *array.shape)) for name, array in known.items()}
    at["weights"] = np.broadcast_to(weights, (1, drawn, len(weights)))
    active = active_units(parameters, counts, weights)

    def field() -> Field:
        slopes = rng.integers(PRIME, size=(drawn, len(counts), parameters.head.n_classes))
        slopes[..., -1] = -slopes[..., :-1].sum(axis=-1)
        return lambda state: _velocity(state, counts, slopes, active, moving)

    rows = []
    for others in range(depth):
        nested = field()
        for _ in range(others):
            nested = bracket(field(), nested)
        rows.append(np.concatenate([nested(at)[name].reshape(drawn, -1) for name in moving], axis=1))
    return np.concatenate(rows)


def bracket(one: Field, other: Field) -> Field:
    """Return the Lie bracket [X, Y] = Y'X - X'Y of two fields X and Y, with exact derivatives."""

    def field(state: State) -> State:
        order = len(state["weights"])
        ahead, across = other(_along(state, one(state))), one(_along(state, other(state)))
        return {name: (ahead[name][order:] - across[name][order:]) % PRIME for name in ahead}

    return field


def active_units(parameters: Parameters, counts: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a mask (N, h), 1 if a hidden unit is active in a sentence, else 0; a linear head has one active unit.

    Args:
        parameters: a state of whole numbers.
        counts: counts C (N, V) of the words in the sentences.
        weights: e^s (V,).

    Raises:
        InputError: the input of a unit is 0 in a sentence, where its relu has no derivative.
    """
    head = parameters.head
    if not isinstance(head, TwoLayer):
        return np.ones((len(counts), 1), np.int64)
    before = (counts * weights) @ (parameters.embeddings @ head.weight_in + head.bias_in)
    if not before.all():
        raise InputError("parameters", expected="no unit at 0", given="a unit at 0", fix="Draw other parameters.")
    return (before > 0.0).astype(np.int64)


def law_gradients(
    law: Callable[[Parameters, Collection[str]], Mapping[str, Array]],
    parameters: Parameters,
    train: Collection[str] = TRAINABLE,
) -> NDArray[np.int64]:
    """Return the gradients (quantities, D) of quantities that are at most quadratic, modulo `PRIME`.

    Central differences of quadratics are exact, and at whole numbers nothing is rounded. The coordinates are those of
    query, keys, embeddings and the head's arrays, in this order.

    Args:
        law: function of parameters and trained parts that returns named quantities, as `invariants` does.
        parameters: a state of whole numbers.
        train: trained parts.
    """
    known, moving, rows = _arrays(parameters), _moving(parameters, train), []
    for name in moving:
        for place in np.ndindex(known[name].shape):
            step = np.zeros(known[name].shape)
            step[place] = 1.0
            ahead, behind = (
                law(_built(parameters, known | {name: known[name] + sign * step}), train) for sign in (1.0, -1.0)
            )
            rows.append(np.concatenate([np.ravel(ahead[each] - behind[each]) / 2.0 for each in ahead] or [[]]))
    return _whole("law", np.array(rows).T)


def _velocity(
    state: State,
    counts: NDArray[np.int64],
    slopes: NDArray[np.int64],
    active: NDArray[np.int64],
    moving: Collection[str],
) -> State:
    """Return the gradient of Σ_i ζ_i·z_i at fixed slopes ζ (theory §1), and the velocity t ds of the weights t."""
    q, keys, embeddings, t = (state[name] for name in ("query", "keys", "embeddings", "weights"))
    slopes = constant(slopes, t)
    mass = counts * t[..., None, :] % PRIME
    attention = times(mass, inverse(mass.sum(axis=-1, keepdims=True) % PRIME))
    contexts = times(attention, embeddings, np.matmul)
    back, moves = _head(state, contexts, slopes, active)
    pull = times(back, embeddings.mT, np.matmul) - times(back, contexts).sum(axis=-1, keepdims=True)
    by_score = times(attention, pull % PRIME).sum(axis=-2)[..., None] % PRIME
    moves |= {
        "embeddings": times(attention.mT, back, np.matmul),
        "keys": times(by_score, q[..., None, :]),
        "query": times(keys.mT, by_score, np.matmul)[..., 0],
    }
    moves = {name: moves[name] for name in moving}
    still = np.zeros_like(t)
    turned = times(moves["keys"], q[..., None], np.matmul)[..., 0] if "keys" in moves else still
    grown = times(keys, moves["query"][..., None], np.matmul)[..., 0] if "query" in moves else still
    return moves | {"weights": times(t, (turned + grown) % PRIME)}


def _head(state: State, contexts: Jet, slopes: Jet, active: NDArray[np.int64]) -> tuple[Jet, dict[str, Jet]]:
    """Return the gradient g of the contexts and the gradients of the head's arrays; the active units are linear."""
    if "head.weight" in state:
        back = times(slopes, state["head.weight"].mT, np.matmul)
        return back, {"head.weight": times(contexts.mT, slopes, np.matmul)}
    first, second = state["head.weight_in"], state["head.weight_out"]
    hidden = (times(contexts, first, np.matmul) + state["head.bias_in"][..., None, :]) % PRIME * active
    reached = times(slopes, second.mT, np.matmul) * active
    return times(reached, first.mT, np.matmul), {
        "head.weight_in": times(contexts.mT, reached, np.matmul),
        "head.bias_in": reached.sum(axis=-2) % PRIME,
        "head.weight_out": times(hidden.mT, slopes, np.matmul),
        "head.bias_out": slopes.sum(axis=-2) % PRIME,
    }


def _along(state: State, velocity: State) -> State:
    """Return the state moved by a new infinitesimal along a velocity; arrays without a velocity stay."""
    return {name: moved(value, velocity.get(name, np.zeros_like(value))) for name, value in state.items()}


def _arrays(parameters: Parameters) -> dict[str, Array]:
    arrays = {name: getattr(parameters, name) for name in TRAINABLE[:3]}
    return arrays | {f"head.{name}": array for name, array in parameters.head.arrays().items()}


def _built(like: Parameters, arrays: Mapping[str, Array]) -> Parameters:
    head = {name: arrays[f"head.{name}"] for name in like.head.arrays()}
    return Parameters(**{name: arrays[name] for name in TRAINABLE[:3]}, head=like.head.replace(**head))


def _moving(parameters: Parameters, train: Collection[str]) -> tuple[str, ...]:
    """Return the names of the trained arrays, those of the head last."""
    head = [f"head.{name}" for name in parameters.head.trained] if "head" in train else []
    return (*(name for name in TRAINABLE[:3] if name in train), *head)


def _whole(name: str, array: Array) -> NDArray[np.int64]:
    """Return an array as whole numbers modulo the prime."""
    if np.abs(array - np.rint(array)).max(initial=0.0) > 1e-9:
        raise InputError(name, expected="whole numbers", given="others", fix="Round them.")
    return np.rint(array).astype(np.int64) % PRIME
